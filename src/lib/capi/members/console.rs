//! Members about terminals: the console and the ttys, and the console's ring buffer.

use super::member;
use crate::capi::guard::{set_errno, told};
use crate::capi::layout::ConsoleLog;
use crate::capi::memory::{self, Out};
use crate::ipc::Fail;
use crate::ipc::wire;
use crate::runtime::console_client::{self, Session};
use crate::sys::fd;
use std::ffi::c_int;

member! {
    /// Reserves a tty.
    console_getfd(h, ttynum: Out<c_int>, ptxfd: Out<c_int>) -> c_int, else -1, {
        match h.client().console(ttynum.get().unwrap_or(-1)) {
            Ok((hold, ptx, number)) => {
                ttynum.set(number);
                if !ptxfd.is_null() {
                    ptxfd.set(fd::leak(ptx));
                }
                fd::leak(hold)
            }
            Err(Fail::Refused(errno)) => {
                set_errno(errno);
                -1
            }
            Err(f) => {
                set_errno(f.errno());
                -f.errno()
            }
        }
    }
}

member! {
    /// Talks to a tty until it is left.
    console(h, ttynum: c_int, stdinfd: c_int, stdoutfd: c_int, stderrfd: c_int, escape: c_int) -> c_int, else -1, {
        let session = Session {
            tty: ttynum,
            input: stdinfd,
            output: stdoutfd,
            messages: stderrfd,
            escape: u8::try_from(escape).ok().filter(|e| *e > 0),
        };
        match console_client::run(&h.client(), &session) {
            Ok(_) => 0,
            Err(e) => {
                told(&e);
                -1
            }
        }
    }
}

member! {
    /// Reads and clears the console's ring buffer.
    console_log(h, log: *mut ConsoleLog) -> c_int, else -libc::EINVAL, {
        if log.is_null() {
            return -libc::EINVAL;
        }
        // SAFETY: the caller's structure; read_max is null or a number of theirs.
        let (clear, read, max) = unsafe { ((*log).clear, (*log).read, (*log).read_max) };
        let read_max = if max.is_null() {
            0
        } else {
            // SAFETY: as above.
            unsafe { *max }
        };
        if read && max.is_null() {
            return -libc::EINVAL;
        }
        match h.client().console_log(wire::ConsoleLog { clear, read, read_max, write_logfile: false }) {
            Ok(text) => {
                if read {
                    // SAFETY: as above; the data becomes the caller's.
                    unsafe {
                        (*log).data = memory::data(&text);
                        *max = text.len() as u64;
                    }
                }
                0
            }
            Err(f) => {
                set_errno(f.errno());
                -f.errno()
            }
        }
    }
}
