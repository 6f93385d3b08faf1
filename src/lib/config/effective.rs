//! A config as the fewest lines that mean the same: for a program of ours that gets a container's settings from another
//! (the text that a save writes has includes and templates in it, and not what was set without a file).
#![forbid(unsafe_code)]

use super::table::{SECTIONS, Section};
use super::{Config, Text};
use crate::base::Result;
use crate::keys::{Kind, Row};
use crate::mount::conf::{Cg, CgMode, Proc, Sys};
use crate::network::conf::{Device, Kind as Type};
use crate::network::keys::type_name;
use crate::security::conf::Caps;
use std::fmt::Write as _;

/// Lines of a config. Every value is quoted, so that blanks and quotes at its ends stay.
struct Lines(String);

impl Lines {
    fn put(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = \"{value}\"");
    }

    /// `key =`.
    fn empty(&mut self, key: &str) {
        let _ = writeln!(self.0, "{key} =");
    }
}

impl Config {
    /// Lines that, loaded into a new config, give the same settings: every value that is not the default, without
    /// includes, networks with their type first.
    pub fn effective(&self) -> String {
        let mut out = Lines(String::new());
        let fresh = Config::new();
        for section in SECTIONS.into_iter().filter(|s| self.differs(&fresh, *s)) {
            (0..section.len()).for_each(|i| self.effective_row(section.row(i as u8), &fresh, &mut out));
        }
        for (index, device) in &self.network.devices {
            self.effective_device(*index, device, &mut out);
        }
        out.0
    }

    /// A config of lines that [`Config::effective`] wrote, without their text: nobody saves it.
    ///
    /// # Errors
    /// As [`Config::load_str`].
    pub fn from_effective(lines: &str) -> Result<Self> {
        let mut config = Self::new();
        config.load_str(lines, "settings")?;
        config.text = Text::default();
        Ok(config)
    }

    /// Whether a section has a value of its own. Network devices are told apart from it.
    fn differs(&self, fresh: &Config, section: Section) -> bool {
        match section {
            Section::Log => self.log != fresh.log,
            Section::Cgroup => self.cgroup != fresh.cgroup,
            Section::Hook => self.hook != fresh.hook,
            Section::Idmap => self.idmap != fresh.idmap,
            Section::Mount => self.mount != fresh.mount,
            Section::Namespace => self.namespace != fresh.namespace,
            Section::Process => self.process != fresh.process,
            Section::Security => self.security != fresh.security,
            Section::Storage => self.storage != fresh.storage,
            Section::Terminal => self.terminal != fresh.terminal,
            Section::Device | Section::Network => false,
        }
    }

    fn effective_row(&self, row: &Row, fresh: &Config, out: &mut Lines) {
        let name = row.name();
        if let Some(prefix) = row.prefix() {
            if prefix == "lxc.namespace.share." {
                let shared = crate::base::ids::Ns::ALL.into_iter().zip(&self.namespace.share);
                shared.for_each(|(ns, with)| {
                    with.iter().for_each(|with| out.put(&format!("{prefix}{}", ns.name()), with));
                });
                return;
            }
            // The whole is told as lines already.
            let all = self.get(prefix.trim_end_matches('.')).unwrap_or_default();
            all.lines().filter_map(|line| line.split_once(" = ")).for_each(|(key, value)| out.put(key, value));
            return;
        }
        let Ok(value) = self.get(name) else { return };
        match name {
            "lxc.mount.auto" => auto_words(self).iter().for_each(|word| out.put(name, word)),
            "lxc.cap.keep" if self.security.caps == Caps::Keep(Vec::new()) => out.put(name, "none"),
            "lxc.init.groups" => self.process.init_groups.iter().for_each(|id| out.put(name, &id.to_string())),
            "lxc.seccomp.notify.proxy" => {
                self.security.seccomp_proxy.iter().for_each(|to| out.put(name, &format!("unix:{to}")));
            }
            "lxc.rootfs.path" => match (&self.storage.backend, &self.storage.path) {
                (kind, Some(path)) => out.put(name, &format!("{}:{path}", kind.as_deref().unwrap_or_default())),
                (Some(kind), None) => out.put("lxc.rootfs.backend", kind),
                (None, None) => {}
            },
            "lxc.rootfs.mount" => self.storage.mount.iter().for_each(|mount| out.put(name, mount)),
            _ if Ok(&value) == fresh.get(name).as_ref() => {}
            _ if matches!(row.kind, Kind::List | Kind::Words | Kind::Own) => {
                value.lines().for_each(|line| out.put(name, line));
            }
            // Numbers that are shown signed.
            _ if matches!(row.kind, Kind::UInt(_)) && value.starts_with('-') => {
                let number = value.parse::<i32>().unwrap_or(-1) as u32;
                out.put(name, &number.to_string());
            }
            _ if value.is_empty() => out.empty(name),
            _ => out.put(name, &value),
        }
    }

