//! What a feature may know of the rest of a start: computed once by `runtime::plan`, passed to every `prepare`.
//! Holds no setting of one feature alone.
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
    /// The ids that act as root inside (user_namespaces(7)): 0 where it is mapped, else `lxc.init.uid` and `.gid`.
    pub root_ids: (u32, u32),
    /// The compiled or configured `lxc.net.N` list needs nothing but `lo`.
    pub net_is_empty: bool,
    /// Hook stages that have at least one command: a bit for each `hook::conf::When as usize`.
    pub hooks: u16,
    /// `lxc.pty.max`.
    pub pty_max: u32,
    /// `lxc.tty.max`.
    pub tty_max: u32,
    /// `lxc.autodev`.
    pub autodev: bool,
    /// `lxc.apparmor.allow_nesting`: proc and sysfs are also mounted below dev/.lxc.
    pub allow_nesting: bool,
}

impl Facts {
    /// Whether the container keeps this capability (its number, capabilities(7)).
    pub fn keeps_cap(&self, cap: u8) -> bool {
        self.caps & (1_u64 << (cap & 63)) != 0
    }

    /// The container gets a user namespace of its own.
    pub fn userns(&self) -> bool {
        self.new_ns.has(super::ids::Ns::User)
    }

    /// Host ids of the container's root: what files made for it on the host must belong to.
    pub fn host_root(&self) -> (u32, u32) {
        (
            self.host_id(IdKind::Uid, self.root_ids.0).unwrap_or(self.root_ids.0),
            self.host_id(IdKind::Gid, self.root_ids.1).unwrap_or(self.root_ids.1),
        )
    }

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
