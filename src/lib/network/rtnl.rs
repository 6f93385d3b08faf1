//! Links, addresses and routes over one NETLINK_ROUTE socket (rtnetlink(7)). Knows the messages, not what they are for.
#![forbid(unsafe_code)]

use crate::sys::netlink::{self, CREATE, EXCL, Message, Netlink, Reply};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_PID: u16 = 19;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 1;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;

/// An Ethernet address.
pub type Mac = [u8; 6];

/// A link as the kernel tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub mtu: u32,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// The other end of a pair, by its index in its own namespace.
    pub peer: Option<u32>,
}

/// One end of a pair to be made.
#[derive(Debug, Clone, Default)]
pub struct End<'a> {
    /// Name; `eth%d` lets the kernel count.
    pub name: &'a str,
    /// Ethernet address; `None` is the kernel's choice.
    pub mac: Option<Mac>,
}

/// A pair to be made.
#[derive(Debug, Clone, Default)]
pub struct Pair<'a> {
    /// The end that stays here.
    pub host: End<'a>,
    /// The end that goes to the other namespace.
    pub inside: End<'a>,
    /// A process of that namespace.
    pub pid: i32,
    /// Bytes.
    pub mtu: u32,
    /// Receive and transmit queues of the inside.
    pub queues: (Option<u32>, Option<u32>),
}

/// The socket.
#[derive(Debug)]
pub struct Rtnl(Netlink);

impl Rtnl {
    /// In the caller's network namespace.
    ///
    /// # Errors
    /// socket(2).
    pub fn open() -> io::Result<Self> {
        Netlink::open().map(Self)
    }

    /// On a socket opened elsewhere.
    ///
    /// # Errors
    /// It is no netlink socket.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Netlink::from_fd(fd).map(Self)
    }

    /// The link of this name.
    ///
    /// # Errors
    /// ENODEV.
    pub fn link(&mut self, name: &str) -> io::Result<Link> {
        let mut m = Message::new(RTM_GETLINK, 0, &ifinfo(0, 0));
        m.attr_str(IFLA_IFNAME, name);
        self.0.get(&m).map(|r| to_link(&r))
    }

    /// All links.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        Ok(self.0.dump(&Message::new(RTM_GETLINK, 0, &ifinfo(0, 0)))?.iter().map(to_link).collect())
    }

    /// Makes a pair with one end here.
    ///
    /// # Errors
    /// EEXIST: one of the names is taken in its namespace.
    pub fn new_pair(&mut self, pair: &Pair<'_>) -> io::Result<()> {
        let mut m = Message::new(RTM_NEWLINK, CREATE | EXCL, &ifinfo(0, 0));
        m.attr_str(IFLA_IFNAME, pair.host.name).attr_u32(IFLA_MTU, pair.mtu);
        if let Some(mac) = pair.host.mac {
            m.attr(IFLA_ADDRESS, &mac);
        }
        // What one end receives the other sends: the numbers are the inside's.
        queues(&mut m, (pair.queues.1, pair.queues.0));
        m.nest(IFLA_LINKINFO, |m| {
            m.attr_str(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |m| {
                m.nest_with(VETH_INFO_PEER, &ifinfo(0, 0), |m| {
                    m.attr_str(IFLA_IFNAME, pair.inside.name).attr_u32(IFLA_MTU, pair.mtu);
                    m.attr_u32(IFLA_NET_NS_PID, pair.pid.unsigned_abs());
                    if let Some(mac) = pair.inside.mac {
                        m.attr(IFLA_ADDRESS, &mac);
                    }
                    queues(m, pair.queues);
                });
            });
        });
        self.0.request(&m)
    }

    /// Puts a link into a bridge.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn set_master(&mut self, index: u32, bridge: u32) -> io::Result<()> {
        let mut m = Message::new(RTM_NEWLINK, 0, &ifinfo(index, 0));
        m.attr_u32(IFLA_MASTER, bridge);
        self.0.request(&m)
    }

    /// Sets a link's Ethernet address.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn set_mac(&mut self, index: u32, mac: Mac) -> io::Result<()> {
        let mut m = Message::new(RTM_NEWLINK, 0, &ifinfo(index, 0));
        m.attr(IFLA_ADDRESS, &mac);
        self.0.request(&m)
    }

    /// Brings a link up.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.0.request(&Message::new(RTM_NEWLINK, 0, &ifinfo(index, IFF_UP)))
    }

    /// Moves a link to the network namespace of a process, under a new name.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn move_to(&mut self, index: u32, pid: i32, name: &str) -> io::Result<()> {
        let mut m = Message::new(RTM_NEWLINK, 0, &ifinfo(index, 0));
        m.attr_u32(IFLA_NET_NS_PID, pid.unsigned_abs()).attr_str(IFLA_IFNAME, name);
        self.0.request(&m)
    }

    /// Deletes a link.
    ///
    /// # Errors
    /// ENODEV: it is gone.
    pub fn delete(&mut self, index: u32) -> io::Result<()> {
        self.0.request(&Message::new(RTM_DELLINK, 0, &ifinfo(index, 0)))
    }

    /// Adds an address.
    ///
    /// # Errors
    /// EEXIST: it is there.
    pub fn add_address(&mut self, index: u32, addr: IpAddr, prefix: u8, cast: Option<Ipv4Addr>) -> io::Result<()> {
        const IFA_ADDRESS: u16 = 1;
        const IFA_LOCAL: u16 = 2;
        const IFA_BROADCAST: u16 = 4;
        let mut fixed = [0; IFADDRMSG];
        fixed[0] = family(addr);
        fixed[1] = prefix;
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        let mut m = Message::new(RTM_NEWADDR, CREATE | EXCL, &fixed);
        let bytes = octets(addr);
        m.attr(IFA_LOCAL, &bytes).attr(IFA_ADDRESS, &bytes);
        if let Some(cast) = cast {
            m.attr(IFA_BROADCAST, &cast.octets());
        }
        self.0.request(&m)
    }

    /// The addresses of a link, or of all (0): index, address, prefix length, scope (rtnetlink(7), 253 is link-local).
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn addresses(&mut self, index: u32) -> io::Result<Vec<(u32, IpAddr, u8, u8)>> {
        let all = self.0.dump(&Message::new(RTM_GETADDR, 0, &[0; IFADDRMSG]))?;
        let found = all.iter().filter_map(|r| {
            let link = netlink::u32_at(&r.body, 4)?;
            // The local address, which differs from the first attribute on a point-to-point link only.
            let addr = to_addr(r.attr(IFADDRMSG, 2).or_else(|| r.attr(IFADDRMSG, 1))?)?;
            Some((link, addr, *r.body.get(1)?, *r.body.get(3)?))
        });
        Ok(found.filter(|(link, ..)| index == 0 || *link == index).collect())
    }

    /// Adds a route: to `dest` (`None` is the default route) by the link, through `gateway` when there is one.
    ///
    /// # Errors
    /// ENETUNREACH: the gateway is on no network of the link.
    pub fn add_route(
        &mut self,
        index: u32,
        dest: Option<(IpAddr, u8)>,
        gateway: Option<IpAddr>,
        v6: bool,
    ) -> io::Result<()> {
        const RTA_DST: u16 = 1;
        const RTA_OIF: u16 = 4;
        const RTA_GATEWAY: u16 = 5;
        const MAIN: u8 = 254;
        const BOOT: u8 = 3;
        const UNIVERSE: u8 = 0;
        const LINK: u8 = 253;
        const UNICAST: u8 = 1;
        let scope = if gateway.is_none() && !v6 { LINK } else { UNIVERSE };
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET } as u8;
        let length = dest.map_or(0, |d| d.1);
        let fixed = [family, length, 0, 0, MAIN, BOOT, scope, UNICAST, 0, 0, 0, 0];
        let mut m = Message::new(RTM_NEWROUTE, CREATE | EXCL, &fixed);
        if let Some((dest, _)) = dest {
            m.attr(RTA_DST, &octets(dest));
        }
        if let Some(gateway) = gateway {
            m.attr(RTA_GATEWAY, &octets(gateway));
        }
        m.attr_u32(RTA_OIF, index);
        self.0.request(&m)
    }
}

