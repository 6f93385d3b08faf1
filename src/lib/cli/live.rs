//! What the read-only tools ask of a running container: its monitor, its cgroups, its network. Needs no config of it.
#![forbid(unsafe_code)]

use crate::ipc::command::Client;
use crate::sys::netlink::{self, Message, Netlink};
use crate::sys::{ns, path};
use std::ffi::{CStr, CString};
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// sizeof(struct ifinfomsg) and sizeof(struct ifaddrmsg), rtnetlink(7).
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;

/// A container's interfaces and the addresses that are worth showing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Net {
    /// Interfaces, `lo` among them.
    pub interfaces: Vec<String>,
    /// Addresses but 127.0.0.0/8.
    pub ipv4: Vec<String>,
    /// Addresses but ::1 and link-local ones.
    pub ipv6: Vec<String>,
}

/// Looks into network namespaces and comes back: abstract sockets, a monitor's among them, belong to one.
pub struct Looker {
    home: Option<OwnedFd>,
}

impl Looker {
    /// Remembers where we are.
    pub fn new() -> Self {
        Looker { home: path::open(c"/proc/self/ns/net", libc::O_RDONLY, 0).ok() }
    }

    /// What the network namespace of `pid` holds; nothing when it cannot be entered.
    pub fn net(&self, pid: i32) -> Net {
        self.socket(pid).and_then(Self::ask).unwrap_or_default()
    }

    /// A netlink socket belongs to the namespace that it was opened in, wherever its owner is.
    fn socket(&self, pid: i32) -> std::io::Result<Netlink> {
        let home = self.home.as_ref().ok_or(std::io::ErrorKind::Unsupported)?;
        let file = CString::new(format!("/proc/{pid}/ns/net")).unwrap_or_default();
        ns::setns(path::open(&file, libc::O_RDONLY, 0)?.as_fd(), ns::CLONE_NEWNET)?;
        let socket = Netlink::open();
        ns::setns(home.as_fd(), ns::CLONE_NEWNET)?;
        socket
    }

    fn ask(mut socket: Netlink) -> std::io::Result<Net> {
        let mut net = Net::default();
        for reply in socket.dump(&Message::new(RTM_GETLINK, 0, &[0; IFINFOMSG]))? {
            if reply.kind == RTM_NEWLINK
                && let Some(name) = reply.attr(IFINFOMSG, IFLA_IFNAME)
            {
                net.interfaces.push(netlink::text(name));
            }
        }
        net.interfaces.sort_unstable();
        for reply in socket.dump(&Message::new(RTM_GETADDR, 0, &[0; IFADDRMSG]))? {
            let value = reply.attr(IFADDRMSG, IFA_LOCAL).or_else(|| reply.attr(IFADDRMSG, IFA_ADDRESS));
            if reply.kind == RTM_NEWADDR
                && let Some(value) = value
            {
                keep(&mut net, value);
            }
        }
        Ok(net)
    }
}

impl Default for Looker {
    fn default() -> Self {
        Self::new()
    }
}

fn keep(net: &mut Net, value: &[u8]) {
    if let Ok(v4) = <[u8; 4]>::try_from(value) {
        let a = Ipv4Addr::from(v4);
        if !a.is_loopback() {
            net.ipv4.push(a.to_string());
        }
    } else if let Ok(v6) = <[u8; 16]>::try_from(value) {
        let a = Ipv6Addr::from(v6);
        if !a.is_loopback() && a.segments().first().is_none_or(|s| s & 0xffc0 != 0xfe80) {
            net.ipv6.push(a.to_string());
        }
    }
}

/// A file of the container's payload cgroup, as its monitor shows it: `memory.stat` belongs to `memory`.
pub fn cgroup_file(client: &Client, file: &CStr) -> Option<String> {
    let name = file.to_str().ok()?;
    let controller = name.split('.').next()?;
    let dir = client.cgroup_fd(controller).map(|(fd, _)| fd).or_else(|_| client.cgroup2_fd()).ok()?;
    let fd = path::openat(dir.as_fd(), file, libc::O_RDONLY | libc::O_NOFOLLOW, 0).ok()?;
    let mut text = String::new();
    std::fs::File::from(fd).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The number that such a file holds.
pub fn cgroup_number(client: &Client, file: &CStr) -> Option<u64> {
    cgroup_file(client, file)?.trim().parse().ok()
}

/// The number behind a word at a line's start: `swap 4096`, `usage_usec 12`.
pub fn field(text: &str, word: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(word)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_worth_showing() {
        let mut net = Net::default();
        for a in ["127.0.0.1", "10.0.3.5", "127.8.8.8"] {
            keep(&mut net, &a.parse::<Ipv4Addr>().unwrap().octets());
        }
        for a in ["::1", "fe80::1", "febf::2", "fec0::3", "fd77::2"] {
            keep(&mut net, &a.parse::<Ipv6Addr>().unwrap().octets());
        }
        assert_eq!(net.ipv4, ["10.0.3.5"]);
        assert_eq!(net.ipv6, ["fec0::3", "fd77::2"]);
    }

    #[test]
    fn fields() {
        assert_eq!(field("cache 1\nswap 4096\nswapcached 3\n", "swap"), Some(4096));
        assert_eq!(field("", "swap"), None);
    }
}
