//! sys: to be filled by its owner.
// Kernel and C interfaces cannot be reached without it; each block says why it is sound.
#![allow(unsafe_code)]

pub mod bpf;
pub mod flock;
