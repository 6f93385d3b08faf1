//! The keys of `network`: rows only. What their values mean is `values`', what obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::{Device, Kind as Type};
pub use super::values::{fill_hwaddr, ipv6_text};
use super::values::{
    gateway, hwaddr, ipv4, ipv6, kind, link, pair, put, queues, routes4, routes6, show_gateway, veth_tagged, veth_vlan,
    vlan, word,
};
use crate::keys::{Answer, Bad, Call, Key, Kind, Op};
use crate::slot;
use std::net::Ipv4Addr;

/// The key of all devices.
pub static KEYS: &[Key<Conf>] = &[Key::own(
    "lxc.net lxc.network",
    all,
    "since: 1.0
     good: -
     bad: veth

     Takes no value: the empty one forgets all devices, also those of included files. `lxc.net =`",
)];

fn all(op: Op<'_, Conf>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(_) if !call.value.is_empty() => Err(Bad::new("takes no value; name a device, as lxc.net.0.type")),
        Op::Get(c) => Ok(c.devices.values().map(|d| format!("{}\n", type_name(d.kind))).collect()),
        Op::Set(c) | Op::Clear(c) => {
            c.devices.clear();
            Ok(String::new())
        }
    }
}

/// The name of a network type.
pub const fn type_name(kind: Type) -> &'static str {
    match kind {
        Type::Empty => "empty",
        Type::Veth => "veth",
        Type::Macvlan => "macvlan",
        Type::Ipvlan => "ipvlan",
        Type::Vlan => "vlan",
        Type::Phys => "phys",
        Type::None => "none",
        Type::Invalid => "(invalid)",
    }
}

/// The sub-keys that a device of this type has, as the C API lists them.
pub fn list(kind: Type) -> String {
    let mut out = String::from("type\nscript.up\nscript.down\n");
    if kind != Type::Empty {
        out.push_str("flags\nlink\nname\nhwaddr\nmtu\nipv6.address\nipv6.gateway\nipv4.address\nipv4.gateway\n");
    }
    out.push_str(match kind {
        Type::Veth => "veth.pair\nveth.ipv4.route\nveth.ipv6.route\nveth.vlan.id\n",
        Type::Macvlan => "macvlan.mode\n",
        Type::Ipvlan => "ipvlan.mode\nipvlan.isolation\n",
        Type::Vlan => "vlan.id\n",
        _ => "",
    });
    out
}

