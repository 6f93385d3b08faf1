//! Feature `idmap`: user and group id maps (lxc.idmap). Owns no decision about who
//! needs one.
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;
pub mod subid;
pub mod write;

pub use conf::Conf;
pub use write::{Way, check, not_granted, root_ids, way, write};
