//! What each command of the protocol is answered with, given the facts of a [`Served`] container. Owns no socket and waits
//! for nothing: `runtime::server` does the talking.
#![forbid(unsafe_code)]

use crate::ipc::State;
use crate::ipc::state::MAX_STATE;
use crate::ipc::wire::{self, CgroupCtx, CgroupFd, Cmd, ConsoleLog, DeviceItem, Head, Wanted};
use std::os::fd::OwnedFd;

/// How far a freeze or thaw has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Done.
    Done,
    /// Under way: [`super::server::Server::freezer_settled`] is called when it is done.
    Later,
}

/// The container as its command socket shows it. Errors are errno numbers; no call may block. What has no other answer
/// while no init runs is answered here.
pub trait Served {
    /// Whether init runs: requests that need it wait until then.
    fn live(&self) -> bool {
        false
    }
    /// The container's name.
    fn name(&self) -> &str;
    /// The store, as spelled at the start.
    fn lxcpath(&self) -> &str;
    /// The present state.
    fn state(&self) -> State;
    /// A freezing client tells the state that it has brought about (never THAWED: that is RUNNING).
    fn set_state(&mut self, state: State);
    /// Init's pid, 0 before the clone.
    fn init_pid(&self) -> i32 {
        0
    }
    /// Init's pidfd.
    ///
    /// # Errors
    /// An errno.
    fn init_pidfd(&self) -> Result<OwnedFd, i32> {
        Err(libc::EBADF)
    }
    /// CLONE_NEW* of the namespaces that the container has of its own.
    fn clone_flags(&self) -> u64 {
        0
    }
    /// Sends `lxc.signal.stop` to init and thaws the container.
    ///
    /// # Errors
    /// An errno.
    fn stop(&mut self) -> Result<(), i32>;
    /// The payload's (or limit) cgroup path in the controller's hierarchy; an empty controller is version 2's tree.
    fn cgroup_path(&self, controller: &str, limit: bool) -> Option<String> {
        let _ = (controller, limit);
        None
    }
    /// The payload's (or limit) cgroup directory in the controller's hierarchy.
    ///
    /// # Errors
    /// An errno.
    fn cgroup_fd(&self, controller: &str, limit: bool) -> Result<(CgroupFd, OwnedFd), i32> {
        let _ = (controller, limit);
        Err(libc::ENOENT)
    }
    /// The payload's (or limit) directory on pure version 2.
    ///
    /// # Errors
    /// An errno; EINVAL on other layouts.
    fn cgroup2_fd(&self, limit: bool) -> Result<OwnedFd, i32> {
        let _ = limit;
        Err(libc::EINVAL)
    }
    /// All payload directories; the struct's numbers of descriptors are filled in by the caller.
    ///
    /// # Errors
    /// An errno.
    fn cgroup_ctx(&self) -> Result<(CgroupCtx, Vec<OwnedFd>), i32> {
        Err(libc::ENOENT)
    }
    /// The running config's value.
    fn config_item(&self, key: &str) -> Option<String>;
    /// The systemd scope that the container lives in.
    fn systemd_scope(&self) -> Option<String> {
        None
    }
    /// Reads, clears or saves the console's ring buffer.
    ///
    /// # Errors
    /// An errno: EFAULT without a buffer, ENODATA when there is nothing to read.
    fn console_log(&mut self, what: ConsoleLog) -> Result<Vec<u8>, i32>;
    /// Reserves a terminal (0 the console, −1 any tty) for the connection `holder`.
    ///
    /// # Errors
    /// An errno: EBADF when it is busy or does not exist.
    fn reserve_tty(&mut self, tty: i32, holder: u64) -> Result<(i32, OwnedFd), i32> {
        let _ = (tty, holder);
        Err(libc::EBADF)
    }
    /// The connection `holder` has ended.
    fn release_tty(&mut self, tty: i32, holder: u64) {
        let _ = (tty, holder);
    }
    /// The container's devpts.
    ///
    /// # Errors
    /// An errno.
    fn devpts(&self) -> Result<OwnedFd, i32> {
        Err(libc::EBADF)
    }
    /// The seccomp listener.
    ///
    /// # Errors
    /// An errno.
    fn seccomp_listener(&self) -> Result<OwnedFd, i32> {
        Err(libc::EBADF)
    }
    /// Takes another seccomp listener over.
    ///
    /// # Errors
    /// An errno: EINVAL without a proxy.
    fn add_seccomp_listener(&mut self, listener: OwnedFd) -> Result<(), i32> {
        let _ = listener;
        Err(libc::EINVAL)
    }
    /// Adds a device rule (version 2).
    ///
    /// # Errors
    /// An errno.
    fn add_device_rule(&mut self, rule: DeviceItem) -> Result<(), i32> {
        let _ = rule;
        Err(libc::EPERM)
    }
    /// Freezes or thaws (version 2).
    ///
    /// # Errors
    /// An errno: ENOENT on other layouts.
    fn freeze(&mut self, on: bool) -> Result<Progress, i32> {
        let _ = on;
        Err(libc::ENOENT)
    }
}

