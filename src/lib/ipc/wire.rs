//! The command protocol's bytes: command numbers, request and reply heads, the structs that travel as data, the
//! monitor message. Native byte order, fixed sizes, the same for LXC 5.0 to 7.0. Owns no socket.
#![forbid(unsafe_code)]

use super::state::State;

/// A request's or reply's head, bytes.
pub const HEAD: usize = 16;
/// The most data that a request, or a reply other than CONSOLE_LOG's, may carry, bytes.
pub const DATA_MAX: usize = 8192;
/// The size of [`Msg`] on the wire, bytes.
pub const MSG: usize = 264;
/// The size of [`CgroupFd`] on the wire, bytes.
pub const CGROUP_FD: usize = 80;
/// The size of [`CgroupCtx`] on the wire, bytes.
pub const CGROUP_CTX: usize = 96;
/// The most hierarchies that [`CgroupCtx`] has room for.
pub const CTX_FDS: usize = 20;
/// The size of [`ConsoleLog`] on the wire, bytes.
pub const CONSOLE_LOG: usize = 24;
/// The size of [`DeviceItem`] on the wire, bytes.
pub const DEVICE_ITEM: usize = 40;
/// The size of the wanted states of ADD_STATE_CLIENT, bytes.
pub const STATES: usize = 32;

/// The commands. Numbers are append-only by the protocol's own rule: none here may ever be changed, and none beyond the
/// last may be taken for an extension of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Cmd {
    /// The ptx of a tty; the open connection is the reservation.
    GetTtyFd = 0,
    /// Never sent.
    TerminalWinch = 1,
    /// Kill init; answered by the end of the connection.
    Stop = 2,
    /// The state.
    GetState = 3,
    /// Init's process id.
    GetInitPid = 4,
    /// CLONE_NEW* of the namespaces made at the start.
    GetCloneFlags = 5,
    /// The payload cgroup's path.
    GetCgroup = 6,
    /// A value of the running config.
    GetConfigItem = 7,
    /// The container's name.
    GetName = 8,
    /// The store.
    GetLxcpath = 9,
    /// Tell me when one of these states is reached.
    AddStateClient = 10,
    /// The console's ring buffer.
    ConsoleLog = 11,
    /// The freezing client tells the monitor what it did.
    ServeStateClients = 12,
    /// Hands a seccomp listener over.
    SeccompNotifyAddListener = 13,
    /// A device rule for version 2.
    AddBpfDeviceCgroup = 14,
    /// Freeze (version 2).
    Freeze = 15,
    /// Thaw (version 2).
    Unfreeze = 16,
    /// The payload cgroup's directory (version 2).
    GetCgroup2Fd = 17,
    /// Init's pidfd.
    GetInitPidfd = 18,
    /// The limit cgroup's path.
    GetLimitCgroup = 19,
    /// The limit cgroup's directory (version 2).
    GetLimitCgroup2Fd = 20,
    /// The container's devpts.
    GetDevptsFd = 21,
    /// The seccomp listener.
    GetSeccompNotifyFd = 22,
    /// All payload cgroups' directories.
    GetCgroupCtx = 23,
    /// One controller's payload cgroup.
    GetCgroupFd = 24,
    /// One controller's limit cgroup.
    GetLimitCgroupFd = 25,
    /// The systemd scope.
    GetSystemdScope = 26,
}

impl Cmd {
    /// All, by number.
    pub const ALL: [Cmd; 27] = [
        Cmd::GetTtyFd,
        Cmd::TerminalWinch,
        Cmd::Stop,
        Cmd::GetState,
        Cmd::GetInitPid,
        Cmd::GetCloneFlags,
        Cmd::GetCgroup,
        Cmd::GetConfigItem,
        Cmd::GetName,
        Cmd::GetLxcpath,
        Cmd::AddStateClient,
        Cmd::ConsoleLog,
        Cmd::ServeStateClients,
        Cmd::SeccompNotifyAddListener,
        Cmd::AddBpfDeviceCgroup,
        Cmd::Freeze,
        Cmd::Unfreeze,
        Cmd::GetCgroup2Fd,
        Cmd::GetInitPidfd,
        Cmd::GetLimitCgroup,
        Cmd::GetLimitCgroup2Fd,
        Cmd::GetDevptsFd,
        Cmd::GetSeccompNotifyFd,
        Cmd::GetCgroupCtx,
        Cmd::GetCgroupFd,
        Cmd::GetLimitCgroupFd,
        Cmd::GetSystemdScope,
    ];

