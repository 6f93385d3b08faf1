//! A running container as its command socket shows it: every fact that a client can ask the monitor for, out of what the
//! start left in [`Running`]. Owns nothing but the reservations of the terminals and the freezer's progress.
#![forbid(unsafe_code)]

use super::answer::{Progress, Served};
use super::console::Console;
use super::running::Running;
use crate::base::Error;
use crate::cgroup::{Groups, Kind, Layout, devices, freezer, groups::Who};
use crate::config::Config;
use crate::ipc::State;
use crate::ipc::wire::{CAN_DEVICES, CAN_FREEZE, CTX_FDS, CgroupCtx, CgroupFd, ConsoleLog, DeviceItem, until_nul};
use crate::sys::{fd, path, process};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Epoll token of the freezer's event file.
pub const FREEZER: u64 = 4;
/// Epoll token of the seccomp notifications.
pub const NOTIFY: u64 = 5;

/// A freeze or thaw under way: cgroup.events of the group (cgroup-v2.rst).
#[derive(Debug)]
pub struct Freezing {
    on: bool,
    dir: OwnedFd,
    events: OwnedFd,
}

impl Freezing {
    /// What it comes to when it has settled.
    pub fn settled(&self) -> Option<bool> {
        freezer::is_frozen(&self.dir, Kind::V2).ok().filter(|frozen| *frozen == self.on)
    }

    /// The file whose changes say so.
    pub fn events(&self) -> &OwnedFd {
        &self.events
    }
}

/// What the monitor knows about its container besides [`Running`]; outlives a reboot.
#[derive(Debug)]
pub struct Shared {
    /// The container's name.
    pub name: String,
    /// The store, as spelled at the start.
    pub lxcpath: String,
    /// The present state.
    pub state: State,
    /// The console.
    pub console: Console,
    /// Which connections have which ttys.
    pub holders: Vec<(i32, u64)>,
    /// The freezer at work.
    pub freezing: Option<Freezing>,
    /// It is being killed: an end that looks like a reboot is none.
    pub killed: bool,
    /// States that were reached while a command was answered: the event loop announces them.
    pub reached: Vec<State>,
}

/// A running container together with its monitor.
#[derive(Debug)]
pub struct Live<'a> {
    /// The monitor's.
    pub shared: &'a mut Shared,
    /// The start's.
    pub running: &'a mut Running,
    /// The event loop.
    pub epoll: &'a Epoll,
}

/// The errno to answer with.
fn errno(e: &Error) -> i32 {
    if e.errno == 0 { libc::EIO } else { e.errno }
}

fn io_errno(e: &std::io::Error) -> i32 {
    e.raw_os_error().unwrap_or(libc::EIO)
}

fn dup(of: Option<&OwnedFd>) -> Result<OwnedFd, i32> {
    of.ok_or(libc::EBADF).and_then(|f| fd::dup_cloexec(f.as_fd()).map_err(|e| io_errno(&e)))
}

fn who(limit: bool) -> Who {
    if limit { Who::Limit } else { Who::Payload }
}

