//! Waiting: poll(2). Allocates nothing, owns no loop; epoll(7) is nix's.

use super::rc::{again, check};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Bytes can be read, or a connection accepted.
pub const POLLIN: i16 = libc::POLLIN;
/// Bytes can be written.
pub const POLLOUT: i16 = libc::POLLOUT;

/// A descriptor to wait for.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct PollFd<'a> {
    raw: libc::pollfd,
    fd: PhantomData<BorrowedFd<'a>>,
}

impl<'a> PollFd<'a> {
    /// Waits for these events of `fd`.
    pub fn new(fd: BorrowedFd<'a>, events: i16) -> Self {
        Self { raw: libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 }, fd: PhantomData }
    }

    /// What the last [`poll`] found.
    pub fn revents(&self) -> i16 {
        self.raw.revents
    }

    /// Whether the last [`poll`] found bytes to read.
    pub fn readable(&self) -> bool {
        self.raw.revents & libc::POLLIN != 0
    }

    /// Whether the last [`poll`] found room to write.
    pub fn writable(&self) -> bool {
        self.raw.revents & libc::POLLOUT != 0
    }

    /// Whether the last [`poll`] found the peer gone, an error or no such descriptor. Bytes may still be left to read.
    pub fn hung_up(&self) -> bool {
        self.raw.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0
    }
}

/// Waits until one of the set is ready; `timeout_ms` below 0 waits for ever, 0 only looks. Returns how many are ready, 0
/// when the time is over. Signals do not end it: it goes on for the time that is left.
///
/// # Errors
/// The kernel's.
pub fn poll(set: &mut [PollFd<'_>], timeout_ms: i32) -> io::Result<usize> {
    let len = libc::nfds_t::try_from(set.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let mut wait = Remaining::new(timeout_ms);
    again(|| {
        // SAFETY: PollFd is a transparent pollfd; the slice is writable for its whole length.
        check(unsafe { libc::poll(set.as_mut_ptr().cast(), len, wait.next_ms()) }).map(|n| n.unsigned_abs() as usize)
    })
}

/// The milliseconds that are left of a wait which signals interrupt.
struct Remaining {
    timeout_ms: i32,
    until: Option<Instant>,
}

impl Remaining {
    fn new(timeout_ms: i32) -> Self {
        let ms = u64::try_from(timeout_ms).ok().filter(|ms| *ms > 0);
        Self { timeout_ms, until: ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))) }
    }

    fn next_ms(&mut self) -> i32 {
        let Some(until) = self.until else { return self.timeout_ms };
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up: ending early would make callers spin.
        i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn poll_tells_bytes_and_hang_up() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let mut set = [PollFd::new(a.as_fd(), POLLIN)];
        assert_eq!(poll(&mut set, 0).unwrap(), 0);
        b.write_all(b"x").unwrap();
        assert_eq!(poll(&mut set, -1).unwrap(), 1);
        assert!(set[0].readable() && !set[0].hung_up());
        drop(b);
        assert_eq!(poll(&mut set, 1000).unwrap(), 1);
        assert!(set[0].readable() && set[0].hung_up());
    }
}
