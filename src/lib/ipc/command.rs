//! The client of a container's command socket: one method per command, each an exchange on a connection of its own,
//! none waiting for ever unless waiting is what it is for. Owns no decision about what an answer means for a tool.
#![forbid(unsafe_code)]

pub use super::address::address;
use super::state::{MAX_STATE, State};
use super::wire::{self, CgroupCtx, CgroupFd, Cmd, ConsoleLog, DeviceItem, Head, Msg, Wanted};
use crate::base::Error;
use crate::sys::cred;
use crate::sys::scm::{self, Cred, Fds};
use crate::sys::socket::peer_cred;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a question may take before the monitor counts as hung. A monitor does not answer while its container still
/// starts, and hooks of a start may take long.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Why a command gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// Nobody listens: the container is stopped.
    NotRunning,
    /// The monitor does not take commands from this user.
    Denied,
    /// The monitor closed the connection without an answer, or does not know the command.
    Unsupported,
    /// The monitor's answer: this errno.
    Refused(i32),
    /// No answer in time.
    Timeout,
    /// The connection failed by this errno.
    Io(i32),
}

impl Fail {
    /// The errno that says most.
    pub const fn errno(self) -> i32 {
        match self {
            Fail::NotRunning => libc::ECONNREFUSED,
            Fail::Denied => libc::EPERM,
            Fail::Unsupported => libc::ENOSYS,
            Fail::Timeout => libc::ETIMEDOUT,
            Fail::Refused(e) | Fail::Io(e) => e,
        }
    }

    /// The error for a reader: `name` is the container, `what` was wanted of its monitor.
    pub fn error(self, name: &str, what: &str) -> Error {
        match self {
            Fail::NotRunning => Error::os(0, format!("{name} is not running")),
            Fail::Denied => Error::os(0, format!("Insufficent privileges to control {name}")),
            Fail::Unsupported => Error::new(format!("{name}: its monitor does not know how to {what}")),
            Fail::Timeout => Error::os(libc::ETIMEDOUT, format!("{name}: no answer of its monitor to: {what}")),
            Fail::Refused(e) | Fail::Io(e) => Error::os(e, format!("{name}: its monitor could not {what}")),
        }
    }

    fn io(e: &io::Error) -> Self {
        match e.raw_os_error() {
            Some(libc::ECONNREFUSED | libc::ENOENT | libc::EPIPE | libc::ECONNRESET) => Fail::NotRunning,
            Some(libc::EAGAIN | libc::ETIMEDOUT) => Fail::Timeout,
            e => Fail::Io(e.unwrap_or(libc::EIO)),
        }
    }
}

/// A command's result.
pub type Answer<T> = Result<T, Fail>;

/// One answer as it came.
struct Reply {
    head: Head,
    data: Vec<u8>,
    fds: Fds,
    conn: OwnedFd,
}

/// What a question about a state led to.
#[derive(Debug)]
pub enum Waiting {
    /// One of the wanted states is there already.
    Reached(State),
    /// The monitor will tell.
    Later(Waiter),
}

/// A registration for a state; dropping it withdraws it.
#[derive(Debug)]
pub struct Waiter {
    conn: OwnedFd,
}

impl Waiter {
    /// Waits until the monitor tells the state, or ends: that is STOPPED. Without a limit it waits as long as it takes.
    ///
    /// # Errors
    /// [`Fail::Timeout`] after `limit`; failures of the connection.
    pub fn wait(&self, limit: Option<Duration>) -> Answer<State> {
        let until = limit.map(|l| Instant::now() + l);
        let mut buf = [0u8; wire::MSG];
        let mut have = 0;
        while have < buf.len() {
            wait_readable(self.conn.as_fd(), until)?;
            match scm::recv(self.conn.as_fd(), &mut buf[have..]) {
                Ok(r) if r.bytes == 0 => return Ok(State::Stopped),
                Ok(r) => have += r.bytes,
                Err(e) if e.raw_os_error() == Some(libc::ECONNRESET) => return Ok(State::Stopped),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(Fail::io(&e)),
            }
        }
        match Msg::decode(&buf).event {
            wire::Event::State(s) => Ok(s),
            _ => Err(Fail::Io(libc::EPROTO)),
        }
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.conn.as_fd()
    }
}

/// A container that is being killed.
#[derive(Debug)]
pub struct Stopping {
    conn: OwnedFd,
}

