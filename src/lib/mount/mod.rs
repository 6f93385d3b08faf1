//! Feature `mount`: mounts inside the rootfs (lxc.mount.*).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
