//! Members that ask: state, init, descriptors, control group files. Each is one exchange with the monitor.

use super::member;
use crate::base::{Context, Error};
use crate::capi::global::state_name;
use crate::capi::guard::{set_errno, told};
use crate::capi::memory::{Buffer, Text};
use crate::cgroup::{Kind, item};
use crate::ipc::{Client, Fail, State};
use crate::sys::{fd, path};
use std::ffi::{c_char, c_int};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

member! {
    /// The config file exists.
    is_defined(h) -> bool, else false, {
        match h.with(|i| i.container.config_file()).metadata() {
            Ok(_) => true,
            Err(e) => {
                set_errno(e.raw_os_error().unwrap_or(libc::ENOENT));
                false
            }
        }
    }
}

member! {
    /// The state; STOPPED also when the monitor does not answer us.
    state(h) -> *const c_char, else std::ptr::null(), {
        state_name(ask_state(&h.client()))
    }
}

fn ask_state(client: &Client) -> State {
    client.state().unwrap_or_else(|f| {
        set_errno(f.errno());
        State::Stopped
    })
}

member! {
    /// Any state but STOPPED.
    is_running(h) -> bool, else false, {
        ask_state(&h.client()) != State::Stopped
    }
}

member! {
    /// The caller may drive it.
    may_control(h) -> bool, else false, {
        h.client().may_control()
    }
}

member! {
    /// Init's pid.
    init_pid(h) -> libc::pid_t, else -1, {
        match h.client().init_pid() {
            Ok(pid) => pid.unwrap_or(-1),
            Err(f) => {
                set_errno(f.errno());
                -1
            }
        }
    }
}

/// A descriptor that becomes the caller's, or the negative errno.
fn give(name: &str, got: Result<OwnedFd, Fail>) -> c_int {
    match got {
        Ok(got) => fd::leak(got),
        Err(f) => {
            crate::log_info!(errno = f.errno(), "{name}");
            set_errno(f.errno());
            -f.errno()
        }
    }
}

member! {
    /// A pidfd of init.
    init_pidfd(h) -> c_int, else -libc::EINVAL, {
        give("init_pidfd", h.client().init_pidfd())
    }
}

member! {
    /// The container's devpts.
    devpts_fd(h) -> c_int, else -libc::EINVAL, {
        give("devpts_fd", h.client().devpts_fd())
    }
}

member! {
    /// The listener that this process itself holds: only a monitor has one.
    seccomp_notify_fd(h) -> c_int, else -libc::EINVAL, {
        if h.with(|i| i.container.config().is_none()) { -1 } else { -libc::EBADF }
    }
}

member! {
    /// The running container's seccomp listener.
    seccomp_notify_fd_active(h) -> c_int, else -libc::EINVAL, {
        if h.with(|i| i.container.config().is_none()) {
            return -1;
        }
        give("seccomp_notify_fd_active", h.client().seccomp_notify_fd())
    }
}

member! {
    /// How long an answer of the monitor is waited for.
    set_timeout(h, timeout: c_int) -> bool, else false, {
        let limit = match timeout {
            -1 => None,
            n if n > 0 => Some(Duration::from_secs(n.unsigned_abs().into())),
            _ => {
                set_errno(libc::EINVAL);
                return false;
            }
        };
        h.set_limit(limit);
        // SAFETY: a field of the caller's live handle.
        unsafe { (*h.raw()).rcv_timeout = timeout }
        true
    }
}

/// The directory of a file's controller.
fn group(client: &Client, file: &str) -> Result<OwnedFd, Error> {
    let controller = item::controller(file)?;
    let not_there = |f: Fail| match f {
        Fail::NotRunning | Fail::Denied => Error { errno: f.errno(), ..f.error(client.container(), "name its cgroup") },
        f => f.error(client.container(), "name its cgroup"),
    };
    client.limit_cgroup_dir(controller).map_err(not_there)
}

member! {
    /// Reads a file of the container's control groups.
    get_cgroup_item(h, subsys: Text, retv: Buffer, inlen: c_int) -> c_int, else -1, {
        let Some(file) = subsys.text() else { return -1 };
        let dir = match group(&h.client(), file) {
            Ok(dir) => dir,
            Err(e) => {
                told(&e);
                return -1;
            }
        };
        match read(&dir, &subsys, retv, inlen) {
            Ok(len) => len,
            Err(e) => {
                told(&e);
                if e.errno > 0 { -e.errno } else { -1 }
            }
        }
    }
}

/// The file's content in the caller's buffer, as much as fits, and how much that was; without a buffer the whole length.
/// Daemons ask for such files by the hundred: one open, one or two reads, nothing in between.
fn read(dir: &OwnedFd, name: &Text, mut retv: Buffer, inlen: c_int) -> Result<c_int, Error> {
    let what = || format!("cannot read {}", name.text().unwrap_or_default());
    let magic = path::fs_type(dir.as_fd()).ctx(what)?;
    if magic != Kind::V1.magic() && magic != Kind::V2.magic() {
        return Err(Error::os(libc::EINVAL, "the monitor sent a directory that is no cgroup"));
    }
    let name = name.c_str().ok_or_else(|| Error::os(libc::EINVAL, what()))?;
    let file = path::openat(dir.as_fd(), name, libc::O_RDONLY | libc::O_NOFOLLOW, 0).ctx(what)?;
    let mut whole = 0;
    loop {
        let got = match retv.rest(inlen, whole) {
            Some([]) => break,
            Some(rest) => fd::read_into(file.as_fd(), rest),
            None => fd::read_into(file.as_fd(), &mut [0; 1024]),
        }
        .ctx(what)?;
        if got == 0 {
            break;
        }
        whole += got;
    }
    retv.end(inlen, whole);
    Ok(c_int::try_from(whole).unwrap_or(c_int::MAX))
}

member! {
    /// Writes a file of the container's control groups.
    set_cgroup_item(h, subsys: Text, value: Text) -> bool, else false, {
        let (Some(file), Some(value)) = (subsys.text(), value.text()) else { return false };
        match group(&h.client(), file).and_then(|dir| item::set(&dir, file, value)) {
            Ok(()) => true,
            Err(e) => {
                told(&e);
                false
            }
        }
    }
}
