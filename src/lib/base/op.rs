//! What the child can be told to do between clone and exec. Data only: rendered on the host before the clone, executed by
//! the one interpreter in `runtime::interp`. Says nothing about order (`runtime::steps`) and calls no kernel. Owner: runtime.
//!
//! Rules for whoever renders ops: everything is checked and rendered before the clone; an op that may fail harmlessly is
//! `optional()`; a path that a container may have written is `At::Rootfs`; a path of the host that nobody but root writes
//! is `At::Host`, valid before `Act::Pivot` only.
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::os::fd::RawFd;

/// Slots are the child's few numbered descriptors: an op puts a descriptor in, later ops use it. Each owner counts from
/// its own base so that features need not know of each other.
pub mod slot {
    /// How many there are in all; a larger number is refused when the plan is built.
    pub const COUNT: usize = 192;
    /// First slot of `security` (8).
    pub const SECURITY: usize = 48;
    /// First slot of `runtime` itself (8).
    pub const RUNTIME: usize = 56;
    /// First slot of `terminal` (128): console, devpts, ttys.
    pub const TERMINAL: usize = 64;
}

/// Where an op acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Below the container's rootfs (leading slashes are without meaning). What is made, written or mounted upon is resolved
    /// without following any symlink (openat2 RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS: a link there is ELOOP, as in
    /// LXC); what is only read or bound from (`Source::Bind`, `Source::Moved`, `Own`) follows links inside it
    /// (RESOLVE_IN_ROOT).
    /// Before the pivot that is `rootfs.mount`, after it `/`; without `lxc.rootfs.path` it is `/` all the time.
    Rootfs(CString),
    /// A path in the child's present root: only for paths that no container can have written, and not after the pivot.
    Host(CString),
    /// Below the directory (or detached tree) in this slot, resolved inside it.
    Slot(usize, CString),
    /// Below a private proc instance of the container's own namespaces, never attached anywhere: `sys/net/…`, `self/…`.
    Proc(CString),
}

/// A descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FdRef {
    /// Open before the clone and kept open by its owner until then.
    Inherited(RawFd),
    /// In the child's slot.
    Slot(usize),
}

/// What to make before a mount when the target is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Create {
    /// Nothing.
    #[default]
    No,
    /// Directories, 0755.
    Dir,
    /// Parents 0755 and an empty file, 0000.
    File,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A new mount of this file system type; the name is what mountinfo shows as its source.
    Fs {
        /// File system type.
        fstype: CString,
        /// Device or name: `proc`, `none`, `/dev/sda1`.
        name: CString,
        /// File system data (comma separated), as mount(2) takes it.
        data: Option<CString>,
    },
    /// The tree at a path (bind).
    Bind {
        /// Where it lies.
        from: At,
        /// With the mounts below it (`rbind`).
        recursive: bool,
    },
    /// The open file or directory itself (bind of a descriptor of the child's own mount namespace, say a pty).
    Fd(FdRef),
    /// A detached tree that was made before the clone and is held open by this number.
    Held(std::os::fd::RawFd),
    /// The mount at this path moves (`move`, MS_MOVE).
    Moved(At),
    /// No new mount: the mount on the target gets the flags (`remount`).
    Remount,
}

/// A mount, by whichever calls serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOp {
    /// What.
    pub source: Source,
    /// Where.
    pub target: At,
    /// MS_* flags to set (mount(2)): RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, NODIRATIME, RELATIME, STRICTATIME,
    /// NOSYMFOLLOW, and for a new file system also SYNCHRONOUS, DIRSYNC, MANDLOCK, LAZYTIME.
    /// Of a bind they are set in addition to those that the source has; MS_BIND and MS_REC are not given here.
    pub flags: u64,
    /// MS_* flags of the source to take away from a bind (`rw`, `dev`, `exec`, `suid` given expressly).
    pub clear: u64,
    /// Flags go to all mounts of a recursive bind (AT_RECURSIVE), not just to its top.
    pub recursive_flags: bool,
    /// One of MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE, with MS_REC or without, applied last; 0 for none.
    pub propagation: u64,
    /// What to create first when the target is missing.
    pub create: Create,
    /// A missing source or target (ENOENT, ENOTDIR) is passed over without a word.
    pub if_present: bool,
    /// `idmap=` of a bind: number of the request that the parent answers with an id-mapped tree (`Plan::idmapped`).
    pub idmapped: Option<usize>,
}

