//! Feature `cgroup`: control groups: the machine's layout, a container's groups, limits, devices, freezer.
//!
//! Owns everything below a cgroup mount and the keys `lxc.cgroup*`. It does not clone, does not decide the order of a
//! start, and mounts nothing for the container (`mount` does, from [`Groups::mounts`]).
#![forbid(unsafe_code)]

pub mod attach;
pub mod conf;
mod cpuset;
pub mod devices;
mod file;
pub mod freezer;
pub mod groups;
pub mod item;
pub mod keys;
pub mod layout;
mod leftover;
mod limits;
#[cfg(test)]
mod live_tests;
mod make;
mod names;
mod remove;
pub mod translate;
mod tree;

pub use conf::Conf;
pub use groups::{Groups, prepare};
pub use layout::{Host, Kind, Layout};
pub use names::check;
