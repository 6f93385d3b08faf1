//! Ending a running container from outside: asking its init to shut down or to reboot and waiting for that, or having it
//! killed. Needs no config file: what it has to know it asks the monitor.
#![forbid(unsafe_code)]

use super::freeze;
use crate::base::units::parse_signal;
use crate::base::{Error, Result};
use crate::ipc::{Client, Fail, State, Waiting};
use crate::sys::{process, signal};
use crate::{log_debug, log_warn};
use nix::libc;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// As wanted.
    Done,
    /// The time was over.
    TimedOut,
    /// There was nothing to stop.
    NotRunning,
}

/// Init as a target for signals: by pidfd, by pid where the monitor has none to give.
enum Init {
    Fd(OwnedFd),
    Pid(i32),
}

impl Init {
    fn of(client: &Client) -> Result<Option<Self>> {
        match client.init_pidfd() {
            Ok(fd) => return Ok(Some(Init::Fd(fd))),
            Err(Fail::NotRunning) => return Ok(None),
            Err(f @ (Fail::Denied | Fail::Timeout)) => return Err(f.error(client.container(), "name its init")),
            Err(_) => {}
        }
        let pid = client.init_pid().map_err(|f| f.error(client.container(), "name its init"))?;
        Ok(pid.map(Init::Pid))
    }

    /// Whether init was there to get the signal.
    fn send(&self, name: &str, number: i32) -> Result<bool> {
        let sent = match self {
            Init::Fd(fd) => process::pidfd_send_signal(fd.as_fd(), number),
            Init::Pid(pid) => process::kill(*pid, number),
        };
        match sent {
            Ok(()) => Ok(true),
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Err(e) => Err(Error::io(&e, format!("cannot send signal {number} to init of {name}"))),
        }
    }
}

/// The signal of a config item as the running monitor knows it; `None` when it is unset there.
fn running_signal(client: &Client, key: &str) -> Option<i32> {
    let value = client.config_item(key).ok().flatten()?;
    parse_signal(value.trim()).filter(|s| *s > 0)
}

/// Whether the process blocks a signal: systemd does so with those that it takes by signalfd (proc_pid_status(5)).
fn blocks(pid: i32, number: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigBlk:"));
    mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).is_some_and(|m| m >> (number - 1) & 1 == 1)
}

/// The signal that asks init to shut down. `configured` is `lxc.signal.halt` of the config file on disk, which counts
/// when it can be read (0: not set); `None` asks the monitor. Unset, it is SIGRTMIN+3 for an init that blocks it
/// (systemd(1)), else SIGPWR.
fn halt_signal(client: &Client, configured: Option<i32>) -> i32 {
    let set = match configured {
        Some(s) => Some(s).filter(|s| *s > 0),
        None => running_signal(client, "lxc.signal.halt"),
    };
    if let Some(s) = set {
        return s;
    }
    let systemd = signal::rtmin() + 3;
    match client.init_pid() {
        Ok(Some(pid)) if blocks(pid, systemd) => systemd,
        _ => libc::SIGPWR,
    }
}

/// The signal that asks init to reboot; `configured` as for [`shutdown`]. Unset it is SIGINT.
fn reboot_signal(client: &Client, configured: Option<i32>) -> i32 {
    let set = match configured {
        Some(s) => Some(s).filter(|s| *s > 0),
        None => running_signal(client, "lxc.signal.reboot"),
    };
    set.unwrap_or(libc::SIGINT)
}

/// Asks init to shut down and waits until the container is stopped: for ever without a limit, not at all with a limit of
/// zero. `configured` is `lxc.signal.halt` of the file on disk, `None` when that cannot be read.
///
/// # Errors
/// The monitor does not answer, or not to this user; the signal cannot be sent.
pub fn shutdown(client: &Client, configured: Option<i32>, limit: Option<Duration>) -> Result<Stopped> {
    let name = client.container();
    let Some(init) = Init::of(client)? else { return Ok(Stopped::NotRunning) };
    let number = halt_signal(client, configured);
    if limit == Some(Duration::ZERO) {
        init.send(name, number)?;
        return Ok(Stopped::Done);
    }
    // Registered first: a stop that is faster than the question is not missed.
    let waiter = match client.add_state_client(&[State::Stopped]) {
        Ok(Waiting::Later(w)) => w,
        Ok(Waiting::Reached(_)) => return Ok(Stopped::Done),
        Err(f) => return Err(f.error(name, "tell when it has stopped")),
    };
    log_debug!("Asking init of {name} to shut down by signal {number}");
    init.send(name, number)?;
    match waiter.wait(limit) {
        Ok(_) => Ok(Stopped::Done),
        Err(Fail::Timeout) => Ok(Stopped::TimedOut),
        Err(f) => Err(f.error(name, "tell when it has stopped")),
    }
}

