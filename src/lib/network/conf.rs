//! The settings of `network`, as its keys leave them. Data only; parsing lies in `keys.rs`, acting elsewhere.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `lxc.net.N.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A new stack with `lo` only.
    #[default]
    Empty,
    /// A pair, one end inside.
    Veth,
    /// A MAC-based child of `link`.
    Macvlan,
    /// An IP-based child of `link`.
    Ipvlan,
    /// A tagged child of `link`.
    Vlan,
    /// `link` itself moves in.
    Phys,
    /// The host's network.
    None,
    /// After `type` was emptied: answers `(invalid)`.
    Invalid,
}

/// A gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gateway<A> {
    /// `auto`: the first address of the link.
    Auto,
    /// `dev`: a route to the device.
    Dev,
    /// An address.
    Addr(A),
}

/// An address with its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net4 {
    /// The address.
    pub addr: Ipv4Addr,
    /// Bits.
    pub prefix: u8,
    /// Broadcast address; `None` is automatic.
    pub broadcast: Option<Ipv4Addr>,
}

/// An IPv6 address with its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net6 {
    /// The address.
    pub addr: Ipv6Addr,
    /// Bits; not range-checked when parsed.
    pub prefix: u32,
}

/// One `lxc.net.N` block. Texts that the kernel gets are kept as texts and checked when the plan is built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Device {
    /// `type`.
    pub kind: Kind,
    /// `flags` is set: bring it up.
    pub up: bool,
    /// `link`.
    pub link: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `hwaddr`, template filled in.
    pub hwaddr: Option<String>,
    /// `mtu`.
    pub mtu: Option<String>,
    /// `l2proxy`.
    pub l2proxy: bool,
    /// `ipv4.address`.
    pub ipv4: Vec<Net4>,
    /// `ipv6.address`.
    pub ipv6: Vec<Net6>,
    /// `ipv4.gateway`.
    pub gateway4: Option<Gateway<Ipv4Addr>>,
    /// `ipv6.gateway`.
    pub gateway6: Option<Gateway<Ipv6Addr>>,
    /// `script.up`.
    pub script_up: Option<String>,
    /// `script.down`.
    pub script_down: Option<String>,
    /// `veth.mode`: `Some("bridge")`, `Some("router")`, `Some("(invalid)")` after it was emptied.
    pub veth_mode: Option<String>,
    /// `veth.pair`.
    pub veth_pair: Option<String>,
    /// `veth.n_rxqueues`.
    pub veth_rxqueues: Option<u32>,
    /// `veth.n_txqueues`.
    pub veth_txqueues: Option<u32>,
    /// `veth.ipv4.route`.
    pub veth_routes4: Vec<(Ipv4Addr, u8)>,
    /// `veth.ipv6.route`.
    pub veth_routes6: Vec<(Ipv6Addr, u32)>,
    /// `veth.vlan.id`; -1 is `none`.
    pub veth_vlan: Option<i32>,
    /// `veth.vlan.tagged.id`.
    pub veth_vlan_tagged: Vec<u16>,
    /// `macvlan.mode`.
    pub macvlan_mode: Option<String>,
    /// `ipvlan.mode`.
    pub ipvlan_mode: Option<String>,
    /// `ipvlan.isolation`.
    pub ipvlan_isolation: Option<String>,
    /// `vlan.id`.
    pub vlan_id: Option<u16>,
}

/// Network devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// By index; holes are allowed.
    pub devices: BTreeMap<u32, Device>,
}
