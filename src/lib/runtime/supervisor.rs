//! The monitor: from before the clone until the name is free it owns the command socket, the state, who is told about it,
//! and the signals; while init runs, the event loop. It neither starts nor takes down: that is `start`'s, which calls it
//! for each instance of the container and for every new state.
#![forbid(unsafe_code)]

use super::console::{self, Console};
use super::running::{Outcome, Running};
use super::served::{FREEZER, Live, Shared};
use super::server::{LAST_TOKEN, LISTENER, Server};
use crate::base::{Context, Result};
use crate::ipc::State;
use crate::ipc::monitor::publish;
use crate::ipc::wire::Event;
use crate::sys::{heap, process, scm, signal};
use crate::{log_debug, log_error, log_info};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Epoll token of init's pidfd.
const INIT: u64 = 0;
/// Epoll token of the signals.
const SIGNALS: u64 = 1;
/// How many events are handled in a turn.
const TURN: usize = 16;
/// How often a container that is being killed is thawed again: somebody outside may freeze it at any moment.
const THAW_EVERY: Duration = Duration::from_millis(100);

/// The monitor of one container.
#[derive(Debug)]
pub struct Monitor {
    server: Option<Server>,
    starter: Option<OwnedFd>,
    signals: OwnedFd,
    lxcpath: PathBuf,
    shared: Shared,
}

