//! Feature `storage`: where the rootfs lies and how it is mounted (lxc.rootfs.*).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