    /// The command of that number.
    pub fn from_i32(number: i32) -> Option<Cmd> {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n).copied())
    }
}

/// The little reader for fixed structs: what lies outside reads as zeros.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0u8; N];
    if let Some(src) = bytes.get(at..).map(|b| &b[..b.len().min(N)]) {
        out[..src.len()].copy_from_slice(src);
    }
    out
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(take(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(take(bytes, at))
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(dst) = out.get_mut(at..at + bytes.len()) {
        dst.copy_from_slice(bytes);
    }
}

/// The text before the first NUL.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

/// A head: a request (`code` is the command) or a reply (`code` is 0 or −errno).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// Command or result.
    pub code: i32,
    /// Bytes of data that follow.
    pub datalen: i32,
    /// With `datalen` 0 an integer; else without meaning.
    pub data: u64,
}

impl Head {
    /// A head with an integer in place of data. Negative numbers travel as their low 32 bits.
    pub const fn inline(code: i32, value: i32) -> Self {
        Self { code, datalen: 0, data: value as u32 as u64 }
    }

    /// As sent.
    pub fn encode(&self) -> [u8; HEAD] {
        let mut out = [0u8; HEAD];
        put(&mut out, 0, &self.code.to_ne_bytes());
        put(&mut out, 4, &self.datalen.to_ne_bytes());
        put(&mut out, 8, &self.data.to_ne_bytes());
        out
    }

    /// As received.
    pub fn decode(bytes: &[u8; HEAD]) -> Self {
        Self { code: i32_at(bytes, 0), datalen: i32_at(bytes, 4), data: u64_at(bytes, 8) }
    }

    /// The integer in place of data: only the low 32 bits count.
    pub const fn value(&self) -> i32 {
        self.data as u32 as i32
    }
}

/// Kinds of monitor messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A new state.
    State(State),
    /// Init's wait status (wait(2)), as is.
    ExitCode(i32),
    /// Anything else: type and value.
    Other(i32, i32),
}

/// One message of the monitor fifo, and the late answer to ADD_STATE_CLIENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msg {
    /// The container.
    pub name: String,
    /// What happened.
    pub event: Event,
}

impl Msg {
    /// As sent; a name of more than 255 bytes is cut.
    pub fn encode(name: &str, event: Event) -> [u8; MSG] {
        let (kind, value) = match event {
            Event::State(s) => (0, s.number()),
            Event::ExitCode(v) => (2, v),
            Event::Other(k, v) => (k, v),
        };
        let mut out = [0u8; MSG];
        put(&mut out, 0, &i32::to_ne_bytes(kind));
        let name = name.as_bytes();
        put(&mut out, 4, name.get(..255).unwrap_or(name));
        put(&mut out, 260, &value.to_ne_bytes());
        out
    }

    /// As received.
    pub fn decode(bytes: &[u8; MSG]) -> Self {
        let value = i32_at(bytes, 260);
        let event = match (i32_at(bytes, 0), State::from_i32(value)) {
            (0, Some(s)) => Event::State(s),
            (2, _) => Event::ExitCode(value),
            (k, _) => Event::Other(k, value),
        };
        Self { name: String::from_utf8_lossy(until_nul(&bytes[4..260])).into_owned(), event }
    }
}

/// Bit of `utilities`: device programs can be attached.
pub const CAN_DEVICES: u32 = 1;
/// Bit of `utilities`: the group can be frozen.
pub const CAN_FREEZE: u32 = 2;
/// `kind` of a version 1 cgroup file system (statfs(2)).
pub const CGROUP_SUPER_MAGIC: i32 = 0x27_e0eb;

/// What GET_CGROUP_FD and GET_LIMIT_CGROUP_FD say about the descriptor that they hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupFd {
    /// The machine's layout: 0 version 1, 1 hybrid, 2 version 2.
    pub layout: i32,
    /// [`CAN_DEVICES`], [`CAN_FREEZE`]; version 2 only.
    pub utilities: u32,
    /// File system magic.
    pub kind: i32,
    /// The sender's number of the descriptor; the receiver replaces it.
    pub fd: i32,
    /// The controller, NUL-padded.
    pub controller: [u8; 64],
}

impl CgroupFd {
    /// A question about `controller`, which is cut after 63 bytes.
    pub fn ask(controller: &str) -> Self {
        let mut name = [0u8; 64];
        let c = controller.as_bytes();
        let n = c.len().min(63);
        name[..n].copy_from_slice(&c[..n]);
        Self { layout: 0, utilities: 0, kind: 0, fd: -9, controller: name }
    }

