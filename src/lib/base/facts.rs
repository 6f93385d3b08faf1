//! What a feature may know of the rest of a start: computed once by `runtime::plan`, passed to every `prepare`.
#![forbid(unsafe_code)]

use super::ids::{IdKind, IdMap, NsSet};
use std::path::PathBuf;

/// The facts of one start.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The container's name.
    pub name: String,
    /// The store.
    pub lxcpath: PathBuf,
    /// The container's config file.
    pub config_file: PathBuf,
    /// `lxc.idmap`; empty without a user namespace of its own.
    pub idmap: Vec<IdMap>,
    /// Namespaces that the container gets new.
    pub new_ns: NsSet,
    /// Namespaces that it joins.
    pub shared_ns: NsSet,
    /// Capabilities left in the bounding set, a bit each (capabilities(7)).
    pub caps: u64,
    /// The host has cgroup2 only (pure unified layout).
    pub unified: bool,
    /// Started by lxc-execute: a small init of ours supervises the command.
    pub useinit: bool,
    /// Runs in the background.
    pub daemonize: bool,
    /// The rootfs on the host, type prefix stripped; `None` shares the host's root.
    pub rootfs: Option<PathBuf>,
    /// Where the rootfs is mounted for the set-up.
    pub rootfs_mount: PathBuf,
    /// The caller is root (euid 0).
    pub privileged: bool,
}

impl Facts {
    /// The host's id of `nsid`; `nsid` itself without an id map; `None` when it is not mapped.
    pub fn host_id(&self, kind: IdKind, nsid: u32) -> Option<u32> {
        if self.idmap.is_empty() {
            return Some(nsid);
        }
        self.idmap
            .iter()
            .filter(|m| m.kind == kind)
            .find(|m| nsid >= m.nsid && u64::from(nsid) < u64::from(m.nsid) + u64::from(m.range))
            .and_then(|m| m.hostid.checked_add(nsid - m.nsid))
    }
}
