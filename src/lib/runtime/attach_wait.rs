//! While an attached command runs: its terminal's bytes go both ways, signals sent to us go on to it, its end is ours.
//! Starts nothing.
#![forbid(unsafe_code)]

use super::attach::Shown;
use super::attach_child::Stage;
use crate::base::{Context, Error, Result};
use crate::sys::poll::{POLLIN, POLLOUT, PollFd, poll};
use crate::sys::signal::{self, SigSet};
use crate::sys::{fd, process, tty};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How much is moved at once, bytes.
const CHUNK: usize = 8192;
/// What is typed and not yet taken is kept up to this, bytes.
const PENDING_MAX: usize = 64 * 1024;

/// A process inside a container, child of the calling process.
#[derive(Debug)]
pub struct Attached {
    pid: i32,
    /// The failure record of its set-up; ends when it executes something.
    report: Option<OwnedFd>,
    watched: SigSet,
    mask: SigSet,
    relay: Option<Relay>,
}

/// The caller's terminal and the container's.
#[derive(Debug)]
struct Relay {
    ptx: OwnedFd,
    shown: Shown,
    log: Option<File>,
    /// Typed and not yet taken.
    pending: Vec<u8>,
    /// The inner side is gone.
    closed: bool,
    /// The caller's side has nothing more to give.
    input_over: bool,
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

    /// A process that was just started, with `watched` blocked and `mask` what was blocked before.
    pub(super) fn new(
        pid: i32,
        report: OwnedFd,
        watched: SigSet,
        mask: SigSet,
        terminal: Option<(OwnedFd, Shown)>,
        log: Option<File>,
    ) -> Self {
        let relay = terminal.map(|(ptx, shown)| Relay {
            ptx,
            shown,
            log,
            pending: Vec::new(),
            closed: false,
            input_over: false,
        });
        Self { pid, report: Some(report), watched, mask, relay }
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
        let _modes = self.relay.as_ref().and_then(|r| Modes::change(r.shown));
        let mut setup_failed = None;
        loop {
            let ready = self.wait_ready(signals.as_fd()).ctx(|| format!("Failed to wait for process {}", self.pid))?;
            if ready.report
                && let Some(report) = self.report.take()
                && let Ok(Setup::Failed(stage, errno)) = read_report(report.as_fd())
            {
                setup_failed = Some((stage, errno));
            }
            if let Some(relay) = &mut self.relay {
                relay.carry(&ready);
            }
            if ready.signal
                && let Some(status) =
                    self.take_signals(signals.as_fd()).ctx(|| format!("Failed to wait for process {}", self.pid))?
            {
                if let Some(relay) = &mut self.relay {
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
        let mut set = [PollFd::new(signals, POLLIN), idle, idle, idle];
        if let (Some(report), Some(slot)) = (&self.report, set.get_mut(1)) {
            *slot = PollFd::new(report.as_fd(), POLLIN);
        }
        let relay = self.relay.as_ref().filter(|r| !r.closed);
        if let Some(relay) = relay {
            let out = if relay.pending.is_empty() { 0 } else { POLLOUT };
            set[2] = PollFd::new(relay.ptx.as_fd(), POLLIN | out);
            if let Some(input) = relay.wants_input() {
                set[3] = PollFd::new(input, POLLIN);
            }
        }
        poll(&mut set, -1)?;
        let [signal, report, ptx, input] = set;
        Ok(Ready {
            signal: signal.readable(),
            report: self.report.is_some() && (report.readable() || report.hung_up()),
            ptx: relay.is_some() && (ptx.readable() || ptx.hung_up()),
            room: relay.is_some() && ptx.writable(),
            input: input.readable() || (relay.is_some_and(|r| r.wants_input().is_some()) && input.hung_up()),
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
                    if let Some(relay) = &self.relay {
                        relay.resize();
                    }
                }
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

/// The caller's terminal while it shows the container's; dropping it restores its modes.
enum Modes {
    /// What is typed goes on byte by byte.
    Raw(#[expect(dead_code, reason = "held for its drop")] tty::Raw),
    /// Nothing is taken from it: only its own line ends would come on top of the container's.
    Output(tty::Modes, OwnedFd),
}

impl Modes {
    /// Changes them; `None` when the terminal refuses.
    fn change(shown: Shown) -> Option<Self> {
        if let Some(input) = shown.input {
            return tty::Raw::enter(fd::borrow(input).ok()?).ok().map(Self::Raw);
        }
        let output = fd::borrow(shown.output).and_then(fd::dup_cloexec).ok()?;
        let before = tty::Modes::of(&output).ok()?;
        before.onlcr(false).set(&output, false).ok()?;
        Some(Self::Output(before, output))
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Self::Output(before, output) = self {
            // The terminal may be gone; then there is nothing to restore.
            let _ = before.set(output, false);
        }
    }
}

/// What [`Attached::wait_ready`] found.
struct Ready {
    signal: bool,
    report: bool,
    ptx: bool,
    room: bool,
    input: bool,
}

impl Relay {
    /// The caller's terminal, while more can be taken from it.
    fn wants_input(&self) -> Option<BorrowedFd<'static>> {
        if self.input_over || self.pending.len() >= PENDING_MAX {
            return None;
        }
        fd::borrow(self.shown.input?).ok()
    }

    /// Moves what is ready.
    fn carry(&mut self, ready: &Ready) {
        if ready.input {
            self.take_input();
        }
        if ready.room || ready.input {
            self.give_input();
        }
        if ready.ptx {
            self.show();
        }
    }

    /// Takes what was typed.
    fn take_input(&mut self) {
        let Some(input) = self.wants_input() else { return };
        let mut buf = [0; CHUNK];
        match fd::read_into(input, &mut buf) {
            Ok(n) if n > 0 => self.pending.extend_from_slice(buf.get(..n).unwrap_or_default()),
            _ => self.input_over = true,
        }
    }

    /// Gives the container what it takes of what was typed.
    fn give_input(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        match fd::write_once(self.ptx.as_fd(), &self.pending) {
            Ok(n) => drop(self.pending.drain(..n.min(self.pending.len()))),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.pending.clear(),
        }
    }

    /// Shows what the container wrote; false when there is nothing more for now.
    fn show(&mut self) -> bool {
        let mut buf = [0; CHUNK];
        let bytes = match fd::read_into(self.ptx.as_fd(), &mut buf) {
            Ok(n) if n > 0 => buf.get(..n).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            // EIO: no process has it open any more.
            _ => {
                self.closed = true;
                return false;
            }
        };
        if let Some(log) = &mut self.log {
            // A full disk must not stop the session.
            let _ = log.write_all(bytes);
        }
        if let Ok(output) = fd::borrow(self.shown.output) {
            let _ = fd::write_all(output, bytes);
        }
        true
    }

    /// Shows what is left. Processes that stay behind may keep the terminal open: what they write is theirs.
    fn drain(&mut self) {
        while self.show() {}
    }

    /// The window's size goes on.
    fn resize(&self) {
        if let Ok(size) = fd::borrow(self.shown.output).and_then(tty::winsize) {
            let _ = tty::set_winsize(&self.ptx, size);
        }
    }
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