impl MountOp {
    /// A mount without flags.
    pub fn new(source: Source, target: At) -> Self {
        Self {
            source,
            target,
            flags: 0,
            clear: 0,
            recursive_flags: false,
            propagation: 0,
            create: Create::No,
            if_present: false,
            idmapped: None,
        }
    }

    /// A new file system on a path in the rootfs.
    pub fn fs(fstype: CString, name: CString, data: Option<CString>, on: CString, flags: u64) -> Self {
        Self { flags, ..Self::new(Source::Fs { fstype, name, data }, At::Rootfs(on)) }
    }

    /// A bind on a path in the rootfs.
    pub fn bind(from: At, recursive: bool, on: CString, flags: u64) -> Self {
        Self { flags, ..Self::new(Source::Bind { from, recursive }, At::Rootfs(on)) }
    }
}

/// How the rootfs comes to its mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsOp {
    /// What: `Source::Bind` for a directory, `Source::Fs` for a file system, `Source::Held` for what storage prepared.
    /// `None` shares the host's root: it only becomes the base of `At::Rootfs`, and there is no pivot.
    pub source: Option<Source>,
    /// `lxc.rootfs.mount`: an existing directory of the host.
    pub mount: CString,
    /// As in [`MountOp`].
    pub flags: u64,
    /// As in [`MountOp`].
    pub clear: u64,
    /// As in [`MountOp`].
    pub propagation: u64,
    /// As in [`MountOp`].
    pub idmapped: Option<usize>,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    // ---- files
    /// mkdir -p with this mode for each directory made.
    Mkdir(At, u32),
    /// A device node; where the kernel refuses or the node cannot be opened, an empty file with the host's node bound on
    /// it. An existing node of the same number stays.
    Node {
        /// Where.
        at: At,
        /// Type and permission bits (mknod(2)).
        mode: u32,
        /// Device number.
        dev: u64,
        /// The host's node.
        host: CString,
        /// Owner inside.
        uid: u32,
        /// Group inside.
        gid: u32,
    },
    /// A symbolic link `to` at a place; what exists there stays.
    Symlink {
        /// The text of the link.
        to: CString,
        /// Where.
        at: At,
    },
    /// Writes the bytes with one write(2); `create` makes the file with that mode when it is missing, truncates otherwise.
    Write {
        /// The file.
        at: At,
        /// The content.
        bytes: Vec<u8>,
        /// Mode when it is to be made.
        create: Option<u32>,
    },
    /// One write(2) to a descriptor (a cgroup's `tasks`, `/proc/self/attr/…` opened before).
    WriteFd(FdRef, Vec<u8>),
    /// Opens into a slot: open(2) flags (O_CLOEXEC is added).
    Open {
        /// The file.
        at: At,
        /// O_* flags.
        flags: i32,
        /// Goes here.
        slot: usize,
    },
    /// Closes a slot.
    Close(usize),
    /// chown and chmod of a descriptor; `None` leaves it.
    OwnFd {
        /// The file.
        fd: FdRef,
        /// Owner and group.
        ids: Option<(u32, u32)>,
        /// Permission bits.
        mode: Option<u32>,
    },

    // ---- mounts
    /// Mounts.
    Mount(MountOp),
    /// Unmounts with these MNT_* flags; a target without a mount, or a missing one, is no failure.
    Umount(At, i32),
    /// Changes the propagation of an existing mount: MS_SHARED … with MS_REC or without.
    Propagate(At, u64),
    /// The rootfs: mounts it and makes it the base of `At::Rootfs`.
    Rootfs(RootfsOp),
    /// pivot_root into the rootfs; the old root is gone afterwards and `/` is shared recursively.
    Pivot,

    // ---- terminals
    /// A new pty of the devpts instance whose `ptmx` this is: the ptx end into `slot`, the pty end into `slot + 1`.
    Pty {
        /// A ptmx node, by path …
        ptmx: At,
        /// First of two slots.
        slot: usize,
    },
    /// The descriptor becomes 0, 1 and 2.
    Stdio(FdRef),
    /// The descriptor gets this number too, and keeps it over exec (dup2(2)).
    Dup2 {
        /// The file.
        fd: FdRef,
        /// The number.
        to: RawFd,
    },
    /// /dev/null becomes 0, 1 and 2: that of the root as it is then, else the host's (opened before the clone by the plan).
    StdioNull,
    /// setsid(2).
    Setsid,

    // ---- the process
    /// sethostname(2).
    Hostname(CString),
    /// unshare(2) of these CLONE_NEW* flags.
    Unshare(u64),
    /// setns(2).
    Setns(FdRef, u64),
    /// setgroups(2).
    SetGroups(Vec<u32>),
    /// setresgid(2), then setresuid(2), all three of each.
    SetIds {
        /// User; `None` leaves it.
        uid: Option<u32>,
        /// Group; `None` leaves it.
        gid: Option<u32>,
    },
    /// PR_SET_DUMPABLE.
    Dumpable(bool),
    /// PR_SET_PDEATHSIG; dies at once when the monitor is gone already. 0 clears it.
    Pdeathsig(i32),
    /// Drops every capability of the bounding set that the mask (a bit each) lacks.
    CapBound(u64),
    /// PR_SET_NO_NEW_PRIVS.
    NoNewPrivs,
    /// personality(2).
    Personality(u64),
    /// A new session keyring.
    Keyring,
    /// Loads the plan's seccomp program; its listener (if asked for) goes into the slot.
    Seccomp {
        /// `sock_filter` array as bytes, native byte order.
        program: Vec<u8>,
        /// SECCOMP_FILTER_FLAG_*.
        flags: u32,
        /// For the listener.
        slot: usize,
    },
    /// chdir(2); made 0755 when missing if `create`.
    Chdir {
        /// In the present root.
        path: CString,
        /// Make it.
        create: bool,
    },
    /// A netlink socket (rtnetlink(7)) of the present network namespace into the slot.
    Netlink(usize),

    // ---- control
    /// Runs hook number N of the plan and waits for it.
    Hook(usize),
    /// Meets the parent (`runtime::sync` names the numbers).
    Sync(u8),
    /// Sends the descriptors in these slots to the parent in one message; an empty slot is skipped and marked so.
    SendFds {
        /// What they are (`runtime::sync` names the numbers).
        what: u8,
        /// At most 16 slots.
        slots: Vec<usize>,
    },
}

