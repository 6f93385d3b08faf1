//! Calls that only the child between clone and exec makes: the pty end of a ptmx, the controlling terminal, a seccomp
//! program. Owns no policy; allocates nothing.

use super::{check, check_long};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Unlocks the pty of an open ptmx and opens its other end (TIOCSPTLCK, TIOCGPTPEER, Linux 4.13).
///
/// # Errors
/// ioctl_tty(2).
pub fn pty_peer(ptx: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlock: libc::c_int = 0;
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the first request reads an int, the second takes open flags by value and answers a new descriptor.
    unsafe {
        check(libc::ioctl(ptx.as_raw_fd(), libc::TIOCSPTLCK, &unlock))?;
        let fd = check(libc::ioctl(ptx.as_raw_fd(), libc::TIOCGPTPEER, flags))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Makes the terminal the controlling one of the caller's session (TIOCSCTTY), even if another session has it.
///
/// # Errors
/// ioctl_tty(2).
pub fn set_controlling_tty(tty: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the request takes a number.
    check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY, 1) }).map(drop)
}

/// Loads a seccomp program: an array of `sock_filter` as bytes (seccomp(2)). With SECCOMP_FILTER_FLAG_NEW_LISTENER among the
/// flags the listener is returned.
///
/// # Errors
/// EINVAL for a program that is not whole; seccomp(2).
pub fn seccomp_load(program: &[u8], flags: u32) -> io::Result<Option<OwnedFd>> {
    const INSN: usize = 8;
    const NEW_LISTENER: u32 = 8;
    let len = u16::try_from(program.len() / INSN).ok().filter(|_| program.len() % INSN == 0);
    let Some(len) = len.filter(|l| *l > 0) else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `len` instructions of eight bytes, which the slice has; it takes any alignment.
    let ret = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &prog) };
    let ret = check_long(ret)?;
    // SAFETY: with that flag the answer is a new descriptor.
    Ok((flags & NEW_LISTENER != 0).then(|| unsafe { OwnedFd::from_raw_fd(ret as RawFd) }))
}

/// The value of an extended attribute, as much as fits (getxattr(2)).
///
/// # Errors
/// ENODATA: the file has none of this name.
pub fn getxattr(path: &CStr, name: &CStr, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: two C strings; the pointer and the length are the slice's.
    let n = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
