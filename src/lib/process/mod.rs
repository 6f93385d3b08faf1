//! Feature `process`: what the payload gets: init, ids, environment, limits, sysctls, signals (lxc.init.* …). Renders and checks;
//! what is done with it in the child is `runtime`'s.
#![forbid(unsafe_code)]

pub mod command;
pub mod conf;
pub mod keys;
pub mod limits;

pub use conf::Conf;
