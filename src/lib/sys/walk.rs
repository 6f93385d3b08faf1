//! Stepping down a directory tree that somebody else may be changing: no link is followed, no mount is entered.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::rc::check_long;

/// RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH (openat2(2)).
const STRICT: u64 = 0x01 | 0x02 | 0x04 | 0x08;

/// Opens the directory `name` of `dir` for reading.
///
/// # Errors
/// openat2(2): EXDEV when something is mounted there, ELOOP for a link, ENOTDIR.
pub fn open_subdir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: open_how is plain numbers, all of which may be zero.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) as u64;
    how.resolve = STRICT;
    // SAFETY: the path and the structure live until the call returns; a non-negative result is a new descriptor.
    unsafe {
        let size = size_of::<libc::open_how>();
        let fd = check_long(libc::syscall(libc::SYS_openat2, dir.as_raw_fd(), name.as_ptr(), &raw const how, size))?;
        Ok(OwnedFd::from_raw_fd(fd as i32))
    }
}
