//! While an attached command runs: its terminal's bytes go both ways, signals sent to us go on to it, its end is ours.
//! Starts nothing.
#![forbid(unsafe_code)]

use super::attach_child::Stage;
use super::relay::{self, Modes, Relay, Shown};
use crate::base::{Context, Error, Result};
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::signal::{self, SigSet};
use crate::sys::{fd, process};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A process inside a container, child of the calling process.
#[derive(Debug)]
pub struct Attached {
    pid: i32,
    /// The failure record of its set-up; ends when it executes something.
    report: Option<OwnedFd>,
    watched: SigSet,
    mask: SigSet,
    terminal: Option<(Relay, Shown)>,
}

/// What the set-up of the process came to.
enum Setup {
    /// It failed there.
    Failed(Stage, i32),
    /// It executes, or runs the function.
    Done,
}

impl Attached {
    /// Signals that are passed on; and the two that we need ourselves.
    pub const SIGNALS: [i32; 8] = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGCHLD,
        libc::SIGWINCH,
    ];

    /// A process that was just started, with `watched` blocked and `mask` what was blocked before; `terminal` shows it.
    pub(super) fn new(
        pid: i32,
        report: OwnedFd,
        watched: SigSet,
        mask: SigSet,
        terminal: Option<(Relay, Shown)>,
    ) -> Self {
        Self { pid, report: Some(report), watched, mask, terminal }
    }

    /// Its process id in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Leaves it to the caller, who has to reap it, once its set-up is over.
    ///
    /// # Errors
    /// The set-up failed; it has been reaped then.
    pub fn into_pid(mut self) -> Result<i32> {
        let _ = signal::set_mask(&self.mask);
        match self.report.take().map(|r| read_report(r.as_fd())) {
            Some(Ok(Setup::Failed(stage, errno))) if stage != Stage::Exec => {
                let _ = process::wait_pid(self.pid, 0);
                Err(setup_error(stage, errno))
            }
            _ => Ok(self.pid),
        }
    }

    /// Waits for its end: the raw wait status. `command` names it in the message when it cannot be executed.
    ///
    /// # Errors
    /// The set-up failed; waiting failed.
    pub fn wait(mut self, command: &str) -> Result<i32> {
        let status = self.run(command);
        let _ = signal::set_mask(&self.mask);
        status
    }

    fn run(&mut self, command: &str) -> Result<i32> {
        let failed = || format!("Failed to wait for process {}", self.pid);
        let signals = signal::signalfd(&self.watched).ctx(failed)?;
        // Restores the terminal when it goes, whatever happens.
        let _modes = self.terminal.as_ref().and_then(|t| Modes::change(t.1));
        let mut setup_failed = None;
        loop {
            let ready = self.wait_ready(signals.as_fd()).ctx(|| format!("Failed to wait for process {}", self.pid))?;
            if ready.report
                && let Some(report) = self.report.take()
                && let Ok(Setup::Failed(stage, errno)) = read_report(report.as_fd())
            {
                setup_failed = Some((stage, errno));
            }
            if let Some((relay, _)) = &mut self.terminal {
                relay.carry(ready.relay);
            }
            if ready.signal
                && let Some(status) =
                    self.take_signals(signals.as_fd()).ctx(|| format!("Failed to wait for process {}", self.pid))?
            {
                if let Some((relay, _)) = &mut self.terminal {
                    relay.drain();
                }
                // Its record may have come together with its end.
                if let Some(report) = self.report.take()
                    && let Ok(Setup::Failed(stage, errno)) = read_report(report.as_fd())
                {
                    setup_failed = Some((stage, errno));
                }
                return match setup_failed {
                    Some((Stage::Exec, errno)) => {
                        crate::log_error!(errno = errno, "Failed to exec \"{}\"", command);
                        Ok(status)
                    }
                    Some((stage, errno)) => Err(setup_error(stage, errno)),
                    None => Ok(status),
                };
            }
        }
    }

    /// Waits until there is something to do.
    fn wait_ready(&self, signals: BorrowedFd<'_>) -> io::Result<Ready> {
        let idle = PollFd::new(signals, 0);
        let report = self.report.as_ref().map(|r| PollFd::new(r.as_fd(), POLLIN));
        let [pty, input] = self.terminal.as_ref().map_or([None, None], |t| t.0.interest());
        let mut set =
            [PollFd::new(signals, POLLIN), report.unwrap_or(idle), pty.unwrap_or(idle), input.unwrap_or(idle)];
        poll(&mut set, -1)?;
        let [signal, told, shown, typed] = set;
        Ok(Ready {
            signal: signal.readable(),
            report: report.is_some() && (told.readable() || told.hung_up()),
            relay: Relay::ready([pty.map(|_| shown), input.map(|_| typed)]),
        })
    }

    /// Handles what has come; the wait status when the process has ended.
    fn take_signals(&mut self, signals: BorrowedFd<'_>) -> io::Result<Option<i32>> {
        let mut ended = None;
        while let Some(told) = signal::read_signalfd(signals)? {
            match told.signal {
                libc::SIGCHLD => {
                    let (pid, status) = process::wait_pid(self.pid, libc::WNOHANG)?;
                    if pid == self.pid {
                        ended = Some(status);
                    }
                }
                libc::SIGWINCH => {
                    if let Some((relay, _)) = &self.terminal {
                        relay.resize();
                    }
                }
                // An interrupt is for who has a terminal: without one of its own the command is left alone.
                libc::SIGINT | libc::SIGQUIT if self.terminal.is_none() => {}
                // What the keyboard raises reaches the whole foreground group: the command has it already.
                _ if told.code > 0 => {}
                n => self.pass_on(n),
            }
        }
        Ok(ended)
    }

    /// Sends a signal on. Before the command runs – in a frozen container it does not get so far – the process is ended
    /// instead, since nobody but us knows of it.
    fn pass_on(&self, signal: i32) {
        let fatal = matches!(signal, libc::SIGHUP | libc::SIGINT | libc::SIGQUIT | libc::SIGTERM);
        let _ = process::kill(self.pid, signal);
        if fatal && self.report.is_some() {
            let _ = process::kill(self.pid, libc::SIGKILL);
        }
    }
}

