//! The aggregate [`Config`]: one `Conf` of every feature, and the text that a save writes. It knows every feature's rows
//! ([`table`]), loads files and their includes (`load`), and finds what does not fit together ([`check`]). What a key
//! means and does belongs to its feature.
#![forbid(unsafe_code)]

pub mod check;
pub mod defaults;
mod effective;
pub mod format;
pub mod host;
mod load;
mod log;
pub mod lxc_conf;
mod places;
mod problem;
pub mod table;
#[cfg(test)]
mod tests;
pub mod update;

pub use log::LogConf;
pub use problem::{Problem, Severity};
pub use table::SECTIONS;

use crate::base::{Context, Error, Result};
use crate::keys::text::Text;
use crate::keys::{Answer, Bad, Call, file, near};
use std::borrow::Cow;
use std::path::Path;
use table::{Found, Section};

/// The settings of every feature, and the text they came from.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Control groups.
    pub cgroup: crate::cgroup::Conf,
    /// Hooks.
    pub hook: crate::hook::Conf,
    /// Id maps.
    pub idmap: crate::idmap::Conf,
    /// Mounts.
    pub mount: crate::mount::Conf,
    /// Namespaces.
    pub namespace: crate::namespace::Conf,
    /// Network devices.
    pub network: crate::network::Conf,
    /// The payload's process.
    pub process: crate::process::Conf,
    /// Security.
    pub security: crate::security::Conf,
    /// The rootfs.
    pub storage: crate::storage::Conf,
    /// Terminals and /dev.
    pub terminal: crate::terminal::Conf,
    /// Logging.
    pub log: LogConf,
    text: Text,
    notes: Vec<Problem>,
    /// The device that un-indexed `lxc.network.*` lines belong to.
    legacy_device: Option<u32>,
    /// The devices of the un-indexed `lxc.network.type` lines of the text, in order.
    legacy_blocks: Vec<u32>,
}

/// Does `$do!(keys, conf)` with the rows of a section and its `Conf`, devices excepted.
macro_rules! with_conf {
    ($config:expr, $section:expr, $do:ident, $device:expr) => {
        match $section {
            Section::Log => $do!(log::KEYS, $config.log),
            Section::Cgroup => $do!(crate::cgroup::keys::KEYS, $config.cgroup),
            Section::Hook => $do!(crate::hook::keys::KEYS, $config.hook),
            Section::Idmap => $do!(crate::idmap::keys::KEYS, $config.idmap),
            Section::Mount => $do!(crate::mount::keys::KEYS, $config.mount),
            Section::Namespace => $do!(crate::namespace::keys::KEYS, $config.namespace),
            Section::Network => $do!(crate::network::keys::KEYS, $config.network),
            Section::Process => $do!(crate::process::keys::KEYS, $config.process),
            Section::Security => $do!(crate::security::keys::KEYS, $config.security),
            Section::Storage => $do!(crate::storage::keys::KEYS, $config.storage),
            Section::Terminal => $do!(crate::terminal::keys::KEYS, $config.terminal),
            Section::Device => $device,
        }
    };
}

/// What a key names.
enum Target<'a> {
    /// A row of the table.
    Row(Found<'a>),
    /// A whole network device.
    Device(u32),
    /// `lxc.include`.
    Include,
    /// The storage type of an old config.
    Backend,
    /// A key of old configs that has no effect any more.
    Gone,
}

impl Config {
    /// An empty config.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a key of this name exists in the table: exact names only, as the C API has it. Old names do load, but are
    /// not supported in this sense.
    pub fn is_supported(key: &str) -> bool {
        table::LISTED.split(' ').any(|name| name == key) || matches!(key, "lxc.net." | "lxc.namespace.share.")
    }

