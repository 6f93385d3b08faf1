//! Stand-in until helper `ipc`'s event loop lands (theirs wins): waits for init, tells nobody.
#![forbid(unsafe_code)]

use super::running::{Outcome, Running};
use crate::base::{Context, Result};
use crate::ipc::State;
use crate::sys;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Survives reboots.
#[derive(Debug)]
pub struct Monitor {
    _command: OwnedFd,
}

impl Monitor {
    /// Takes the listening command socket.
    ///
    /// # Errors
    /// None.
    pub fn new(command: OwnedFd, _starter: Option<OwnedFd>, _name: &str, _lxcpath: &Path) -> Result<Self> {
        Ok(Self { _command: command })
    }

    /// Tells a state.
    pub fn announce(&mut self, _state: State) {}

    /// Frees the name.
    pub fn close_command(&mut self) {}

    /// Until init is reaped.
    ///
    /// # Errors
    /// waitpid(2).
    pub fn run(&mut self, running: &mut Running) -> Result<Outcome> {
        let status = sys::process::wait_pid(running.pid, 0).ctx(|| "waiting for init".into())?.1;
        running.status = Some(status);
        Ok(match nix::libc::WIFSIGNALED(status).then(|| nix::libc::WTERMSIG(status)) {
            Some(nix::libc::SIGHUP) => Outcome::Reboot,
            _ => Outcome::Stopped(status),
        })
    }
}