/// What [`Attached::wait_ready`] found.
struct Ready {
    signal: bool,
    report: bool,
    relay: relay::Ready,
}

/// The log of a terminal, appended to, for its owner and group.
pub(super) fn open_log(path: &Path) -> Result<File> {
    let mut how = OpenOptions::new();
    how.append(true).create(true).mode(0o640).custom_flags(libc::O_NOCTTY | libc::O_CLOEXEC);
    how.open(path).ctx(|| format!("Failed to open terminal log file {}", path.display()))
}

/// Reads the record of the set-up, which ends with the set-up.
fn read_report(report: BorrowedFd<'_>) -> io::Result<Setup> {
    let mut record = [0; 5];
    let n = fd::read_into(report, &mut record)?;
    let [stage, a, b, c, d] = record;
    Ok(match Stage::ALL.get(usize::from(stage)) {
        Some(stage) if n == record.len() => Setup::Failed(*stage, i32::from_ne_bytes([a, b, c, d])),
        _ => Setup::Done,
    })
}

/// A failed set-up in words.
fn setup_error(stage: Stage, errno: i32) -> Error {
    Error::os(errno, format!("Failed to {}", stage.words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_their_numbers() {
        for (i, stage) in Stage::ALL.iter().enumerate() {
            assert_eq!(*stage as usize, i);
        }
    }

    #[test]
    fn a_record_is_a_failure_and_nothing_is_none() {
        let (r, w) = fd::pipe().expect("pipe");
        fd::write_all(w.as_fd(), &[Stage::Caps as u8, 1, 0, 0, 0]).expect("written");
        assert!(matches!(read_report(r.as_fd()), Ok(Setup::Failed(Stage::Caps, 1))));
        drop(w);
        assert!(matches!(read_report(r.as_fd()), Ok(Setup::Done)));
    }
}
