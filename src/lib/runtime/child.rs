//! The child between clone and exec: runs the script, tells the parent what failed, becomes init. Never returns, never
//! unwinds; see `interp` for what it may do.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

use super::interp::{Child, Fault, Script};
use super::sync::{Channel, Kind, Record};
use crate::sys;
use nix::libc;

/// The op number in a failure record that stands for the execution of init.
pub const EXEC: u32 = u32::MAX;

/// Runs the script and becomes init.
pub fn run(script: &Script, channel: &mut Option<Channel>) -> ! {
    sys::alloc_guard::step("ops");
    let _never_unwinds = Bomb;
    let Some(own) = channel.as_ref() else { sys::process::exit_now(1) };
    let before = sys::process::umask(0);
    let mut child = Child::new(script, own, before);
    let done = match sys::signal::set_mask(&script.mask) {
        Ok(_) => child.run(),
        Err(e) => Err((0, e.into())),
    };
    let fault = match done {
        Ok(()) => {
            sys::process::umask(before);
            let _ = own.send(&Record::new(Kind::Exec, 0), &[]);
            if let Some(supervise) = script.supervise {
                // The parent takes the closing of the channel for a successful exec.
                *channel = None;
                supervise(&script.exec)
            }
            (EXEC, exec(script))
        }
        Err(failed) => failed,
    };
    let (op, Fault { errno, status }) = fault;
    if let Some(own) = channel.as_ref() {
        let _ = own.send(&Record { b: errno, c: status, ..Record::new(Kind::Fail, op) }, &[]);
    }
    sys::process::exit_now(1)
}

/// Ends the process if it ever unwinds: below this frame lies a copy of the monitor.
pub(super) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        sys::process::exit_now(1);
    }
}

/// Tries the places where init may be; the first error that is not about a missing file counts.
fn exec(script: &Script) -> Fault {
    let mut worst = libc::ENOENT;
    for path in &script.exec.paths {
        let errno = sys::process::execve(path, &script.exec.args).raw_os_error().unwrap_or(libc::EIO);
        if !matches!(errno, libc::ENOENT | libc::ENOTDIR) && worst == libc::ENOENT {
            worst = errno;
        }
    }
    Fault { errno: worst, status: 0 }
}
