//! The keys of `network`: rows only. What obeys them lies beside.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::{Device, Gateway, Kind as Type, Net4, Net6};
use crate::keys::{Answer, Bad, Call, Key, Kind, Op, value};
use crate::slot;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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

/// Stores a value.
fn put<T>(field: &mut T, value: T) -> Answer {
    *field = value;
    Ok(String::new())
}

/// Refuses a key of another type.
fn only(device: &Device, kind: Type) -> Result<(), Bad> {
    if device.kind == kind { Ok(()) } else { Err(Bad::new(format!("only for type {}", type_name(kind)))) }
}

fn kind(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    let reset = |kind| Device { kind, ..Device::default() };
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            let kind = match call.value {
                "veth" => Type::Veth,
                "macvlan" => Type::Macvlan,
                "ipvlan" => Type::Ipvlan,
                "vlan" => Type::Vlan,
                "phys" => Type::Phys,
                "empty" => Type::Empty,
                "none" => Type::None,
                _ => return Err(Bad::new("no network type: veth macvlan ipvlan vlan phys empty none")),
            };
            *d = reset(kind);
            // LXC names the only interface of an empty network.
            d.name = (kind == Type::Empty).then(|| "lo".to_string());
        }
        Op::Get(d) if d.kind == Type::Invalid => {}
        Op::Get(d) => return Ok(type_name(d.kind).to_string()),
        Op::Set(d) | Op::Clear(d) => *d = reset(Type::Invalid),
    }
    Ok(String::new())
}

fn hwaddr(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            d.hwaddr = Some(fill_hwaddr(call.value).unwrap_or_else(|| call.value.to_string()));
        }
        Op::Get(d) => return Ok(d.hwaddr.clone().unwrap_or_default()),
        Op::Set(d) | Op::Clear(d) => d.hwaddr = None,
    }
    Ok(String::new())
}

/// Fills every `x` of a template with a random digit, the second digit with an even one (a unicast address); `None`
/// without an `x`.
pub fn fill_hwaddr(template: &str) -> Option<String> {
    if !template.contains(['x', 'X']) {
        return None;
    }
    let mut random = value::Random::new();
    let fill = |(i, c): (usize, char)| match c {
        'x' | 'X' => {
            let digit = random.below(16) & if i == 1 { 14 } else { 15 };
            char::from_digit(digit, 16).unwrap_or('0')
        }
        other => other,
    };
    Some(template.char_indices().map(fill).collect())
}

fn link(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            let name = match call.value.strip_suffix('+') {
                Some(prefix) if d.kind == Type::Phys => match last_interface(prefix) {
                    Some(name) => name,
                    None => return Ok(String::new()),
                },
                _ => call.value.to_string(),
            };
            d.link = Some(value::cut(&name, 15).to_string());
        }
        Op::Get(d) => return Ok(d.link.clone().unwrap_or_default()),
        Op::Set(d) | Op::Clear(d) => d.link = None,
    }
    Ok(String::new())
}

/// The host's interface with the highest index whose name starts so.
fn last_interface(prefix: &str) -> Option<String> {
    let names = std::fs::read_dir("/sys/class/net").ok()?;
    let index = |name: &str| -> u32 {
        let text = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    let names = names.filter_map(|e| e.ok()?.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).max_by_key(|name| index(name))
}

fn pair(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            d.veth_pair = (!call.value.is_empty()).then(|| value::cut(call.value, 15).to_string());
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(d.veth_pair.clone().unwrap_or_default());
        }
        Op::Clear(d) => d.veth_pair = None,
    }
    Ok(String::new())
}

/// A word out of some; the first is the default. Emptied, it answers `(invalid)`, as LXC's.
fn word(
    op: Op<'_, Device>,
    call: &Call<'_>,
    kind: Type,
    get: fn(&Device) -> &Option<String>,
    field: fn(&mut Device) -> &mut Option<String>,
    words: &'static str,
) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, kind)?;
            let word = if call.value.is_empty() { "(invalid)" } else { call.value };
            if !call.value.is_empty() && !words.split(' ').any(|w| w == word) {
                return Err(Bad::new(format!("none of {words}")));
            }
            *field(d) = Some(word.to_string());
        }
        Op::Get(d) => {
            only(d, kind)?;
            return Ok(get(d).as_deref().or(words.split(' ').next()).unwrap_or_default().to_string());
        }
        Op::Clear(d) if d.kind == kind => *field(d) = Some("(invalid)".to_string()),
        Op::Clear(_) => {}
    }
    Ok(String::new())
}

fn queues(
    op: Op<'_, Device>,
    call: &Call<'_>,
    field: fn(&mut Device) -> &mut Option<u32>,
    get: fn(&Device) -> Option<u32>,
) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            *field(d) = match call.value {
                "" => None,
                text => Some(
                    value::signed(text)
                        .ok()
                        .and_then(|n| u32::try_from(n).ok())
                        .filter(|n| *n > 0)
                        .ok_or_else(|| Bad::new("not a number above 0"))?,
                ),
            };
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(get(d).map(|n| n.to_string()).unwrap_or_default());
        }
        Op::Clear(d) => *field(d) = None,
    }
    Ok(String::new())
}

fn vlan_number(text: &str, max: u32) -> Result<u16, Bad> {
    let n = value::unsigned(text).ok().filter(|n| *n <= max);
    n.and_then(|n| u16::try_from(n).ok()).ok_or_else(|| Bad::new(format!("not a number from 0 to {max}")))
}

fn veth_vlan(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            d.veth_vlan = match call.value {
                "" => None,
                "none" => Some(-1),
                text => Some(i32::from(vlan_number(text, 4094)?)),
            };
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(d.veth_vlan.map(|n| n.to_string()).unwrap_or_default());
        }
        Op::Clear(d) => d.veth_vlan = None,
    }
    Ok(String::new())
}

