//! lxc-supervise: becomes a container's monitor for a caller that must not be forked; see src/lib/runtime/spawned.rs.
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-supervise");
