//! Small nouns: id maps, namespaces, capabilities.
#![forbid(unsafe_code)]

/// What an id map entry maps (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// `u`: user ids.
    Uid,
    /// `g`: group ids.
    Gid,
}

/// One line of `lxc.idmap`: `range` ids from `nsid` inside are `hostid`… outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// Users or groups.
    pub kind: IdKind,
    /// First id inside.
    pub nsid: u32,
    /// First id outside.
    pub hostid: u32,
    /// How many.
    pub range: u32,
}

/// A namespace type, in the order that listings and hook arguments use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Ns {
    /// User.
    User,
    /// Mount.
    Mnt,
    /// Process ids.
    Pid,
    /// Host name.
    Uts,
    /// System V IPC and message queues.
    Ipc,
    /// Network.
    Net,
    /// Cgroup.
    Cgroup,
    /// Boot and monotonic clocks.
    Time,
}

impl Ns {
    /// All eight, in order.
    pub const ALL: [Ns; 8] = [Ns::User, Ns::Mnt, Ns::Pid, Ns::Uts, Ns::Ipc, Ns::Net, Ns::Cgroup, Ns::Time];

    /// The name below /proc/PID/ns.
    pub const fn name(self) -> &'static str {
        match self {
            Ns::User => "user",
            Ns::Mnt => "mnt",
            Ns::Pid => "pid",
            Ns::Uts => "uts",
            Ns::Ipc => "ipc",
            Ns::Net => "net",
            Ns::Cgroup => "cgroup",
            Ns::Time => "time",
        }
    }

    /// The CLONE_NEW* flag (clone(2)).
    pub const fn flag(self) -> u64 {
        match self {
            Ns::User => 0x1000_0000,
            Ns::Mnt => 0x0002_0000,
            Ns::Pid => 0x2000_0000,
            Ns::Uts => 0x0400_0000,
            Ns::Ipc => 0x0800_0000,
            Ns::Net => 0x4000_0000,
            Ns::Cgroup => 0x0200_0000,
            Ns::Time => 0x0000_0080,
        }
    }
}

/// A set of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NsSet(pub u8);

impl NsSet {
    /// Whether `ns` is in it.
    pub const fn has(self, ns: Ns) -> bool {
        self.0 & (1 << ns as u8) != 0
    }

    /// Puts `ns` in.
    pub const fn add(&mut self, ns: Ns) {
        self.0 |= 1 << ns as u8;
    }

    /// Takes `ns` out.
    pub const fn remove(&mut self, ns: Ns) {
        self.0 &= !(1 << ns as u8);
    }

    /// Whether none is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The CLONE_NEW* flags of all members.
    pub fn flags(self) -> u64 {
        Ns::ALL.iter().filter(|n| self.has(**n)).map(|n| n.flag()).sum()
    }

    /// The members, in order.
    pub fn iter(self) -> impl Iterator<Item = Ns> {
        Ns::ALL.into_iter().filter(move |n| self.has(*n))
    }
}
