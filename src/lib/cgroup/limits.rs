//! Which limits a config asks for on this machine, and setting them: native ones as written, the other layout's translated,
//! nothing in silence. How a key translates is in `translate`, what a device rule means in `devices`.
#![forbid(unsafe_code)]

use super::devices::{Program, Rule, Set};
use super::layout::{Host, Kind, Layout};
use super::make::enable_controllers;
use super::translate::{self, Resource, Size, Written};
use super::{Conf, file};
use crate::base::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io;

/// One setting to write.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    /// The key as the config has it, without its value.
    key: String,
    /// Its value there.
    value: String,
    hierarchy: usize,
    /// Files and values: the first file that exists is written.
    files: Written,
    translated: bool,
}

/// The device rules to set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Devices {
    #[default]
    None,
    /// Version 1: (allow, text) in order.
    V1(usize, Vec<(bool, String)>),
    /// A program for cgroup2.
    V2(usize, Set),
}

/// What a config asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    writes: Vec<Write>,
    devices: Devices,
}

/// The two dialects: prefix of the key, and whether it is cgroup2's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    One,
    Two,
}

impl Dialect {
    fn key(self, file: &str) -> String {
        match self {
            Dialect::One => format!("lxc.cgroup.{file}"),
            Dialect::Two => format!("lxc.cgroup2.{file}"),
        }
    }
}

type Keys<'a> = Vec<(&'a str, &'a str)>;

impl Limits {
    /// Sorts the keys of both dialects by what this machine can do with them.
    pub(crate) fn plan(conf: &Conf, host: &Host) -> Result<Limits> {
        let mut limits = Limits::default();
        if conf.v1.is_empty() && conf.v2.is_empty() {
            return Ok(limits);
        }
        let offers = host.v2_controllers();
        let (mut foreign, mut devices) = ((Keys::new(), Keys::new()), (Keys::new(), Keys::new()));
        for (file, value) in pairs(&conf.v1) {
            match host.v1(controller(file)) {
                _ if is_device(file) => devices.0.push((file, value)),
                Some(h) => limits.native(Dialect::One, h, file, value),
                None => foreign.0.push((file, value)),
            }
        }
        for (file, value) in pairs(&conf.v2) {
            let native =
                host.v2().filter(|_| host.layout == Layout::Unified || offers.iter().any(|c| c == controller(file)));
            match native {
                _ if is_device(file) => devices.1.push((file, value)),
                Some(h) => limits.native(Dialect::Two, h, file, value),
                None => foreign.1.push((file, value)),
            }
        }
        limits.foreign(host, &offers, Dialect::One, &foreign.0)?;
        limits.foreign(host, &offers, Dialect::Two, &foreign.1)?;
        limits.devices = plan_devices(host, &devices.0, &devices.1)?;
        // memory.memsw may not be below memory.limit_in_bytes, so it is set when that has its value.
        limits.writes.sort_by_key(|w| w.files.iter().any(|(f, _)| f.starts_with("memory.memsw")));
        Ok(limits)
    }

    fn native(&mut self, dialect: Dialect, hierarchy: usize, file: &str, value: &str) {
        let files = vec![(file.to_string(), value.to_string())];
        self.writes.push(Write { key: dialect.key(file), value: value.into(), hierarchy, files, translated: false });
    }

    /// Whether a native setting limits this resource already.
    fn taken(&self, resource: Resource) -> bool {
        let mut files = self.writes.iter().filter(|w| !w.translated).flat_map(|w| &w.files);
        files.any(|(f, _)| translate::resource(f) == Some(resource))
    }

    /// The memory limit in force once all is set, in bytes.
    fn memory(&self, foreign: &Keys<'_>) -> Option<u64> {
        let mine = self.writes.iter().rev().filter(|w| !w.translated).flat_map(|w| &w.files);
        let mine = mine.map(|(f, v)| (f.as_str(), v.as_str()));
        let mut all = mine.chain(foreign.iter().rev().copied());
        match translate::size(all.find(|(f, _)| translate::resource(f) == Some(Resource::Memory))?.1)? {
            Size::Bytes(n) => Some(n),
            Size::Max => None,
        }
    }