    /// Sets a key and appends `key = value` to the text; an empty value clears it or sets it to 0, whichever the key says,
    /// and removes its lines.
    ///
    /// # Errors
    /// An unknown key or a bad value; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if value.contains(['\n', '\r', '\0']) {
            return Err(Error::os(libc::EINVAL, format!("{key}: a value must be one line")));
        }
        let named = self.apply(key, value).map_err(|bad| self.explain(key, value, &bad))?;
        if value.is_empty() {
            self.remove_lines(&named);
        } else if let Some(mac) = self.filled_hwaddr(&named, value) {
            self.text.push(&named, &mac);
        } else {
            self.text.push(&named, value);
        }
        Ok(())
    }

    /// The value of a key; empty when it is unset.
    ///
    /// # Errors
    /// A negative errno, as the C API returns it: -22 for an unknown key.
    pub fn get(&self, key: &str) -> std::result::Result<String, i32> {
        let answer = match self.target(key) {
            Ok(Target::Row(found)) => self.get_row(key, &found),
            Ok(Target::Device(index)) if self.network.devices.contains_key(&index) => Err(Bad::os(libc::ENOENT, "")),
            Ok(Target::Device(_)) => Err(unknown()),
            Ok(Target::Include) => Err(Bad::os(libc::ENOSYS, "")),
            Ok(Target::Backend) => Ok(self.storage.backend.clone().unwrap_or_default()),
            Ok(Target::Gone) => Ok(String::new()),
            Err(bad) => Err(bad),
        };
        answer.map_err(|bad| -bad.errno)
    }

    /// Resets a key and removes its lines from the text.
    ///
    /// # Errors
    /// An unknown key.
    pub fn clear(&mut self, key: &str) -> Result<()> {
        let named = self.clear_value(key).map_err(|bad| self.explain(key, "", &bad))?;
        self.remove_lines(&named);
        Ok(())
    }

    /// The names of all keys, or of those below a prefix, one a line, as the C API lists them.
    ///
    /// # Errors
    /// -22 for a prefix that has no list.
    pub fn keys(&self, prefix: Option<&str>) -> std::result::Result<String, i32> {
        let lines = |names: &str| -> String { names.split(' ').flat_map(|n| [n, "\n"]).collect() };
        let Some(prefix) = prefix else { return Ok(lines(table::LISTED)) };
        if let Some((_, names)) = table::LISTED_BELOW.iter().find(|(p, _)| *p == prefix) {
            return Ok(lines(names));
        }
        match self.target(prefix) {
            Ok(Target::Device(index)) => {
                let device = self.network.devices.get(&index).ok_or(-libc::EINVAL)?;
                Ok(crate::network::keys::list(device.kind))
            }
            _ => Err(-libc::EINVAL),
        }
    }

    /// Writes the text to a file: see [`crate::keys::file::replace`].
    ///
    /// # Errors
    /// The file system's; the old file is whole then.
    pub fn save(&self, path: &Path) -> Result<()> {
        file::replace(path, self.text.bytes())
    }

    /// The text that a save writes. Bytes that are no UTF-8 are shown as U+FFFD here, but saved as they are.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.text.bytes())
    }

    /// The text that a save writes, in bytes.
    pub fn text_bytes(&self) -> &[u8] {
        self.text.bytes()
    }

    /// Changes values in the text, without a change of the settings: `change` is given the key and the value of each line
    /// and returns the new value of those it wants changed. For copies of a container.
    pub fn rewrite_text(&mut self, change: impl FnMut(&str, &str) -> Option<String>) {
        self.text.rewrite(change);
    }

    /// What was worth a word while loading: old names, by [`Severity::Info`].
    pub fn notes(&self) -> &[Problem] {
        &self.notes
    }

    /// What a key names.
    fn target<'a>(&self, key: &'a str) -> std::result::Result<Target<'a>, Bad> {
        if let Some(rest) = key.strip_prefix("lxc.net.") {
            return device_target(rest, false);
        }
        if let Some(found) = table::find(key) {
            return Ok(match key {
                "lxc.include" => Target::Include,
                _ => Target::Row(found),
            });
        }
        if let Some(rest) = key.strip_prefix("lxc.network.") {
            if rest.as_bytes().first().is_some_and(u8::is_ascii_digit) {
                return device_target(rest, true);
            }
            let index =
                self.legacy_device.ok_or_else(|| Bad::new("no lxc.network.type line stands before this one").at(0))?;
            return device_key(index, rest, true).map(Target::Row);
        }
        match key {
            "lxc.rootfs.backend" => Ok(Target::Backend),
            "lxc.kmsg" | "lxc.pivotdir" => Ok(Target::Gone),
            _ => Err(unknown()),
        }
    }

    /// Sets a value, not the text; answers the present spelling of the key.
    fn apply(&mut self, key: &str, value: &str) -> std::result::Result<String, Bad> {
        if key == "lxc.network.type" {
            self.open_legacy_device(value)?;
        }
        match self.target(key)? {
            Target::Row(found) => {
                self.set_row(key, value, &found)?;
                if found.legacy || found.index.is_some() { Ok(found.name()) } else { Ok(key.to_string()) }
            }
            Target::Device(index) if value.is_empty() => {
                self.network.devices.remove(&index);
                Ok(format!("lxc.net.{index}"))
            }
            Target::Device(_) => Err(Bad::new("takes no value; name a setting, as lxc.net.0.type")),
            Target::Include => {
                self.include(value)?;
                Ok(key.to_string())
            }
            Target::Backend => {
                self.storage.backend = (!value.is_empty()).then(|| value.to_string());
                Ok(key.to_string())
            }
            Target::Gone => Ok(key.to_string()),
        }
    }

    fn open_legacy_device(&mut self, value: &str) -> std::result::Result<(), Bad> {
        let next = self.network.devices.keys().next_back().map_or(Some(0), |last| last.checked_add(1));
        let index = next.filter(|n| *n < i32::MAX as u32).ok_or_else(|| Bad::new("no index is left"))?;
        // The type is checked by its own row; a bad one must not leave a device behind.
        if !value.is_empty() {
            self.legacy_device = Some(index);
        }
        Ok(())
    }

    fn set_row(&mut self, key: &str, value: &str, found: &Found<'_>) -> std::result::Result<(), Bad> {
        let call = Call { key, sub: found.sub, value, legacy: found.legacy };
        macro_rules! set {
            ($keys:expr, $conf:expr) => {
                match table::key_at($keys, found.row) {
                    Some(key) => key.set(&mut $conf, &call),
                    None => Err(unknown()),
                }
            };
        }
        with_conf!(self, found.section, set, self.set_device(&call, found))
    }

    fn set_device(&mut self, call: &Call<'_>, found: &Found<'_>) -> std::result::Result<(), Bad> {
        let key = table::key_at(crate::network::keys::DEVICE_KEYS, found.row).ok_or_else(unknown)?;
        let index = found.index.ok_or_else(unknown)?;
        if call.value.is_empty() {
            // An empty value clears, also a key of another type.
            let device = self.network.devices.get_mut(&index).ok_or_else(|| no_device(index))?;
            return key.clear(device, call);
        }
        if let Some(device) = self.network.devices.get_mut(&index) {
            return key.set(device, call);
        }
        let mut device = crate::network::conf::Device::default();
        key.set(&mut device, call)?;
        self.network.devices.insert(index, device);
        Ok(())
    }

    fn get_row(&self, key: &str, found: &Found<'_>) -> Answer {
        let call = Call { key, sub: found.sub, value: "", legacy: found.legacy };
        macro_rules! get {
            ($keys:expr, $conf:expr) => {
                match table::key_at($keys, found.row) {
                    Some(key) => key.get(&$conf, &call),
                    None => Err(unknown()),
                }
            };
        }
        with_conf!(self, found.section, get, {
            let device = found.index.and_then(|i| self.network.devices.get(&i)).ok_or_else(unknown)?;
            table::key_at(crate::network::keys::DEVICE_KEYS, found.row).ok_or_else(unknown)?.get(device, &call)
        })
    }

    /// Clears a value, not the text; answers the present spelling of the key.
    fn clear_value(&mut self, key: &str) -> std::result::Result<String, Bad> {
        let found = match self.target(key)? {
            Target::Row(found) => found,
            Target::Device(index) => {
                self.network.devices.remove(&index);
                return Ok(format!("lxc.net.{index}"));
            }
            Target::Backend => {
                self.storage.backend = None;
                return Ok(key.to_string());
            }
            Target::Include | Target::Gone => return Ok(key.to_string()),
        };
        let call = Call { key, sub: found.sub, value: "", legacy: found.legacy };
        macro_rules! clear {
            ($keys:expr, $conf:expr) => {
                match table::key_at($keys, found.row) {
                    Some(key) => key.clear(&mut $conf, &call),
                    None => Err(unknown()),
                }
            };
        }
        with_conf!(self, found.section, clear, {
            let index = found.index.ok_or_else(unknown)?;
            let device = self.network.devices.get_mut(&index).ok_or_else(|| no_device(index))?;
            let key = table::key_at(crate::network::keys::DEVICE_KEYS, found.row).ok_or_else(unknown)?;
            key.clear(device, &call)
        })?;
        Ok(found.name())
    }

    /// The hardware address that a template became, when `key` (present spelling) is one.
    fn filled_hwaddr(&self, key: &str, value: &str) -> Option<String> {
        if !value.contains(['x', 'X']) || !key.ends_with(".hwaddr") {
            return None;
        }
        self.get(key).ok()
    }

    /// Removes the lines of a key (present spelling) from the text: those of all its spellings, and of all keys below a
    /// whole one.
    fn remove_lines(&mut self, named: &str) {
        let Ok(goal) = self.target(named) else {
            let name = named.to_string();
            self.text.remove(|line| line == name);
            return;
        };
        let mut blocks = Vec::new();
        let mut block = None;
        let mut ordinal = 0;
        let old = std::mem::take(&mut self.legacy_blocks);
        let mut text = std::mem::take(&mut self.text);
        text.remove(|line| {
            let opens = line == "lxc.network.type";
            if opens {
                block = old.get(ordinal).copied();
                ordinal += 1;
            }
            let gone = covers(&goal, named, line, block, self);
            if opens && !gone {
                blocks.extend(block);
            }
            gone
        });
        self.text = text;
        self.legacy_blocks = blocks;
    }

    /// An error for a failed set, get or clear.
    fn explain(&self, key: &str, value: &str, bad: &Bad) -> Error {
        let (text, hint) = wording(key, value, bad);
        let mut error = Error::new(text);
        error.errno = if bad.errno == libc::EINVAL { 0 } else { bad.errno };
        error.hint = hint;
        error
    }
}

