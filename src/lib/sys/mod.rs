//! The kernel, one small file per topic: owned descriptors in and out, `io::Result`, close-on-exec always. Owns no policy,
//! logs nothing. What the child uses between clone and exec neither allocates nor locks nor panics.
#![allow(unsafe_code, reason = "the kernel's interface cannot be reached without it; each block says why it is sound")]

pub mod alloc_guard;
pub mod begin;
pub mod bpf;
pub mod bytes;
pub mod cred;
pub mod errno;
pub mod fd;
pub mod flock;
pub mod fsops;
#[cfg(test)]
pub mod getopt_oracle;
pub mod heap;
pub mod mount;
pub mod netlink;
pub mod ns;
pub mod path;
pub mod poll;
pub mod proc;
pub mod process;
pub mod pty;
pub mod random;
mod rc;
pub mod regex;
pub mod scm;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod tied;
pub mod time;
pub mod tty;
pub mod vfork;
pub mod xattr;