/// What an op's failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFail {
    /// The start ends with a message of stage, object and errno.
    #[default]
    Abort,
    /// The parent logs it (INFO) and the start goes on.
    Info,
}

/// One op: a step's name for messages and traces, what to do, and what its failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The stage, as messages name it: `rootfs`, `mount`, `dev`, `console` …
    pub stage: &'static str,
    /// The object as the user knows it (a line of the config, a path).
    pub object: String,
    /// What to do.
    pub act: Act,
    /// What a failure means.
    pub on_fail: OnFail,
    /// Tried when `act` fails, before `on_fail` is asked.
    pub fallback: Option<Box<Act>>,
}

impl Op {
    /// An op whose failure ends the start.
    pub fn new(stage: &'static str, object: impl Into<String>, act: Act) -> Self {
        Self { stage, object: object.into(), act, on_fail: OnFail::Abort, fallback: None }
    }

    /// Its failure is logged as information.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.on_fail = OnFail::Info;
        self
    }

    /// Tried when the act fails.
    #[must_use]
    pub fn or(mut self, act: Act) -> Self {
        self.fallback = Some(Box::new(act));
        self
    }
}

/// A C string, or the reason why not: config values cannot hold NUL, but callers of the library can pass one.
///
/// # Errors
/// `text` contains a NUL byte.
pub fn cstring(text: impl Into<Vec<u8>>) -> crate::base::Result<CString> {
    CString::new(text).map_err(|e| {
        crate::base::Error::os(
            nix::errno::Errno::EINVAL as i32,
            format!("NUL byte in \"{}\"", String::from_utf8_lossy(&e.into_vec()).escape_default()),
        )
    })
}
