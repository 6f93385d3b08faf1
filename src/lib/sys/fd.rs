//! File descriptors: duplicating, handing over, reading and writing whole. Owns no file names.

use super::rc::{check, check_long};
use std::ffi::CStr;
use std::io;
pub use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

/// A second descriptor of the same open file, close-on-exec.
///
/// # Errors
/// fcntl(2), F_DUPFD_CLOEXEC.
pub fn dup_cloexec(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    dup_above(fd, 3)
}

/// The same with a number of at least `least`.
///
/// # Errors
/// fcntl(2), F_DUPFD_CLOEXEC.
pub fn dup_above(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with a valid descriptor; the new one is owned by nobody else.
    unsafe { Ok(OwnedFd::from_raw_fd(check(libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least))?)) }
}

/// Puts the open file on the number `to`, which survives exec; what was there is closed (dup2(2)).
///
/// # Errors
/// dup2(2), fcntl(2).
pub fn dup_onto(fd: BorrowedFd<'_>, to: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == to {
        return set_cloexec(fd, false);
    }
    // SAFETY: dup2 replaces the number `to`; the caller names it on purpose.
    check(unsafe { libc::dup2(fd.as_raw_fd(), to) }).map(drop)
}

/// Sets or clears close-on-exec.
///
/// # Errors
/// fcntl(2).
pub fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: fcntl on a valid descriptor.
    unsafe {
        let old = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFD))?;
        let new = if on { old | libc::FD_CLOEXEC } else { old & !libc::FD_CLOEXEC };
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, new)).map(drop)
    }
}

/// Sets or clears O_NONBLOCK.
///
/// # Errors
/// fcntl(2).
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: fcntl on a valid descriptor.
    unsafe {
        let old = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        let new = if on { old | libc::O_NONBLOCK } else { old & !libc::O_NONBLOCK };
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, new)).map(drop)
    }
}

/// Takes over a descriptor that was handed over by number, and makes it close-on-exec. The caller says by this call that
/// nobody else in the process owns the number.
///
/// # Errors
/// EBADF: there is no such descriptor.
pub fn adopt(raw: RawFd) -> io::Result<OwnedFd> {
    if raw < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: F_SETFD fails where nothing is open; afterwards the number is known to be, and the caller hands over ownership.
    unsafe {
        check(libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(raw))
    }
}

/// Lends a descriptor known by number, 0 to 2 above all.
///
/// # Errors
/// EBADF: there is no such descriptor.
pub fn borrow(raw: RawFd) -> io::Result<BorrowedFd<'static>> {
    // SAFETY: F_GETFD only looks.
    check(unsafe { libc::fcntl(raw, libc::F_GETFD) })?;
    // SAFETY: it is open; the callers lend numbers that stay open for the life of the process (standard descriptors).
    Ok(unsafe { BorrowedFd::borrow_raw(raw) })
}

/// Closes the number itself; for numbers that no owner in this process has.
pub fn close_raw(raw: RawFd) {
    // SAFETY: closing a number that is not open answers EBADF, which is ignored.
    unsafe { libc::close(raw) };
}

/// Closes, or marks close-on-exec, all numbers from `first` to `last` (close_range(2), Linux 5.9 and 5.11).
///
/// # Errors
/// close_range(2).
pub fn close_range(first: u32, last: u32, cloexec: bool) -> io::Result<()> {
    let flags: libc::c_uint = if cloexec { 1 << 2 } else { 0 };
    // SAFETY: only used in processes that own none of these numbers any more (fresh forks), or with the harmless flag.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// One read(2), repeated when interrupted.
///
/// # Errors
/// read(2).
pub fn read_into(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the pointer and the length are the slice's.
        let n = unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) };
        match usize::try_from(n) {
            Ok(n) => return Ok(n),
            Err(_) => {
                let e = io::Error::last_os_error();
                if e.raw_os_error() != Some(libc::EINTR) {
                    return Err(e);
                }
            }
        }
    }
}

/// One write(2), repeated when interrupted.
///
/// # Errors
/// write(2).
pub fn write_once(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the pointer and the length are the slice's.
        let n = unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) };
        match usize::try_from(n) {
            Ok(n) => return Ok(n),
            Err(_) => {
                let e = io::Error::last_os_error();
                if e.raw_os_error() != Some(libc::EINTR) {
                    return Err(e);
                }
            }
        }
    }
}

/// Writes all of it.
///
/// # Errors
/// write(2); EIO when it makes no progress.
pub fn write_all(fd: BorrowedFd<'_>, mut buf: &[u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match write_once(fd, buf)? {
            0 => return Err(io::Error::from_raw_os_error(libc::EIO)),
            n => buf = buf.get(n..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// A pipe: reading end, writing end, both close-on-exec.
///
/// # Errors
/// pipe2(2).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: pipe2 fills two numbers that nobody owns yet.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// An anonymous file with these bytes, positioned at its start (memfd_create(2)).
///
/// # Errors
/// memfd_create(2), write(2).
pub fn memfd(name: &CStr, data: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string; the descriptor is new.
    let fd = unsafe { OwnedFd::from_raw_fd(check(libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC))?) };
    write_all(fd.as_fd(), data)?;
    // SAFETY: lseek on our own descriptor.
    if unsafe { libc::lseek(fd.as_raw_fd(), 0, libc::SEEK_SET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd)
}

/// The numbers that are open in this process, ascending (/proc/self/fd).
///
/// # Errors
/// /proc is not mounted.
pub fn open_fds() -> io::Result<Vec<RawFd>> {
    let dir = std::fs::read_dir("/proc/self/fd")?;
    let mut list: Vec<RawFd> = dir.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The directory's own number is closed by now.
    list.retain(|fd| borrow(*fd).is_ok());
    list.sort_unstable();
    Ok(list)
}

/// Gives up ownership: the number stays open for good, for what is handed to another program.
pub fn leak(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_memfds_close_on_exec() {
        let file = memfd(c"x", b"hello").unwrap();
        let copy = dup_cloexec(file.as_fd()).unwrap();
        let mut buf = [0; 8];
        assert_eq!(read_into(copy.as_fd(), &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"hello");
        // SAFETY: F_GETFD only looks.
        assert_eq!(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        assert!(adopt(-1).is_err() && adopt(987_654).is_err());
        assert!(open_fds().unwrap().contains(&file.as_raw_fd()));
    }

    #[test]
    fn a_pipe_carries_bytes() {
        let (r, w) = pipe().unwrap();
        write_all(w.as_fd(), b"abc").unwrap();
        drop(w);
        let mut buf = [0; 8];
        assert_eq!(read_into(r.as_fd(), &mut buf).unwrap(), 3);
        assert_eq!(read_into(r.as_fd(), &mut buf).unwrap(), 0);
    }
}
