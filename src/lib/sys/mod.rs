//! The kernel, one small file per topic: owned descriptors in and out, `io::Result`, close-on-exec always. Owns no policy,
//! logs nothing. What the child uses between clone and exec neither allocates nor locks nor panics.
// The kernel's interface cannot be reached without it; each block says why it is sound.
#![allow(unsafe_code)]

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
pub mod time;
pub mod tty;
pub mod vfork;
pub mod walk;
pub mod xattr;

use std::io;

/// The result of a libc call that answers -1 and errno.
pub(crate) fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// The same for raw system calls.
pub(crate) fn check_long(ret: libc::c_long) -> io::Result<libc::c_long> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}
