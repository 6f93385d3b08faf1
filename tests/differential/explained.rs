//! The differences that are meant: each is a row of docs/differences.md, or what 7.0 changed (`7.0: …`).

use crate::Mismatch;
use crate::generate::Case;
use lxc::config::Config;
use std::collections::{BTreeMap, BTreeSet};

/// Why something differs.
pub struct Explained {
    /// The row of docs/differences.md, or what of 7.0 it is.
    pub id: &'static str,
}

/// What happened to the reference's state, so that later answers differ for a known reason.
#[derive(Default)]
pub struct Taints {
    /// Keys whose get differs.
    gets: BTreeMap<String, &'static str>,
    /// Devices whose state differs.
    devices: BTreeMap<u32, &'static str>,
    /// Keys whose lines in the saved text differ.
    saved: BTreeSet<String>,
    /// Beginnings of such keys.
    saved_below: BTreeSet<String>,
    missing: bool,
    seconds: bool,
    /// The key whose line ended the load.
    pub failed: Option<String>,
}

/// Keys whose failed set leaves a trace in the reference.
const LEAVE_A_TRACE: &[&str] = &[
    "lxc.apparmor.allow_incomplete",
    "lxc.apparmor.allow_nesting",
    "lxc.autodev",
    "lxc.cap.drop",
    "lxc.cap.keep",
    "lxc.hook.version",
    "lxc.idmap",
    "lxc.init.gid",
    "lxc.init.uid",
    "lxc.seccomp.allow_nesting",
    "lxc.console.rotate",
    "lxc.ephemeral",
    "lxc.log.level",
    "lxc.log.syslog",
    "lxc.mount.auto",
    "lxc.namespace.clone",
    "lxc.namespace.keep",
    "lxc.rootfs.options",
    "lxc.start.auto",
];

/// Those of them whose values add up: a set that works does not wipe the trace.
const ADD_UP: &[&str] = &["lxc.cap.drop", "lxc.cap.keep", "lxc.idmap", "lxc.mount.auto"];

/// Keys for which the reference takes any text and stores nothing.
const JUNK: &[&str] = &["lxc.hook.version", "lxc.init.gid", "lxc.init.uid", "lxc.seccomp.allow_nesting"];

fn device(key: &str) -> Option<(u32, &str)> {
    let rest = key.strip_prefix("lxc.net.")?;
    let (number, sub) = rest.split_once('.').unwrap_or((rest, ""));
    Some((number.parse().ok()?, sub))
}

impl Taints {
    /// After a file was loaded.
    pub fn load(&mut self, case: &Case, ok: bool) {
        let mut config = Config::new();
        for (key, value) in &case.lines {
            self.before("set", key, value, &config);
            let set = config.set(key, value).is_ok();
            self.after("set", key, value, set, &config);
            if !set && !ok {
                self.failed = Some(key.clone());
                return;
            }
        }
    }

    /// Before a call.
    pub fn before(&mut self, _: &str, key: &str, _: &str, config: &Config) {
        let offset = if key.ends_with(".boot") { config.namespace.boot } else { config.namespace.monotonic };
        // Once the seconds have won, they win until the key is cleared.
        self.seconds = offset.secs != 0 || (offset.nanos != 0 && self.gets.contains_key(key));
        self.missing = device(key).is_some_and(|(index, _)| !config.network.devices.contains_key(&index));
    }

    /// After a call.
    pub fn after(&mut self, of: &str, key: &str, value: &str, ours: bool, _: &Config) {
        if !ours && LEAVE_A_TRACE.contains(&key) {
            self.gets.insert(key.to_string(), "refused-set-changes-nothing");
            self.saved.insert(key.to_string());
        } else if ours && (of == "clear" || value.is_empty() || !ADD_UP.contains(&key)) {
            self.gets.remove(key);
        }
        let small = value.ends_with("ms") || value.ends_with("us") || value.ends_with("ns");
        if key.starts_with("lxc.time.offset.") && ours && small && self.seconds {
            self.gets.insert(key.to_string(), "last-time-offset-counts");
        }
        if key == "lxc.tty.max" {
            // The reference's clear leaves its number; any set that works is the same on both sides.
            match of {
                "clear" => drop(self.gets.insert(key.to_string(), "clear-resets")),
                _ if ours => drop(self.gets.remove(key)),
                _ => {}
            }
        }
        if key == "lxc.hook" {
            // Its value stays on both sides; the reference deletes the line.
            self.saved.insert("lxc.hook.version".to_string());
        }
        if key.starts_with("lxc.cap.") && (of == "clear" || value.is_empty()) {
            // Both lists are gone on both sides; the reference keeps the lines of the other key.
            self.saved.extend(["lxc.cap.drop", "lxc.cap.keep"].map(str::to_string));
        }
        if key.ends_with(".hwaddr") && value.contains(['x', 'X']) {
            // The reference, set through its API, even saves another address than it uses.
            self.gets.insert(key.to_string(), "saved-address-is-used");
            self.saved.insert(key.to_string());
        }
        if let Some((index, sub)) = device(key) {
            match (of, sub, ours) {
                (_, "", true) => drop(self.devices.remove(&index)),
                ("set", "type", true) => drop(self.devices.remove(&index)),
                ("set", "type", false) => drop(self.devices.insert(index, "refused-set-changes-nothing")),
                ("set", _, false) if self.missing => {
                    self.devices.insert(index, "refused-set-changes-nothing");
                }
                _ => {}
            }
            // The reference deletes every line that starts so.
            if sub.is_empty() && (of == "clear" || value.is_empty()) {
                self.saved_below.insert(key.to_string());
            }
        }
    }