    fn effective_device(&self, index: u32, device: &Device, out: &mut Lines) {
        let kind = if device.kind == Type::Invalid { Type::Empty } else { device.kind };
        out.put(&format!("lxc.net.{index}.type"), type_name(kind));
        if device.kind == Type::Invalid {
            out.empty(&format!("lxc.net.{index}.type"));
        }
        let mut fresh = Config::new();
        let made = device.kind != Type::Invalid && fresh.set("lxc.net.0.type", type_name(kind)).is_ok();
        for row in (0..Section::Device.len()).map(|i| Section::Device.row(i as u8)) {
            let Some(sub) = row.name().strip_prefix("lxc.net.[i].") else { continue };
            let name = format!("lxc.net.{index}.{sub}");
            let Ok(value) = self.get(&name) else { continue };
            let default = if made { fresh.get(&format!("lxc.net.0.{sub}")).unwrap_or_default() } else { String::new() };
            match sub {
                "type" => {}
                "ipv4.address" => device.ipv4.iter().for_each(|net| {
                    let broadcast = net.broadcast.map(|b| format!(" {b}")).unwrap_or_default();
                    out.put(&name, &format!("{}/{}{broadcast}", net.addr, net.prefix));
                }),
                "veth.vlan.id" if value == "-1" => out.put(&name, "none"),
                _ if value == default => {}
                _ if value.is_empty() || value == "(invalid)" => out.empty(&name),
                _ => value.lines().for_each(|line| out.put(&name, line)),
            }
        }
    }
}

/// All words of `lxc.mount.auto`, also those that a get does not show.
fn auto_words(config: &Config) -> Vec<String> {
    let mount = &config.mount;
    let mut words = Vec::new();
    match mount.auto_proc {
        Proc::No => {}
        Proc::Mixed => words.push("proc:mixed".to_string()),
        Proc::Rw => words.push("proc:rw".to_string()),
    }
    match mount.auto_sys {
        Sys::No => {}
        Sys::Ro => words.push("sys:ro".to_string()),
        Sys::Rw => words.push("sys:rw".to_string()),
        Sys::Mixed => words.push("sys:mixed".to_string()),
    }
    if let Some(Cg { full, v2, mode, force }) = mount.auto_cgroup {
        let name = if v2 {
            "cgroup2"
        } else if full {
            "cgroup-full"
        } else {
            "cgroup"
        };
        let mode = match mode {
            CgMode::Ro => ":ro",
            CgMode::Rw if !v2 => ":rw",
            CgMode::Mixed => ":mixed",
            CgMode::Rw | CgMode::NoSpec => "",
        };
        words.push(format!("{name}{mode}{}", if force { ":force" } else { "" }));
    }
    words.extend(mount.shmounts.iter().map(|(host, inside)| format!("shmounts:{host}:{inside}")));
    words
}

/// The settings as text, for a comparison in tests.
#[cfg(test)]
pub(super) fn settings(config: &Config) -> String {
    let c = config;
    format!(
        "{:?}",
        (
            (&c.cgroup, &c.hook, &c.idmap, &c.mount, &c.namespace, &c.network),
            (&c.process, &c.security, &c.storage, &c.terminal, &c.log)
        )
    )
}
