//! Feature `network`: network devices (lxc.net.*). Owns checking them before the clone, making and removing them from the
//! monitor, and their addresses inside. Scripts are run by whoever calls.
#![forbid(unsafe_code)]

pub mod act;
pub mod conf;
pub mod keys;
mod prepare;
pub mod rtnl;
pub mod usernet;
mod values;

pub use act::{Network, ScriptCall, prepare};
pub use conf::Conf;
pub use prepare::{check, check_host};