fn queues(m: &mut Message, (rx, tx): (Option<u32>, Option<u32>)) {
    if let Some(n) = rx {
        m.attr_u32(IFLA_NUM_RX_QUEUES, n);
    }
    if let Some(n) = tx {
        m.attr_u32(IFLA_NUM_TX_QUEUES, n);
    }
}

/// struct ifinfomsg: any family, the index, flags to set.
fn ifinfo(index: u32, up: u32) -> [u8; IFINFOMSG] {
    let mut fixed = [0; IFINFOMSG];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&up.to_ne_bytes());
    fixed[12..16].copy_from_slice(&up.to_ne_bytes());
    fixed
}

fn to_link(r: &Reply) -> Link {
    let number = |kind| r.attr(IFINFOMSG, kind).and_then(|v| netlink::u32_at(v, 0));
    Link {
        index: netlink::u32_at(&r.body, 4).unwrap_or(0),
        name: r.attr(IFINFOMSG, IFLA_IFNAME).map(netlink::text).unwrap_or_default(),
        mtu: number(IFLA_MTU).unwrap_or(0),
        mac: r.attr(IFINFOMSG, IFLA_ADDRESS).and_then(|v| v.try_into().ok()),
        peer: number(IFLA_LINK),
    }
}

fn family(addr: IpAddr) -> u8 {
    match addr {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn to_addr(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|b| Ipv6Addr::from(b).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_there() {
        let mut rtnl = Rtnl::open().unwrap();
        let lo = rtnl.link("lo").unwrap();
        assert_eq!((lo.index, lo.name.as_str()), (1, "lo"));
        assert!(rtnl.links().unwrap().contains(&lo));
        assert_eq!(rtnl.link("no-such-device").unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn addresses_keep_their_bytes() {
        for text in ["10.0.3.1", "fe80::1"] {
            let addr: IpAddr = text.parse().unwrap();
            assert_eq!(to_addr(&octets(addr)), Some(addr));
        }
        assert_eq!(to_addr(&[1, 2, 3]), None);
    }
}
