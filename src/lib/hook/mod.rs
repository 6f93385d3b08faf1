//! Feature `hook`: scripts that run on a container's way (lxc.hook.*).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
