//! lxc-checkconfig: see src/lib/cli/checkconfig.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-checkconfig");