impl Stopping {
    /// Waits until the monitor has let the name go.
    ///
    /// # Errors
    /// What the monitor answers in place of it; [`Fail::Timeout`] after `limit`.
    pub fn wait(self, limit: Option<Duration>) -> Answer<()> {
        wait_readable(self.conn.as_fd(), limit.map(|l| Instant::now() + l))?;
        match Client::receive(self.conn, wire::DATA_MAX) {
            // The end of the connection is the success, also when it comes as a reset.
            Err(Fail::Unsupported | Fail::NotRunning) => Ok(()),
            Ok(r) if r.head.code == -libc::EPERM => Err(Fail::Denied),
            Ok(r) => Err(Fail::Refused(r.head.code.wrapping_neg())),
            Err(f) => Err(f),
        }
    }
}

/// Waits for something to read, at most until `until`.
fn wait_readable(fd: BorrowedFd<'_>, until: Option<Instant>) -> Answer<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    loop {
        let left = match until {
            None => PollTimeout::NONE,
            Some(t) => {
                let ms = t.saturating_duration_since(Instant::now()).as_nanos().div_ceil(1_000_000);
                PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], left) {
            Ok(0) if until.is_some_and(|t| Instant::now() >= t) => return Err(Fail::Timeout),
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(e) => return Err(Fail::Io(e as i32)),
        }
    }
}

/// A container's monitor, as its clients see it. Holds no connection.
#[derive(Debug, Clone)]
pub struct Client {
    lxcpath: PathBuf,
    name: String,
    /// `None`: a name that no socket can have.
    address: Option<UnixAddr>,
    limit: Option<Duration>,
}

impl Client {
    /// The client for `name` in the store `lxcpath` (as spelled when the container was started).
    pub fn new(lxcpath: impl AsRef<Path>, name: &str) -> Self {
        let lxcpath = lxcpath.as_ref();
        Self {
            lxcpath: lxcpath.into(),
            name: name.into(),
            address: UnixAddr::new_abstract(&address(lxcpath, name)).ok(),
            limit: Some(ANSWER_WITHIN),
        }
    }

    /// The client for whoever listens at this abstract name (listing asks hashed names who they are).
    pub fn at(abstract_name: &[u8]) -> Self {
        Self {
            lxcpath: PathBuf::new(),
            name: String::new(),
            address: UnixAddr::new_abstract(abstract_name).ok(),
            limit: Some(ANSWER_WITHIN),
        }
    }

    /// Sets how long each answer may take; `None` waits for ever.
    #[must_use]
    pub fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// The container's name as given.
    pub fn container(&self) -> &str {
        &self.name
    }

    /// The store as given.
    pub fn store(&self) -> &Path {
        &self.lxcpath
    }

    fn connect(&self) -> Answer<OwnedFd> {
        let nixed = |e: nix::Error| Fail::io(&io::Error::from_raw_os_error(e as i32));
        let addr = self.address.as_ref().ok_or(Fail::Io(libc::ENAMETOOLONG))?;
        let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(nixed)?;
        if let Some(limit) = self.limit {
            let limit = TimeVal::new(limit.as_secs().min(1 << 30) as i64, i64::from(limit.subsec_micros()).max(1));
            setsockopt(&fd, sockopt::SendTimeout, &limit).map_err(nixed)?;
            setsockopt(&fd, sockopt::ReceiveTimeout, &limit).map_err(nixed)?;
        }
        loop {
            match connect(fd.as_raw_fd(), addr) {
                Ok(()) => break,
                Err(nix::Error::EINTR) => {}
                Err(e) => return Err(nixed(e)),
            }
        }
        let peer = peer_cred(&fd).map_err(|e| Fail::io(&e))?;
        if self.may_speak(peer.uid) { Ok(fd) } else { Err(Fail::NotRunning) }
    }

    /// Whether a process of this user can be the container's monitor. An abstract name is whoever's who binds it first: a
    /// stranger at the name of a stopped container must not tell root which process to enter.
    fn may_speak(&self, uid: u32) -> bool {
        if uid == 0 || uid == cred::euid() || self.name.is_empty() {
            return true;
        }
        // The container of another user: it is in a directory of his. What cannot be looked at is believed.
        let owner = |dir: &Path| std::fs::metadata(dir).map(|m| m.uid());
        let found = owner(&self.lxcpath.join(&self.name)).or_else(|e| match e.kind() {
            io::ErrorKind::NotFound => owner(&self.lxcpath),
            _ => Err(e),
        });
        found.map_or_else(|e| e.kind() == io::ErrorKind::PermissionDenied, |owner| owner == uid)
    }

