//! The settings of `idmap`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

use crate::base::ids::IdMap;

/// Id maps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// `lxc.idmap`, in file order.
    pub maps: Vec<IdMap>,
}
