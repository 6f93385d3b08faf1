//! The kernel, one small file per topic: owned descriptors in and out, `io::Result`, always close-on-exec. No policy, no
//! logging, and no allocation in what the child between clone and exec uses.
// Kernel and C interfaces cannot be reached without it; each block says why it is sound.
#![allow(unsafe_code)]

pub mod fsops;
pub mod poll;
pub mod proc;
pub mod pty;
pub mod random;
mod rc;
pub mod scm;
pub mod socket;
pub mod time;
pub mod tty;
pub mod xattr;
