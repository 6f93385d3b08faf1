//! What can be known of the devices before the clone: numbers, addresses and names that are well formed, links that exist.
//! Makes nothing.
#![forbid(unsafe_code)]

use super::conf::{Conf, Device, Gateway, Kind};
use super::rtnl::{Mac, Rtnl};
use crate::base::facts::Facts;
use crate::base::ids::Ns;
use crate::base::{Context, Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The longest device name (IFNAMSIZ without its NUL).
const NAME_MAX: usize = 15;

/// A device, checked.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// N of `lxc.net.N`.
    pub number: u32,
    /// As configured.
    pub conf: Device,
    /// `hwaddr`, read.
    pub mac: Option<Mac>,
    /// `mtu`, else the link's, else 1500.
    pub mtu: u32,
    /// The link's index on the host.
    pub link: Option<u32>,
    /// `ipv4.gateway`; `auto` is looked up.
    pub gateway4: Option<Gateway<Ipv4Addr>>,
    /// The same for IPv6.
    pub gateway6: Option<Gateway<Ipv6Addr>>,
    /// The host's end: name and index, once it is there.
    pub host: Option<(String, u32)>,
    /// The container's end by its index inside.
    pub inside: Option<u32>,
    /// `script.up` has run: `script.down` is due.
    pub scripted: bool,
}

impl Prepared {
    /// The key's name for messages.
    pub(super) fn key(&self, sub: &str) -> String {
        format!("lxc.net.{}.{sub}", self.number)
    }
}

/// The devices of a container, see [`super::Network`].
///
/// # Errors
/// What is not well formed or missing, by its key.
pub(super) fn devices(conf: &Conf, facts: &Facts) -> Result<Vec<Prepared>> {
    if !facts.new_ns.has(Ns::Net) {
        return Ok(Vec::new());
    }
    let mut rtnl = None;
    conf.devices
        .iter()
        .filter(|(_, d)| !matches!(d.kind, Kind::None))
        .map(|(number, device)| one(*number, device, &mut rtnl).map_err(|e| e.stage("network")))
        .collect()
}

/// What the devices say that cannot be, whatever the host has.
pub fn check(conf: &Conf) -> Vec<Error> {
    let unlinked = |d: &Device| Device { link: None, ..d.clone() };
    let real = conf.devices.iter().filter(|(_, d)| d.kind != Kind::None);
    real.filter_map(|(number, d)| one(*number, &unlinked(d), &mut None).err()).collect()
}

/// What this host lacks for devices that are right by themselves: bridges, addresses of a link.
pub fn check_host(conf: &Conf) -> Vec<Error> {
    let mut rtnl = None;
    let real = conf.devices.iter().filter(|(_, d)| d.kind != Kind::None);
    let mut wrong = Vec::new();
    for (number, device) in real {
        if one(*number, &Device { link: None, ..device.clone() }, &mut None).is_ok() {
            wrong.extend(one(*number, device, &mut rtnl).err());
        }
    }
    wrong
}

fn one(number: u32, conf: &Device, rtnl: &mut Option<Rtnl>) -> Result<Prepared> {
    let mut p = Prepared {
        number,
        conf: conf.clone(),
        mac: None,
        mtu: 1500,
        link: None,
        gateway4: conf.gateway4,
        gateway6: conf.gateway6,
        host: None,
        inside: None,
        scripted: false,
    };
    if conf.kind == Kind::Invalid {
        return Err(Error::new(format!("{}: the type is empty", p.key("type"))).hint("set a type, empty for example"));
    }
    for (sub, name) in [("name", &conf.name), ("veth.pair", &conf.veth_pair)] {
        if let Some(name) = name {
            check_name(name).map_err(|why| Error::new(format!("{} = {name}: {why}", p.key(sub))))?;
        }
    }
    if let Some(text) = &conf.hwaddr {
        let mac = parse_mac(text).ok_or_else(|| {
            Error::new(format!("{} = {text}: not an Ethernet address such as 10:66:6a:12:34:56", p.key("hwaddr")))
        })?;
        p.mac = Some(mac);
    }
    if conf.kind == Kind::Empty {
        return Ok(p);
    }
    let mtu = match &conf.mtu {
        None => None,
        Some(text) => Some(
            text.trim()
                .parse::<u32>()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| Error::new(format!("{} = {text}: not a number of bytes", p.key("mtu"))))?,
        ),
    };
    if let Some(name) = &conf.link {
        link(&mut p, name, rtnl)?;
    }
    if let Some(mtu) = mtu {
        p.mtu = mtu;
    }
    gateways(&p)?;
    Ok(p)
}

