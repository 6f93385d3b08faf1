//! Waiting: poll(2), epoll(7), timerfd. Allocates nothing, owns no loop.

use super::rc::{again, check, check_len};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes can be read, or a connection accepted.
pub const POLLIN: i16 = libc::POLLIN;
/// Urgent: for cgroup and proc files, something has changed.
pub const POLLPRI: i16 = libc::POLLPRI;
/// Bytes can be written.
pub const POLLOUT: i16 = libc::POLLOUT;
/// Never asked for, always told: the peer is gone.
pub const POLLHUP: i16 = libc::POLLHUP;
/// Never asked for, always told: an error.
pub const POLLERR: i16 = libc::POLLERR;

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

// The milliseconds that are left of a wait which signals interrupt.
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

/// An event of an [`Epoll`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(libc::epoll_event);

impl Default for Event {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Event {
    /// No event, for the array that [`Epoll::wait`] fills.
    pub const EMPTY: Self = Self(libc::epoll_event { events: 0, u64: 0 });

    /// The token that the descriptor was added with.
    pub fn token(&self) -> u64 {
        self.0.u64
    }

    /// Bits of EPOLL*.
    pub fn events(&self) -> u32 {
        self.0.events
    }

    /// Bytes can be read, or a connection accepted.
    pub fn readable(&self) -> bool {
        self.events() & EPOLLIN != 0
    }

    /// Bytes can be written.
    pub fn writable(&self) -> bool {
        self.events() & EPOLLOUT != 0
    }

    /// The peer is gone, or an error. Bytes may still be left to read.
    pub fn hung_up(&self) -> bool {
        self.events() & (EPOLLHUP | EPOLLERR) != 0
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({:#x}, token {})", self.events(), self.token())
    }
}

/// Bytes can be read.
pub const EPOLLIN: u32 = libc::EPOLLIN as u32;
/// Bytes can be written.
pub const EPOLLOUT: u32 = libc::EPOLLOUT as u32;
/// Urgent.
pub const EPOLLPRI: u32 = libc::EPOLLPRI as u32;
/// The peer is gone.
pub const EPOLLHUP: u32 = libc::EPOLLHUP as u32;
/// The peer will send no more.
pub const EPOLLRDHUP: u32 = libc::EPOLLRDHUP as u32;
/// An error.
pub const EPOLLERR: u32 = libc::EPOLLERR as u32;
/// Tell of changes only.
pub const EPOLLET: u32 = libc::EPOLLET as u32;

/// An epoll(7) instance.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// A new one, close-on-exec.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes an integer; a non-negative result is a new descriptor that nobody else owns.
        unsafe { check(libc::epoll_create1(libc::EPOLL_CLOEXEC)).map(|fd| Self(OwnedFd::from_raw_fd(fd))) }
    }

    /// Watches `fd`. The caller keeps it open and takes it out with [`Epoll::del`] before closing it when a duplicate of it
    /// lives on elsewhere.
    ///
    /// # Errors
    /// EEXIST when it is watched already, EPERM for regular files and directories.
    pub fn add(&self, fd: impl AsFd, token: u64, events: u32) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_ADD, fd.as_fd(), token, events)
    }

    /// Changes token and events of a watched descriptor.
    ///
    /// # Errors
    /// ENOENT when it is not watched.
    pub fn modify(&self, fd: impl AsFd, token: u64, events: u32) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_MOD, fd.as_fd(), token, events)
    }

    /// Watches `fd` no longer.
    ///
    /// # Errors
    /// ENOENT when it is not watched.
    pub fn del(&self, fd: impl AsFd) -> io::Result<()> {
        self.ctl(libc::EPOLL_CTL_DEL, fd.as_fd(), 0, 0)
    }

    fn ctl(&self, op: i32, fd: BorrowedFd<'_>, token: u64, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: event lives until the call returns.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), op, fd.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Waits for events, stores as many as there is room for and returns how many; 0 when the time is over. `timeout_ms`
    /// below 0 waits for ever. Signals do not end it.
    ///
    /// # Errors
    /// EINVAL for an empty slice.
    pub fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        let len = i32::try_from(events.len()).unwrap_or(i32::MAX);
        let mut wait = Remaining::new(timeout_ms);
        again(|| {
            let ms = wait.next_ms();
            // SAFETY: Event is a transparent epoll_event; the slice is writable for the length given.
            check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr().cast(), len, ms) })
                .map(|n| n.unsigned_abs() as usize)
        })
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A timer that is a descriptor (timerfd_create(2)): monotonic clock, close-on-exec, non-blocking.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// A new one, not running.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes integers; a non-negative result is a new descriptor that nobody else owns.
        unsafe { check(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)).map(|fd| Self(OwnedFd::from_raw_fd(fd))) }
    }

    /// Expires once `after` from now, then every `interval` when that is given. A zero `after` expires at once.
    ///
    /// # Errors
    /// EINVAL for times beyond the kernel's range.
    pub fn set(&self, after: Duration, interval: Option<Duration>) -> io::Result<()> {
        // All zeros would stop the timer.
        self.arm(after.max(Duration::from_nanos(1)), interval.unwrap_or_default())
    }

    /// Stops it and forgets an expiry that was not read.
    ///
    /// # Errors
    /// None that is known.
    pub fn stop(&self) -> io::Result<()> {
        self.arm(Duration::ZERO, Duration::ZERO)
    }

    fn arm(&self, after: Duration, interval: Duration) -> io::Result<()> {
        let spec =
            libc::itimerspec { it_interval: super::time::timespec(interval)?, it_value: super::time::timespec(after)? };
        // SAFETY: spec lives until the call returns; a null old value is allowed.
        check(unsafe { libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut()) }).map(drop)
    }

    /// How often it has expired since the last read; 0 when it has not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn expired(&self) -> io::Result<u64> {
        let mut count = 0_u64;
        // SAFETY: count is writable for the eight bytes that a timerfd gives.
        let got = again(|| check_len(unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) }));
        match got {
            Ok(_) => Ok(count),
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => Ok(0),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
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

    #[test]
    fn epoll_gives_the_token_until_deleted() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(&a, 7, EPOLLIN).unwrap();
        assert_eq!(epoll.add(&a, 7, EPOLLIN).unwrap_err().raw_os_error(), Some(libc::EEXIST));
        b.write_all(b"x").unwrap();
        let mut events = [Event::EMPTY; 4];
        assert_eq!(epoll.wait(&mut events, 1000).unwrap(), 1);
        assert!(events[0].token() == 7 && events[0].readable() && !events[0].hung_up());
        epoll.modify(&a, u64::MAX, EPOLLIN).unwrap();
        assert_eq!(epoll.wait(&mut events, 1000).unwrap(), 1);
        assert_eq!(events[0].token(), u64::MAX);
        epoll.del(&a).unwrap();
        assert_eq!(epoll.wait(&mut events, 0).unwrap(), 0);
    }

    #[test]
    fn a_timer_expires_and_stops() {
        let timer = Timer::new().unwrap();
        assert_eq!(timer.expired().unwrap(), 0);
        timer.set(Duration::ZERO, None).unwrap();
        let mut set = [PollFd::new(timer.as_fd(), POLLIN)];
        assert_eq!(poll(&mut set, 5000).unwrap(), 1);
        assert_eq!(timer.expired().unwrap(), 1);
        timer.set(Duration::from_secs(3600), Some(Duration::from_secs(1))).unwrap();
        assert_eq!(timer.expired().unwrap(), 0);
        timer.stop().unwrap();
    }
}
