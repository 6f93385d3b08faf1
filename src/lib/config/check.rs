//! What does not fit together in a config that loads: for `lxc-config --check` and, in the same words, for a start.
//! Looks at the config only, not at the host.
#![forbid(unsafe_code)]

use super::{Config, Problem, Severity};
use crate::base::Result;
use crate::network::conf::Kind;
use std::path::Path;

/// All problems of a file: its lines', then what does not fit together. Sorted as found.
///
/// # Errors
/// The file cannot be read at all.
pub fn file(path: &Path) -> Result<(Config, Vec<Problem>)> {
    let mut config = Config::new();
    let mut problems = config.load_all(path)?;
    problems.extend(conflicts(&config));
    Ok((config, problems))
}

fn problem(severity: Severity, key: &str, text: impl Into<String>, hint: Option<&str>) -> Problem {
    Problem {
        file: String::new(),
        line: 0,
        column: 0,
        severity,
        text: text.into(),
        key: key.to_string(),
        hint: hint.map(str::to_string),
        errno: libc::EINVAL,
    }
}

/// What does not fit together: errors make a start refuse.
pub fn conflicts(config: &Config) -> Vec<Problem> {
    let mut all = Vec::new();
    cgroup(config, &mut all);
    network(config, &mut all);
    if config.storage.backend.is_some() && config.storage.path.is_none() {
        let text = "lxc.rootfs.backend names a storage type, but there is no rootfs";
        all.push(problem(Severity::Warning, "lxc.rootfs.backend", text, Some("set lxc.rootfs.path")));
    }
    for (i, a) in config.idmap.maps.iter().enumerate() {
        for b in &config.idmap.maps[..i] {
            let overlap = |x: u32, y: u32| {
                u64::from(x) < u64::from(y) + u64::from(b.range) && u64::from(y) < u64::from(x) + u64::from(a.range)
            };
            if a.kind == b.kind && (overlap(a.nsid, b.nsid) || overlap(a.hostid, b.hostid)) {
                let text = format!("lxc.idmap: the ranges at {} and {} overlap", b.nsid, a.nsid);
                all.push(problem(Severity::Error, "lxc.idmap", text, None));
            }
        }
    }
    all
}

fn cgroup(config: &Config, all: &mut Vec<Problem>) {
    let c = &config.cgroup;
    let parts = [&c.dir_monitor, &c.dir_container, &c.dir_pivot, &c.dir_inner];
    if c.dir.is_some() && parts.iter().any(|p| p.is_some()) {
        let text = "lxc.cgroup.dir does not go together with lxc.cgroup.dir.monitor, .container and their kin";
        all.push(problem(Severity::Error, "lxc.cgroup.dir", text, Some("remove lxc.cgroup.dir")));
    } else if c.dir_monitor.is_some() != c.dir_container.is_some() {
        let text = "lxc.cgroup.dir.monitor and lxc.cgroup.dir.container must be set together";
        all.push(problem(Severity::Error, "lxc.cgroup.dir.monitor", text, Some("set both")));
    }
}

fn network(config: &Config, all: &mut Vec<Problem>) {
    let devices = &config.network.devices;
    let hosts: Vec<u32> = devices.iter().filter(|(_, d)| d.kind == Kind::None).map(|(i, _)| *i).collect();
    if let [first, second, ..] = hosts[..] {
        let text = format!("lxc.net.{first} and lxc.net.{second} are both of type none");
        all.push(problem(Severity::Error, &format!("lxc.net.{second}.type"), text, Some("keep one of them")));
    }
    for (index, device) in devices {
        let key = format!("lxc.net.{index}.type");
        if device.kind == Kind::Invalid {
            let text = format!("lxc.net.{index} has no type");
            all.push(problem(Severity::Error, &key, text, Some("set lxc.net.N.type before its other keys")));
        }
        if matches!(device.kind, Kind::Macvlan | Kind::Ipvlan | Kind::Vlan | Kind::Phys) && device.link.is_none() {
            let text = format!("lxc.net.{index} needs lxc.net.{index}.link, the parent interface");
            all.push(problem(Severity::Error, &format!("lxc.net.{index}.link"), text, None));
        }
        if let Some(mac) = &device.hwaddr
            && !(mac.len() == 17
                && mac.split(':').count() == 6
                && mac.split(':').all(|b| b.len() == 2 && u8::from_str_radix(b, 16).is_ok()))
        {
            let text = format!("lxc.net.{index}.hwaddr = {mac}: not six hexadecimal bytes with colons");
            all.push(problem(Severity::Error, &format!("lxc.net.{index}.hwaddr"), text, None));
        }
        if let Some(mtu) = &device.mtu
            && !mtu.parse::<u32>().is_ok_and(|n| (68..=65535).contains(&n))
        {
            let text = format!("lxc.net.{index}.mtu = {mtu}: not a number from 68 to 65535");
            all.push(problem(Severity::Error, &format!("lxc.net.{index}.mtu"), text, None));
        }
    }
}
