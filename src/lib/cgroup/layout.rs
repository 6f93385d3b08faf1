//! Which cgroup hierarchies the machine has, where they are mounted, and below which group ours are made.
//!
//! Read once per process from /proc/self/mountinfo and one cgroup file (cgroups(7), cgroup_namespaces(7)): two files in
//! place of a statfs and an access check of every hierarchy. On pure cgroup2 mountinfo, which grows with the machine's
//! mounts, is not read. It creates and changes nothing.
#![forbid(unsafe_code)]

use super::file;
use crate::base::{Context, Error, Result};
use crate::sys::path;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

/// The three layouts, with the numbers that GET_CGROUP_CTX sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Layout {
    /// Version 1 hierarchies only.
    Legacy = 0,
    /// Version 1 hierarchies with controllers, and cgroup2 beside them.
    Hybrid = 1,
    /// cgroup2 only.
    Unified = 2,
}

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Version 1.
    V1,
    /// cgroup2.
    V2,
}

impl Kind {
    /// The file system's magic number (statfs(2)), as GET_CGROUP_FD sends it.
    pub const fn magic(self) -> i64 {
        match self {
            Kind::V1 => 0x0027_e0eb,
            Kind::V2 => 0x6367_7270,
        }
    }
}

/// One hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its version.
    pub kind: Kind,
    /// Version 1: its controllers, `name=systemd` included. cgroup2: empty, see [`Host::v2_controllers`].
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount: String,
    /// The group that ours are made below, relative to the mount; empty for its top, else with a leading `/`.
    pub base: String,
}

impl Hierarchy {
    /// The path of the group `rel` (no leading `/`) below the base.
    pub fn dir(&self, rel: &str) -> String {
        format!("{}{}/{rel}", self.mount, self.base)
    }

    /// The path of the base itself.
    pub fn base_dir(&self) -> String {
        format!("{}{}", self.mount, self.base)
    }

    /// The path of the group `rel` as seen from the top of the mount: what GET_CGROUP answers.
    pub fn path(&self, rel: &str) -> String {
        format!("{}/{rel}", self.base)
    }

    /// Whether it is a version 1 hierarchy with this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }
}

/// The machine's hierarchies, as a caller below one base group sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The layout.
    pub layout: Layout,
    /// The hierarchies, in mount order, those that `lxc.cgroup.use` names.
    pub hierarchies: Vec<Hierarchy>,
}

/// Whose group is the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// PID 1's, without `init.scope`: root's containers.
    Init,
    /// The caller's own: ordinary users, and `lxc.cgroup.relative = 1`.
    Own,
}

static CACHE: [Mutex<Option<Arc<Host>>>; 2] = [Mutex::new(None), Mutex::new(None)];

impl Host {
    /// The machine's hierarchies; read once per process and base.
    ///
    /// # Errors
    /// Unreadable /proc, or no cgroup hierarchy at all.
    pub fn get(base: Base) -> Result<Arc<Host>> {
        let mut slot = CACHE[base as usize].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(host) = slot.as_ref() {
            return Ok(Arc::clone(host));
        }
        let groups = match base {
            Base::Init => file_whole("/proc/1/cgroup").or_else(|_| file_whole("/proc/self/cgroup"))?,
            Base::Own => file_whole("/proc/self/cgroup")?,
        };
        let host = match Host::unified(&groups).filter(|_| is_unified()) {
            Some(host) => host,
            None => Host::parse(&file_whole("/proc/self/mountinfo")?, &groups)?,
        };
        let host = Arc::new(host);
        *slot = Some(Arc::clone(&host));
        Ok(host)
    }

    /// The hierarchies by the texts of a mountinfo and a cgroup file (proc(5)).
    ///
    /// # Errors
    /// No hierarchy is mounted.
    pub fn parse(mountinfo: &str, cgroup: &str) -> Result<Host> {
        let mut mounts: Vec<Mount> = Vec::new();
        for m in mountinfo.lines().filter_map(Mount::parse) {
            // The same hierarchy again: the one in the usual place is the one to use.
            match mounts.iter_mut().find(|o| o.dev == m.dev) {
                Some(old) if !old.usual() && m.usual() => *old = m,
                Some(_) => {}
                None => mounts.push(m),
            }
        }
        // Mounts elsewhere (an old guest's, a test's) do not make the layout.
        if mounts.iter().any(Mount::usual) {
            mounts.retain(Mount::usual);
        }
        // cgroup2 on /sys/fs/cgroup itself: whatever version 1 hierarchy is mounted inside has no say.
        if mounts.iter().any(|m| m.v2 && m.target == UNIFIED) {
            mounts.retain(|m| m.v2);
        }
        let hierarchies: Vec<Hierarchy> = mounts.iter().filter_map(|m| m.hierarchy(cgroup)).collect();
        let v2 = hierarchies.iter().any(|h| h.kind == Kind::V2);
        let v1 = hierarchies.iter().any(|h| h.kind == Kind::V1);
        let layout = match (v1, v2) {
            (true, true) => Layout::Hybrid,
            (true, false) => Layout::Legacy,
            (false, true) => Layout::Unified,
            (false, false) => {
                return Err(Error::new("no cgroup hierarchy is mounted")
                    .stage("cgroup")
                    .hint("mount -t cgroup2 cgroup2 /sys/fs/cgroup"));
            }
        };
        Ok(Host { layout, hierarchies })
    }