/// Asks init to reboot and waits until the container runs again, as [`shutdown`] does for its end.
///
/// # Errors
/// As [`shutdown`]; the container stopped in place of a reboot.
pub fn reboot(client: &Client, configured: Option<i32>, limit: Option<Duration>) -> Result<Stopped> {
    let name = client.container();
    let Some(init) = Init::of(client)? else { return Ok(Stopped::NotRunning) };
    let number = reboot_signal(client, configured);
    if limit == Some(Duration::ZERO) {
        init.send(name, number)?;
        return Ok(Stopped::Done);
    }
    let waiter = match client.next_running() {
        Ok(Waiting::Later(w)) => w,
        Ok(Waiting::Reached(_)) => return Ok(Stopped::Done),
        Err(Fail::NotRunning) => return Ok(Stopped::NotRunning),
        Err(f) => return Err(f.error(name, "tell when it runs again")),
    };
    log_debug!("Asking init of {name} to reboot by signal {number}");
    init.send(name, number)?;
    match waiter.wait(limit) {
        Ok(State::Running) => Ok(Stopped::Done),
        Ok(_) => Err(Error::new(format!("{name} has stopped and was not started again"))),
        Err(Fail::Timeout) => Ok(Stopped::TimedOut),
        Err(f) => Err(f.error(name, "tell when it runs again")),
    }
}

/// Has the container killed and waits until its name is free.
///
/// # Errors
/// The monitor does not answer, or not to this user; it cannot send the signal.
pub fn kill(client: &Client, limit: Option<Duration>) -> Result<Stopped> {
    let name = client.container();
    let frozen = match client.state() {
        Ok(State::Stopped) => return Ok(Stopped::NotRunning),
        Ok(s) => matches!(s, State::Frozen | State::Freezing),
        Err(f) => return Err(f.error(name, "tell its state")),
    };
    let stopping = match client.begin_stop() {
        Ok(s) => s,
        Err(Fail::NotRunning) => return Ok(Stopped::NotRunning),
        Err(f) => return Err(f.error(name, "stop it")),
    };
    // A monitor of LXC 7 cannot thaw on cgroup version 1, and a frozen process does not die.
    if frozen && let Err(f) = freeze::thaw_group(client) {
        log_warn!("{f}");
    }
    match stopping.wait(limit) {
        Ok(()) => Ok(Stopped::Done),
        Err(Fail::Timeout) => Ok(Stopped::TimedOut),
        Err(f) => Err(f.error(name, "stop it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_stop_is_no_failure() {
        let c = Client::new("/nonexistent/store", "stop-nobody");
        assert_eq!(shutdown(&c, Some(0), None).unwrap(), Stopped::NotRunning);
        assert_eq!(reboot(&c, None, None).unwrap(), Stopped::NotRunning);
        assert_eq!(kill(&c, None).unwrap(), Stopped::NotRunning);
    }

    #[test]
    fn blocked_signals_are_seen() {
        let pid = process::pid();
        let thread = std::thread::spawn(move || {
            let set = signal::SigSet::of(&[signal::rtmin() + 3]);
            signal::block(&set).unwrap();
            // /proc/PID/status is of the main thread; a thread has its own.
            let own = nix::unistd::gettid().as_raw();
            (blocks(own, signal::rtmin() + 3), blocks(own, signal::rtmin() + 4), own != pid)
        });
        assert_eq!(thread.join().unwrap(), (true, false, true));
        assert!(!blocks(0, 1));
    }

    #[test]
    fn an_unset_signal_has_its_default() {
        let c = Client::new("/nonexistent/store", "stop-nobody");
        assert_eq!(halt_signal(&c, Some(0)), libc::SIGPWR);
        assert_eq!(halt_signal(&c, None), libc::SIGPWR);
        assert_eq!(halt_signal(&c, Some(10)), 10);
        assert_eq!(reboot_signal(&c, Some(0)), libc::SIGINT);
    }
}