/// Whether a line of the text with the key `line` goes when `goal` is cleared. `block`: the device of an un-indexed line.
fn covers(goal: &Target<'_>, named: &str, line: &str, block: Option<u32>, config: &Config) -> bool {
    let device = |line: &str| -> Option<(u32, Option<u8>)> {
        let rest = line.strip_prefix("lxc.net.").or_else(|| line.strip_prefix("lxc.network."))?;
        match device_target(rest, true) {
            Ok(Target::Device(index)) => Some((index, None)),
            Ok(Target::Row(found)) => Some((found.index?, Some(found.row))),
            _ => Some((block?, device_key(0, rest, true).ok().map(|f| f.row))),
        }
    };
    match goal {
        Target::Device(index) => device(line).is_some_and(|(i, _)| i == *index),
        Target::Row(goal) if goal.section == Section::Device => device(line).is_some_and(|(i, row)| {
            // An un-indexed block without its type line would belong to nobody.
            let whole_block =
                goal.row().name().ends_with(".type") && block == goal.index && line.starts_with("lxc.network.");
            Some(i) == goal.index && (row == Some(goal.row) || whole_block)
        }),
        Target::Row(goal) if goal.section == Section::Network => {
            line == "lxc.net"
                || line == "lxc.network"
                || line.starts_with("lxc.net.")
                || line.starts_with("lxc.network.")
        }
        Target::Row(goal) => {
            let Some(found) = table::find(line) else { return false };
            if found.section != goal.section {
                return false;
            }
            let all_hooks = named == "lxc.hook" && line != "lxc.hook.version";
            let caps = named.starts_with("lxc.cap.") && line.starts_with("lxc.cap.");
            let mine = found.row == goal.row && (goal.sub.is_empty() || goal.sub == found.sub);
            let backend = named == "lxc.rootfs.path" && line == "lxc.rootfs.backend";
            all_hooks || caps || mine || backend
        }
        Target::Include | Target::Backend | Target::Gone => {
            let _ = config;
            line == named
        }
    }
}