    /// The host where the whole of cgroup2 is on /sys/fs/cgroup, by the text of a cgroup file.
    fn unified(cgroup: &str) -> Option<Host> {
        let path = cgroup.lines().find_map(|l| l.strip_prefix("0::"))?;
        let (mount, base) = (UNIFIED.to_string(), base_below("/", path));
        let hierarchies = vec![Hierarchy { kind: Kind::V2, controllers: Vec::new(), mount, base }];
        Some(Host { layout: Layout::Unified, hierarchies })
    }

    /// Keeps only what `lxc.cgroup.use` of lxc.conf names: version 1 hierarchies with one of these controllers (a comma
    /// list; `@all` is every one) and cgroup2.
    #[must_use]
    pub fn only(mut self, list: &str) -> Host {
        let words: Vec<&str> = list.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
        if !words.is_empty() && !words.contains(&"@all") {
            self.hierarchies.retain(|h| h.kind == Kind::V2 || words.iter().any(|w| h.has(w)));
        }
        self
    }

    /// The version 1 hierarchy with this controller.
    pub fn v1(&self, controller: &str) -> Option<usize> {
        self.hierarchies.iter().position(|h| h.has(controller))
    }

    /// The cgroup2 hierarchy.
    pub fn v2(&self) -> Option<usize> {
        self.hierarchies.iter().position(|h| h.kind == Kind::V2)
    }

    /// The controllers that cgroup2 offers at the base; the core files (`cgroup.*`) count as one named `cgroup`.
    pub fn v2_controllers(&self) -> Vec<String> {
        let Some(h) = self.v2().and_then(|i| self.hierarchies.get(i)) else { return Vec::new() };
        let text = file::read(format!("{}/cgroup.controllers", h.base_dir())).unwrap_or_default();
        text.split_whitespace().chain(["cgroup"]).map(str::to_string).collect()
    }

    /// The hierarchy that answers for a controller name: version 1 with it, else cgroup2 on a pure cgroup2 layout.
    pub fn of_controller(&self, controller: Option<&str>) -> Option<usize> {
        let v2 = || if self.layout == Layout::Unified { self.v2() } else { None };
        match controller {
            Some(c) => self.v1(c).or_else(v2),
            None => v2(),
        }
    }
}

/// Where systemd mounts cgroup2 when nothing else is.
const UNIFIED: &str = "/sys/fs/cgroup";

/// Whether cgroup2 is mounted there, from its very top: that is inode 1, other groups have larger numbers.
fn is_unified() -> bool {
    let top = std::fs::File::open(UNIFIED).ok();
    let of = |f: std::fs::File| Some((path::fs_type(f.as_fd()).ok()?, path::fstat(f.as_fd()).ok()?.ino));
    top.and_then(of) == Some((Kind::V2.magic(), 1))
}

/// Proc files say no size: room for a usual one saves reading in small pieces.
fn file_whole(path: &str) -> Result<String> {
    let mut text = String::with_capacity(8192);
    let read = std::fs::File::open(path).and_then(|mut f| f.read_to_string(&mut text));
    read.ctx(|| format!("cannot read {path}")).map_err(|e| e.stage("cgroup"))?;
    Ok(text)
}

/// A cgroup mount of mountinfo.
struct Mount<'a> {
    dev: &'a str,
    root: &'a str,
    target: String,
    v2: bool,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Mount<'a>> {
        let (front, back) = line.split_once(" - ")?;
        let mut back = back.split(' ');
        let v2 = match back.next()? {
            "cgroup" => false,
            "cgroup2" => true,
            _ => return None,
        };
        let options = back.nth(1).unwrap_or("");
        let mut front = front.split(' ');
        let dev = front.nth(2)?;
        let root = front.next()?;
        Some(Mount { dev, root, target: unescape(front.next()?), v2, options })
    }

    fn usual(&self) -> bool {
        self.target.starts_with("/sys/fs/cgroup")
    }

    /// Finds the mount's line in a cgroup file and the base group by it.
    fn hierarchy(&self, cgroup: &str) -> Option<Hierarchy> {
        let mut found = None;
        for line in cgroup.lines() {
            let mut part = line.splitn(3, ':');
            let (number, names, path) = (part.next()?, part.next()?, part.next()?);
            let matches = if self.v2 {
                number == "0" && names.is_empty()
            } else {
                !names.is_empty() && names.split(',').all(|n| self.options.split(',').any(|o| o == n))
            };
            if matches {
                found = Some((names, path));
                break;
            }
        }
        let (names, path) = found?;
        let controllers = names.split(',').filter(|n| !n.is_empty()).map(str::to_string).collect();
        let kind = if self.v2 { Kind::V2 } else { Kind::V1 };
        Some(Hierarchy { kind, controllers, mount: self.target.clone(), base: base_below(self.root, path) })
    }
}

