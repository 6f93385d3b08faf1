//! Starting and ending a container, freezing it: the handle's side. What a start does lies in `runtime::start`; a running
//! container is asked through its monitor and its config file is never needed.
#![forbid(unsafe_code)]

use super::Container;
use super::partial::Creation;
use crate::base::{Error, Result, units};
use crate::cgroup::{freezer, layout::Kind};
use crate::ipc::command::{Client, Fail, Waiting};
use crate::ipc::state::State;
use crate::runtime::start::{self, StartRequest, Started};
use crate::sys::process;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the kernel may take to end a process that was killed, before it is said that it does not.
const KILL_WITHIN: Duration = Duration::from_secs(30);

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Init and its arguments; empty: the config's, else /sbin/init.
    pub argv: Vec<CString>,
    /// lxc-execute: a small init of ours supervises the command.
    pub useinit: bool,
    /// A monitor stays behind and the call returns once it runs; else the call returns when it has ended.
    pub daemonize: bool,
    /// Descriptors that the caller left open do not reach init.
    pub close_fds: bool,
    /// Where the monitor's pid is written.
    pub pidfile: Option<PathBuf>,
    /// The file that the config was read from, when it is not its own.
    pub config_file: Option<PathBuf>,
}

impl Container {
    /// Starts it with what is configured in the handle.
    ///
    /// # Errors
    /// What failed and what mends it; [`start::is_running`] tells that it runs already.
    pub fn start(&self, options: &StartOptions) -> Result<Started> {
        if self.creation() == Creation::Ongoing {
            return Err(Error::new("Ongoing container creation detected"));
        }
        let config = self.config().cloned().unwrap_or_default();
        if let Err(e) = crate::base::log::apply_config(
            config.log.level.and_then(|l| crate::base::log::Level::from_number(i32::from(l))),
            config.log.file.as_deref().map(Path::new),
        ) {
            crate::log_warn!("{e}");
        }
        start::run(&StartRequest {
            name: self.name().to_string(),
            lxcpath: self.lxcpath().to_path_buf(),
            config,
            config_file: options.config_file.clone().unwrap_or_else(|| self.config_file()),
            useinit: options.useinit,
            argv: options.argv.clone(),
            daemonize: options.daemonize,
            close_fds: options.close_fds,
            pidfile: options.pidfile.clone(),
            destroy: Some(|lxcpath, name| Container::open(name, Some(lxcpath))?.destroy()),
        })
    }

    /// Kills it and waits until its name is free.
    ///
    /// # Errors
    /// It does not run, may not be controlled, or does not die.
    pub fn stop(&self) -> Result<()> {
        // Killed processes that are frozen do not die: the monitor thaws what it stops.
        match self.client().stop(Some(KILL_WITHIN)) {
            Ok(()) => Ok(()),
            Err(Fail::Timeout) => Err(Error::new(format!("{} does not die", self.name()))
                .hint("a process of it may hang in the kernel: see `ps -eo pid,stat,wchan,cmd` for state D")),
            Err(f) => Err(f.error(self.name(), "stop it")),
        }
    }

    /// Asks its init to shut down and waits for its end; `None` waits without limit, no time at all does not wait. False
    /// when the time is over.
    ///
    /// # Errors
    /// It does not run, may not be controlled; its init cannot be signalled.
    pub fn shutdown(&self, limit: Option<Duration>) -> Result<bool> {
        let client = self.client();
        let init = self.init(&client)?;
        let waiter = match self.registered(&client, limit, State::Stopped)? {
            Some(Waiting::Reached(_)) => return Ok(true),
            Some(Waiting::Later(w)) => Some(w),
            None => None,
        };
        self.signal(&init, self.signal_for(&client, "lxc.signal.halt", || halt_signal(init.pid)))?;
        match waiter {
            None => Ok(true),
            Some(w) => self.waited(w.wait(limit)),
        }
    }

    /// Asks its init to reboot and waits until it runs again; as [`Container::shutdown`].
    ///
    /// # Errors
    /// As [`Container::shutdown`].
    pub fn reboot(&self, limit: Option<Duration>) -> Result<bool> {
        let client = self.client();
        let init = self.init(&client)?;
        let waiter = if limit == Some(Duration::ZERO) {
            None
        } else {
            Some(client.next_state(State::Running).map_err(|f| f.error(self.name(), "wait for a reboot"))?)
        };
        self.signal(&init, self.signal_for(&client, "lxc.signal.reboot", || libc::SIGINT))?;
        match waiter.map(|w| w.wait(limit)) {
            None => Ok(true),
            // The monitor has ended: it was no reboot.
            Some(Ok(State::Stopped)) => Err(Error::new(format!("{} stopped instead of rebooting", self.name()))),
            Some(told) => self.waited(told),
        }
    }

