//! Unix stream sockets that carry credentials and file descriptors (unix(7)), without allocation. Owns the control
//! message layout; refuses policy: whoever receives decides which sender counts.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The most descriptors that one message of ours carries (the command protocol needs 20).
pub const MAX_FDS: usize = 24;

/// Process credentials as SCM_CREDENTIALS and SO_PEERCRED give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cred {
    /// Process id, in the reader's pid namespace.
    pub pid: i32,
    /// User id, in the reader's user namespace.
    pub uid: u32,
    /// Group id, in the reader's user namespace.
    pub gid: u32,
}

impl Cred {
    /// The caller's own: process id and real ids.
    pub fn own() -> Self {
        // SAFETY: getpid(2), getuid(2) and getgid(2) take nothing and cannot fail.
        unsafe { Self { pid: libc::getpid(), uid: libc::getuid(), gid: libc::getgid() } }
    }
}

/// Descriptors received with a message, in order, each close-on-exec. Plain numbers inside: most messages bring none, and
/// then there is nothing to look at when it goes.
#[derive(Debug)]
pub struct Fds {
    list: [RawFd; MAX_FDS],
    first: usize,
    end: usize,
}

impl Default for Fds {
    fn default() -> Self {
        Self { list: [-1; MAX_FDS], first: 0, end: 0 }
    }
}

impl Fds {
    /// How many were received and not taken yet.
    pub const fn len(&self) -> usize {
        self.end - self.first
    }

    /// Whether none is left.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the first one left.
    pub fn pop(&mut self) -> Option<OwnedFd> {
        if self.is_empty() {
            return None;
        }
        let raw = *self.list.get(self.first)?;
        self.first += 1;
        // SAFETY: a descriptor that `push` took over and that is handed on once.
        Some(unsafe { OwnedFd::from_raw_fd(raw) })
    }

    fn push(&mut self, fd: OwnedFd) {
        // A full list drops, that is closes, what comes on top.
        if let Some(slot) = self.list.get_mut(self.end) {
            *slot = fd.into_raw_fd();
            self.end += 1;
        }
    }
}

impl Drop for Fds {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// What one receive brought.
#[derive(Debug, Default)]
pub struct Received {
    /// Bytes stored; 0 is the end of the stream.
    pub bytes: usize,
    /// The sender's credentials (SO_PASSCRED must be set on the receiving socket).
    pub cred: Option<Cred>,
    /// Descriptors that came along.
    pub fds: Fds,
}

// Room for one ucred and MAX_FDS descriptors, each with its header; u64 gives the alignment that cmsghdr wants.
type Control = [u64; 20];

const _: () = assert!(size_of::<Control>() >= 16 + 16 + 16 + MAX_FDS * 4);

/// Sends `data` in one sendmsg(2), with credentials and descriptors when given. Never raises SIGPIPE.
///
/// # Errors
/// The kernel's; EINVAL for more than [`MAX_FDS`] descriptors.
pub fn send(fd: BorrowedFd<'_>, data: &[u8], cred: Option<Cred>, fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut control: Control = [0; 20];
    let mut iov = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: a msghdr of zeros is a valid empty one.
    let mut msg: libc::msghdr = unsafe { zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    let fd_bytes = u32::try_from(fds.len() * size_of::<RawFd>()).unwrap_or(0);
    let cred_bytes = size_of::<libc::ucred>() as u32;
    // SAFETY: CMSG_SPACE only computes.
    let (fd_space, cred_space) = unsafe { (libc::CMSG_SPACE(fd_bytes), libc::CMSG_SPACE(cred_bytes)) };
    let space = if fds.is_empty() { 0 } else { fd_space } + if cred.is_some() { cred_space } else { 0 };
    if space > 0 {
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = space as _;
        // SAFETY: control is aligned for cmsghdr and larger than the space announced (checked at compile time), so
        // CMSG_FIRSTHDR and CMSG_NXTHDR stay inside of it and each CMSG_DATA has room for what is copied there.
        unsafe {
            let mut head = libc::CMSG_FIRSTHDR(&raw const msg);
            if let Some(c) = cred {
                (*head).cmsg_level = libc::SOL_SOCKET;
                (*head).cmsg_type = libc::SCM_CREDENTIALS;
                (*head).cmsg_len = libc::CMSG_LEN(cred_bytes) as _;
                let u = libc::ucred { pid: c.pid, uid: c.uid, gid: c.gid };
                libc::CMSG_DATA(head).cast::<libc::ucred>().write_unaligned(u);
                head = libc::CMSG_NXTHDR(&raw const msg, head);
            }
            if !fds.is_empty() && !head.is_null() {
                (*head).cmsg_level = libc::SOL_SOCKET;
                (*head).cmsg_type = libc::SCM_RIGHTS;
                (*head).cmsg_len = libc::CMSG_LEN(fd_bytes) as _;
                let to = libc::CMSG_DATA(head).cast::<RawFd>();
                for (i, fd) in fds.iter().enumerate() {
                    to.add(i).write_unaligned(fd.as_raw_fd());
                }
            }
        }
    }
    loop {
        // SAFETY: msg points to data, iov and control, all alive until the call returns.
        let n = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const msg, libc::MSG_NOSIGNAL) };
        if let Ok(n) = usize::try_from(n) {
            return Ok(n);
        }
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(libc::EINTR) {
            return Err(e);
        }
    }
}

