//! Namespaces: making, joining, naming (namespaces(7)). Knows no set of them.

use super::rc::check;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// clone3(2): the child starts in the given cgroup. libc's constant does not fit its type.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// New user namespace.
pub const CLONE_NEWUSER: u64 = 0x1000_0000;
/// New mount namespace.
pub const CLONE_NEWNS: u64 = 0x0002_0000;
/// New network namespace.
pub const CLONE_NEWNET: u64 = 0x4000_0000;
/// New cgroup namespace.
pub const CLONE_NEWCGROUP: u64 = 0x0200_0000;

/// setns(2) by a namespace's descriptor (flags 0 or its type) or by a pidfd (all types wanted, Linux 5.8).
///
/// # Errors
/// setns(2).
pub fn setns(fd: BorrowedFd<'_>, flags: u64) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags as libc::c_int) }).map(drop)
}

/// unshare(2).
///
/// # Errors
/// unshare(2).
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: numbers only.
    check(unsafe { libc::unshare(flags as libc::c_int) }).map(drop)
}

/// sethostname(2).
///
/// # Errors
/// sethostname(2): EINVAL beyond 64 bytes.
pub fn sethostname(name: &CStr) -> io::Result<()> {
    // SAFETY: the pointer and the length are the string's.
    check(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) }).map(drop)
}
