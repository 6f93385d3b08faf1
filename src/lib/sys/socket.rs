//! Unix sockets (unix(7)): addresses, pairs, listening, connecting, timeouts, who the peer is. Control messages are
//! `scm`'s. Every socket is close-on-exec. Allocates nothing.

pub use super::scm::{Cred, MAX_FDS, pass_cred, recv, send};

use super::rc::{again, check};
use super::scm;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Bytes.
    Stream,
    /// Records over a connection.
    Seqpacket,
}

impl Type {
    const fn raw(self) -> i32 {
        match self {
            Self::Stream => libc::SOCK_STREAM,
            Self::Seqpacket => libc::SOCK_SEQPACKET,
        }
    }
}

/// Where a socket is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// In the abstract namespace of the network namespace: the name without the leading NUL, its length part of it (no NUL
    /// is added at the end).
    Abstract(&'a [u8]),
    /// A path.
    Path(&'a [u8]),
}

const PATH_AT: usize = offset_of!(libc::sockaddr_un, sun_path);

impl Address<'_> {
    // ENAMETOOLONG beyond the 108 bytes of sun_path, EINVAL for an empty name.
    fn raw(self) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
        let mut raw = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        let (name, skip, end) = match self {
            Self::Abstract(name) => (name, 1, 0),
            Self::Path(path) => (path, 0, 1),
        };
        if name.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let len = skip + name.len() + end;
        let room = raw.sun_path.get_mut(skip..).filter(|_| len <= 108);
        let room = room.ok_or_else(|| io::Error::from_raw_os_error(libc::ENAMETOOLONG))?;
        for (to, from) in room.iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        Ok((raw, (PATH_AT + len) as libc::socklen_t))
    }
}

/// A socket without an address.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn new(kind: Type) -> io::Result<OwnedFd> {
    // SAFETY: takes integers; a non-negative result is a new descriptor that nobody else owns.
    unsafe { check(libc::socket(libc::AF_UNIX, kind.raw() | libc::SOCK_CLOEXEC, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Two connected sockets.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn pair(kind: Type) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: fds has room for two descriptors; on success both are new and nobody else owns them.
    unsafe {
        check(libc::socketpair(libc::AF_UNIX, kind.raw() | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()))?;
        let [a, b] = fds;
        Ok((OwnedFd::from_raw_fd(a), OwnedFd::from_raw_fd(b)))
    }
}

/// Two connected sockets for bytes.
///
/// # Errors
/// As [`pair`].
pub fn pair_stream() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(Type::Stream)
}

/// Two connected sockets for records.
///
/// # Errors
/// As [`pair`].
pub fn pair_seqpacket() -> io::Result<(OwnedFd, OwnedFd)> {
    pair(Type::Seqpacket)
}

/// Binds a socket.
///
/// # Errors
/// EADDRINUSE when the address is taken, ENAMETOOLONG.
pub fn bind(fd: impl AsFd, at: Address<'_>) -> io::Result<()> {
    let (raw, len) = at.raw()?;
    // SAFETY: raw is a sockaddr_un whose first len bytes are set, alive until the call returns.
    check(unsafe { libc::bind(fd.as_fd().as_raw_fd(), (&raw const raw).cast(), len) }).map(drop)
}

/// A socket for bytes that listens at `at`, with room for `backlog` connections that wait to be accepted.
///
/// # Errors
/// As [`bind`].
pub fn listen(at: Address<'_>, backlog: i32) -> io::Result<OwnedFd> {
    let fd = new(Type::Stream)?;
    bind(&fd, at)?;
    // SAFETY: takes integers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
    Ok(fd)
}

/// Listens in the abstract namespace.
///
/// # Errors
/// As [`bind`].
pub fn listen_abstract(name: &[u8], backlog: i32) -> io::Result<OwnedFd> {
    listen(Address::Abstract(name), backlog)
}

/// Connects a socket.
///
/// # Errors
/// ECONNREFUSED when nobody listens there.
pub fn connect(fd: impl AsFd, to: Address<'_>) -> io::Result<()> {
    let (raw, len) = to.raw()?;
    // SAFETY: raw is a sockaddr_un whose first len bytes are set, alive until the call returns.
    again(|| check(unsafe { libc::connect(fd.as_fd().as_raw_fd(), (&raw const raw).cast(), len) })).map(drop)
}

/// A socket for bytes, connected to the listener of this name in the abstract namespace.
///
/// # Errors
/// As [`connect`].
pub fn connect_abstract(name: &[u8]) -> io::Result<OwnedFd> {
    let fd = new(Type::Stream)?;
    connect(&fd, Address::Abstract(name))?;
    Ok(fd)
}

/// The next connection; `nonblocking` is for the new socket.
///
/// # Errors
/// EAGAIN on a non-blocking listener without one; EMFILE.
pub fn accept(listener: impl AsFd, nonblocking: bool) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | if nonblocking { libc::SOCK_NONBLOCK } else { 0 };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: null address and length are allowed; a non-negative result is a new descriptor that nobody else owns.
    unsafe {
        again(|| check(libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), flags)))
            .map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// Sends `data` with descriptors beside it, at most [`MAX_FDS`].