    /// A key whose lines only one side has from now on.
    pub fn apart(&mut self, key: &str) {
        self.saved.insert(key.to_string());
    }

    /// The line that ended our load did not end the reference's.
    pub fn read_on(&self) -> bool {
        self.failed.as_deref().is_some_and(|key| JUNK.contains(&key) || key == "lxc.idmap")
    }

    /// The reference has id maps that we refused.
    pub fn has_idmap(&self) -> bool {
        self.gets.contains_key("lxc.idmap")
    }

    /// Why an answer differs.
    pub fn explain(&self, m: &Mismatch) -> Option<Explained> {
        let found = |id| Some(Explained { id });
        let device = device(&m.key);
        if matches!(m.of, "set" | "load") && m.theirs == "ok" {
            match m.key.as_str() {
                key if JUNK.contains(&key) => return found("numbers-are-checked"),
                "lxc.idmap" => return found("numbers-are-checked"),
                _ => {}
            }
        }
        match m.of {
            _ if m.key.starts_with("lxc.environment.") => return found("7.0: lxc.environment.runtime and .hooks"),
            "keys" if m.key == "lxc.environment" => return found("7.0: lxc.environment.runtime and .hooks"),
            "keys" if m.key.is_empty() => {
                let new = "lxc.environment.runtime%0alxc.environment.hooks%0a";
                let old = m.ours.replacen(new, "", 1);
                if old.split_once(' ').map(|o| o.1) == m.theirs.split_once(' ').map(|t| t.1) {
                    return found("7.0: lxc.environment.runtime and .hooks");
                }
            }
            "saved" if m.key == "lxc.idmap" => return found("save-with-an-id-map"),
            "get" if m.theirs == "6 (null)" && m.ours == "0 " => return found("unset-is-empty"),
            "get" if m.key == "lxc.rootfs.mount" && m.theirs == "0 " => {
                return found("clear-resets");
            }
            "get" if m.key == "lxc.rootfs.mount" && m.theirs == "36 /usr/lib/x86_64-linux-gnu/lxc/rootfs" => {
                return found("rootfs-mount-default");
            }
            "get" if m.key.starts_with("lxc.time.offset.") => {
                let text =
                    |answer: &str| answer.split_once(' ').unwrap_or_default().1.replace("%20", "").replace("%0a", "");
                if text(&m.theirs) == text(&m.ours) {
                    return found("7.0: text of time offsets");
                }
            }
            "get" if m.key.ends_with(".veth.vlan.id") && m.theirs == "1 0" && m.ours == "0 " => {
                return found("7.0: veth.vlan.id is empty when unset");
            }
            "get" if m.key.starts_with("lxc.cap.") && m.ours == "0 " => {
                return found("7.0: cap.drop and cap.keep are two lists");
            }
            _ => {}
        }
        if let Some(id) = self.gets.get(&m.key).filter(|_| m.of == "get") {
            return found(id);
        }
        if let Some(id) = device.and_then(|(index, _)| self.devices.get(&index)) {
            return found(id);
        }
        if m.key == "lxc.net" && !self.devices.is_empty() {
            return self.devices.values().next().and_then(|id| found(id));
        }
        None
    }

    /// The lines of a saved text that must be the same.
    pub fn lines(&self, text: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(text);
        let lines = text.split(['\n', '\r']).filter(|l| !l.trim().is_empty());
        let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_string();
        let differs = |key: &str| {
            self.saved.contains(key)
                || key.starts_with("lxc.environment.")
                || self.saved_below.iter().any(|p| key.starts_with(p.as_str()))
        };
        lines.filter(|l| !differs(&key(l))).map(str::to_string).collect()
    }
}
