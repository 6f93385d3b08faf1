//! Namespaces: making, joining, naming (namespaces(7)).

use super::rc::{check, check_long};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// clone3(2): the child starts in the given cgroup. libc's constant does not fit its type.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// New user namespace.
pub const CLONE_NEWUSER: u64 = 0x1000_0000;
/// New mount namespace.
pub const CLONE_NEWNS: u64 = 0x0002_0000;
/// New pid namespace.
pub const CLONE_NEWPID: u64 = 0x2000_0000;
/// New uts namespace.
pub const CLONE_NEWUTS: u64 = 0x0400_0000;
/// New ipc namespace.
pub const CLONE_NEWIPC: u64 = 0x0800_0000;
/// New network namespace.
pub const CLONE_NEWNET: u64 = 0x4000_0000;
/// New cgroup namespace.
pub const CLONE_NEWCGROUP: u64 = 0x0200_0000;
/// New time namespace.
pub const CLONE_NEWTIME: u64 = 0x0000_0080;

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

/// The type of the namespace that `fd` is open on: one of CLONE_NEW* (NS_GET_NSTYPE, ioctl_ns(2)).
///
/// # Errors
/// ENOTTY: it is no namespace.
pub fn ns_type(fd: BorrowedFd<'_>) -> io::Result<u64> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request takes no argument.
    check_long(libc::c_long::from(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE as _) })).map(|t| t as u64)
}
