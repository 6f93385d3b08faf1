//! Members that run something inside.

use super::member;
use crate::base::{Error, Result};
use crate::capi::guard::{by, number, told};
use crate::capi::handle::Handle;
use crate::capi::layout::{AttachFn, AttachOptions};
use crate::capi::memory::{self, Out, Text, Words};
use crate::runtime::attach::{self as enter, Options, Payload, Personality, flags};
use crate::runtime::attach_wait::Attached;
use crate::sys::process;
use std::ffi::{CString, c_int, c_void};

/// The caller's options; the defaults for null.
///
/// # Safety
/// Null, or a structure as the header describes it.
unsafe fn options(o: *const AttachOptions) -> Options {
    if o.is_null() {
        return Options::default();
    }
    // SAFETY: the caller's promise. What lies behind stderr_fd is read only with the flag that names it.
    unsafe {
        let flags = (*o).attach_flags as u32;
        let id = |id: u32| (id != u32::MAX).then_some(id);
        let groups = if flags & flags::SETGROUPS != 0 {
            let g = &(*o).groups;
            let known = g.size > 0 && !g.list.is_null();
            if known { std::slice::from_raw_parts(g.list, g.size).to_vec() } else { Vec::new() }
        } else {
            Vec::new()
        };
        let log_fd = if flags & flags::TERMINAL != 0 { (*o).log_fd } else { -1 };
        Options {
            flags,
            namespaces: ((*o).namespaces != -1).then_some(u64::from((*o).namespaces as u32)),
            personality: match (*o).personality {
                -1 => Personality::Detect,
                p => Personality::Set(p as u64),
            },
            cwd: memory::bytes((*o).initial_cwd).and_then(|b| CString::new(b).ok()),
            uid: id((*o).uid),
            gid: id((*o).gid),
            groups,
            clear_env: (*o).env_policy == 1,
            extra_env: memory::words((*o).extra_env_vars.cast_const().cast()),
            keep_env: memory::words((*o).extra_keep_env.cast_const().cast()),
            fds: [(*o).stdin_fd, (*o).stdout_fd, (*o).stderr_fd],
            label: if flags & flags::LSM_LABEL != 0 {
                memory::bytes((*o).lsm_label).and_then(|b| CString::new(b).ok())
            } else {
                None
            },
            pty_log: (log_fd >= 0).then(|| format!("/proc/self/fd/{log_fd}").into()),
            in_place: false,
            container_env: None,
        }
    }
}

/// The caller's function and its payload, which the copy of this process inside calls.
struct Call(AttachFn, *mut c_void);

impl Call {
    fn run(self) -> i32 {
        // SAFETY: the caller's function with the caller's payload, in a copy of the caller's memory.
        self.0.map_or(-1, |f| unsafe { f(self.1) })
    }
}

/// Enters and starts the payload.
fn begin(h: Handle, options: &Options, payload: Payload) -> Result<Attached> {
    let client = h.client();
    enter::attach(&client, options, payload).map_err(|e| by(&client, e))
}

member! {
    /// Runs a function inside.
    attach(
        h,
        exec_function: AttachFn,
        exec_payload: *mut c_void,
        opts: *mut AttachOptions,
        attached_process: Out<libc::pid_t>,
    ) -> c_int, else -1, {
        if exec_function.is_none() || attached_process.is_null() {
            return -libc::EINVAL;
        }
        // SAFETY: the caller's promise.
        let options = unsafe { options(opts) };
        let call = Call(exec_function, exec_payload);
        let begun = begin(h, &options, Payload::Function(Box::new(move || call.run())));
        number(begun.and_then(Attached::into_pid).map(|pid| {
            attached_process.set(pid);
            0
        }))
    }
}

member! {
    /// Runs a program inside and waits for it.
    attach_run_wait(h, opts: *mut AttachOptions, program: Text, argv: Words) -> c_int, else -1, {
        run_wait_with(h, opts, program, argv.list())
    }
}

/// Runs a program with these words, the first of which is its own name.
pub fn run_wait_with(h: Handle, opts: *mut AttachOptions, program: Text, argv: Vec<CString>) -> c_int {
    // SAFETY: the caller's promise.
    let options = unsafe { options(opts) };
    let Some(program) = program.owned() else {
        told(&Error::os(libc::EINVAL, "no program to run"));
        return -1;
    };
    let argv = if argv.is_empty() { vec![program.clone()] } else { argv };
    let name = program.to_string_lossy().into_owned();
    let payload = if argv.first() == Some(&program) {
        Payload::Command(argv)
    } else {
        Payload::Function(Box::new(move || crate::capi::global::run(&program, &argv)))
    };
    let ended = begin(h, &options, payload).and_then(|attached| {
        if options.flags & flags::TERMINAL != 0 {
            return attached.wait(&name);
        }
        let pid = attached.into_pid()?;
        process::wait_pid(pid, 0).map(|w| w.1).map_err(|e| Error::io(&e, "waiting for the attached process"))
    });
    number(ended)
}
