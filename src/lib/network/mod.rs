//! Feature `network`: network devices (lxc.net.*).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