    /// Freezes all its processes.
    ///
    /// # Errors
    /// It does not run, may not be controlled, or the kernel refuses.
    pub fn freeze(&self) -> Result<()> {
        let client = self.client();
        let (dir, kind) = self.freezer(&client)?;
        self.serve(&client, &[State::Freezing])?;
        freezer::freeze(&dir, kind, None)?;
        // Twice, as LXC's own clients do: who watches counts them.
        self.serve(&client, &[State::Frozen, State::Frozen])
    }

    /// Thaws them.
    ///
    /// # Errors
    /// As [`Container::freeze`].
    pub fn unfreeze(&self) -> Result<()> {
        let client = self.client();
        let (dir, kind) = self.freezer(&client)?;
        self.serve(&client, &[State::Thawed])?;
        freezer::thaw(&dir, kind, None)?;
        self.serve(&client, &[State::Thawed, State::Running])
    }

    fn serve(&self, client: &Client, states: &[State]) -> Result<()> {
        for state in states {
            client.serve_state(*state).map_err(|f| f.error(self.name(), "tell its state"))?;
        }
        Ok(())
    }

    fn freezer(&self, client: &Client) -> Result<(OwnedFd, Kind)> {
        if let Ok(dir) = client.limit_cgroup2_fd() {
            return Ok((dir, Kind::V2));
        }
        let dir = client.limit_cgroup_fd("freezer").map_err(|f| f.error(self.name(), "name its freezer"))?;
        Ok((dir.0, Kind::V1))
    }

    fn init(&self, client: &Client) -> Result<Init> {
        let refused = |f: Fail| f.error(self.name(), "name its init");
        let not_running = || Fail::NotRunning.error(self.name(), "");
        let pid = client.init_pid().map_err(refused)?.ok_or_else(not_running)?;
        let pidfd = match client.init_pidfd() {
            Ok(fd) => fd,
            Err(Fail::Unsupported | Fail::Refused(_)) => process::pidfd_open(pid).map_err(|_| not_running())?,
            Err(f) => return Err(refused(f)),
        };
        Ok(Init { pid, pidfd })
    }

    fn registered(&self, client: &Client, limit: Option<Duration>, state: State) -> Result<Option<Waiting>> {
        if limit == Some(Duration::ZERO) {
            return Ok(None);
        }
        client.add_state_client(&[state]).map(Some).map_err(|f| f.error(self.name(), "wait for its end"))
    }

    fn waited(&self, told: std::result::Result<State, Fail>) -> Result<bool> {
        match told {
            Ok(_) => Ok(true),
            Err(Fail::Timeout) => Ok(false),
            Err(f) => Err(f.error(self.name(), "tell its state")),
        }
    }

    fn signal(&self, init: &Init, number: i32) -> Result<()> {
        let name = units::signal_name(number).unwrap_or_else(|| number.to_string());
        crate::log_info!("Sending {name} to process {}", init.pid);
        process::pidfd_send_signal(init.pidfd.as_fd(), number)
            .map_err(|e| Error::io(&e, format!("Failed to send {name} to the init of {}", self.name())))
    }

    /// The signal for a purpose: what the config file says now, so that a change of it helps a container that does not
    /// react; else what it was started with; else `automatic`.
    fn signal_for(&self, client: &Client, key: &str, automatic: impl FnOnce() -> i32) -> i32 {
        let read = |text: String| units::parse_signal(text.trim()).filter(|n| *n > 0);
        let mut stored = crate::config::Config::new();
        let file = self.config_file();
        let now = stored.load_file(&file).ok().and_then(|()| stored.get(key).ok()).and_then(read);
        now.or_else(|| client.config_item(key).ok().flatten().and_then(read)).unwrap_or_else(automatic)
    }
}

/// A container's init.
struct Init {
    pid: i32,
    pidfd: OwnedFd,
}

/// SIGRTMIN+3 for an init that blocks it to take it by descriptor, as systemd does; else SIGPWR.
fn halt_signal(pid: i32) -> i32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    if blocks(&status, crate::sys::signal::rtmin() + 3) { crate::sys::signal::rtmin() + 3 } else { libc::SIGPWR }
}

/// Whether `SigBlk` of a /proc/PID/status holds the signal.
fn blocks(status: &str, signal: i32) -> bool {
    status
        .lines()
        .find_map(|l| u64::from_str_radix(l.strip_prefix("SigBlk:")?.trim(), 16).ok())
        .is_some_and(|set| set >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_known_by_what_it_blocks() {
        let systemd = "Name:\tsystemd\nSigPnd:\t0000000000000000\nSigBlk:\t7be3c0fe28014a03\n";
        assert!(blocks(systemd, 37));
        assert!(!blocks("SigBlk:\t0000000000000000\n", 37));
        assert!(!blocks("", 37));
    }

    #[test]
    fn what_does_not_run_cannot_be_ended() {
        let c = Container::new("life-nobody", Some(Path::new("/nonexistent/store"))).unwrap();
        for e in [c.stop().unwrap_err(), c.shutdown(None).unwrap_err(), c.freeze().unwrap_err()] {
            assert_eq!(e.to_string(), "life-nobody is not running");
        }
    }
}
