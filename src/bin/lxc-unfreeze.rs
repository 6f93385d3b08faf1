//! lxc-unfreeze: see src/lib/cli/unfreeze.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-unfreeze");