    /// Sends a request on a new connection. Credentials are the kernel's unless the ids differ: explicit ones carry the
    /// real ids, as the protocol wants.
    fn send(&self, cmd: Cmd, data: &[u8], inline: i32) -> Answer<OwnedFd> {
        let conn = self.connect()?;
        let mut head = Head::inline(cmd as i32, inline);
        head.datalen = data.len() as i32;
        match scm::send(conn.as_fd(), &head.encode(), Some(Cred::own()), &[]) {
            Ok(wire::HEAD) => {}
            Ok(_) => return Err(Fail::Io(libc::EIO)),
            Err(e) => return Err(Fail::io(&e)),
        }
        if !data.is_empty() {
            match scm::send(conn.as_fd(), data, None, &[]) {
                Ok(sent) if sent == data.len() => {}
                Ok(_) => return Err(Fail::Io(libc::EIO)),
                // It has answered by the head alone, a refusal, and closed.
                Err(e) if e.raw_os_error() == Some(libc::EPIPE) => {}
                Err(e) => return Err(Fail::io(&e)),
            }
        }
        Ok(conn)
    }

    /// Receives the head of one answer and the descriptors that came with it.
    fn receive_head(conn: &OwnedFd) -> Answer<(Head, Fds)> {
        let mut bytes = [0u8; wire::HEAD];
        let mut fds = Fds::default();
        let mut have = 0;
        while have < bytes.len() {
            let mut got = match scm::recv(conn.as_fd(), &mut bytes[have..]) {
                Ok(got) => got,
                Err(e) => return Err(Fail::io(&e)),
            };
            if got.bytes == 0 {
                return Err(if have == 0 { Fail::Unsupported } else { Fail::Io(libc::EPROTO) });
            }
            have += got.bytes;
            if !got.fds.is_empty() {
                std::mem::swap(&mut fds, &mut got.fds);
            }
        }
        Ok((Head::decode(&bytes), fds))
    }

    /// Receives one answer, whatever its result.
    fn receive(conn: OwnedFd, data_max: usize) -> Answer<Reply> {
        let (head, fds) = Self::receive_head(&conn)?;
        let len = usize::try_from(head.datalen).ok().filter(|l| *l <= data_max).ok_or(Fail::Io(libc::EPROTO))?;
        let mut data = vec![0u8; len];
        let mut have = 0;
        while have < len {
            match scm::recv(conn.as_fd(), &mut data[have..]) {
                Ok(got) if got.bytes == 0 => return Err(Fail::Io(libc::EPROTO)),
                Ok(got) => have += got.bytes,
                Err(e) => return Err(Fail::io(&e)),
            }
        }
        Ok(Reply { head, data, fds, conn })
    }

    /// A negative result as a failure.
    fn succeeded(head: &Head) -> Answer<()> {
        match head.code {
            e if e >= 0 => Ok(()),
            e if e == -libc::ENOSYS => Err(Fail::Unsupported),
            e => Err(Fail::Refused(e.wrapping_neg())),
        }
    }

    /// One exchange; a negative result is a failure.
    fn ask(&self, cmd: Cmd, data: &[u8], inline: i32) -> Answer<Reply> {
        let reply = Self::receive(self.send(cmd, data, inline)?, wire::DATA_MAX)?;
        Self::succeeded(&reply.head).map(|()| reply)
    }

    /// An exchange about the whole container, where −1 (EPERM) means the caller and nothing else.
    fn ask_plain(&self, cmd: Cmd, inline: i32) -> Answer<Reply> {
        self.ask(cmd, &[], inline).map_err(|f| if f == Fail::Refused(libc::EPERM) { Fail::Denied } else { f })
    }

    fn ask_fd(&self, cmd: Cmd, data: &[u8]) -> Answer<(OwnedFd, Reply)> {
        let mut reply = self.ask(cmd, data, 0)?;
        let fd = reply.fds.pop().ok_or(Fail::Refused(libc::EBADF))?;
        Ok((fd, reply))
    }

    /// A text answer without its NUL; `None` when there is none.
    fn ask_text(&self, cmd: Cmd, question: &str) -> Answer<Option<String>> {
        let mut data = Vec::new();
        if !question.is_empty() {
            data.extend_from_slice(question.as_bytes());
            data.push(0);
        }
        let reply = match self.ask(cmd, &data, 0) {
            Ok(r) => r,
            Err(Fail::Refused(_)) => return Ok(None),
            Err(f) => return Err(f),
        };
        let text = wire::until_nul(&reply.data);
        Ok((reply.head.datalen > 0).then(|| String::from_utf8_lossy(text).into_owned()))
    }

