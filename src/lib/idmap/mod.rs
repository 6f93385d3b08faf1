//! Feature `idmap`: user and group id maps (lxc.idmap).
#![forbid(unsafe_code)]

pub mod conf;

pub use conf::Conf;
