//! Feature `mount`: mounts inside the rootfs (lxc.mount.*). Renders ops; the rootfs itself is `storage`'s, /dev `terminal`'s.
#![forbid(unsafe_code)]

pub mod auto;
pub mod cgroup;
pub mod conf;
pub mod entry;
pub mod fstab;
pub mod keys;

pub use auto::{auto_ops, late_ops};
pub use cgroup::{Hierarchy, cgroup_ops};
pub use conf::Conf;
pub use entry::{Idmapped, entry_ops};
