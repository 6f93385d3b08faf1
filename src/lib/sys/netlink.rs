//! Netlink (netlink(7)): the socket, the messages with their attributes, one request and its answer at a time. Knows no
//! message type of any family: links, addresses and routes are the network feature's.

use super::rc::{again, check, check_len};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// It is a request; [`Netlink`] sets it.
pub const REQUEST: u16 = 0x1;
/// An acknowledgement is wanted; [`Netlink`] sets it.
pub const ACK: u16 = 0x4;
/// All objects are wanted; [`Netlink::dump`] sets it.
pub const DUMP: u16 = 0x300;
/// Fail with EEXIST when the object exists.
pub const EXCL: u16 = 0x200;
/// Create the object when it does not exist.
pub const CREATE: u16 = 0x400;

const DUMP_INTR: u16 = 0x10;
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
const NOOP: u16 = 1;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NESTED: u16 = 0x8000;
const HEAD: usize = 16;

// netlink(7); the libc crate lacks some of them.
const SOL_NETLINK: i32 = 270;
const CAP_ACK: i32 = 10;
const EXT_ACK: i32 = 11;
const ATTR_MSG: u16 = 1;

const fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// A message in the making: header, the family's fixed part, attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Vec<u8>,
    // An attribute did not fit into its 16-bit length.
    too_long: bool,
}

impl Message {
    /// A message of this type with [`CREATE`] and the like as `flags`, and the family's fixed part (struct ifinfomsg and
    /// the like), padded to a multiple of four.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEAD];
        if let Some((at, rest)) = bytes.get_mut(4..).and_then(<[u8]>::split_first_chunk_mut::<2>) {
            *at = kind.to_ne_bytes();
            if let Some((at, _)) = rest.split_first_chunk_mut::<2>() {
                *at = flags.to_ne_bytes();
            }
        }
        bytes.extend_from_slice(fixed);
        bytes.resize(align(bytes.len()), 0);
        Self { bytes, too_long: false }
    }

    /// Adds an attribute.
    pub fn attr(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.close(start)
    }

    /// Adds an attribute of four bytes, in the machine's order.
    pub fn attr_u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Adds a text attribute with the NUL that the kernel wants after it.
    pub fn attr_str(&mut self, kind: u16, value: &str) -> &mut Self {
        self.attr(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Adds an attribute that holds what `inside` adds, marked as nested.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_with(kind | NESTED, &[], inside)
    }

    /// Adds an attribute that holds `fixed` bytes, then what `inside` adds (a veth's peer is one), with its type as given.
    pub fn nest_with(&mut self, kind: u16, fixed: &[u8], inside: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        self.bytes.resize(align(self.bytes.len()), 0);
        inside(self);
        self.close(start)
    }

    // Writes the length of the attribute that began at `start`, then pads.
    fn close(&mut self, start: usize) -> &mut Self {
        match u16::try_from(self.bytes.len() - start) {
            Err(_) => self.too_long = true,
            Ok(len) => {
                if let Some((at, _)) = self.bytes.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<2>) {
                    *at = len.to_ne_bytes();
                }
            }
        }
        self.bytes.resize(align(self.bytes.len()), 0);
        self
    }

    // The whole message, ready to be sent.
    fn finished(&self, extra: u16, seq: u32) -> io::Result<Vec<u8>> {
        let len = u32::try_from(self.bytes.len()).ok().filter(|_| !self.too_long).ok_or_else(|| os(libc::EMSGSIZE))?;
        let old = self.bytes.get(4..8).unwrap_or_default();
        let flags = u16_at(old, 2).unwrap_or(0) | extra;
        let mut out = Vec::with_capacity(self.bytes.len());
        out.extend_from_slice(&len.to_ne_bytes());
        out.extend_from_slice(old.get(..2).unwrap_or_default());
        out.extend_from_slice(&flags.to_ne_bytes());
        out.extend_from_slice(&seq.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(self.bytes.get(HEAD..).unwrap_or_default());
        Ok(out)
    }
}

/// A message of the kernel's, without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type.
    pub kind: u16,
    /// The family's fixed part and the attributes.
    pub body: Vec<u8>,
}

impl Reply {
    /// The attributes behind a fixed part of `fixed` bytes.
    pub fn attrs(&self, fixed: usize) -> Attrs<'_> {
        attrs(self.body.get(align(fixed)..).unwrap_or_default())
    }

    /// The value of one of them.
    pub fn attr(&self, fixed: usize, kind: u16) -> Option<&[u8]> {
        self.attrs(fixed).find(|(k, _)| *k == kind).map(|(_, v)| v)
    }
}