/// What to do with a connection whose request is complete.
#[derive(Debug)]
pub enum Act {
    /// Close it without a word.
    Close,
    /// Send this and close it.
    Reply(Answer),
    /// Send this and keep it as the reservation of that tty.
    HoldTty(Answer, i32),
    /// Send this and keep it until one of these states (a bit each) is reached.
    HoldStates(Answer, u8),
    /// Say nothing and keep it until the container has stopped.
    HoldStop,
    /// Keep it until the freezer has settled, at most this many seconds (negative: without limit).
    HoldFreeze(bool, i32),
    /// The state has changed: serve those who wait, then send this and close it.
    Announce(State, Answer),
    /// Answer it when init runs.
    Later,
}

/// A reply.
#[derive(Debug, Default)]
pub struct Answer {
    /// The head; its data length is that of `data`.
    pub head: Head,
    /// What follows.
    pub data: Vec<u8>,
    /// Descriptors that ride on the head.
    pub fds: Vec<OwnedFd>,
}

impl Answer {
    /// A result and nothing else.
    pub fn code(code: i32) -> Self {
        Self { head: Head::inline(code, 0), ..Self::default() }
    }

    /// Success with an integer.
    pub fn inline(value: i32) -> Self {
        Self { head: Head::inline(0, value), ..Self::default() }
    }

    /// Success with data.
    pub fn data(data: Vec<u8>) -> Self {
        let head = Head { code: 0, datalen: i32::try_from(data.len()).unwrap_or(i32::MAX), data: 0 };
        Self { head, data, fds: Vec::new() }
    }

    fn text(text: &str) -> Self {
        let mut data = Vec::with_capacity(text.len() + 1);
        data.extend_from_slice(text.as_bytes());
        data.push(0);
        Self::data(data)
    }

    fn with(mut self, fds: Vec<OwnedFd>) -> Self {
        self.fds = fds;
        self
    }
}

/// The text of a request that must end by NUL.
fn text(data: &[u8]) -> Option<&str> {
    let (last, body) = data.split_last()?;
    if *last != 0 {
        return None;
    }
    std::str::from_utf8(wire::until_nul(body)).ok()
}

/// One descriptor or its refusal.
fn one_fd(fd: Result<OwnedFd, i32>) -> Act {
    Act::Reply(match fd {
        Ok(fd) => Answer::inline(0).with(vec![fd]),
        Err(e) => Answer::code(-e),
    })
}

fn done(result: Result<(), i32>) -> Act {
    Act::Reply(Answer::code(result.map_or_else(|e| -e, |()| 0)))
}

/// An extensible struct: what the asker is longer than us must be zero, and it gets no more than it asked for.
fn sized(data: &[u8], least: usize, ours: usize) -> Option<usize> {
    let zero_tail = data.get(ours..).is_none_or(|t| t.iter().all(|b| *b == 0));
    (data.len() >= least && zero_tail).then(|| data.len().min(ours))
}

/// Whether only init can answer it: such a request waits while a container starts. All others are answered as they come.
const fn needs_init(cmd: Cmd) -> bool {
    matches!(
        cmd,
        Cmd::GetInitPidfd
            | Cmd::GetTtyFd
            | Cmd::GetDevptsFd
            | Cmd::GetSeccompNotifyFd
            | Cmd::AddBpfDeviceCgroup
            | Cmd::Freeze
            | Cmd::Unfreeze
    )
}

