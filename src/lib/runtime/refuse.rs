//! What a start refuses before it makes anything: settings whose effect is not built yet, each by its key (the list is
//! docs/keys-refused.txt), and starts that would harm the host. What features check themselves is theirs.
#![forbid(unsafe_code)]

use super::plan::StartRequest;
use crate::base::facts::Facts;
use crate::base::ids::Ns;
use crate::base::{Error, Result};
use crate::config::{Config, Problem, Severity, check};
use crate::network::conf::{Device, Kind};

/// One refused setting: how docs/keys-refused.txt writes it, and what of the config asks for it.
pub struct Refused {
    /// `KEY`, or `KEY = VALUE`.
    pub setting: &'static str,
    asks: fn(&Config) -> bool,
}

/// Whether a device asks for something.
fn device(c: &Config, f: impl Fn(&Device) -> bool) -> bool {
    c.network.devices.values().any(f)
}

fn backend(c: &Config, name: &str) -> bool {
    c.storage.backend.as_deref() == Some(name)
}

fn kernel_has(file: &str) -> bool {
    std::path::Path::new(file).exists()
}

/// The table, sorted.
pub const TABLE: &[Refused] = &[
    Refused {
        setting: "lxc.apparmor.raw (with lxc.apparmor.profile = generated, on a kernel with AppArmor)",
        asks: |c| {
            let generated = c.security.apparmor_profile.as_deref() == Some("generated");
            generated && !c.security.apparmor_raw.is_empty() && kernel_has("/sys/kernel/security/apparmor")
        },
    },
    Refused { setting: "lxc.net.[i].l2proxy = 1", asks: |c| device(c, |d| d.l2proxy) },
    Refused { setting: "lxc.net.[i].type = ipvlan", asks: |c| device(c, |d| d.kind == Kind::Ipvlan) },
    Refused { setting: "lxc.net.[i].type = macvlan", asks: |c| device(c, |d| d.kind == Kind::Macvlan) },
    Refused { setting: "lxc.net.[i].type = phys", asks: |c| device(c, |d| d.kind == Kind::Phys) },
    Refused { setting: "lxc.net.[i].type = vlan", asks: |c| device(c, |d| d.kind == Kind::Vlan) },
    Refused {
        setting: "lxc.net.[i].veth.mode = router",
        asks: |c| device(c, |d| d.veth_mode.as_deref() == Some("router")),
    },
    Refused { setting: "lxc.net.[i].veth.vlan.id", asks: |c| device(c, |d| d.veth_vlan.is_some()) },
    Refused { setting: "lxc.net.[i].veth.vlan.tagged.id", asks: |c| device(c, |d| !d.veth_vlan_tagged.is_empty()) },
    Refused { setting: "lxc.rootfs.path = btrfs:", asks: |c| backend(c, "btrfs") },
    Refused { setting: "lxc.rootfs.path = loop:", asks: |c| backend(c, "loop") },
    Refused { setting: "lxc.rootfs.path = lvm:", asks: |c| backend(c, "lvm") },
    Refused { setting: "lxc.rootfs.path = nbd:", asks: |c| backend(c, "nbd") },
    Refused { setting: "lxc.rootfs.path = rbd:", asks: |c| backend(c, "rbd") },
    Refused { setting: "lxc.rootfs.path = zfs:", asks: |c| backend(c, "zfs") },
    Refused { setting: "lxc.seccomp.notify.proxy", asks: |c| c.security.seccomp_proxy.is_some() },
    Refused {
        setting: "lxc.selinux.context (on a kernel with SELinux)",
        asks: |c| c.security.selinux_context.is_some() && kernel_has("/sys/fs/selinux/enforce"),
    },
    Refused {
        setting: "lxc.selinux.context.keyring (on a kernel with SELinux)",
        asks: |c| c.security.selinux_keyring.is_some() && kernel_has("/sys/fs/selinux/enforce"),
    },
];

const LIST: &str = "docs/keys-refused.txt lists what this version refuses to start";

/// Refuses by name what is not built yet.
///
/// # Errors
/// The first such setting.
pub fn unbuilt(config: &Config) -> Result<()> {
    match TABLE.iter().find(|r| (r.asks)(config)) {
        None => Ok(()),
        Some(r) => Err(Error::new(format!("{}: not built yet", r.setting)).stage("start").hint(LIST)),
    }
}