fn veth_tagged(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            match call.value {
                "" => d.veth_vlan_tagged.clear(),
                text => d.veth_vlan_tagged.push(vlan_number(text, 4094)?),
            }
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(joined(d.veth_vlan_tagged.iter().map(u16::to_string)));
        }
        Op::Clear(d) => d.veth_vlan_tagged.clear(),
    }
    Ok(String::new())
}

fn vlan(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Vlan)?;
            d.vlan_id = match call.value {
                "" => None,
                text => Some(vlan_number(text, 65535)?),
            };
        }
        Op::Get(d) => {
            only(d, Type::Vlan)?;
            return Ok(d.vlan_id.unwrap_or(0).to_string());
        }
        Op::Clear(d) => d.vlan_id = None,
    }
    Ok(String::new())
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join("\n")
}

/// `address/prefix`.
fn split_prefix<A: FromStr>(text: &str) -> Result<(A, Option<u32>), Bad> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => {
            (address, Some(value::unsigned(prefix).map_err(|_| Bad::new("a bad prefix length"))?))
        }
        None => (text, None),
    };
    let address = address.parse().map_err(|_| Bad::new("not an address"))?;
    Ok((address, prefix))
}

/// The prefix length of an address that was written without one. LXC means to guess by the classes A, B, C but looks at
/// the last byte on little-endian machines; existing containers have networks of these sizes, so it is kept.
fn guessed_prefix(address: Ipv4Addr) -> u8 {
    match u32::from_ne_bytes(address.octets()) >> 24 {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        _ => 0,
    }
}

fn ipv4(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            let (address, broadcast) = match call.value.split_once(' ') {
                Some((address, broadcast)) => (address, Some(broadcast)),
                None => (call.value, None),
            };
            let (addr, prefix) = split_prefix::<Ipv4Addr>(address)?;
            let prefix = match prefix {
                Some(p) if p > 32 => return Err(Bad::new("the prefix length is above 32")),
                Some(p) => p as u8,
                None => guessed_prefix(addr),
            };
            let bad = |_| Bad::new("the broadcast is not an address").at(address.len() + 1);
            let broadcast = broadcast.map(|b| b.parse().map_err(bad)).transpose()?;
            d.ipv4.push(Net4 { addr, prefix, broadcast });
        }
        Op::Get(d) => return Ok(joined(d.ipv4.iter().map(|n| format!("{}/{}", n.addr, n.prefix)))),
        Op::Set(d) | Op::Clear(d) => d.ipv4.clear(),
    }
    Ok(String::new())
}

fn ipv6(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            let (addr, prefix) = split_prefix::<Ipv6Addr>(call.value)?;
            d.ipv6.push(Net6 { addr, prefix: prefix.unwrap_or(64) });
        }
        Op::Get(d) => return Ok(joined(d.ipv6.iter().map(|n| format!("{}/{}", ipv6_text(&n.addr), n.prefix)))),
        Op::Set(d) | Op::Clear(d) => d.ipv6.clear(),
    }
    Ok(String::new())
}

/// An IPv6 address as inet_ntop(3) of glibc has it: the IPv4-compatible ones end in dots.
pub fn ipv6_text(address: &Ipv6Addr) -> String {
    let s = address.segments();
    if s[..6] == [0; 6] && s[6] != 0 {
        let o = address.octets();
        return format!("::{}.{}.{}.{}", o[12], o[13], o[14], o[15]);
    }
    address.to_string()
}

fn gateway<A: FromStr>(field: &mut Option<Gateway<A>>, text: &str) -> Answer {
    *field = match text {
        "" => None,
        "auto" => Some(Gateway::Auto),
        "dev" => Some(Gateway::Dev),
        _ => Some(Gateway::Addr(text.parse().map_err(|_| Bad::new("neither an address nor auto nor dev"))?)),
    };
    Ok(String::new())
}

fn show_gateway<A>(field: &Option<Gateway<A>>, show: fn(&A) -> String) -> String {
    match field {
        None => String::new(),
        Some(Gateway::Auto) => "auto".to_string(),
        Some(Gateway::Dev) => "dev".to_string(),
        Some(Gateway::Addr(address)) => show(address),
    }
}

fn routes4(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            if call.value.is_empty() {
                d.veth_routes4.clear();
                return Ok(String::new());
            }
            match split_prefix::<Ipv4Addr>(call.value)? {
                (addr, Some(prefix)) if prefix <= 32 => d.veth_routes4.push((addr, prefix as u8)),
                _ => return Err(Bad::new("a prefix length from 0 to 32 is needed")),
            }
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(joined(d.veth_routes4.iter().map(|(a, p)| format!("{a}/{p}"))));
        }
        Op::Clear(d) => d.veth_routes4.clear(),
    }
    Ok(String::new())
}

fn routes6(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) => {
            only(d, Type::Veth)?;
            if call.value.is_empty() {
                d.veth_routes6.clear();
                return Ok(String::new());
            }
            match split_prefix::<Ipv6Addr>(call.value)? {
                (addr, Some(prefix)) if prefix <= 128 => d.veth_routes6.push((addr, prefix)),
                _ => return Err(Bad::new("a prefix length from 0 to 128 is needed")),
            }
        }
        Op::Get(d) => {
            only(d, Type::Veth)?;
            return Ok(joined(d.veth_routes6.iter().map(|(a, p)| format!("{}/{p}", ipv6_text(a)))));
        }
        Op::Clear(d) => d.veth_routes6.clear(),
    }
    Ok(String::new())
}