///
/// # Errors
/// As [`send`]: EPIPE when the peer is gone.
pub fn send_with_fds(fd: BorrowedFd<'_>, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    scm::send(fd, data, None, fds)
}

/// Receives once: bytes into `data`, descriptors in order into the first places of `fds` (all others become `None`).
/// Descriptors without a place are closed. Returns the bytes; 0 when the peer has closed.
///
/// # Errors
/// As [`recv`].
pub fn recv_with_fds(fd: BorrowedFd<'_>, data: &mut [u8], fds: &mut [Option<OwnedFd>]) -> io::Result<usize> {
    let mut got = scm::recv(fd, data)?;
    for place in fds {
        *place = got.fds.pop();
    }
    Ok(got.bytes)
}

/// Who was at the other end when it connected (SO_PEERCRED, unix(7)).
///
/// # Errors
/// The kernel's.
pub fn peer_cred(fd: impl AsFd) -> io::Result<Cred> {
    let mut raw = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: raw is writable for the len bytes announced.
    check(unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut raw).cast(),
            &raw mut len,
        )
    })?;
    Ok(Cred { pid: raw.pid, uid: raw.uid, gid: raw.gid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn name(tag: &str) -> Vec<u8> {
        format!("lxc-socket-test/{tag}/{}", std::process::id()).into_bytes()
    }

    #[test]
    fn a_client_reaches_the_listener_and_both_know_each_other() {
        let at = name("meet");
        assert_eq!(connect_abstract(&at).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        let listener = listen_abstract(&at, 8).unwrap();
        assert_eq!(listen_abstract(&at, 8).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        let client = connect_abstract(&at).unwrap();
        let server = accept(&listener, false).unwrap();
        assert_eq!(peer_cred(&server).unwrap().pid, Cred::own().pid);
        assert_eq!(peer_cred(&client).unwrap(), Cred::own());
        // std builds its abstract addresses by itself: both mean the same.
        use std::os::linux::net::SocketAddrExt;
        let addr = std::os::unix::net::SocketAddr::from_abstract_name(&at).unwrap();
        assert!(std::os::unix::net::UnixStream::connect_addr(&addr).is_ok());
        drop(client);
        assert_eq!(recv(server.as_fd(), &mut [0; 4]).unwrap().bytes, 0);
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert_eq!(listen_abstract(b"", 1).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(listen_abstract(&[b'x'; 108], 1).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
        let mut longest = name("long");
        longest.resize(107, b'x');
        assert!(listen_abstract(&longest, 1).is_ok());
        assert_eq!(listen(Address::Path(&[b'x'; 108]), 1).unwrap_err().raw_os_error(), Some(libc::ENAMETOOLONG));
    }

    #[test]
    fn records_carry_descriptors() {
        let (a, b) = pair_seqpacket().unwrap();
        let null = File::open("/dev/null").unwrap();
        assert_eq!(send_with_fds(a.as_fd(), b"one", &[null.as_fd(), null.as_fd()]).unwrap(), 3);
        assert_eq!(send_with_fds(a.as_fd(), b"three", &[]).unwrap(), 5);
        let mut buf = [0; 16];
        let mut fds = [const { None }; 3];
        assert_eq!(recv_with_fds(b.as_fd(), &mut buf, &mut fds).unwrap(), 3);
        assert_eq!(fds.iter().flatten().count(), 2);
        assert_eq!(recv_with_fds(b.as_fd(), &mut buf, &mut fds).unwrap(), 5);
        assert_eq!(fds.iter().flatten().count(), 0, "old descriptors are not left in place");
        drop(b);
        assert_eq!(send_with_fds(a.as_fd(), b"x", &[]).unwrap_err().raw_os_error(), Some(libc::EPIPE));
    }
}
