//! What ends a start that is still under way: SIGINT, SIGTERM, SIGHUP or SIGQUIT to the process that makes it, and the
//! end of the process that waits for it. Looked at where a start may hang: while hooks, network
//! scripts and criu run. Decides
//! nothing and kills nothing.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};
use crate::sys::fd;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::signal::{self, SigSet};
use nix::libc;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The signals that ask a start to end. They stay blocked, as all others: they are only looked at.
const SIGNALS: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Descriptors that become readable when a start shall end.
#[derive(Debug, Default)]
pub struct Interrupt {
    signals: Option<OwnedFd>,
    starter: Option<OwnedFd>,
}

impl Interrupt {
    /// Watches the signals, and the other end of `starter`, on which nobody ever sends. What cannot be watched is left out.
    pub fn new(starter: Option<&OwnedFd>) -> Self {
        Self {
            signals: signal::signalfd(&SigSet::of(&SIGNALS)).ok(),
            starter: starter.and_then(|s| fd::dup_cloexec(s.as_fd()).ok()),
        }
    }

    /// What to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.signals.iter().chain(&self.starter).map(AsFd::as_fd)
    }

    /// Whether the start may go on; the signal is taken.
    ///
    /// # Errors
    /// It shall end: why.
    pub fn check(&self) -> Result<()> {
        if let Some(fd) = &self.signals
            && let Ok(Some(told)) = signal::read_signalfd(fd.as_fd())
        {
            let by = if told.pid > 0 { format!(" of process {}", told.pid) } else { String::new() };
            return Err(Error::new(format!("interrupted by signal {}{by}", told.signal)).stage("start"));
        }
        if let Some(fd) = &self.starter {
            let mut set = [PollFd::new(fd.as_fd(), POLLIN)];
            if poll(&mut set, 0).is_ok_and(|n| n > 0) {
                return Err(Error::new("interrupted: the process that asked for it is gone").stage("start"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starter_that_goes_and_a_signal_that_comes_end_it() {
        let (ours, theirs) = crate::sys::socket::pair_seqpacket().unwrap();
        let watch = Interrupt::new(Some(&theirs));
        watch.check().unwrap();
        assert_eq!(watch.fds().count(), 2);
        drop(ours);
        assert!(watch.check().unwrap_err().what.contains("gone"));
        let thread = std::thread::spawn(|| {
            signal::block(&SigSet::of(&SIGNALS)).unwrap();
            let watch = Interrupt::new(None);
            watch.check().unwrap();
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
            watch.check().unwrap_err().what
        });
        assert!(thread.join().unwrap().starts_with("interrupted by signal 15"));
    }
}
