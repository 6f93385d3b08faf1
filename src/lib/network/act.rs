//! Devices of a container made, given their addresses, and taken away. The host's side is done from the monitor; the
//! container's side too, over a netlink socket that the child opened in its namespace and handed over.
#![forbid(unsafe_code)]

use super::conf::{Conf, Gateway, Kind};
use super::prepare::{self, Prepared};
use super::rtnl::{End, Pair, Rtnl};
use crate::base::facts::Facts;
use crate::base::{Context, Error, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A script of `lxc.net.N.script.up` or `.down` that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptCall {
    /// The command.
    pub command: String,
    /// `up` or `down`.
    pub kind: &'static str,
    /// `TYPE [LINK [HOSTVETH]]`.
    pub args: Vec<String>,
    /// `LXC_NET_*` and their values.
    pub env: Vec<(&'static str, String)>,
}

/// Runs a script.
pub type Runner<'a> = &'a mut dyn FnMut(&ScriptCall) -> Result<()>;

/// The devices of one start.
#[derive(Debug, Default)]
pub struct Network {
    devices: Vec<Prepared>,
    /// Teardown has been done.
    detached: bool,
}

/// Checks the devices before anything is made.
///
/// # Errors
/// What is not well formed or missing, by its key.
pub fn prepare(conf: &Conf, facts: &Facts) -> Result<Network> {
    Ok(Network { devices: prepare::devices(conf, facts)?, detached: false })
}

impl Network {
    /// There is something to do once the namespace exists.
    pub fn needs_parent(&self) -> bool {
        self.devices.iter().any(|d| d.conf.up || d.conf.kind != Kind::Empty || d.conf.script_up.is_some())
    }

    /// The host's ends: N of `lxc.net.N` and the name.
    pub fn host_pairs(&self) -> Vec<(u32, String)> {
        self.devices.iter().filter_map(|d| d.host.as_ref().map(|h| (d.number, h.0.clone()))).collect()
    }

    /// Makes the devices, their other ends straight in the namespace of `pid`, and runs the scripts.
    ///
    /// # Errors
    /// The kernel's, or a script's. What was made is taken away by [`Network::detach`].
    pub fn attach(&mut self, pid: i32, run: Runner<'_>) -> Result<()> {
        // Explicit names first, so that the kernel's count passes over them.
        let mut order: Vec<usize> = (0..self.devices.len()).collect();
        order.sort_by_key(|i| self.devices.get(*i).is_none_or(|d| d.conf.name.is_none()));
        let mut rtnl = None;
        for i in order {
            let Some(device) = self.devices.get_mut(i) else { continue };
            if device.conf.kind == Kind::Veth {
                let socket = match &mut rtnl {
                    Some(socket) => socket,
                    none => none.insert(Rtnl::open().ctx(|| "opening a netlink socket".into())?),
                };
                veth(device, pid, socket).map_err(|e| e.stage("network"))?;
            }
        }
        for device in &mut self.devices {
            if let Some(call) = script(device, "up") {
                run(&call).map_err(|e| e.stage("network"))?;
            }
            device.scripted = true;
        }
        Ok(())
    }

    /// Gives the devices inside their addresses, brings them up, sets routes.
    ///
    /// # Errors
    /// The kernel's, by the key it concerns.
    pub fn configure(&mut self, socket: OwnedFd) -> Result<()> {
        let mut rtnl = Rtnl::from_fd(socket).ctx(|| "the container's netlink socket".into())?;
        if self.devices.iter().any(|d| d.conf.up) {
            rtnl.set_up(1).ctx(|| "bringing up lo".into()).map_err(|e| e.stage("network"))?;
        }
        for device in &self.devices {
            if let Some(index) = device.inside {
                inside(device, index, &mut rtnl).map_err(|e| e.stage("network"))?;
            }
        }
        Ok(())
    }

    /// Runs the down scripts and removes the devices. Once; a second call does nothing.
    ///
    /// # Errors
    /// The first failure; the rest is done all the same.
    pub fn detach(&mut self, run: Runner<'_>) -> Result<()> {
        if std::mem::replace(&mut self.detached, true) {
            return Ok(());
        }
        let mut first = Ok(());
        let mut rtnl = None;
        for device in &mut self.devices {
            if device.scripted
                && let Some(call) = script(device, "down")
            {
                first = first.and(run(&call));
            }
            let Some((name, index)) = device.host.take() else { continue };
            let socket = match &mut rtnl {
                Some(socket) => socket,
                none => none.insert(Rtnl::open().ctx(|| "opening a netlink socket".into())?),
            };
            match socket.delete(index) {
                // The namespace's end took it along.
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => {}
                other => first = first.and(other.ctx(|| format!("removing {name}"))),
            }
        }
        first
    }
}

/// How long a pair's name may still be that of a container that has been killed.
const DYING: Duration = Duration::from_secs(3);

/// Makes a pair, puts its host end into the bridge and up.
fn veth(device: &mut Prepared, pid: i32, rtnl: &mut Rtnl) -> Result<()> {
    let inside = device.conf.name.clone().unwrap_or_else(|| "eth%d".into());
    let fixed = device.conf.veth_pair.clone();
    let mut tries = 0;
    let dying = Instant::now() + DYING;
    let host = loop {
        let host = match &fixed {
            Some(name) => name.clone(),
            None => random_name().ctx(|| "random bytes".into())?,
        };
        let made = rtnl.new_pair(&Pair {
            host: End { name: &host, mac: None },
            inside: End { name: &inside, mac: device.mac },
            pid,
            mtu: device.mtu,
            queues: (device.conf.veth_rxqueues, device.conf.veth_txqueues),
        });
        match made {
            Ok(()) => break host,
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) && fixed.is_none() && tries < 8 => tries += 1,
            // The kernel takes a killed container's network down some time after its death.
            Err(e)
                if e.raw_os_error() == Some(libc::EEXIST)
                    && Instant::now() < dying
                    && rtnl.link(&host).is_ok_and(|l| l.peer.is_some()) =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => {
                let error = Error::io(&e, format!("{}: making the pair {host} and {inside}", device.key("type")));
                return Err(match e.raw_os_error() {
                    Some(libc::EEXIST) => error.hint("a device of one of these names exists already"),
                    _ => error,
                });
            }
        }
    };
    let made = rtnl.link(&host).ctx(|| format!("{host} is gone"))?;
    device.host = Some((host.clone(), made.index));
    device.inside = made.peer;
    if let Some(mut mac) = made.mac {
        // A bridge takes its lowest member's address: 0xfe in front keeps it from changing with each container.
        mac[0] = 0xfe;
        rtnl.set_mac(made.index, mac).ctx(|| format!("setting the address of {host}"))?;
    }
    if let Some(bridge) = device.link {
        let link = device.conf.link.as_deref().unwrap_or_default();
        rtnl.set_master(made.index, bridge).ctx(|| format!("{}: putting {host} into {link}", device.key("link")))?;
    }
    rtnl.set_up(made.index).ctx(|| format!("bringing up {host}"))?;
    for (dest, prefix) in &device.conf.veth_routes4 {
        rtnl.add_route(made.index, Some(((*dest).into(), *prefix)), None, false)
            .ctx(|| format!("{} = {dest}/{prefix}", device.key("veth.ipv4.route")))?;
    }
    for (dest, prefix) in &device.conf.veth_routes6 {
        let bits = u8::try_from(*prefix).unwrap_or(u8::MAX);
        rtnl.add_route(made.index, Some(((*dest).into(), bits)), None, true)
            .ctx(|| format!("{} = {dest}/{prefix}", device.key("veth.ipv6.route")))?;
    }
    Ok(())
}

/// vethXXXXXX: a name for the host's end of a pair.
///
/// # Errors
/// getrandom(2).
pub fn random_name() -> std::io::Result<String> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut name = String::from("veth");
    for _ in 0..6 {
        let n = crate::sys::random::u32()? as usize % ALPHABET.len();
        name.push(char::from(ALPHABET.get(n).copied().unwrap_or(b'0')));
    }
    Ok(name)
}