    /// Whether the caller may control the container: true as well when nobody runs it.
    pub fn may_control(&self) -> bool {
        !matches!(self.ask_plain(Cmd::GetInitPid, 0), Err(Fail::Denied | Fail::Refused(_)))
    }

    /// GET_STATE; STOPPED when nobody listens.
    ///
    /// # Errors
    /// All but [`Fail::NotRunning`].
    pub fn state(&self) -> Answer<State> {
        let reply = match self.ask_plain(Cmd::GetState, 0) {
            Err(Fail::NotRunning | Fail::Unsupported) => return Ok(State::Stopped),
            other => other?,
        };
        State::from_i32(reply.head.value()).ok_or(Fail::Io(libc::EPROTO))
    }

    /// GET_INIT_PID: in the pid namespace of the monitor; `None` without an init.
    ///
    /// # Errors
    /// See [`Fail`]; a stopped container is `Ok(None)`.
    pub fn init_pid(&self) -> Answer<Option<i32>> {
        match self.ask_plain(Cmd::GetInitPid, 0) {
            Ok(r) => Ok(Some(r.head.value()).filter(|p| *p > 0)),
            Err(Fail::NotRunning | Fail::Unsupported) => Ok(None),
            Err(f) => Err(f),
        }
    }

    /// GET_INIT_PIDFD.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn init_pidfd(&self) -> Answer<OwnedFd> {
        self.ask_fd(Cmd::GetInitPidfd, &[]).map(|(fd, _)| fd)
    }

    /// GET_CLONE_FLAGS: CLONE_NEW* of the namespaces that the container has of its own.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn clone_flags(&self) -> Answer<u64> {
        self.ask_plain(Cmd::GetCloneFlags, 0).map(|r| u64::from(r.head.value() as u32))
    }

    /// GET_CONFIG_ITEM: the running config's value; `None` when unset, empty or unknown.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn config_item(&self, key: &str) -> Answer<Option<String>> {
        self.ask_text(Cmd::GetConfigItem, key)
    }

    /// GET_CGROUP: the payload's path below the hierarchy's mount; an empty controller asks for the version 2 tree.
    ///
    /// # Errors
    /// See [`Fail`]; an unknown controller is [`Fail::Unsupported`].
    pub fn cgroup_path(&self, controller: &str) -> Answer<Option<String>> {
        self.ask_text(Cmd::GetCgroup, controller)
    }

    /// GET_LIMIT_CGROUP, GET_CGROUP where the monitor does not know it.
    ///
    /// # Errors
    /// As [`Client::cgroup_path`].
    pub fn limit_cgroup_path(&self, controller: &str) -> Answer<Option<String>> {
        match self.ask_text(Cmd::GetLimitCgroup, controller) {
            Err(Fail::Unsupported) => self.cgroup_path(controller),
            other => other,
        }
    }

    fn group_fd(&self, cmd: Cmd, controller: &str) -> Answer<(OwnedFd, CgroupFd)> {
        let (fd, reply) = self.ask_fd(cmd, &CgroupFd::ask(controller).encode())?;
        Ok((fd, CgroupFd::decode(&reply.data)))
    }

    /// GET_CGROUP_FD: the payload's directory in the controller's hierarchy.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn cgroup_fd(&self, controller: &str) -> Answer<(OwnedFd, CgroupFd)> {
        self.group_fd(Cmd::GetCgroupFd, controller)
    }

    /// GET_LIMIT_CGROUP_FD: the limit cgroup's directory in the controller's hierarchy.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn limit_cgroup_fd(&self, controller: &str) -> Answer<(OwnedFd, CgroupFd)> {
        self.group_fd(Cmd::GetLimitCgroupFd, controller)
    }

    /// The directory of [`Client::limit_cgroup_fd`] alone: what else the answer says is left unread. For who asks by the
    /// hundred.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn limit_cgroup_dir(&self, controller: &str) -> Answer<OwnedFd> {
        let conn = self.send(Cmd::GetLimitCgroupFd, &CgroupFd::ask(controller).encode(), 0)?;
        let (head, mut fds) = Self::receive_head(&conn)?;
        Self::succeeded(&head)?;
        fds.pop().ok_or(Fail::Refused(libc::EBADF))
    }

    /// GET_CGROUP2_FD: the payload's directory, on pure version 2 only.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn cgroup2_fd(&self) -> Answer<OwnedFd> {
        self.ask_fd(Cmd::GetCgroup2Fd, &[]).map(|(fd, _)| fd)
    }

    /// GET_LIMIT_CGROUP2_FD: the limit cgroup's directory, on pure version 2 only.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn limit_cgroup2_fd(&self) -> Answer<OwnedFd> {
        self.ask_fd(Cmd::GetLimitCgroup2Fd, &[]).map(|(fd, _)| fd)
    }

    /// GET_CGROUP_CTX: the payload's directories in all hierarchies.
    ///
    /// # Errors
    /// See [`Fail`]; EPROTO when the number announced is not the number received.
    pub fn cgroup_ctx(&self) -> Answer<(CgroupCtx, Vec<OwnedFd>)> {
        let mut reply = self.ask(Cmd::GetCgroupCtx, &[0u8; wire::CGROUP_CTX], 0)?;
        let ctx = CgroupCtx::decode(&reply.data);
        let fds: Vec<OwnedFd> = std::iter::from_fn(|| reply.fds.pop()).collect();
        if ctx.fd_len as usize != fds.len() {
            return Err(Fail::Io(libc::EPROTO));
        }
        Ok((ctx, fds))
    }

    /// GET_SYSTEMD_SCOPE; `None` without one.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn systemd_scope(&self) -> Answer<Option<String>> {
        self.ask_text(Cmd::GetSystemdScope, "")
    }

    /// GET_DEVPTS_FD.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn devpts_fd(&self) -> Answer<OwnedFd> {
        self.ask_fd(Cmd::GetDevptsFd, &[]).map(|(fd, _)| fd)
    }

    /// GET_SECCOMP_NOTIFY_FD.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn seccomp_notify_fd(&self) -> Answer<OwnedFd> {
        self.ask_fd(Cmd::GetSeccompNotifyFd, &[]).map(|(fd, _)| fd)
    }

    /// SECCOMP_NOTIFY_ADD_LISTENER: hands a listener to the monitor's proxy.
    ///
    /// # Errors
    /// See [`Fail`]; EINVAL without a proxy.
    pub fn add_seccomp_listener(&self, listener: BorrowedFd<'_>) -> Answer<()> {
        let conn = self.send(Cmd::SeccompNotifyAddListener, &[], listener.as_raw_fd())?;
        scm::send(conn.as_fd(), &[0], None, &[listener]).map_err(|e| Fail::io(&e))?;
        match Self::receive(conn, 0)?.head.code {
            0 => Ok(()),
            e => Err(Fail::Refused(e.wrapping_neg())),
        }
    }

    /// ADD_BPF_DEVICE_CGROUP: adds a device rule, version 2 only.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn add_device_rule(&self, rule: &DeviceItem) -> Answer<()> {
        self.ask(Cmd::AddBpfDeviceCgroup, &rule.encode(), 0).map(drop)
    }

    /// GET_NAME, as the monitor knows it.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn name(&self) -> Answer<Option<String>> {
        self.ask_text(Cmd::GetName, "")
    }

    /// GET_LXCPATH, as the monitor knows it.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn lxcpath(&self) -> Answer<Option<String>> {
        self.ask_text(Cmd::GetLxcpath, "")
    }

    /// STOP: has init killed; what comes back says when the monitor has let the name go.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn begin_stop(&self) -> Answer<Stopping> {
        self.send(Cmd::Stop, &[], 0).map(|conn| Stopping { conn })
    }

    /// STOP: has init killed and waits until the monitor has let the name go.
    ///
    /// # Errors
    /// See [`Fail`]; [`Fail::Timeout`] after `limit`.
    pub fn stop(&self, limit: Option<Duration>) -> Answer<()> {
        self.begin_stop()?.wait(limit)
    }

    /// ADD_STATE_CLIENT: asks to be told when one of `wanted` is reached. Nobody listening is STOPPED.
    ///
    /// # Errors
    /// See [`Fail`]; [`Fail::NotRunning`] when STOPPED is not among the wanted.
    pub fn add_state_client(&self, wanted: &[State]) -> Answer<Waiting> {
        self.wait_for(Wanted::any(wanted))
    }

    /// ADD_STATE_CLIENT for the next time that the container runs: to be asked before a reboot is.
    ///
    /// # Errors
    /// As [`Client::add_state_client`].
    pub fn next_running(&self) -> Answer<Waiting> {
        self.wait_for(Wanted::next(State::Running))
    }

    fn wait_for(&self, wanted: Wanted) -> Answer<Waiting> {
        let reply = match self.ask(Cmd::AddStateClient, &wanted.encode(), 0) {
            Ok(r) => r,
            Err(Fail::Refused(libc::EPERM)) => return Err(Fail::Denied),
            Err(Fail::NotRunning | Fail::Unsupported) if wanted.now & 1 != 0 => {
                return Ok(Waiting::Reached(State::Stopped));
            }
            Err(Fail::Unsupported) => return Err(Fail::NotRunning),
            Err(f) => return Err(f),
        };
        match reply.head.value() {
            MAX_STATE => Ok(Waiting::Later(Waiter { conn: reply.conn })),
            s => State::from_i32(s).map(Waiting::Reached).ok_or(Fail::Io(libc::EPROTO)),
        }
    }

    /// GET_TTY_FD: reserves tty `tty` (0 the console, −1 any). The first descriptor is the reservation, the second the
    /// terminal's ptx, the number the tty's.
    ///
    /// # Errors
    /// See [`Fail`]; EBADF when it is busy or does not exist.
    pub fn console(&self, tty: i32) -> Answer<(OwnedFd, OwnedFd, i32)> {
        let mut reply = self.ask(Cmd::GetTtyFd, &[], tty)?;
        let ptx = reply.fds.pop().ok_or(Fail::Refused(libc::EBADF))?;
        Ok((reply.conn, ptx, reply.head.value()))
    }

    /// CONSOLE_LOG: reads, clears or saves the console's ring buffer.
    ///
    /// # Errors
    /// See [`Fail`]; EFAULT without a buffer, ENODATA when it is empty.
    pub fn console_log(&self, what: ConsoleLog) -> Answer<Vec<u8>> {
        let reply = Self::receive(self.send(Cmd::ConsoleLog, &what.encode(), 0)?, i32::MAX as usize)?;
        match reply.head.code {
            0 => Ok(reply.data),
            e if e == -libc::EPERM => Err(Fail::Denied),
            e => Err(Fail::Refused(e.wrapping_neg())),
        }
    }

    /// SERVE_STATE_CLIENTS: tells the monitor which state the caller has brought about.
    ///
    /// # Errors
    /// See [`Fail`].
    pub fn serve_state(&self, state: State) -> Answer<()> {
        self.ask_plain(Cmd::ServeStateClients, state.number()).map(drop)
    }

    /// FREEZE by the monitor, version 2 only.
    ///
    /// # Errors
    /// See [`Fail`]; ENOENT off pure version 2.
    pub fn freeze(&self, limit: Option<Duration>) -> Answer<()> {
        self.freezer(Cmd::Freeze, limit)
    }

    /// UNFREEZE by the monitor, version 2 only.
    ///
    /// # Errors
    /// As [`Client::freeze`].
    pub fn unfreeze(&self, limit: Option<Duration>) -> Answer<()> {
        self.freezer(Cmd::Unfreeze, limit)
    }

    fn freezer(&self, cmd: Cmd, limit: Option<Duration>) -> Answer<()> {
        let seconds = limit.map_or(-1, |l| i32::try_from(l.as_secs()).unwrap_or(i32::MAX));
        self.ask_plain(cmd, seconds).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_does_not_speak_for_a_container() {
        let dir = std::env::temp_dir().join(format!("lxc-ipc-owner-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("c1")).unwrap();
        let me = cred::euid();
        let c = Client::new(&dir, "c1");
        assert!(c.may_speak(0) && c.may_speak(me) && !c.may_speak(me + 12345));
        assert!(!Client::new(&dir, "none").may_speak(me + 12345), "nor for one without a directory");
        assert!(!Client::new("/nonexistent/store", "c1").may_speak(me + 12345));
        if me == 0 {
            std::os::unix::fs::chown(dir.join("c1"), Some(12345), None).unwrap();
            assert!(c.may_speak(12345), "its owner does");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn nobody_listening_is_stopped() {
        let c = Client::new("/nonexistent/store", "ipc-nobody");
        assert_eq!(c.state(), Ok(State::Stopped));
        assert_eq!(c.init_pid(), Ok(None));
        assert!(c.may_control());
        assert_eq!(c.clone_flags(), Err(Fail::NotRunning));
        assert_eq!(c.stop(None), Err(Fail::NotRunning));
        assert!(matches!(c.add_state_client(&[State::Stopped]), Ok(Waiting::Reached(State::Stopped))));
        assert!(matches!(c.add_state_client(&[State::Running]), Err(Fail::NotRunning)));
    }
}
