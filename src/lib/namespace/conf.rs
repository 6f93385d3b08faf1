//! The settings of `namespace`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

use crate::base::ids::NsSet;

/// A clock offset: one of the two is set, seconds win.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeOffset {
    /// Whole seconds.
    pub secs: i64,
    /// Nanoseconds.
    pub nanos: i64,
}

/// Namespaces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// `lxc.namespace.clone`.
    pub clone: NsSet,
    /// `lxc.namespace.keep`.
    pub keep: NsSet,
    /// `lxc.namespace.share.NS`, indexed by `Ns as usize`.
    pub share: [Option<String>; 8],
    /// `lxc.time.offset.boot`.
    pub boot: TimeOffset,
    /// `lxc.time.offset.monotonic`.
    pub monotonic: TimeOffset,
}