/// The container's end: addresses, up, routes.
fn inside(device: &Prepared, index: u32, rtnl: &mut Rtnl) -> Result<()> {
    for net in &device.conf.ipv4 {
        let cast = net.broadcast.unwrap_or_else(|| broadcast(net.addr, net.prefix));
        rtnl.add_address(index, net.addr.into(), net.prefix, Some(cast))
            .ctx(|| format!("{} = {}/{}", device.key("ipv4.address"), net.addr, net.prefix))?;
    }
    for net in &device.conf.ipv6 {
        let bits = u8::try_from(net.prefix).unwrap_or(u8::MAX);
        rtnl.add_address(index, net.addr.into(), bits, None)
            .ctx(|| format!("{} = {}/{}", device.key("ipv6.address"), net.addr, net.prefix))?;
    }
    if !device.conf.up {
        return Ok(());
    }
    rtnl.set_up(index).ctx(|| format!("{}: bringing it up", device.key("flags")))?;
    if let Some(gateway) = device.gateway4 {
        default_route(index, to_ip(gateway), false, rtnl).ctx(|| device.key("ipv4.gateway"))?;
    }
    if let Some(gateway) = device.gateway6 {
        default_route(index, to_ip(gateway), true, rtnl).ctx(|| device.key("ipv6.gateway"))?;
    }
    Ok(())
}