    /// Translates the keys of the dialect that has no controller of its own for them here.
    fn foreign(&mut self, host: &Host, offers: &[String], dialect: Dialect, keys: &Keys<'_>) -> Result<()> {
        let memory = self.memory(keys);
        let mut done: Vec<Resource> = Vec::new();
        for (file, value) in keys {
            let key = dialect.key(file);
            let target = translate::resource(file).and_then(|r| Some((r, counterpart(host, offers, dialect, file)?)));
            let Some((resource, hierarchy)) = target else {
                if dialect == Dialect::One && host.layout != Layout::Unified {
                    return Err(no_controller(&key, value, controller(file)));
                }
                crate::log_warn!("{key} = {value} is ignored: this machine's cgroups have nothing that does it");
                continue;
            };
            if self.taken(resource) {
                crate::log_debug!("{key} = {value} is left alone: the config sets the same in this layout's own words");
                continue;
            }
            if done.contains(&resource) {
                continue;
            }
            done.push(resource);
            let group: Keys<'_> =
                keys.iter().filter(|(f, _)| translate::resource(f) == Some(resource)).copied().collect();
            let words = match dialect {
                Dialect::One => translate::to_v2(resource, &group, memory),
                Dialect::Two => translate::to_v1(resource, &group, memory),
            };
            let Some(words) = words else {
                for (file, value) in &group {
                    let key = dialect.key(file);
                    crate::log_warn!(
                        "{key} = {value} is ignored: it cannot be translated to this machine's cgroup layout"
                    );
                }
                continue;
            };
            let (file, value) = group.last().copied().unwrap_or((file, value));
            for files in words {
                let (key, value) = (dialect.key(file), value.to_string());
                self.writes.push(Write { key, value, hierarchy, files, translated: true });
            }
        }
        Ok(())
    }

    /// Writes everything but the device rules to the group `rel`.
    pub(crate) fn set(&self, host: &Host, rel: &str) -> Result<()> {
        if let (Layout::Unified, false, Some(h)) = (host.layout, self.writes.is_empty(), host.hierarchies.first()) {
            // The monitor has left the base by now: what was refused before may be granted.
            enable_controllers(&h.base_dir());
        }
        for w in &self.writes {
            let Some(h) = host.hierarchies.get(w.hierarchy) else { continue };
            w.set(&h.dir(rel), h.kind)?;
        }
        Ok(())
    }

    /// Sets the device rules on the group `rel`; on cgroup2 the program must be kept for later changes.
    pub(crate) fn set_devices(&self, host: &Host, rel: &str) -> Result<Option<Program>> {
        let dir = |i: usize| host.hierarchies.get(i).map(|h| h.dir(rel));
        match &self.devices {
            Devices::None => Ok(None),
            Devices::V1(h, rules) => {
                if let Some(dir) = dir(*h) {
                    set_v1(&dir, rules)?;
                }
                Ok(None)
            }
            Devices::V2(h, set) => {
                let Some(dir) = dir(*h) else { return Ok(None) };
                match Program::attach(set.clone(), &dir, None) {
                    Ok(p) => Ok(Some(p)),
                    Err(e) if matches!(e.errno, libc::EPERM | libc::EACCES) => {
                        crate::log_warn!("{e}: the device rules are not in force");
                        Ok(None)
                    }
                    Err(e) => Err(e.stage("cgroup")),
                }
            }
        }
    }
}