impl Live<'_> {
    fn groups(&self) -> Result<&Groups, i32> {
        self.running.groups.as_ref().ok_or(libc::ENOENT)
    }

    /// Thaws a container that is being killed: on version 1 a frozen process dies only when it is thawed.
    pub fn let_die(&self) {
        let Ok(groups) = self.groups() else { return };
        let v1 = groups.host().v1("freezer").is_some();
        let dir = groups.fd(v1.then_some("freezer"), Who::Limit);
        let Ok((kind, dir)) = dir else { return };
        if freezer::is_frozen(&dir, kind).unwrap_or(false) {
            let _ = freezer::thaw(&dir, kind, Some(Duration::ZERO));
        }
    }

    fn start_freezing(&mut self, on: bool) -> Result<Progress, Error> {
        let groups = self.running.groups.as_ref().filter(|g| g.host().layout == Layout::Unified);
        let (_, dir) = groups.ok_or_else(|| Error::os(libc::ENOENT, "not on cgroup2"))?.fd(None, Who::Limit)?;
        let open = |name, flags| path::openat(dir.as_fd(), name, flags, 0);
        let io = |e: std::io::Error| Error::io(&e, "cgroup.freeze");
        let events = open(c"cgroup.events", libc::O_RDONLY).map_err(io)?;
        self.shared.freezing = None;
        if on && self.shared.state == State::Running {
            self.reach(State::Freezing);
        }
        let file = open(c"cgroup.freeze", libc::O_WRONLY).map_err(io)?;
        fd::write_all(file.as_fd(), if on { b"1" } else { b"0" }).map_err(io)?;
        let freezing = Freezing { on, dir, events };
        if freezing.settled().is_some() {
            self.freezer_settled(on);
            return Ok(Progress::Done);
        }
        self.epoll
            .add(&freezing.events, EpollEvent::new(EpollFlags::EPOLLPRI, FREEZER))
            .map_err(|e| Error::os(e as i32, "cgroup.events"))?;
        self.shared.freezing = Some(freezing);
        Ok(Progress::Later)
    }

    /// The freezer has done what was asked.
    pub fn freezer_settled(&mut self, on: bool) {
        if on {
            self.reach(State::Frozen);
        } else {
            self.reach(State::Thawed);
            self.reach(State::Running);
        }
    }

    fn reach(&mut self, state: State) {
        self.set_state(if state == State::Thawed { State::Running } else { state });
        self.shared.reached.push(state);
    }

    fn tty_free(&self, tty: i32) -> bool {
        self.shared.holders.iter().all(|(t, _)| *t != tty)
    }
}