/// All that [`unbuilt`] would refuse, for `lxc-config --check`, each under the key that asks for it.
pub fn all_unbuilt(config: &Config) -> Vec<Problem> {
    let asking = TABLE.iter().filter(|r| (r.asks)(config));
    let problem = |r: &Refused| {
        let key = r.setting.split(' ').next().unwrap_or_default();
        let device = config.network.devices.iter().find(|(i, d)| {
            let mut one = Config::default();
            one.network.devices.insert(**i, (*d).clone());
            (r.asks)(&one)
        });
        let key = device.map_or_else(|| key.to_string(), |(i, _)| key.replace("[i]", &i.to_string()));
        Problem {
            file: String::new(),
            line: 0,
            column: 0,
            severity: Severity::Error,
            text: format!("{}: not built yet", r.setting),
            key,
            hint: Some(LIST.to_string()),
            errno: libc::ENOSYS,
        }
    };
    asking.map(problem).collect()
}

/// Refuses what does not fit together, in the words of `lxc-config --check`.
///
/// # Errors
/// The first conflict.
pub fn conflicts(config: &Config) -> Result<()> {
    match check::conflicts(config).into_iter().find(|p| p.severity == Severity::Error) {
        None => Ok(()),
        Some(problem) => Err(Error::from(problem).stage("config")),
    }
}

/// Refuses what would boot the host's own init, or set the host's own mounts up as a container's.
///
/// # Errors
/// Such a request.
pub fn harm(request: &StartRequest, facts: &Facts) -> Result<()> {
    let process = &request.config.process;
    let command = if request.useinit { &process.execute_cmd } else { &process.init_cmd };
    if facts.rootfs.is_none() && request.argv.is_empty() && command.as_deref().is_none_or(|c| c.trim().is_empty()) {
        return Err(Error::new(
            "neither lxc.rootfs.path nor a command is set: that would boot the host's own init on this host",
        )
        .stage("start")
        .hint("set lxc.rootfs.path, or name a command after --"));
    }
    if !facts.new_ns.has(Ns::Mnt) {
        return Err(Error::new(
            "the container gets no mount namespace of its own: its set-up would change the host's mounts",
        )
        .stage("start")
        .hint("take mnt out of lxc.namespace.keep and .share, or put it into lxc.namespace.clone"));
    }
    if !facts.privileged {
        return Err(Error::new("starting containers as an ordinary user is not built yet")
            .stage("start")
            .hint("start it as root"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> StartRequest {
        StartRequest { name: "c".into(), lxcpath: "/s".into(), ..StartRequest::default() }
    }

    #[test]
    fn the_list_in_docs_is_this_table() {
        let docs = include_str!("../../../docs/keys-refused.txt");
        let listed: Vec<&str> = docs.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let table: Vec<&str> = TABLE.iter().map(|r| r.setting).collect();
        assert_eq!(listed, table);
        assert!(table.is_sorted());
    }

    #[test]
    fn unbuilt_settings_are_refused_by_name() {
        let mut c = Config::default();
        unbuilt(&c).unwrap();
        c.network.devices.insert(0, Device { kind: Kind::Macvlan, ..Device::default() });
        assert_eq!(unbuilt(&c).unwrap_err().what, "lxc.net.[i].type = macvlan: not built yet");
        c.network.devices.clear();
        c.storage.backend = Some("zfs".into());
        assert!(unbuilt(&c).unwrap_err().what.starts_with("lxc.rootfs.path = zfs:"));
    }

    #[test]
    fn the_hosts_init_is_never_booted() {
        let facts = |r: &StartRequest| super::super::plan::facts(r).unwrap();
        let mut r = request();
        assert!(harm(&r, &facts(&r)).unwrap_err().what.contains("host's own init"));
        r.config.process.init_cmd = Some(" ".into());
        assert!(harm(&r, &facts(&r)).is_err());
        r.argv = vec![c"/bin/true".to_owned()];
        let f = Facts { privileged: true, ..facts(&r) };
        harm(&r, &f).unwrap();
        let mut kept = f;
        kept.new_ns.remove(Ns::Mnt);
        assert!(harm(&r, &kept).unwrap_err().what.contains("mount namespace"));
    }
}
