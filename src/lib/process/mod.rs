//! Feature `process`: what the payload gets: init, ids, environment, limits, sysctls, signals (lxc.init.* …).
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;

pub use conf::Conf;
