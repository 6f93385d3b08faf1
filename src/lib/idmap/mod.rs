//! Feature `idmap`: user and group id maps (lxc.idmap).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