/// The attributes in `bytes`: also for what a nested one holds.
pub fn attrs(bytes: &[u8]) -> Attrs<'_> {
    Attrs(bytes)
}

/// Types (without the flags for nesting and byte order) and values; ends at the first one that is broken.
#[derive(Debug, Clone)]
pub struct Attrs<'a>(&'a [u8]);

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & 0x3fff;
        let value = self.0.get(4..len)?;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// Two bytes at an offset, in the machine's order.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// Four bytes at an offset, in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

/// The text of an attribute, up to its NUL.
pub fn text(value: &[u8]) -> String {
    let text = value.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// A NETLINK_ROUTE socket of the caller's network namespace, close-on-exec. Allocates nothing: the child opens one and sends
/// it to its parent, who goes on with [`Netlink::from_fd`].
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM.
pub fn open_fd() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes integers; a non-negative result is a new descriptor that nobody else owns.
    unsafe { check(libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// A NETLINK_ROUTE socket with one request at a time on it.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    seq: u32,
    told: String,
}

impl Netlink {
    /// In the caller's network namespace.
    ///
    /// # Errors
    /// As [`open_fd`].
    pub fn open() -> io::Result<Self> {
        Self::from_fd(open_fd()?)
    }

    /// On a socket that somebody else opened, in whatever network namespace that was.
    ///
    /// # Errors
    /// ENOPROTOOPT or ENOTSOCK when it is no netlink socket.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let on = 1_i32;
        for option in [CAP_ACK, EXT_ACK] {
            // SAFETY: on lives until the call returns and its size is given.
            check(unsafe {
                let len = size_of::<i32>() as libc::socklen_t;
                libc::setsockopt(fd.as_raw_fd(), SOL_NETLINK, option, (&raw const on).cast(), len)
            })?;
        }
        // Not 0, so that a stray message of the kernel's own (whose number is 0) is never an answer.
        Ok(Self { fd, seq: super::random::u32()? | 1, told: String::new() })
    }

    /// What the kernel added in words to the last failure; empty when it said nothing.
    pub fn told(&self) -> &str {
        &self.told
    }

    /// Sends a request and waits until the kernel has acknowledged it.
    ///
    /// # Errors
    /// What the kernel answered: EPERM, EEXIST, ENODEV …; EMSGSIZE for a message that is too long. [`Netlink::told`] may
    /// say more.
    pub fn request(&mut self, message: &Message) -> io::Result<()> {
        self.exchange(message, REQUEST | ACK).map(drop)
    }

    /// Sends a request and waits for the one object that answers it.
    ///
    /// # Errors
    /// As [`Netlink::request`]; ENODATA when the kernel answers without an object.
    pub fn get(&mut self, message: &Message) -> io::Result<Reply> {
        let (replies, _) = self.exchange(message, REQUEST | ACK)?;
        replies.into_iter().next().ok_or_else(|| os(libc::ENODATA))
    }

    /// Asks for all objects. A list that changed while it was read is read again.
    ///
    /// # Errors
    /// As [`Netlink::request`]; EAGAIN when the list changed each of several times.
    pub fn dump(&mut self, message: &Message) -> io::Result<Vec<Reply>> {
        for _ in 0..16 {
            let (replies, changed) = self.exchange(message, REQUEST | DUMP)?;
            if !changed {
                return Ok(replies);
            }
        }
        Err(os(libc::EAGAIN))
    }

    fn exchange(&mut self, message: &Message, flags: u16) -> io::Result<(Vec<Reply>, bool)> {
        self.told.clear();
        self.seq = self.seq.wrapping_add(2);
        self.send(&message.finished(flags, self.seq)?)?;
        let (mut replies, mut changed) = (Vec::new(), false);
        loop {
            let bytes = self.recv()?;
            let mut rest = bytes.as_slice();
            while let Some((head, body, next)) = split(rest) {
                rest = next;
                if head.seq != self.seq {
                    continue;
                }
                changed |= head.flags & DUMP_INTR != 0;
                match head.kind {
                    NOOP => {}
                    ERROR | DONE => {
                        self.verdict(&head, body)?;
                        return Ok((replies, changed));
                    }
                    kind => replies.push(Reply { kind, body: body.to_vec() }),
                }
            }
        }
    }

    // An acknowledgement or the end of a dump: a negative errno or 0, then (ext ack) attributes.
    fn verdict(&mut self, head: &Head, body: &[u8]) -> io::Result<()> {
        let code = body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
        if code >= 0 {
            return Ok(());
        }
        if head.flags & ACK_TLVS != 0 {
            // Behind the code an error repeats the request: its header alone when capped, else all of it.
            let mut skip = 4;
            if head.kind == ERROR {
                let len = u32_at(body, 4).and_then(|n| usize::try_from(n).ok()).unwrap_or(HEAD);
                skip += if head.flags & CAPPED != 0 { HEAD } else { align(len) };
            }
            let more = attrs(body.get(skip..).unwrap_or_default());
            self.told = more.filter(|(k, _)| *k == ATTR_MSG).map(|(_, v)| text(v)).collect();
        }
        Err(os(code.checked_neg().unwrap_or(libc::EIO)))
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: a sockaddr_nl of zeros with its family is the kernel's address.
        let mut to: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        to.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        let fd = self.fd.as_raw_fd();
        // SAFETY: bytes and address are readable for the lengths given.
        let n = again(|| unsafe {
            check_len(libc::sendto(fd, bytes.as_ptr().cast(), bytes.len(), 0, (&raw const to).cast(), len))
        })?;
        if n == bytes.len() { Ok(()) } else { Err(os(libc::EMSGSIZE)) }
    }

    // The next datagram that the kernel itself has sent: other processes may send to the socket, too.
    fn recv(&self) -> io::Result<Vec<u8>> {
        let fd = self.fd.as_raw_fd();
        loop {
            // SAFETY: an empty buffer with MSG_TRUNC only tells the length.
            let want = again(|| unsafe {
                check_len(libc::recv(fd, std::ptr::null_mut(), 0, libc::MSG_PEEK | libc::MSG_TRUNC))
            })?;
            let mut bytes = vec![0; want];
            // SAFETY: a sockaddr_nl of zeros is valid.
            let mut from: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
            // SAFETY: bytes and address are writable for the lengths given.
            let n = again(|| unsafe {
                check_len(libc::recvfrom(
                    fd,
                    bytes.as_mut_ptr().cast(),
                    bytes.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut len,
                ))
            })?;
            bytes.truncate(n);
            if from.nl_pid == 0 {
                return Ok(bytes);
            }
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

struct Head {
    kind: u16,
    flags: u16,
    seq: u32,
}

// The first message in a datagram, its body, and what follows.
fn split(bytes: &[u8]) -> Option<(Head, &[u8], &[u8])> {
    let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let head = Head { kind: u16_at(bytes, 4)?, flags: u16_at(bytes, 6)?, seq: u32_at(bytes, 8)? };
    Some((head, bytes.get(HEAD..len)?, bytes.get(align(len)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTM_DELLINK: u16 = 17;
    const RTM_GETLINK: u16 = 18;
    const IFLA_IFNAME: u16 = 3;
    const IFINFOMSG: usize = 16;

    fn ifinfo(index: i32) -> [u8; IFINFOMSG] {
        let mut fixed = [0; IFINFOMSG];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        fixed
    }

    fn index_of(nl: &mut Netlink, name: &str) -> Option<u32> {
        let all = nl.dump(&Message::new(RTM_GETLINK, 0, &ifinfo(0))).unwrap();
        let named = |r: &&Reply| r.attr(IFINFOMSG, IFLA_IFNAME).is_some_and(|n| text(n) == name);
        all.iter().find(named).and_then(|r| u32_at(&r.body, 4))
    }

    #[test]
    fn attributes_nest_and_read_back() {
        let mut m = Message::new(16, CREATE | EXCL, &[1, 2, 3]);
        m.attr_str(3, "eth0").attr(4, &[7]).nest(18, |m| {
            m.attr_str(1, "veth").nest(2, |m| {
                m.nest_with(1, &[9; 6], |m| {
                    m.attr_u32(5, 0xdead_beef).attr(6, &0x1234_u16.to_ne_bytes());
                });
            });
        });
        let bytes = m.finished(REQUEST | ACK, 77).unwrap();
        let (head, body, rest) = split(&bytes).unwrap();
        assert!((head.kind, head.flags, head.seq) == (16, CREATE | EXCL | REQUEST | ACK, 77) && rest.is_empty());
        assert_eq!(bytes.len() % 4, 0);
        let r = Reply { kind: 16, body: body.to_vec() };
        assert_eq!(&r.body[..4], [1, 2, 3, 0]);
        assert_eq!(text(r.attr(3, 3).unwrap()), "eth0");
        assert_eq!(r.attr(3, 4).unwrap(), [7]);
        assert_eq!(r.attr(3, 99), None);
        let info: Vec<_> = attrs(r.attr(3, 18).unwrap()).collect();
        assert_eq!(info[0], (1, &b"veth\0"[..]));
        let (_, peer) = attrs(info[1].1).next().unwrap();
        assert_eq!(&peer[..8], [9, 9, 9, 9, 9, 9, 0, 0]);
        let inner: Vec<_> = attrs(&peer[8..]).collect();
        assert_eq!(inner, [(5, &0xdead_beef_u32.to_ne_bytes()[..]), (6, &0x1234_u16.to_ne_bytes()[..])]);
    }

    #[test]
    fn broken_attributes_end_the_list() {
        for bad in [&[][..], &[8], &[2, 0, 1, 0], &[9, 0, 1, 0, 1], &[0, 0, 0, 0]] {
            assert_eq!(attrs(bad).count(), 0);
        }
        assert!(split(&[15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        let mut m = Message::new(16, 0, &[]);
        m.attr(1, &[0; 70_000]);
        assert_eq!(m.finished(0, 1).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    }

    #[test]
    fn the_kernel_lists_the_loopback() {
        let mut nl = Netlink::from_fd(open_fd().unwrap()).unwrap();
        let all = nl.dump(&Message::new(RTM_GETLINK, 0, &ifinfo(0))).unwrap();
        assert!(all.iter().filter_map(|r| r.attr(IFINFOMSG, IFLA_IFNAME)).any(|n| text(n) == "lo"));
        let index = index_of(&mut nl, "lo").unwrap();
        let lo = nl.get(&Message::new(RTM_GETLINK, 0, &ifinfo(i32::try_from(index).unwrap()))).unwrap();
        assert_eq!(u32_at(&lo.body, 4), Some(index));
        assert_eq!(text(lo.attr(IFINFOMSG, IFLA_IFNAME).unwrap()), "lo");
    }

    #[test]
    fn a_pair_of_links_is_made_and_deleted() {
        // The namespace is this thread's alone and ends with it.
        let made = std::thread::spawn(|| {
            use crate::sys::ns;
            if ns::unshare(libc::CLONE_NEWNET as u64).is_err() {
                // Not root: the kernel's refusals are tested below.
                return None;
            }
            let mut nl = Netlink::open().unwrap();
            let mut m = Message::new(16, CREATE | EXCL, &ifinfo(0));
            m.attr_str(IFLA_IFNAME, "left").nest(18, |m| {
                m.attr(1, b"veth").nest(2, |m| {
                    m.nest_with(1, &ifinfo(0), |m| {
                        m.attr_str(IFLA_IFNAME, "right");
                    });
                });
            });
            nl.request(&m).unwrap();
            assert_eq!(nl.request(&m).unwrap_err().raw_os_error(), Some(libc::EEXIST));
            let mut names: Vec<_> = nl
                .dump(&Message::new(RTM_GETLINK, 0, &ifinfo(0)))
                .unwrap()
                .iter()
                .filter_map(|r| r.attr(IFINFOMSG, IFLA_IFNAME).map(text))
                .collect();
            names.sort();
            let left = i32::try_from(index_of(&mut nl, "left").unwrap()).unwrap();
            nl.request(&Message::new(RTM_DELLINK, 0, &ifinfo(left))).unwrap();
            assert!(index_of(&mut nl, "right").is_none());
            Some(names)
        });
        if let Some(names) = made.join().unwrap() {
            assert!(["left", "lo", "right"].iter().all(|n| names.iter().any(|have| have == n)), "{names:?}");
        }
    }

    #[test]
    fn refusals_are_errors() {
        let mut nl = Netlink::open().unwrap();
        let gone = nl.request(&Message::new(RTM_DELLINK, 0, &ifinfo(i32::MAX))).unwrap_err();
        // Without privilege the kernel does not even look.
        assert!(matches!(gone.raw_os_error(), Some(libc::ENODEV | libc::EPERM)), "{gone}");
        let mut long = Message::new(RTM_GETLINK, 0, &ifinfo(0));
        long.attr_str(IFLA_IFNAME, "a-name-of-more-than-fifteen-bytes");
        assert!(nl.get(&long).is_err());
        assert!(!nl.told().is_empty(), "the kernel says which attribute it does not like");
        // The next request is not confused by the last answer.
        assert!(nl.dump(&Message::new(RTM_GETLINK, 0, &ifinfo(0))).is_ok());
        assert!(Netlink::from_fd(crate::sys::socket::pair_stream().unwrap().0).is_err());
    }
}
