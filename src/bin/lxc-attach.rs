//! lxc-attach: see src/lib/cli/attach.rs
#![cfg_attr(panic = "abort", no_std)]
#![no_main]
include!("../stub.rs");
lxc_tool!("lxc-attach");
