//! The settings of `cgroup`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

/// Control groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// `lxc.cgroup.FILE` (version 1), in order: file name and value.
    pub v1: Vec<(String, String)>,
    /// `lxc.cgroup2.FILE`, in order.
    pub v2: Vec<(String, String)>,
    /// `lxc.cgroup.dir`.
    pub dir: Option<String>,
    /// `lxc.cgroup.dir.monitor`.
    pub dir_monitor: Option<String>,
    /// `lxc.cgroup.dir.monitor.pivot`.
    pub dir_pivot: Option<String>,
    /// `lxc.cgroup.dir.container`.
    pub dir_container: Option<String>,
    /// `lxc.cgroup.dir.container.inner`.
    pub dir_inner: Option<String>,
    /// `lxc.cgroup.relative`: stay below the caller's group.
    pub relative: bool,
}