/// What `lxc.net.` (or, with `legacy`, `lxc.network.`) is followed by.
fn device_target(rest: &str, legacy: bool) -> std::result::Result<Target<'_>, Bad> {
    let (number, sub) = match rest.split_once('.') {
        Some((number, sub)) => (number, Some(sub)),
        None => (rest, None),
    };
    if number.is_empty() || !number.bytes().all(|c| c.is_ascii_digit()) {
        return Err(unknown());
    }
    let index = number.parse::<u32>().ok().filter(|n| *n < i32::MAX as u32);
    let index = index.ok_or_else(|| Bad::os(libc::ERANGE, "the index is too large"))?;
    match sub {
        None | Some("") => Ok(Target::Device(index)),
        Some(sub) => device_key(index, sub, legacy).map(Target::Row),
    }
}

fn device_key(index: u32, sub: &str, legacy: bool) -> std::result::Result<Found<'_>, Bad> {
    let name = match sub {
        "ipv4" if legacy => "ipv4.address",
        "ipv6" if legacy => "ipv6.address",
        other => other,
    };
    let row = table::find_device(name).ok_or_else(|| Bad::os(libc::ENOENT, "unknown key"))?;
    Ok(Found { section: Section::Device, row, sub: "", index: Some(index), legacy })
}

