//! The settings of `mount`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// `proc` words of `lxc.mount.auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proc {
    /// Nothing.
    #[default]
    No,
    /// `proc`, `proc:mixed`.
    Mixed,
    /// `proc:rw`.
    Rw,
}

/// `sys` words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sys {
    /// Nothing.
    #[default]
    No,
    /// `sys:ro`.
    Ro,
    /// `sys:rw`.
    Rw,
    /// `sys`, `sys:mixed`.
    Mixed,
}

/// The mode of a `cgroup` word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgMode {
    /// Not given: rw with CAP_SYS_ADMIN, else mixed.
    NoSpec,
    /// `:ro`.
    Ro,
    /// `:rw`.
    Rw,
    /// `:mixed`.
    Mixed,
}

/// A `cgroup`, `cgroup-full` or `cgroup2` word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cg {
    /// `cgroup-full`.
    pub full: bool,
    /// `cgroup2`.
    pub v2: bool,
    /// The mode.
    pub mode: CgMode,
    /// `:force`.
    pub force: bool,
}

/// Mounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// `lxc.mount.auto`: proc.
    pub auto_proc: Proc,
    /// `lxc.mount.auto`: sys.
    pub auto_sys: Sys,
    /// `lxc.mount.auto`: cgroup.
    pub auto_cgroup: Option<Cg>,
    /// `lxc.mount.auto`: shmounts, host and container directory.
    pub shmounts: Option<(String, String)>,
    /// `lxc.mount.fstab`.
    pub fstab: Option<String>,
    /// `lxc.mount.entry`, in order.
    pub entries: Vec<String>,
}
