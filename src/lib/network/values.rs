//! What the keys of one network device take and give: the functions behind the rows of `keys`, from text to fields and
//! back. Owns no row, and asks the host for nothing but the name behind a `+`.
#![forbid(unsafe_code)]

use super::conf::{Device, Gateway, Kind as Type, Net4, Net6};
use super::keys::type_name;
use crate::keys::{Answer, Bad, Call, Op, value};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Stores a value.
pub(super) fn put<T>(field: &mut T, value: T) -> Answer {
    *field = value;
    Ok(String::new())
}

/// Refuses a key of another type.
fn only(device: &Device, kind: Type) -> Result<(), Bad> {
    if device.kind == kind { Ok(()) } else { Err(Bad::new(format!("only for type {}", type_name(kind)))) }
}

pub(super) fn kind(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn hwaddr(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn link(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn pair(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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
pub(super) fn word(
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

pub(super) fn queues(
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

pub(super) fn veth_vlan(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn veth_tagged(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn vlan(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn ipv4(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
    match op {
        Op::Set(d) if !call.value.is_empty() => {
            let (address, broadcast) = match call.value.split_once(' ') {
                Some((address, broadcast)) => (address, Some(broadcast)),
                None => (call.value, None),
            };
            let (addr, prefix) = split_prefix::<Ipv4Addr>(address)?;
            let prefix = match prefix {
                Some(p) if p > 32 => return Err(Bad::new("the prefix length is above 32")),
                Some(p) => p as u8, // at most 32
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

pub(super) fn ipv6(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn gateway<A: FromStr>(field: &mut Option<Gateway<A>>, text: &str) -> Answer {
    *field = match text {
        "" => None,
        "auto" => Some(Gateway::Auto),
        "dev" => Some(Gateway::Dev),
        _ => Some(Gateway::Addr(text.parse().map_err(|_| Bad::new("neither an address nor auto nor dev"))?)),
    };
    Ok(String::new())
}

pub(super) fn show_gateway<A>(field: &Option<Gateway<A>>, show: fn(&A) -> String) -> String {
    match field {
        None => String::new(),
        Some(Gateway::Auto) => "auto".to_string(),
        Some(Gateway::Dev) => "dev".to_string(),
        Some(Gateway::Addr(address)) => show(address),
    }
}

pub(super) fn routes4(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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

pub(super) fn routes6(op: Op<'_, Device>, call: &Call<'_>) -> Answer {
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