/// The address of a gateway; `dev`, and an `auto` that was not found, have none.
fn to_ip<A: Into<IpAddr>>(gateway: Gateway<A>) -> Option<IpAddr> {
    match gateway {
        Gateway::Addr(a) => Some(a.into()),
        Gateway::Auto | Gateway::Dev => None,
    }
}

/// The default route; a gateway outside of the device's networks gets a route of its own first.
fn default_route(index: u32, gateway: Option<IpAddr>, v6: bool, rtnl: &mut Rtnl) -> std::io::Result<()> {
    match (rtnl.add_route(index, None, gateway, v6), gateway) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(addr)) => {
            rtnl.add_route(index, Some((addr, if v6 { 128 } else { 32 })), None, v6)?;
            rtnl.add_route(index, None, gateway, v6)
        }
        (Err(e), None) => Err(e),
    }
}

/// The highest address of the network.
fn broadcast(addr: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    Ipv4Addr::from(u32::from(addr) | host)
}

/// The script of one device, when there is one.
fn script(device: &Prepared, kind: &'static str) -> Option<ScriptCall> {
    let command = if kind == "up" { &device.conf.script_up } else { &device.conf.script_down };
    let word = super::keys::type_name(device.conf.kind);
    let mut args = vec![word.to_string()];
    let mut env = vec![("LXC_NET_TYPE", word.to_string())];
    if device.conf.kind == Kind::Veth {
        if let Some(link) = &device.conf.link {
            args.push(link.clone());
            env.push(("LXC_NET_PARENT", link.clone()));
        }
        if let Some((host, _)) = &device.host {
            args.push(host.clone());
            env.push(("LXC_NET_PEER", host.clone()));
        }
    }
    Some(ScriptCall { command: command.clone()?, kind, args, env })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_addresses_are_the_highest() {
        assert_eq!(broadcast(Ipv4Addr::new(10, 211, 0, 5), 24), Ipv4Addr::new(10, 211, 0, 255));
        assert_eq!(broadcast(Ipv4Addr::new(10, 0, 0, 5), 32), Ipv4Addr::new(10, 0, 0, 5));
        assert_eq!(broadcast(Ipv4Addr::new(10, 0, 0, 5), 0), Ipv4Addr::BROADCAST);
    }

    #[test]
    fn random_names_fit_the_kernel() {
        let name = random_name().unwrap();
        assert!(name.starts_with("veth") && name.len() == 10, "{name}");
    }
}