impl Served for Live<'_> {
    fn live(&self) -> bool {
        true
    }

    fn name(&self) -> &str {
        &self.shared.name
    }

    fn lxcpath(&self) -> &str {
        &self.shared.lxcpath
    }

    fn state(&self) -> State {
        self.shared.state
    }

    fn set_state(&mut self, state: State) {
        self.shared.state = state;
    }

    fn init_pid(&self) -> i32 {
        self.running.pid
    }

    fn init_pidfd(&self) -> Result<OwnedFd, i32> {
        dup(Some(&self.running.pidfd))
    }

    fn clone_flags(&self) -> u64 {
        self.running.clone_flags
    }

    fn stop(&mut self) -> Result<(), i32> {
        let signal = match self.running.config.process.signal_stop {
            0 => libc::SIGKILL,
            s => s,
        };
        let sent = process::pidfd_send_signal(self.running.pidfd.as_fd(), signal);
        self.shared.killed |= signal == libc::SIGKILL;
        self.let_die();
        match sent {
            // It has ended and is about to be reaped.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other.map_err(|e| io_errno(&e)),
        }
    }

    fn cgroup_path(&self, controller: &str, limit: bool) -> Option<String> {
        let controller = Some(controller).filter(|c| !c.is_empty());
        self.groups().ok()?.path(controller, who(limit))
    }

    fn cgroup_fd(&self, controller: &str, limit: bool) -> Result<(CgroupFd, OwnedFd), i32> {
        let groups = self.groups()?;
        let (kind, dir) = groups.fd(Some(controller), who(limit)).map_err(|e| errno(&e))?;
        let utilities = if kind == Kind::V2 { CAN_DEVICES | CAN_FREEZE } else { 0 };
        let about = CgroupFd {
            layout: groups.host().layout as i32,
            utilities,
            kind: kind.magic() as i32,
            ..CgroupFd::ask(controller)
        };
        Ok((about, dir))
    }

    fn cgroup2_fd(&self, limit: bool) -> Result<OwnedFd, i32> {
        let groups = self.groups().map_err(|_| libc::EINVAL)?;
        if groups.host().layout != Layout::Unified {
            return Err(libc::EINVAL);
        }
        groups.fd(None, who(limit)).map(|(_, dir)| dir).map_err(|e| errno(&e))
    }

    fn cgroup_ctx(&self) -> Result<(CgroupCtx, Vec<OwnedFd>), i32> {
        let groups = self.groups()?;
        let fds = groups.fds().map_err(|e| errno(&e))?;
        let fds: Result<Vec<OwnedFd>, _> = fds.into_iter().map(fd::dup_cloexec).collect();
        let layout = groups.host().layout;
        let utilities = if layout == Layout::Unified { CAN_DEVICES | CAN_FREEZE } else { 0 };
        let ctx = CgroupCtx { layout: layout as i32, utilities, fd_len: 0, fds: [0; CTX_FDS] };
        match fds {
            Ok(fds) if fds.is_empty() => Err(libc::ENOENT),
            Ok(fds) => Ok((ctx, fds)),
            Err(e) => Err(io_errno(&e)),
        }
    }

    fn config_item(&self, key: &str) -> Option<String> {
        if let Some(value) = self.running.config.get(key).ok().filter(|v| !v.is_empty()) {
            return Some(value);
        }
        // Of a pair without a configured name, the one that the start chose.
        let n: u32 = key.strip_prefix("lxc.net.")?.strip_suffix(".veth.pair")?.parse().ok()?;
        self.running.host_veths.iter().find(|(i, _)| *i == n).map(|(_, name)| name.clone())
    }

    fn console_log(&mut self, what: ConsoleLog) -> Result<Vec<u8>, i32> {
        self.shared.console.console_log(what)
    }

    fn reserve_tty(&mut self, tty: i32, holder: u64) -> Result<(i32, OwnedFd), i32> {
        if tty == 0 {
            if self.running.console.is_none() {
                return Err(libc::EBADF);
            }
            return self.shared.console.reserve(self.epoll, holder).map(|ptx| (0, ptx));
        }
        let all = 1..=i32::try_from(self.running.ttys.len()).unwrap_or(0);
        let wanted = if tty == -1 { all.clone().find(|t| self.tty_free(*t)) } else { Some(tty) };
        let tty = wanted.filter(|t| all.contains(t) && self.tty_free(*t)).ok_or(libc::EBADF)?;
        let pair = self.running.ttys.get((tty - 1) as usize);
        let ptx = dup(pair.map(|p| &p.ptx))?;
        self.shared.holders.push((tty, holder));
        Ok((tty, ptx))
    }

    fn release_tty(&mut self, tty: i32, holder: u64) {
        match (tty, &self.running.console) {
            (0, Some(pair)) => self.shared.console.release(self.epoll, pair.ptx.as_fd(), holder),
            _ => self.shared.holders.retain(|h| *h != (tty, holder)),
        }
    }

    fn devpts(&self) -> Result<OwnedFd, i32> {
        dup(self.running.devpts.as_ref())
    }

    fn seccomp_listener(&self) -> Result<OwnedFd, i32> {
        dup(self.running.seccomp_listener.as_ref())
    }

    fn add_seccomp_listener(&mut self, listener: OwnedFd) -> Result<(), i32> {
        self.running.notify.as_mut().ok_or(libc::EINVAL)?.add(listener)
    }

    fn add_device_rule(&mut self, rule: DeviceItem) -> Result<(), i32> {
        let number = |n: i32| if n < 0 { "*".to_string() } else { n.to_string() };
        let access = String::from_utf8_lossy(until_nul(&rule.access)).into_owned();
        let text = match rule.kind {
            b'a' => "a".to_string(),
            kind => format!("{} {}:{} {access}", char::from(kind), number(rule.major), number(rule.minor)),
        };
        let rule = devices::Rule::parse(&text, rule.allow != 0).map_err(|_| libc::EINVAL)?;
        // Anything but cgroup2 answers −1.
        let groups = self.running.groups.as_mut().ok_or(libc::EPERM)?;
        groups.add_device(&rule).map_err(|e| if e.errno == libc::EOPNOTSUPP { libc::EPERM } else { errno(&e) })
    }

    fn freeze(&mut self, on: bool) -> Result<Progress, i32> {
        self.start_freezing(on).map_err(|e| errno(&e))
    }
}

/// A container without init: one whose hooks run, before its start or after its end.
#[derive(Debug)]
pub struct Begun<'a> {
    /// The monitor's.
    pub shared: &'a mut Shared,
    /// What it is started with.
    pub config: Option<&'a Config>,
}

impl Served for Begun<'_> {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn lxcpath(&self) -> &str {
        &self.shared.lxcpath
    }

    fn state(&self) -> State {
        self.shared.state
    }

    fn set_state(&mut self, state: State) {
        self.shared.state = state;
    }

    fn stop(&mut self) -> Result<(), i32> {
        self.shared.killed = true;
        Ok(())
    }

    fn config_item(&self, key: &str) -> Option<String> {
        self.config?.get(key).ok()
    }

    fn console_log(&mut self, what: ConsoleLog) -> Result<Vec<u8>, i32> {
        self.shared.console.console_log(what)
    }
}