/// Finds the link on the host: its index, its MTU, its address for gateways that are `auto`.
fn link(p: &mut Prepared, name: &str, rtnl: &mut Option<Rtnl>) -> Result<()> {
    let socket = match rtnl {
        Some(socket) => socket,
        None => rtnl.insert(Rtnl::open().ctx(|| "opening a netlink socket".into())?),
    };
    let found = match socket.link(name) {
        Ok(found) => found,
        Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {
            return Err(Error::new(format!("{} = {name}: there is no such bridge on this host", p.key("link"))).hint(format!(
                "make it: systemctl start lxc-net, or ip link add {name} type bridge; or use lxc.net.{}.type = empty",
                p.number
            )));
        }
        Err(e) => return Err(Error::io(&e, format!("{} = {name}", p.key("link")))),
    };
    if p.conf.kind == Kind::Veth && !Path::new("/sys/class/net").join(name).join("bridge").exists() {
        return Err(Error::new(format!("{} = {name}: it is no bridge of the kernel's", p.key("link")))
            .hint(format!("name a bridge; those here: {}", bridges())));
    }
    p.link = Some(found.index);
    p.mtu = found.mtu;
    let wants = (p.gateway4 == Some(Gateway::Auto), p.gateway6 == Some(Gateway::Auto));
    if wants == (false, false) {
        return Ok(());
    }
    let addresses = socket.addresses(found.index).ctx(|| format!("reading the addresses of {name}"))?;
    let number = p.number;
    let none = |sub: &str| Error::new(format!("lxc.net.{number}.{sub} = auto: {name} has no such address"));
    if wants.0 {
        let first = addresses.iter().find_map(|(_, a, ..)| if let IpAddr::V4(a) = a { Some(*a) } else { None });
        p.gateway4 = Some(Gateway::Addr(first.ok_or_else(|| none("ipv4.gateway"))?));
    }
    if wants.1 {
        let first = addresses.iter().find_map(|(_, a, ..)| if let IpAddr::V6(a) = a { Some(*a) } else { None });
        p.gateway6 = Some(Gateway::Addr(first.ok_or_else(|| none("ipv6.gateway"))?));
    }
    Ok(())
}

/// A gateway needs a device that is up and has an address of its family.
fn gateways(p: &Prepared) -> Result<()> {
    let local = |g: &Gateway<Ipv6Addr>| matches!(g, Gateway::Addr(a) if a.segments()[0] & 0xffc0 == 0xfe80);
    for (sub, set, addressed) in [
        ("ipv4", p.gateway4.is_some(), !p.conf.ipv4.is_empty()),
        ("ipv6", p.gateway6.is_some(), !p.conf.ipv6.is_empty() || p.gateway6.as_ref().is_some_and(local)),
    ] {
        if set && !p.conf.up {
            return Err(Error::new(format!("{} needs the device up", p.key(&format!("{sub}.gateway"))))
                .hint(format!("set lxc.net.{}.flags = up", p.number)));
        }
        if set && !addressed {
            return Err(Error::new(format!("{} needs an address", p.key(&format!("{sub}.gateway"))))
                .hint(format!("set lxc.net.{}.{sub}.address", p.number)));
        }
    }
    Ok(())
}

/// The kernel's bridges here, for a hint.
fn bridges() -> String {
    let mut names: Vec<String> = std::fs::read_dir("/sys/class/net")
        .map(|d| d.filter_map(|e| e.ok()).filter(|e| e.path().join("bridge").exists()))
        .map(|d| d.filter_map(|e| e.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.sort_unstable();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// What the kernel takes as a device's name.
fn check_name(name: &str) -> std::result::Result<(), &'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Err("no device can have this name")
    } else if name.len() > NAME_MAX {
        Err("a device's name has at most 15 bytes")
    } else if name.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace()) {
        Err("a device's name has no blanks, slashes or colons")
    } else {
        Ok(())
    }
}

/// `10:66:6a:00:00:01`, with one or two digits for each byte.
pub(super) fn parse_mac(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.trim().split(':');
    for byte in &mut mac {
        let part = parts.next().filter(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_checked() {
        assert_eq!(parse_mac("10:66:6a:0:00:fF"), Some([0x10, 0x66, 0x6a, 0, 0, 0xff]));
        for bad in ["", "zz", "10:66:6a:00:00", "10:66:6a:00:00:01:02", "10:66:6a:00:00:001", "+1:0:0:0:0:0"] {
            assert_eq!(parse_mac(bad), None, "{bad}");
        }
        assert!(check_name("eth0").is_ok() && check_name("abcdefghijklmno").is_ok());
        for bad in ["", "..", "a b", "a/b", "a:b", "abcdefghijklmnop"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_gateway_needs_an_address_and_a_device_that_is_up() {
        let gw = Some(Gateway::Addr(Ipv4Addr::new(10, 0, 3, 1)));
        let device = Device { kind: Kind::Veth, gateway4: gw, ..Device::default() };
        let e = one(3, &device, &mut None).unwrap_err();
        assert!(e.what.contains("lxc.net.3.ipv4.gateway needs the device up"), "{e}");
        let e = one(3, &Device { up: true, ..device }, &mut None).unwrap_err();
        assert!(e.what.contains("needs an address"), "{e}");
    }

    #[test]
    fn a_missing_bridge_is_told_with_what_mends_it() {
        let device = Device { kind: Kind::Veth, link: Some("nosuchbr".into()), ..Device::default() };
        let e = one(0, &device, &mut None).unwrap_err();
        assert!(e.what.contains("lxc.net.0.link = nosuchbr"), "{e}");
        assert!(e.hint.unwrap().contains("lxc.net.0.type = empty"));
    }
}