fn no_device(index: u32) -> Bad {
    Bad::new(format!("there is no lxc.net.{index}"))
}

fn unknown() -> Bad {
    Bad::new("unknown key")
}

/// A sentence for a refused pair, and what to do.
fn wording(key: &str, value: &str, bad: &Bad) -> (String, Option<String>) {
    if bad.why == "unknown key" {
        return (format!("unknown key {key}"), nearest(key).map(|near| format!("did you mean {near}?")));
    }
    let shown = crate::keys::value::cut(value, 80);
    let text = if value.is_empty() { format!("{key}: {}", bad.why) } else { format!("{key} = {shown}: {}", bad.why) };
    (text, takes(key).filter(|_| bad.errno == libc::EINVAL))
}

/// What a key takes, with an example: for a value that was refused.
fn takes(key: &str) -> Option<String> {
    let row = match key.strip_prefix("lxc.net.").and_then(|rest| rest.split_once('.')) {
        Some((_, sub)) => Section::Device.row(table::find_device(sub)?),
        None => table::find(key)?.row(),
    };
    let info = row.info();
    let kind = match row.kind {
        crate::keys::Kind::Own => String::new(),
        crate::keys::Kind::Bool => return Some(format!("{key} takes 0 or 1")),
        crate::keys::Kind::UInt(max) if max < u32::MAX => format!(" a number from 0 to {max},"),
        kind => format!(" {},", kind.describe()),
    };
    let good: Vec<&str> = info.good.iter().copied().filter(|g| *g != "-").collect();
    (!good.is_empty()).then(|| format!("{key} takes{kind} for example {}", good.join(" or ")))
}

/// The nearest valid key.
pub fn nearest(key: &str) -> Option<String> {
    // A key of a network device keeps its index.
    if let Some((number, sub)) = key.strip_prefix("lxc.net.").and_then(|rest| rest.split_once('.'))
        && number.bytes().all(|c| c.is_ascii_digit())
    {
        let names = table::rows().filter_map(|(_, row)| row.name().strip_prefix("lxc.net.[i]."));
        return near::nearest(sub, names).map(|name| format!("lxc.net.{number}.{name}"));
    }
    let names = table::rows().map(|(_, row)| row.name()).filter(|n| !n.contains('['));
    near::nearest(key, names.map(|n| n.trim_end_matches('*').trim_end_matches('.'))).map(str::to_string)
}

/// Reads a file, refusing what is none and what would not end.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    const MOST: u64 = i32::MAX as u64;
    let what = || format!("read {}", path.display());
    let file = std::fs::File::open(path).ctx(what)?;
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |m| m.len().min(1 << 20)) as usize + 1);
    file.take(MOST).read_to_end(&mut bytes).ctx(what)?;
    Ok(bytes)
}
