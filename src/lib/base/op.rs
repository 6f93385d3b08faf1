//! What the child can be told to do between clone and exec. Data only: rendered on the host before the clone, executed
//! by the one interpreter in `runtime::child`. Owner: runtime.
#![forbid(unsafe_code)]

use std::ffi::CString;

/// Where an op acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// Below the container's rootfs, resolved inside it (openat2 RESOLVE_IN_ROOT).
    Rootfs(CString),
    /// A path in the child's present root: only for paths that no container can have written.
    Host(CString),
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

/// A mount, by whichever calls serve.
#[derive(Debug, Clone, Default)]
pub struct MountOp {
    /// Source: device name or path; with `source_in_rootfs` resolved below the rootfs.
    pub source: Option<CString>,
    /// The source lies below the rootfs (`relative`).
    pub source_in_rootfs: bool,
    /// File system type; `None` for binds.
    pub fstype: Option<CString>,
    /// MS_* flags (mount(2)), propagation excluded.
    pub flags: u64,
    /// MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE with MS_REC, applied afterwards; 0 for none.
    pub propagation: u64,
    /// File system data.
    pub data: Option<CString>,
    /// What to create first.
    pub create: Create,
    /// A bind is followed by a remount with `flags` and what the source has already.
    pub rebind: bool,
    /// `idmap=`: the number of the id-mapped mount that the parent makes.
    pub idmapped: Option<usize>,
}

/// One act.
#[derive(Debug, Clone)]
pub enum Act {
    /// mkdir -p with this mode.
    Mkdir(At, u32),
    /// An empty file with this mode, parents 0755.
    Touch(At, u32),
    /// A device node; when the kernel refuses, an empty file with the host's node bound on it.
    Node {
        /// Where.
        at: At,
        /// Type and permission bits (mknod(2)).
        mode: u32,
        /// Device number.
        dev: u64,
        /// The host's node.
        host: CString,
    },
    /// A symbolic link to the first path, replacing nothing.
    Symlink(CString, At),
    /// Writes the bytes to an existing file.
    Write(At, Vec<u8>),
    /// Mounts.
    Mount(At, MountOp),
    /// Unmounts with these MNT_* flags; a target without a mount is no failure.
    Umount(At, i32),
    /// sethostname(2).
    Hostname(CString),
    /// Runs hook number N of the plan and waits for it.
    Hook(usize),
    /// Meets the parent (see runtime::sync).
    Sync(u8),
    /// Anything that only `runtime` renders, by number.
    Runtime(u32),
}

/// One op: a step's name for messages and traces, what to do, and whether its failure is passed over.
#[derive(Debug, Clone)]
pub struct Op {
    /// The stage, as messages name it: `rootfs`, `mount`, `dev`, `console` …
    pub stage: &'static str,
    /// The object as the user knows it (a line of the config, a path).
    pub object: CString,
    /// What to do.
    pub act: Act,
    /// A failure is logged and passed over.
    pub optional: bool,
}
