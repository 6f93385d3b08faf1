//! flock(2) that nothing but the last close(2) releases: a descriptor's copy in a forked process keeps the lock.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Takes a shared or exclusive lock on an open file or directory; EWOULDBLOCK when another holds it.
///
/// # Errors
/// flock(2).
pub fn try_lock(fd: &impl AsFd, exclusive: bool) -> io::Result<()> {
    let how = if exclusive { libc::LOCK_EX } else { libc::LOCK_SH } | libc::LOCK_NB;
    // SAFETY: flock takes two integers, and the descriptor is open for as long as it is borrowed.
    match unsafe { libc::flock(fd.as_fd().as_raw_fd(), how) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