    /// As sent.
    pub fn encode(&self) -> [u8; CGROUP_FD] {
        let mut out = [0u8; CGROUP_FD];
        put(&mut out, 0, &self.layout.to_ne_bytes());
        put(&mut out, 4, &self.utilities.to_ne_bytes());
        put(&mut out, 8, &self.kind.to_ne_bytes());
        put(&mut out, 12, &self.fd.to_ne_bytes());
        put(&mut out, 16, &self.controller);
        out
    }

    /// As received; what a shorter sender left out is zero.
    pub fn decode(bytes: &[u8]) -> Self {
        Self {
            layout: i32_at(bytes, 0),
            utilities: i32_at(bytes, 4) as u32,
            kind: i32_at(bytes, 8),
            fd: i32_at(bytes, 12),
            controller: take(bytes, 16),
        }
    }

    /// The controller's name; `None` when it is no text.
    pub fn controller(&self) -> Option<&str> {
        std::str::from_utf8(until_nul(&self.controller)).ok()
    }
}

/// What GET_CGROUP_CTX says about its descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupCtx {
    /// The machine's layout: 0 version 1, 1 hybrid, 2 version 2.
    pub layout: i32,
    /// [`CAN_DEVICES`], [`CAN_FREEZE`]; version 2 only.
    pub utilities: u32,
    /// How many descriptors came along.
    pub fd_len: u32,
    /// The sender's numbers.
    pub fds: [i32; CTX_FDS],
}

impl CgroupCtx {
    /// As sent.
    pub fn encode(&self) -> [u8; CGROUP_CTX] {
        let mut out = [0u8; CGROUP_CTX];
        put(&mut out, 0, &self.layout.to_ne_bytes());
        put(&mut out, 4, &self.utilities.to_ne_bytes());
        put(&mut out, 8, &self.fd_len.to_ne_bytes());
        for (i, fd) in self.fds.iter().enumerate() {
            put(&mut out, 12 + 4 * i, &fd.to_ne_bytes());
        }
        out
    }

    /// As received; what a shorter sender left out is zero.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut fds = [0; CTX_FDS];
        for (i, fd) in fds.iter_mut().enumerate() {
            *fd = i32_at(bytes, 12 + 4 * i);
        }
        Self { layout: i32_at(bytes, 0), utilities: i32_at(bytes, 4) as u32, fd_len: i32_at(bytes, 8) as u32, fds }
    }
}

/// CONSOLE_LOG's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsoleLog {
    /// Empty the ring afterwards.
    pub clear: bool,
    /// Return its bytes.
    pub read: bool,
    /// The most bytes wanted; 0 for all.
    pub read_max: u64,
    /// Write the ring into `lxc.console.logfile`.
    pub write_logfile: bool,
}

impl ConsoleLog {
    /// As sent.
    pub fn encode(&self) -> [u8; CONSOLE_LOG] {
        let mut out = [0u8; CONSOLE_LOG];
        out[0] = u8::from(self.clear);
        out[1] = u8::from(self.read);
        put(&mut out, 8, &self.read_max.to_ne_bytes());
        out[16] = u8::from(self.write_logfile);
        out
    }

    /// As received.
    pub fn decode(bytes: &[u8]) -> Self {
        let byte = |at| take::<1>(bytes, at)[0] != 0;
        Self { clear: byte(0), read: byte(1), read_max: u64_at(bytes, 8), write_logfile: byte(16) }
    }
}

/// One device rule of ADD_BPF_DEVICE_CGROUP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceItem {
    /// `a`, `b` or `c`.
    pub kind: u8,
    /// Major number, −1 for any.
    pub major: i32,
    /// Minor number, −1 for any.
    pub minor: i32,
    /// Of `rwm`, NUL-padded.
    pub access: [u8; 4],
    /// 1 allows, 0 denies; −1 (of global rules) is passed through.
    pub allow: i32,
}

impl DeviceItem {
    /// As sent.
    pub fn encode(&self) -> [u8; DEVICE_ITEM] {
        let mut out = [0u8; DEVICE_ITEM];
        out[0] = self.kind;
        put(&mut out, 4, &self.major.to_ne_bytes());
        put(&mut out, 8, &self.minor.to_ne_bytes());
        put(&mut out, 12, &self.access);
        put(&mut out, 16, &self.allow.to_ne_bytes());
        out
    }

