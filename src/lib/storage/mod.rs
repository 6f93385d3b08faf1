//! Feature `storage`: where the rootfs lies and how it is mounted (lxc.rootfs.*). Types that start are dir and overlay; the
//! others are recognised and refused by name.
#![forbid(unsafe_code)]

pub mod backend;
pub mod conf;
pub mod keys;
pub mod overlay;
pub mod rootfs;
pub mod tree;

pub use conf::Conf;
pub use rootfs::{Prepared, prepare};
