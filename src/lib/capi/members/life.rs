//! Members that start and end a container, wait for it, freeze it.

use super::member;
use crate::base::{Error, Result, units};
use crate::capi::guard::{by, set_errno, told, truth};
use crate::capi::handle::Handle;
use crate::capi::memory::{self, Text, Words};
use crate::container::life::StartOptions;
use crate::container::wait::parse_states;
use crate::ipc::State;
use crate::process::command;
use crate::runtime::freeze as freezer;
use crate::runtime::start::Started;
use crate::runtime::stop::{self, Stopped};
use std::ffi::{CString, c_int};
use std::time::Duration;

member! {
    /// Starts it.
    start(h, useinit: c_int, argv: Words) -> bool, else false, {
        start_with(h, useinit != 0, argv.list())
    }
}

/// Starts it with these words.
pub fn start_with(h: Handle, useinit: bool, argv: Vec<CString>) -> bool {
    // SAFETY: a field of the caller's live handle.
    unsafe { (*h.raw()).error_num = 1 }
    truth(begin(h, useinit, argv))
}

fn begin(h: Handle, useinit: bool, mut argv: Vec<CString>) -> Result<bool> {
    let (mut container, close_fds, config_file) = h.with(|i| (i.container.clone(), i.close_fds, i.loaded.clone()));
    if container.clear_broken_creation()? {
        h.with(|i| i.container.clear_config());
        return Err(Error::new(format!("{}: what a creation that died had left is removed", container.name())));
    }
    let Some(config) = container.config() else {
        return Err(Error::os(libc::ENOENT, format!("{}: nothing is configured", container.name())));
    };
    // Nothing to run below our init: then what init would be.
    if useinit && argv.is_empty() && config.process.execute_cmd.is_none() {
        let words = command::split(config.process.init_cmd.as_deref().unwrap_or_default());
        argv = words.into_iter().filter_map(|w| CString::new(w).ok()).collect();
    }
    let daemonize = h.daemonize();
    // SAFETY: null or a C string of the caller's.
    let pidfile = unsafe { memory::path((*h.raw()).pidfile) };
    let options = StartOptions { argv, useinit, daemonize, close_fds, pidfile, config_file, from_library: true };
    match container.start(&options)? {
        Started::Ended(status) => {
            // SAFETY: as above.
            unsafe { (*h.raw()).error_num = status }
            Ok(true)
        }
        Started::Monitor(_) => Ok(true),
    }
}

member! {
    /// Kills it.
    stop(h) -> bool, else false, {
        truth(h.copy().stop().map(|_| true).map_err(|e| by(&h.client(), e)))
    }
}

/// A timeout in seconds: negative is none.
fn limit(timeout: c_int) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_secs)
}

/// A signal as the handle has it; `None` asks the monitor.
fn signal(h: Handle, key: &str) -> Option<i32> {
    let text = h.with(|i| i.container.config().and_then(|c| c.get(key).ok()))?;
    units::parse_signal(text.trim()).filter(|n| *n > 0)
}

member! {
    /// Asks init to halt.
    shutdown(h, timeout: c_int) -> bool, else false, {
        let done = stop::shutdown(&h.client(), signal(h, "lxc.signal.halt"), limit(timeout));
        truth(done.map(|how| how != Stopped::TimedOut).map_err(|e| by(&h.client(), e)))
    }
}

member! {
    /// Asks init to boot again.
    reboot(h) -> bool, else false, {
        let done = stop::reboot(&h.client(), signal(h, "lxc.signal.reboot"), Some(Duration::ZERO));
        truth(done.map(|how| how == Stopped::Done).map_err(|e| by(&h.client(), e)))
    }
}

member! {
    /// The same, and waits.
    reboot2(h, timeout: c_int) -> bool, else false, {
        let done = stop::reboot(&h.client(), signal(h, "lxc.signal.reboot"), limit(timeout));
        truth(done.map(|how| how != Stopped::TimedOut).map_err(|e| by(&h.client(), e)))
    }
}

member! {
    /// Freezes it.
    freeze(h) -> bool, else false, {
        let client = h.client();
        truth(freezer::freeze(&client).map(|()| true).map_err(|e| by(&client, e)))
    }
}

member! {
    /// Thaws it; nothing to do for what does not run.
    unfreeze(h) -> bool, else false, {
        let client = h.client();
        if client.state() == Ok(State::Stopped) {
            return h.with(|i| i.container.config().is_some());
        }
        truth(freezer::unfreeze(&client).map(|()| true).map_err(|e| by(&client, e)))
    }
}

member! {
    /// Waits for a state.
    wait(h, state: Text, timeout: c_int) -> bool, else false, {
        let Some(states) = state.text() else { return false };
        match parse_states(states) {
            Ok(states) => truth(h.copy().wait(&states, limit(timeout)).map_err(|e| by(&h.client(), e))),
            Err(e) => {
                set_errno(libc::EINVAL);
                told(&e);
                false
            }
        }
    }
}

member! {
    /// Whether start leaves a monitor behind.
    want_daemonize(h, state: bool) -> bool, else false, {
        if h.with(|i| i.container.config().is_none()) {
            return false;
        }
        // SAFETY: a field of the caller's live handle.
        unsafe { (*h.raw()).daemonize = state }
        true
    }
}

member! {
    /// Whether descriptors that the caller left open reach init.
    want_close_all_fds(h, state: bool) -> bool, else false, {
        h.with(|i| {
            let configured = i.container.config().is_some();
            i.close_fds = configured && state;
            configured
        })
    }
}
