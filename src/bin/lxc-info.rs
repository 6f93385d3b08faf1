//! lxc-info: see src/lib/cli/info.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-info");
