//! lxc-destroy: see src/lib/cli/destroy.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-destroy");