/// Answers one complete request.
pub fn answer(cmd: Cmd, head: &Head, data: &[u8], holder: u64, served: &mut dyn Served) -> Act {
    match cmd {
        _ if needs_init(cmd) && !served.live() => Act::Later,
        Cmd::GetTtyFd => match served.reserve_tty(head.value(), holder) {
            Ok((tty, fd)) => Act::HoldTty(Answer::inline(tty).with(vec![fd]), tty),
            Err(e) => Act::Reply(Answer::code(-e)),
        },
        Cmd::TerminalWinch => Act::Close,
        Cmd::Stop => match served.stop() {
            Ok(()) => Act::HoldStop,
            Err(e) => Act::Reply(Answer::code(-e)),
        },
        Cmd::GetState => Act::Reply(Answer::inline(served.state().number())),
        Cmd::GetInitPid => Act::Reply(Answer::inline(served.init_pid())),
        Cmd::GetCloneFlags => Act::Reply(Answer::inline(served.clone_flags() as u32 as i32)),
        Cmd::GetCgroup => group_path(data, false, served),
        Cmd::GetLimitCgroup => group_path(data, true, served),
        Cmd::GetConfigItem => {
            let value = text(data).and_then(|key| served.config_item(key)).filter(|v| !v.is_empty());
            Act::Reply(match value {
                Some(v) if v.len() < wire::DATA_MAX => Answer::text(&v),
                _ => Answer::code(-libc::EPERM),
            })
        }
        Cmd::GetName => Act::Reply(Answer::text(served.name())),
        Cmd::GetLxcpath => Act::Reply(Answer::text(served.lxcpath())),
        Cmd::AddStateClient => add_state_client(data, served),
        Cmd::ConsoleLog => {
            if data.len() != wire::CONSOLE_LOG {
                return Act::Reply(Answer::code(-libc::EINVAL));
            }
            Act::Reply(served.console_log(ConsoleLog::decode(data)).map_or_else(|e| Answer::code(-e), Answer::data))
        }
        Cmd::ServeStateClients => match State::from_i32(head.value()) {
            Some(state) => {
                served.set_state(if state == State::Thawed { State::Running } else { state });
                Act::Announce(state, Answer::code(0))
            }
            None => Act::Reply(Answer::code(-libc::EINVAL)),
        },
        // Its descriptor comes with a message of its own; see the server.
        Cmd::SeccompNotifyAddListener => Act::Reply(Answer::code(-libc::EINVAL)),
        Cmd::AddBpfDeviceCgroup => {
            if data.len() != wire::DEVICE_ITEM {
                return Act::Reply(Answer::code(-libc::EINVAL));
            }
            done(served.add_device_rule(DeviceItem::decode(data)))
        }
        Cmd::Freeze => freeze(true, head, served),
        Cmd::Unfreeze => freeze(false, head, served),
        Cmd::GetCgroup2Fd => one_fd(served.cgroup2_fd(false)),
        Cmd::GetLimitCgroup2Fd => one_fd(served.cgroup2_fd(true)),
        Cmd::GetInitPidfd => one_fd(served.init_pidfd()),
        Cmd::GetDevptsFd => one_fd(served.devpts()),
        Cmd::GetSeccompNotifyFd => one_fd(served.seccomp_listener()),
        Cmd::GetCgroupCtx => group_ctx(data, served),
        Cmd::GetCgroupFd => group_fd(data, false, served),
        Cmd::GetLimitCgroupFd => group_fd(data, true, served),
        Cmd::GetSystemdScope => {
            Act::Reply(served.systemd_scope().map_or_else(|| Answer::code(-libc::EINVAL), |s| Answer::text(&s)))
        }
    }
}

fn group_path(data: &[u8], limit: bool, served: &mut dyn Served) -> Act {
    let controller = if data.is_empty() {
        ""
    } else if let Some(c) = text(data) {
        c
    } else {
        return Act::Reply(Answer::code(-libc::EINVAL));
    };
    served.cgroup_path(controller, limit).map_or(Act::Close, |p| Act::Reply(Answer::text(&p)))
}

fn group_fd(data: &[u8], limit: bool, served: &mut dyn Served) -> Act {
    let refused = |e: i32| Act::Reply(Answer::code(-e));
    let (Some(len), ask) = (sized(data, 17, wire::CGROUP_FD), CgroupFd::decode(data)) else {
        return refused(libc::EINVAL);
    };
    let Some(controller) = ask.controller().filter(|c| !c.is_empty() && c.len() < 64) else {
        return refused(libc::EINVAL);
    };
    match served.cgroup_fd(controller, limit) {
        Ok((mut about, fd)) => {
            about.controller = ask.controller;
            let mut bytes = about.encode().to_vec();
            bytes.truncate(len);
            Act::Reply(Answer::data(bytes).with(vec![fd]))
        }
        Err(e) => refused(e),
    }
}

fn group_ctx(data: &[u8], served: &mut dyn Served) -> Act {
    let Some(len) = sized(data, 12, wire::CGROUP_CTX) else { return Act::Reply(Answer::code(-libc::EINVAL)) };
    match served.cgroup_ctx() {
        Ok((mut ctx, mut fds)) => {
            fds.truncate(wire::CTX_FDS);
            ctx.fd_len = fds.len() as u32;
            let mut bytes = ctx.encode().to_vec();
            bytes.truncate(len);
            Act::Reply(Answer::data(bytes).with(fds))
        }
        Err(e) => Act::Reply(Answer::code(-e)),
    }
}

fn add_state_client(data: &[u8], served: &mut dyn Served) -> Act {
    // An error number would be read as a state by the clients: the end of the connection is the kinder refusal.
    let Ok(states) = data.try_into() else { return Act::Close };
    let wanted = Wanted::decode(states);
    let state = served.state();
    if wanted.now & (1 << state as u8) != 0 {
        let head = Head::inline(state.number(), state.number());
        return Act::Reply(Answer { head, ..Answer::default() });
    }
    Act::HoldStates(Answer { head: Head::inline(MAX_STATE, MAX_STATE), ..Answer::default() }, wanted.now | wanted.next)
}

fn freeze(on: bool, head: &Head, served: &mut dyn Served) -> Act {
    match served.freeze(on) {
        Ok(Progress::Done) => Act::Reply(Answer::code(0)),
        Ok(Progress::Later) => Act::HoldFreeze(on, head.value()),
        Err(e) => Act::Reply(Answer::code(-e)),
    }
}