impl Monitor {
    /// Takes the bound and listening command socket and, in the background, the starter's end of its pair. Blocks the
    /// signals that will be passed on to init.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(command: OwnedFd, starter: Option<OwnedFd>, name: &str, lxcpath: &Path) -> Result<Self> {
        let mut set = signal::SigSet::full();
        for fault in [libc::SIGBUS, libc::SIGILL, libc::SIGSEGV] {
            set.remove(fault);
        }
        signal::set_mask(&set).ctx(|| "cannot block signals".into())?;
        let signals = signal::signalfd(&set).ctx(|| "signalfd".into())?;
        let server = Server::new(command).ctx(|| "command socket".into())?;
        let shared = Shared {
            name: name.into(),
            lxcpath: lxcpath.to_string_lossy().into_owned(),
            state: State::Stopped,
            console: Console::default(),
            holders: Vec::new(),
            freezing: None,
            killed: false,
            reached: Vec::new(),
        };
        Ok(Self { server: Some(server), starter, signals, lxcpath: lxcpath.into(), shared })
    }

    /// Opens the console's log file and peer: before the clone, so that a start fails for them in time. Once for all
    /// reboots.
    ///
    /// # Errors
    /// See [`Console::open`].
    pub fn open_console(&mut self, conf: &crate::terminal::Conf, daemonize: bool) -> Result<()> {
        self.shared.console = Console::open(conf, daemonize)?;
        Ok(())
    }

    /// The present state.
    pub const fn state(&self) -> State {
        self.shared.state
    }

    /// Enters a state and tells everybody: the starter (its first state after STARTING), who asked for it by the command
    /// socket, lxc-monitord. STOPPED while the socket is open is a reboot: those who wait for RUNNING stay.
    pub fn announce(&mut self, state: State) {
        log_debug!("{} is {state}", self.shared.name);
        self.shared.state = if state == State::Thawed { State::Running } else { state };
        if state != State::Starting
            && let Some(starter) = self.starter.take()
        {
            let _ = scm::send(starter.as_fd(), &state.number().to_ne_bytes(), None, &[]);
        }
        self.tell(state);
        if state == State::Stopped
            && let Some(server) = &mut self.server
        {
            server.end_of_instance();
        }
    }

    fn tell(&mut self, state: State) {
        publish(&self.lxcpath, &self.shared.name, Event::State(state));
        if let Some(server) = &mut self.server {
            server.announce(state, &self.shared.name);
        }
    }

    /// Closes the command socket with all connections: the name is free from now on, which is STOPPED to everybody who
    /// waited. Call it right before announcing STOPPED.
    pub fn close_command(&mut self) {
        self.server = None;
    }

    /// Announces RUNNING and serves the container until init has ended and is reaped.
    ///
    /// # Errors
    /// The event loop cannot be made. Init runs on then.
    pub fn run(&mut self, running: &mut Running) -> Result<Outcome> {
        let what = || "the monitor's event loop".to_string();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ctx(what)?;
        epoll.add(&running.pidfd, EpollEvent::new(EpollFlags::EPOLLIN, INIT)).ctx(what)?;
        epoll.add(&self.signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS)).ctx(what)?;
        if let Some(server) = &self.server {
            server.register(&epoll).ctx(what)?;
        }
        if let Some(pair) = &running.console {
            self.shared.console.register(&epoll, pair.ptx.as_fd()).ctx(what)?;
            self.shared.console.resize(pair.ptx.as_fd());
        }
        self.announce(State::Running);
        heap::trim();
        let status = loop {
            if let Some(status) = self.turn(&epoll, running)? {
                break status;
            }
        };
        // Who asked for a stop gets one, also when init's own reboot was faster.
        let stopping = self.shared.killed || self.server.as_ref().is_some_and(Server::holds_stop);
        self.instance_ended(&epoll, running, status);
        Ok(match libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGHUP && !stopping {
            true => Outcome::Reboot,
            false => Outcome::Stopped(status),
        })
    }

    /// Waits for events and handles them; init's wait status when it has ended.
    fn turn(&mut self, epoll: &Epoll, running: &mut Running) -> Result<Option<i32>> {
        let mut events = [EpollEvent::empty(); TURN];
        let n = match epoll.wait(&mut events, self.patience()) {
            Ok(n) => n,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(e) => return Err(e).ctx(|| "epoll_wait".into()),
        };
        let mut ended = false;
        for event in events.iter().take(n) {
            match event.data() {
                INIT => ended = true,
                SIGNALS => self.pass_signals(running),
                token @ (console::PTX | console::PEER) => {
                    if let Some(pair) = &running.console {
                        self.shared.console.event(epoll, pair.ptx.as_fd(), token, event.events());
                    }
                }
                FREEZER => self.freezer_event(epoll, running),
                token @ LISTENER..LAST_TOKEN => {
                    let mut live = Live { shared: &mut self.shared, running, epoll };
                    if let Some(server) = &mut self.server {
                        server.event(epoll, token, event.events(), &mut live);
                    }
                }
                _ => {}
            }
            self.tell_reached();
        }
        self.expire(epoll, running);
        if self.shared.killed && !ended {
            Live { shared: &mut self.shared, running, epoll }.let_die();
        }
        // Reaped last, so that what came in the same turn is still about a living container.
        Ok(if ended { reap(running) } else { None })
    }

    /// How long the next wait may last.
    fn patience(&self) -> EpollTimeout {
        let server = self.server.as_ref().and_then(Server::next_deadline);
        let thaw = self.shared.killed.then(|| Instant::now() + THAW_EVERY);
        let Some(next) = server.into_iter().chain(thaw).chain(self.shared.console.next_deadline()).min() else {
            return EpollTimeout::NONE;
        };
        let ms = next.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        EpollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
    }

    fn expire(&mut self, epoll: &Epoll, running: &mut Running) {
        if self.patience() != EpollTimeout::ZERO {
            return;
        }
        let now = Instant::now();
        if let Some(pair) = &running.console {
            self.shared.console.expire(epoll, pair.ptx.as_fd(), now);
        }
        let mut live = Live { shared: &mut self.shared, running, epoll };
        if let Some(server) = &mut self.server {
            server.expire(epoll, now, &mut live);
        }
    }

    /// Announces the states that were reached while commands were answered.
    fn tell_reached(&mut self) {
        for state in std::mem::take(&mut self.shared.reached) {
            self.tell(state);
        }
    }

    fn freezer_event(&mut self, epoll: &Epoll, running: &mut Running) {
        let Some(on) = self.shared.freezing.as_ref().and_then(|f| f.settled()) else { return };
        if let Some(f) = self.shared.freezing.take() {
            let _ = epoll.delete(f.events());
        }
        Live { shared: &mut self.shared, running, epoll }.freezer_settled(on);
        self.tell_reached();
        if let Some(server) = &mut self.server {
            server.freezer_settled(on);
        }
    }

    /// Passes the signals that the monitor got on to init; SIGHUP as SIGTERM.
    fn pass_signals(&mut self, running: &Running) {
        while let Ok(Some(told)) = signal::read_signalfd(self.signals.as_fd()) {
            let by_kernel = told.code > 0;
            let signal = match told.signal {
                libc::SIGCHLD => continue,
                // Made by what the monitor itself writes and reads: not meant for init.
                libc::SIGPIPE | libc::SIGTTIN | libc::SIGTTOU if by_kernel => continue,
                libc::SIGHUP => libc::SIGTERM,
                libc::SIGWINCH => {
                    if let Some(pair) = &running.console {
                        self.shared.console.resize(pair.ptx.as_fd());
                    }
                    libc::SIGWINCH
                }
                s => s,
            };
            log_info!("Passing signal {} of process {} on to init as {signal}", told.signal, told.pid);
            if let Err(e) = process::pidfd_send_signal(running.pidfd.as_fd(), signal) {
                log_error!(errno = e, "Failed to send signal {signal} to init");
            }
        }
    }

    /// Init is reaped: the last output, the exit code, the ends of what belonged to this instance.
    fn instance_ended(&mut self, epoll: &Epoll, running: &mut Running, status: i32) {
        log_end(&self.shared.name, status);
        running.status = Some(status);
        let mut live = Live { shared: &mut self.shared, running, epoll };
        if let Some(server) = &mut self.server {
            server.end_of_terminals(&mut live);
        }
        self.shared.holders.clear();
        if let Some(f) = self.shared.freezing.take() {
            drop(f);
        }
        if let Some(pair) = &running.console {
            self.shared.console.drain(pair.ptx.as_fd());
        }
        publish(&self.lxcpath, &self.shared.name, Event::ExitCode(status));
    }
}

fn log_end(name: &str, status: i32) {
    if libc::WIFEXITED(status) {
        log_debug!("Init of {name} exited with {}", libc::WEXITSTATUS(status));
        return;
    }
    match libc::WTERMSIG(status) {
        libc::SIGINT => log_info!("{name} is halting"),
        libc::SIGHUP => log_info!("{name} is rebooting"),
        libc::SIGSYS => log_error!("Init of {name} was killed by its seccomp policy"),
        s => log_info!("Init of {name} was ended by signal {s}"),
    }
}

/// Reaps init; `None` when it has not ended after all. An init that is not our child (made by somebody else, or reaped by
/// a hook's parent) counts as ended without fault.
fn reap(running: &Running) -> Option<i32> {
    match process::wait_pid(running.pid, libc::WNOHANG | libc::__WALL) {
        Ok((0, _)) => None,
        Ok((_, status)) => Some(status),
        Err(e) => {
            log_error!(errno = e, "Failed to wait for init {}", running.pid);
            Some(0)
        }
    }
}

#[cfg(test)]
mod tests;