/// The group `path` relative to a mount whose root is the group `root`; the mount's top when it lies outside.
fn base_below(root: &str, path: &str) -> String {
    let path = path.strip_suffix("/init.scope").unwrap_or(path);
    let inside = if root == "/" { Some(path) } else { path.strip_prefix(root) };
    match inside {
        Some(p) if p.starts_with('/') && p.len() > 1 && !p.split('/').any(|c| c == "..") => p.to_string(),
        _ => String::new(),
    }
}

/// The octal escapes of mountinfo (`\040` and the like).
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|d| first == b'\\' && d.iter().all(|c| (b'0'..=b'7').contains(c)));
        if let Some(d) = octal {
            out.push(d.iter().fold(0u8, |v, c| v.wrapping_mul(8).wrapping_add(c - b'0')));
            rest = tail.get(3..).unwrap_or_default();
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
        40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
        50 1 0:37 / /var/lib/guest/sys rw - cgroup cgroup rw,xattr,name=systemd\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn hybrid() {
        let h = Host::parse(HYBRID, "2:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/init.scope\n").unwrap();
        assert_eq!(h.layout, Layout::Hybrid);
        assert_eq!(h.hierarchies.len(), 3);
        assert_eq!(h.hierarchies[0].controllers, ["cpu", "cpuacct"]);
        assert_eq!(h.hierarchies[0].dir("lxc.payload.a"), "/sys/fs/cgroup/cpu,cpuacct/lxc.payload.a");
        assert_eq!(h.hierarchies[1].base, "");
        assert_eq!(h.v1("cpuacct"), Some(0));
        assert_eq!(h.v2(), Some(2));
        assert_eq!(h.of_controller(Some("memory")), None);
        assert_eq!(h.of_controller(None), None);
        assert_eq!(h.of_controller(Some("cpu")), Some(0));
        assert_eq!(h.clone().only("freezer,name=systemd").hierarchies.len(), 2);
        assert_eq!(h.only("@all").hierarchies.len(), 3);
    }

    #[test]
    fn unified_with_a_stray_v1_inside() {
        let m = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                 31 30 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
        let h = Host::parse(m, "1:name=systemd:/\n0::/user.slice/my session\n").unwrap();
        assert_eq!(h.layout, Layout::Unified);
        assert_eq!(h.hierarchies.len(), 1);
        assert_eq!(h.hierarchies[0].base, "/user.slice/my session");
        assert_eq!(h.hierarchies[0].path("x"), "/user.slice/my session/x");
        assert_eq!(h.of_controller(Some("anything")), Some(0));
    }

    #[test]
    fn mounts_of_a_part_and_escapes() {
        let m = "30 23 0:26 /docker/ab /sys/fs/cgroup/me\\040too rw - cgroup cgroup rw,pids\n";
        let h = Host::parse(m, "3:pids:/docker/ab/in\n").unwrap();
        assert_eq!(h.layout, Layout::Legacy);
        assert_eq!(h.hierarchies[0].base_dir(), "/sys/fs/cgroup/me too/in");
        assert_eq!(base_below("/docker/ab", "/elsewhere"), "");
        assert_eq!(base_below("/", "/../../x"), "");
        assert!(Host::parse("", "").is_err());
    }

    #[test]
    fn unified_needs_no_mountinfo() {
        let m = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        for groups in ["0::/\n", "0::/init.scope\n", "1:net_cls:/\n0::/user.slice/my session\n"] {
            assert_eq!(Host::unified(groups).unwrap(), Host::parse(m, groups).unwrap(), "{groups}");
        }
        assert!(Host::unified("1:name=systemd:/\n").is_none());
        let mounts = file_whole("/proc/self/mountinfo").unwrap();
        assert_eq!(is_unified(), mounts.lines().any(|l| l.contains(" / /sys/fs/cgroup ") && l.contains(" - cgroup2 ")));
    }

    #[test]
    fn this_machine() {
        let h = Host::get(Base::Init).unwrap();
        assert!(!h.hierarchies.is_empty());
        assert!(std::path::Path::new(&h.hierarchies[0].base_dir()).is_dir());
    }
}