impl Write {
    fn set(&self, dir: &str, kind: Kind) -> Result<()> {
        let mut last = io::Error::from_raw_os_error(libc::ENOENT);
        for (file, value) in &self.files {
            match file::write(format!("{dir}/{file}"), value.as_bytes()) {
                Ok(()) if self.translated => {
                    crate::log_info!("{} = {} is set as {file} = {value}", self.key, self.value);
                    return Ok(());
                }
                Ok(()) => {
                    crate::log_debug!("Set {file} to {value}");
                    return Ok(());
                }
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) => last = e,
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
        let missing = last.raw_os_error() == Some(libc::ENOENT);
        if missing && self.translated {
            let names: Vec<&str> = self.files.iter().map(|(f, _)| f.as_str()).collect();
            crate::log_warn!("{} = {} is ignored: this kernel has no {}", self.key, self.value, names.join(" and no "));
            return Ok(());
        }
        let (file, value) = self.files.last().map_or(("", ""), |(f, v)| (f, v));
        crate::log_error!(errno = last, "Failed to set \"{file}\" to \"{value}\"");
        let e = Error::io(&last, format!("limit {} = {} ({dir}/{file})", self.key, self.value)).stage("cgroup");
        Err(match last.raw_os_error() {
            Some(libc::ENOENT) if kind == Kind::V2 => {
                e.hint(format!("no such limit, or the {} controller is not enabled there", controller(file)))
            }
            Some(libc::ENOENT) => e.hint(format!("no such limit: ls {dir}")),
            Some(libc::EINVAL | libc::ERANGE) => {
                e.hint(format!("the kernel refuses this value; now: cat {dir}/{file}"))
            }
            Some(libc::EBUSY) => e.hint("more is in use already than the limit would allow"),
            Some(libc::EACCES | libc::EPERM) => e.hint("the group is not delegated to this user"),
            _ => e,
        })
    }
}

fn pairs(list: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    list.iter().map(|(f, v)| (f.as_str(), v.as_str()))
}

/// The controller that a file belongs to: its name up to the first dot.
fn controller(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

fn is_device(file: &str) -> bool {
    translate::resource(file) == Some(Resource::Devices)
}

/// The hierarchy that has the counterpart of a foreign file's controller.
fn counterpart(host: &Host, offers: &[String], dialect: Dialect, file: &str) -> Option<usize> {
    let name = controller(file);
    match dialect {
        Dialect::One => {
            let name = if name == "blkio" { "io" } else { name };
            host.v2().filter(|_| host.layout == Layout::Unified || offers.iter().any(|c| c == name))
        }
        Dialect::Two => host.v1(if name == "io" { "blkio" } else { name }),
    }
}

fn no_controller(key: &str, value: &str, controller: &str) -> Error {
    let file = key.trim_start_matches("lxc.cgroup.");
    crate::log_error!(errno = libc::ENOENT, "Failed to set \"{file}\" to \"{value}\"");
    Error::os(libc::ENOENT, format!("limit {key} = {value}: this machine has no {controller} controller"))
        .stage("cgroup")
        .hint("see the controllers with: cat /proc/cgroups, or drop the key")
}

/// Version 1 files where that controller is mounted, a program for cgroup2 otherwise.
fn plan_devices(host: &Host, one: &Keys<'_>, two: &Keys<'_>) -> Result<Devices> {
    let (native, other, words) = match (host.v1("devices"), host.v2()) {
        (Some(_), _) => (one, two, (Dialect::One, Dialect::Two)),
        (None, Some(_)) => (two, one, (Dialect::Two, Dialect::One)),
        (None, None) => match one.first().or(two.first()) {
            Some((f, v)) => return Err(no_controller(&words_of(one, f), v, "devices")),
            None => return Ok(Devices::None),
        },
    };
    let (keys, dialect) = match (native.is_empty(), other.is_empty()) {
        (true, true) => return Ok(Devices::None),
        (true, false) => {
            crate::log_info!("{}devices.* is set as {}devices.*", words.1.key(""), words.0.key(""));
            (other, words.1)
        }
        (false, false) => {
            crate::log_debug!(
                "{}devices.* is left alone: the config has device rules in this layout's own words",
                words.1.key("")
            );
            (native, words.0)
        }
        (false, true) => (native, words.0),
    };
    let rule = |file: &str, value: &str| {
        Rule::parse(value, file == "devices.allow").map_err(|mut e| {
            e.what = format!("{} = {value}: {}", dialect.key(file), e.what);
            e
        })
    };
    match (host.v1("devices"), host.v2()) {
        (Some(h), _) if dialect == Dialect::One => {
            let line = |(file, value): &(&str, &str)| -> Result<(bool, String)> {
                let text = if value.starts_with('/') { rule(file, value)?.text() } else { (*value).to_string() };
                Ok((*file == "devices.allow", text))
            };
            Ok(Devices::V1(h, keys.iter().map(line).collect::<Result<_>>()?))
        }
        (v1, v2) => {
            let mut set = if dialect == Dialect::One { Set::open() } else { Set::closed() };
            for (file, value) in keys {
                let r = rule(file, value)?;
                if !set.add(&r) {
                    crate::log_debug!("{} = {value} changes nothing", dialect.key(file));
                }
            }
            Ok(match (v1, v2) {
                (Some(h), _) => Devices::V1(h, set.v1().iter().map(|r| (r.allow, r.text())).collect()),
                (None, Some(h)) => Devices::V2(h, set),
                (None, None) => Devices::None,
            })
        }
    }
}

fn words_of(one: &Keys<'_>, file: &str) -> String {
    if one.is_empty() { Dialect::Two.key(file) } else { Dialect::One.key(file) }
}

/// Writes version 1 rules, each file opened once.
fn set_v1(dir: &str, rules: &[(bool, String)]) -> Result<()> {
    let mut files: [Option<File>; 2] = [None, None];
    for (allow, text) in rules {
        let name = if *allow { "devices.allow" } else { "devices.deny" };
        let [deny, permit] = &mut files;
        let slot = if *allow { permit } else { deny };
        let done = match slot {
            Some(f) => file::put(f, text.as_bytes()),
            None => OpenOptions::new()
                .write(true)
                .open(format!("{dir}/{name}"))
                .and_then(|f| file::put(slot.insert(f), text.as_bytes())),
        };
        match done {
            Ok(()) => {}
            Err(e) if matches!(e.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
                crate::log_warn!(errno = e, "The kernel refuses the device rule {name} = {text}");
            }
            Err(e) => {
                crate::log_error!(errno = e, "Failed to set \"{name}\" to \"{text}\"");
                return Err(Error::io(&e, format!("device rule {name} = {text} ({dir})"))
                    .stage("cgroup")
                    .hint("write it as: a, or c 1:3 rwm (c or b, MAJOR:MINOR with * for any, and some of r, w, m)"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::layout::Hierarchy;
    use super::*;

    fn host(layout: Layout) -> Host {
        let h = |kind, list: &[&str], mount: &str| Hierarchy {
            kind,
            controllers: list.iter().map(|s| (*s).to_string()).collect(),
            mount: mount.into(),
            base: String::new(),
        };
        let one = ["memory", "cpu", "cpuset", "pids", "blkio", "devices"];
        let mut hierarchies = Vec::new();
        if layout != Layout::Unified {
            hierarchies.extend(one.iter().map(|c| h(Kind::V1, &[c], "/nowhere")));
        }
        if layout != Layout::Legacy {
            hierarchies.push(h(Kind::V2, &[], "/nowhere"));
        }
        Host { layout, hierarchies }
    }

    fn conf(one: &[(&str, &str)], two: &[(&str, &str)]) -> Conf {
        let own = |l: &[(&str, &str)]| l.iter().map(|(f, v)| ((*f).to_string(), (*v).to_string())).collect();
        Conf { v1: own(one), v2: own(two), ..Conf::default() }
    }

    fn written(l: &Limits) -> Vec<String> {
        l.writes
            .iter()
            .map(|w| format!("{}{}={}", if w.translated { "~" } else { "" }, w.files[0].0, w.files[0].1))
            .collect()
    }

    #[test]
    fn own_words_win() {
        let c =
            conf(&[("memory.limit_in_bytes", "1G"), ("cpu.shares", "512")], &[("memory.max", "2G"), ("pids.max", "5")]);
        let l = Limits::plan(&c, &host(Layout::Unified)).unwrap();
        assert_eq!(written(&l), ["memory.max=2G", "pids.max=5", "~cpu.weight=50"]);
        let l = Limits::plan(&c, &host(Layout::Hybrid)).unwrap();
        assert_eq!(written(&l), ["memory.limit_in_bytes=1G", "cpu.shares=512", "~pids.max=5"]);
    }

    #[test]
    fn memsw_is_last_and_needs_memory() {
        let c = conf(&[("memory.memsw.limit_in_bytes", "2G"), ("memory.limit_in_bytes", "1G")], &[]);
        let l = Limits::plan(&c, &host(Layout::Legacy)).unwrap();
        assert_eq!(written(&l), ["memory.limit_in_bytes=1G", "memory.memsw.limit_in_bytes=2G"]);
        let l = Limits::plan(&c, &host(Layout::Unified)).unwrap();
        assert_eq!(written(&l), ["~memory.swap.max=1073741824", "~memory.max=1G"]);
        let l = Limits::plan(
            &conf(&c.v1[..1].iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), &[]),
            &host(Layout::Unified),
        );
        assert!(l.unwrap().writes.is_empty());
        let c = conf(&[], &[("memory.swap.max", "1G"), ("memory.max", "1G")]);
        let l = Limits::plan(&c, &host(Layout::Hybrid)).unwrap();
        assert_eq!(written(&l), ["~memory.limit_in_bytes=1G", "~memory.memsw.limit_in_bytes=2147483648"]);
    }

    #[test]
    fn unknown_ones() {
        let c = conf(&[("foo.bar", "1")], &[]);
        assert!(Limits::plan(&c, &host(Layout::Hybrid)).unwrap_err().what.contains("lxc.cgroup.foo.bar = 1"));
        assert!(Limits::plan(&c, &host(Layout::Unified)).unwrap().writes.is_empty());
        let c = conf(&[], &[("foo.bar", "1"), ("memory.high", "1"), ("cgroup.max.depth", "3")]);
        assert_eq!(written(&Limits::plan(&c, &host(Layout::Hybrid)).unwrap()), ["cgroup.max.depth=3"]);
        assert_eq!(Limits::plan(&c, &host(Layout::Unified)).unwrap().writes.len(), 3);
    }

    #[test]
    fn devices() {
        let one = [("devices.deny", "a"), ("devices.allow", "/dev/null rwm")];
        let two = [("devices.allow", "c 1:5 r")];
        let l = Limits::plan(&conf(&one, &two), &host(Layout::Hybrid)).unwrap();
        assert_eq!(l.devices, Devices::V1(5, vec![(false, "a".into()), (true, "c 1:3 rwm".into())]));
        let l = Limits::plan(&conf(&[], &two), &host(Layout::Legacy)).unwrap();
        assert_eq!(l.devices, Devices::V1(5, vec![(false, "a".into()), (true, "c 1:5 r".into())]));
        let Devices::V2(0, set) = Limits::plan(&conf(&one[1..], &[]), &host(Layout::Unified)).unwrap().devices else {
            panic!()
        };
        assert_eq!(set, Set::open(), "version 1 allows all until told otherwise");
        let Devices::V2(0, set) = Limits::plan(&conf(&one, &two), &host(Layout::Unified)).unwrap().devices else {
            panic!()
        };
        assert_eq!(set.v1().iter().map(Rule::text).collect::<Vec<_>>(), ["a", "c 1:5 r"]);
        assert!(Limits::plan(&conf(&[], &[("devices.allow", "q")]), &host(Layout::Unified)).is_err());
    }

    #[test]
    fn setting() {
        let top = std::env::temp_dir().join(format!("lxctest-lim-{}", std::process::id()));
        std::fs::create_dir_all(top.join("p")).unwrap();
        for f in ["memory.max", "io.bfq.weight"] {
            std::fs::write(top.join("p").join(f), "").unwrap();
        }
        let mut h = host(Layout::Unified);
        h.hierarchies[0].mount = top.display().to_string();
        let c = conf(&[("memory.limit_in_bytes", "1G"), ("blkio.weight", "500"), ("cpu.shares", "2")], &[]);
        Limits::plan(&c, &h).unwrap().set(&h, "p").unwrap();
        assert_eq!(std::fs::read_to_string(top.join("p/memory.max")).unwrap(), "1G");
        assert_eq!(std::fs::read_to_string(top.join("p/io.bfq.weight")).unwrap(), "100");
        let e = Limits::plan(&conf(&[], &[("pids.max", "3")]), &h).unwrap().set(&h, "p").unwrap_err();
        assert_eq!((e.errno, e.what.starts_with("limit lxc.cgroup2.pids.max = 3")), (libc::ENOENT, true));
        std::fs::remove_dir_all(&top).unwrap();
    }
}