    /// As received.
    pub fn decode(bytes: &[u8]) -> Self {
        Self {
            kind: take::<1>(bytes, 0)[0],
            major: i32_at(bytes, 4),
            minor: i32_at(bytes, 8),
            access: take(bytes, 12),
            allow: i32_at(bytes, 16),
        }
    }
}

/// What ADD_STATE_CLIENT asks for, a bit for each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Answered also when the container is in this state already; 1 on the wire.
    pub now: u8,
    /// Answered only when this state is entered again, as RUNNING after a reboot; 2 on the wire.
    pub next: u8,
}

impl Wanted {
    /// These states, present ones included.
    pub fn any(states: &[State]) -> Self {
        Self { now: states.iter().fold(0, |set, s| set | 1 << *s as u8), next: 0 }
    }

    /// The next time that this state is entered.
    pub const fn next(state: State) -> Self {
        Self { now: 0, next: 1 << state as u8 }
    }

    /// As sent.
    pub fn encode(&self) -> [u8; STATES] {
        let mut out = [0u8; STATES];
        for i in 0..8usize {
            let value = if self.next >> i & 1 == 1 { 2 } else { i32::from(self.now >> i & 1) };
            put(&mut out, 4 * i, &value.to_ne_bytes());
        }
        out
    }

    /// As received.
    pub fn decode(bytes: &[u8; STATES]) -> Self {
        let mut wanted = Self::default();
        for i in 0..8usize {
            match i32_at(bytes, 4 * i) {
                0 => {}
                1 => wanted.now |= 1 << i,
                _ => wanted.next |= 1 << i,
            }
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_round_trip_and_keep_negative_numbers() {
        let h = Head::inline(Cmd::GetTtyFd as i32, -1);
        assert_eq!(h.encode(), [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(Head::decode(&h.encode()), h);
        assert_eq!(h.value(), -1);
        for (i, c) in Cmd::ALL.into_iter().enumerate() {
            assert_eq!(c as usize, i);
        }
        assert_eq!(Cmd::from_i32(27), None);
        assert_eq!(Cmd::from_i32(-1), None);
    }

    #[test]
    fn messages_have_264_bytes_and_cut_long_names() {
        let m = Msg::encode("c1", Event::State(State::Frozen));
        assert_eq!(&m[..7], &[0, 0, 0, 0, b'c', b'1', 0]);
        assert_eq!(m[260], 6);
        assert_eq!(Msg::decode(&m), Msg { name: "c1".into(), event: Event::State(State::Frozen) });
        let long = "n".repeat(300);
        let m = Msg::decode(&Msg::encode(&long, Event::ExitCode(0x100)));
        assert_eq!((m.name.len(), m.event), (255, Event::ExitCode(256)));
    }

    #[test]
    fn structs_lie_where_the_protocol_wants_them() {
        let f = CgroupFd { layout: 1, utilities: 3, kind: CGROUP_SUPER_MAGIC, fd: 7, ..CgroupFd::ask("memory") };
        let b = f.encode();
        assert_eq!((b[0], b[4], b[12], &b[16..23]), (1, 3, 7, &b"memory\0"[..]));
        assert_eq!(CgroupFd::decode(&b), f);
        assert_eq!(CgroupFd::decode(&b[..18]).controller(), Some("me"));
        let c = CgroupCtx { layout: 2, utilities: 1, fd_len: 2, fds: [5; CTX_FDS] };
        assert_eq!(CgroupCtx::decode(&c.encode()), c);
        let l = ConsoleLog { clear: true, read: true, read_max: 0x1_0000_0000, write_logfile: true };
        assert_eq!(ConsoleLog::decode(&l.encode()), l);
        let d = DeviceItem { kind: b'c', major: 1, minor: -1, access: *b"rwm\0", allow: 1 };
        assert_eq!(DeviceItem::decode(&d.encode()), d);
        let w = Wanted { now: 0x81, ..Wanted::next(State::Running) };
        assert_eq!(Wanted::decode(&w.encode()), w);
        assert_eq!((w.encode()[0], w.encode()[8]), (1, 2));
        assert_eq!(Wanted::any(&[State::Stopped, State::Thawed]).now, 0x81);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = (CgroupFd::decode(&bytes), CgroupCtx::decode(&bytes), ConsoleLog::decode(&bytes), DeviceItem::decode(&bytes));
        }
    }
}
