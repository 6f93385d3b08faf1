//! What goes on while hooks, network scripts and criu run: the command socket is served although no init runs,
//! notifications of the container's filter are answered, and a start that shall end has its hook ended. Owns neither the
//! socket (`supervisor`) nor the reasons (`interrupt`).
#![forbid(unsafe_code)]

use super::interrupt::Interrupt;
use super::notify::Notify;
use super::supervisor::Monitor;
use crate::base::Error;
use crate::base::spawn::Meanwhile;
use crate::config::Config;
use nix::sys::epoll::Epoll;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

/// See the module. The default attends to nothing.
#[derive(Debug, Default)]
pub struct Desk<'a> {
    /// What ends a start; `None` at the end of a container, whose hooks nobody ends.
    pub interrupt: Option<&'a Interrupt>,
    /// The command socket's epoll, see [`Monitor::attended`].
    pub epoll: Option<&'a Epoll>,
    /// Who answers.
    pub monitor: Option<&'a mut Monitor>,
    /// What GET_CONFIG_ITEM is answered by.
    pub config: Option<&'a Config>,
    /// What the container's filter notifies, while that is on.
    pub notify: Option<&'a mut Notify>,
    /// Why the start shall end, once [`Meanwhile::turn`] has said so.
    pub ended: Option<Error>,
}

impl Meanwhile for Desk<'_> {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let epoll = self.epoll.map(|e| e.0.as_fd());
        self.interrupt
            .into_iter()
            .flat_map(Interrupt::fds)
            .chain(epoll)
            .chain(self.notify.as_ref().map(|n| n.as_fd()))
            .collect()
    }

    fn deadline(&self) -> Option<Instant> {
        let served = self.monitor.as_ref().filter(|_| self.epoll.is_some()).and_then(|m| m.next_deadline());
        served.into_iter().chain(self.notify.as_ref().and_then(|n| n.deadline())).min()
    }

    fn turn(&mut self) -> bool {
        if let Some(notify) = &mut self.notify {
            notify.turn();
        }
        if let (Some(epoll), Some(monitor)) = (self.epoll, &mut self.monitor) {
            monitor.serve(epoll, self.config);
        }
        let Some(interrupt) = self.interrupt else { return false };
        let killed = self.monitor.as_ref().is_some_and(|m| m.is_killed());
        self.ended = match interrupt.check() {
            Err(e) => Some(e),
            Ok(()) if killed => Some(Error::new("interrupted: the container is to be stopped").stage("start")),
            Ok(()) => None,
        };
        self.ended.is_some()
    }
}
