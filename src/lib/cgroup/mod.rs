//! Feature `cgroup`: control groups: layout, groups, limits, devices, freezer (lxc.cgroup*).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
