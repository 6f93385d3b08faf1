//! Feature `namespace`: which namespaces are new, kept or joined (lxc.namespace.*, lxc.time.*).
//! Decides, and enters none.
#![forbid(unsafe_code)]

pub mod conf;
pub mod decide;
pub mod keys;

pub use conf::Conf;
pub use decide::{Decision, decide, late, offsets};