/// The keys of one device; names relative to `lxc.net.N.` are what follows `[i].`.
pub static DEVICE_KEYS: &[Key<Device>] = &[
    Key::own(
        "lxc.net.[i].flags",
        |op, call| match op {
            Op::Set(d) => put(&mut d.up, !call.value.is_empty()),
            Op::Get(d) => Ok(if d.up { "up" } else { "" }.to_string()),
            Op::Clear(d) => put(&mut d.up, false),
        },
        "since: 1.0
         good: up
         default: down

         Any text brings the interface up. `lxc.net.0.flags = up`",
    ),
    Key::own(
        "lxc.net.[i].hwaddr",
        hwaddr,
        "since: 1.0
         good: 10:66:6a:01:02:03
         default: chosen by the kernel

         The hardware address; every x becomes a random digit, which is then kept in the file.
         `lxc.net.0.hwaddr = 10:66:6a:xx:xx:xx`",
    ),
    Key::own(
        "lxc.net.[i].ipv4.address",
        ipv4,
        "since: 1.0
         good: 10.0.3.5/24 | 10.0.3.6/24 10.0.3.255
         bad: 10.0.0/8 | 10.0.0.5/33 | 10.0.0.5/24 foo

         An address with its prefix length and, after a blank, a broadcast address. One line each.
         `lxc.net.0.ipv4.address = 10.0.3.5/24`",
    ),
    Key::own(
        "lxc.net.[i].ipv4.gateway",
        |op, call| match op {
            Op::Set(d) => gateway(&mut d.gateway4, call.value),
            Op::Get(d) => Ok(show_gateway(&d.gateway4, Ipv4Addr::to_string)),
            Op::Clear(d) => put(&mut d.gateway4, None),
        },
        "since: 1.0
         good: 10.0.3.1 | auto | dev
         bad: foo

         The gateway: an address, auto for that of the bridge or parent, dev for a route without an address.
         `lxc.net.0.ipv4.gateway = 10.0.3.1`",
    ),
    Key::own(
        "lxc.net.[i].ipv6.address",
        ipv6,
        "since: 1.0
         good: fd00::5/64 | fd00::6
         bad: foo | ::1/x

         An IPv6 address with its prefix length, 64 without one. One line each. `lxc.net.0.ipv6.address = fd00::5/64`",
    ),
    Key::own(
        "lxc.net.[i].ipv6.gateway",
        |op, call| match op {
            Op::Set(d) => gateway(&mut d.gateway6, call.value),
            Op::Get(d) => Ok(show_gateway(&d.gateway6, ipv6_text)),
            Op::Clear(d) => put(&mut d.gateway6, None),
        },
        "since: 1.0
         good: fd00::1 | auto | dev
         bad: foo

         The IPv6 gateway, as lxc.net.N.ipv4.gateway. `lxc.net.0.ipv6.gateway = auto`",
    ),
    Key::own(
        "lxc.net.[i].ipvlan.isolation",
        |op, call| {
            word(op, call, Type::Ipvlan, |d| &d.ipvlan_isolation, |d| &mut d.ipvlan_isolation, "bridge private vepa")
        },
        "since: 4.0
         good: bridge | private | vepa
         default: bridge

         Which children of one parent may talk to each other: bridge, private or vepa.
         `lxc.net.0.ipvlan.isolation = private`",
    ),
    Key::own(
        "lxc.net.[i].ipvlan.mode",
        |op, call| word(op, call, Type::Ipvlan, |d| &d.ipvlan_mode, |d| &mut d.ipvlan_mode, "l2 l3 l3s"),
        "since: 4.0
         good: l3 | l3s | l2
         default: l2

         The layer at which packets are handed on: l2, l3 or l3s. `lxc.net.0.ipvlan.mode = l3`",
    ),
    Key::field(
        "lxc.net.[i].l2proxy",
        Kind::Bool,
        slot!(Bool, l2proxy),
        "since: 4.0
         good: 1 | 0
         bad: 2
         default: 0

         1 makes the parent answer ARP and neighbour requests for the container's addresses. `lxc.net.0.l2proxy = 1`",
    ),
    Key::own(
        "lxc.net.[i].link",
        link,
        "since: 1.0
         good: lxcbr0 | eth0

         The bridge or parent interface of the host; for phys a trailing + takes the last interface with that beginning.
         `lxc.net.0.link = lxcbr0`",
    ),
    Key::own(
        "lxc.net.[i].macvlan.mode",
        |op, call| {
            let words = "private vepa bridge passthru";
            word(op, call, Type::Macvlan, |d| &d.macvlan_mode, |d| &mut d.macvlan_mode, words)
        },
        "since: 1.0
         good: bridge | vepa | passthru | private
         default: private

         Which children of one parent may talk to each other: private, vepa, bridge or passthru.
         `lxc.net.0.macvlan.mode = bridge`",
    ),
    Key::field(
        "lxc.net.[i].mtu",
        Kind::Text(u16::MAX),
        slot!(Text, mtu),
        "since: 1.0
         good: 1500

         The largest packet. `lxc.net.0.mtu = 1400`",
    ),
    Key::field(
        "lxc.net.[i].name",
        Kind::IfName,
        slot!(Text, name),
        "since: 1.0
         good: eth0
         default: eth with the next number

         The interface's name inside. `lxc.net.0.name = eth0`",
    ),
    Key::field(
        "lxc.net.[i].script.down",
        Kind::Text(u16::MAX),
        slot!(Text, script_down),
        "since: 1.0
         good: /srv/net-down

         A command of the host for when the interface is taken away. `lxc.net.0.script.down = /srv/net-down`",
    ),
    Key::field(
        "lxc.net.[i].script.up",
        Kind::Text(u16::MAX),
        slot!(Text, script_up),
        "since: 1.0
         good: /srv/net-up fast

         A command of the host for when the interface has been made. `lxc.net.0.script.up = /srv/net-up`",
    ),
    Key::own(
        "lxc.net.[i].type",
        kind,
        "since: 1.0
         good: veth | macvlan | ipvlan | vlan | phys | empty | none
         bad: foo | VETH
         default: empty

         The kind of network. It resets all other settings of the device, so it must come first. `lxc.net.0.type = veth`",
    ),
    Key::own(
        "lxc.net.[i].veth.ipv4.route",
        routes4,
        "since: 4.0
         good: 10.5.0.0/16
         bad: 10.5.0.0 | 10.5.0.0/33

         A route on the host to the container. One line each. `lxc.net.0.veth.ipv4.route = 10.5.0.0/16`",
    ),
    Key::own(
        "lxc.net.[i].veth.ipv6.route",
        routes6,
        "since: 4.0
         good: fd00:5::/64
         bad: fd00::5 | fd00::/200

         An IPv6 route on the host to the container. One line each. `lxc.net.0.veth.ipv6.route = fd00:5::/64`",
    ),
    Key::own(
        "lxc.net.[i].veth.mode",
        |op, call| word(op, call, Type::Veth, |d| &d.veth_mode, |d| &mut d.veth_mode, "bridge router"),
        "since: 4.0
         good: bridge | router
         bad: foo
         default: bridge

         router makes no bridge port of the host's end but routes to it. `lxc.net.0.veth.mode = router`",
    ),
    Key::own(
        "lxc.net.[i].veth.n_rxqueues",
        |op, call| queues(op, call, |d| &mut d.veth_rxqueues, |d| d.veth_rxqueues),
        "since: 5.0
         good: 4
         bad: 0 | -4

         Receive queues of both ends. `lxc.net.0.veth.n_rxqueues = 4`",
    ),
    Key::own(
        "lxc.net.[i].veth.n_txqueues",
        |op, call| queues(op, call, |d| &mut d.veth_txqueues, |d| d.veth_txqueues),
        "since: 5.0
         good: 4
         bad: 0

         Send queues of both ends. `lxc.net.0.veth.n_txqueues = 4`",
    ),
    Key::own(
        "lxc.net.[i].veth.pair",
        pair,
        "since: 1.0
         good: vethweb1
         default: veth with random letters

         The name of the host's end. `lxc.net.0.veth.pair = vethweb1`",
    ),
    Key::own(
        "lxc.net.[i].veth.vlan.id",
        veth_vlan,
        "since: 5.0
         good: 5 | none | 0x10
         bad: 4095

         The untagged VLAN of the bridge port, or none for no untagged one. `lxc.net.0.veth.vlan.id = 5`",
    ),
    Key::own(
        "lxc.net.[i].veth.vlan.tagged.id",
        veth_tagged,
        "since: 5.0
         good: 6 | 7
         bad: 4095 | none

         A tagged VLAN of the bridge port. One line each. `lxc.net.0.veth.vlan.tagged.id = 6`",
    ),
    Key::own(
        "lxc.net.[i].vlan.id",
        vlan,
        "since: 1.0
         good: 5 | 0x11
         bad: 70000 | -1
         default: 0

         The VLAN of a device of type vlan. `lxc.net.0.vlan.id = 100`",
    ),
];