/// Receives once into `data`, with the credentials and descriptors that came along. Descriptors beyond [`MAX_FDS`] are
/// closed by the kernel.
///
/// # Errors
/// The kernel's: EAGAIN on a non-blocking socket or after its receive timeout.
pub fn recv(fd: BorrowedFd<'_>, data: &mut [u8]) -> io::Result<Received> {
    let mut control: Control = [0; 20];
    let mut iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
    // SAFETY: a msghdr of zeros is a valid empty one.
    let mut msg: libc::msghdr = unsafe { zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.as_mut_ptr().cast();
    msg.msg_controllen = size_of::<Control>() as _;
    let bytes = loop {
        // SAFETY: msg points to data, iov and control, all alive and writable until the call returns.
        let n = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut msg, libc::MSG_CMSG_CLOEXEC) };
        if let Ok(n) = usize::try_from(n) {
            break n;
        }
        let e = io::Error::last_os_error();
        if e.raw_os_error() != Some(libc::EINTR) {
            return Err(e);
        }
    };
    let mut got = Received { bytes, cred: None, fds: Fds::default() };
    // SAFETY: the kernel has filled control with msg_controllen bytes of well-formed messages; the macros stay inside.
    unsafe {
        let mut head = libc::CMSG_FIRSTHDR(&raw const msg);
        while !head.is_null() {
            let len = ((*head).cmsg_len as usize).saturating_sub(libc::CMSG_LEN(0) as usize);
            let at = libc::CMSG_DATA(head);
            match ((*head).cmsg_level, (*head).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if len >= size_of::<libc::ucred>() => {
                    let u = at.cast::<libc::ucred>().read_unaligned();
                    got.cred = Some(Cred { pid: u.pid, uid: u.uid, gid: u.gid });
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    for i in 0..len / size_of::<RawFd>() {
                        let raw = at.cast::<RawFd>().add(i).read_unaligned();
                        // The kernel has just installed this number for us; nobody else owns it.
                        got.fds.push(OwnedFd::from_raw_fd(raw));
                    }
                }
                _ => {}
            }
            head = libc::CMSG_NXTHDR(&raw const msg, head);
        }
    }
    Ok(got)
}

/// Takes a connection: non-blocking and close-on-exec (accept4(2)).
///
/// # Errors
/// The kernel's: EAGAIN when none waits.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the peer's address is not asked for; a number that is not negative is a new descriptor of ours alone.
    unsafe {
        match libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags) {
            raw if raw >= 0 => Ok(OwnedFd::from_raw_fd(raw)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Asks for the senders' credentials on a socket (SO_PASSCRED, unix(7)).
///
/// # Errors
/// The kernel's.
pub fn pass_cred(fd: BorrowedFd<'_>) -> io::Result<()> {
    set_int(fd, libc::SO_PASSCRED, 1)
}

/// Makes room for one send of `bytes` (SO_SNDBUFFORCE, SO_SNDBUF where that is refused; socket(7)).
///
/// # Errors
/// The kernel's.
pub fn send_room(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let want = i32::try_from(bytes).unwrap_or(i32::MAX / 2);
    set_int(fd, libc::SO_SNDBUFFORCE, want).or_else(|_| set_int(fd, libc::SO_SNDBUF, want))
}

fn set_int(fd: BorrowedFd<'_>, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: value lives until the call returns and its size is given.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn credentials_and_descriptors_arrive() {
        let (a, b) = UnixStream::pair().unwrap();
        pass_cred(b.as_fd()).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let fds = [null.as_fd(); 20];
        assert_eq!(send(a.as_fd(), b"0123456789abcdef", Some(Cred::own()), &fds).unwrap(), 16);
        let mut buf = [0u8; 16];
        let mut got = recv(b.as_fd(), &mut buf).unwrap();
        assert_eq!(got.bytes, 16);
        assert_eq!(got.cred, Some(Cred::own()));
        assert_eq!(got.fds.len(), 20);
        assert!(got.fds.pop().is_some());
        assert_eq!(got.fds.len(), 19);
        drop(a);
        assert_eq!(recv(b.as_fd(), &mut buf).unwrap().bytes, 0);
    }
}
