//! The program `criu` as a checkpoint and a restore call it: where it is, which version will do, its command lines, what
//! its log says when it fails. Knows nothing of how criu works; who runs it is `container::migrate` (dump) and
//! `runtime::restore`.
#![forbid(unsafe_code)]

use crate::base::spawn::{Command, find};
use crate::base::{Context, Error, Result};
use crate::cgroup::{Host, Kind as Version, Layout};
use crate::config::Config;
use crate::network::conf::{Device, Kind};
use crate::{mount, security, sys};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The oldest criu that has all the options below.
const OLDEST: (u32, u32) = (2, 0);
/// The file beside the images that names the console's terminal on the host of the dump, as criu names external ttys.
pub const TTY_FILE: &str = "tty.info";

/// criu can track changes of memory (FEATURE_MEM_TRACK).
pub const MEM_TRACK: u64 = 1;
/// criu can restore pages lazily (FEATURE_LAZY_PAGES).
pub const LAZY_PAGES: u64 = 2;
/// The features that can be asked for, and what `criu check --feature` calls them.
const FEATURES: [(u64, &str); 2] = [(MEM_TRACK, "mem_dirty_track"), (LAZY_PAGES, "uffd-noncoop")];

/// What is asked of criu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Memory only; the container goes on.
    PreDump,
    /// Everything.
    Dump,
    /// Back from the images.
    Restore,
}

impl Verb {
    /// criu's word for it, which is also the name of its log.
    pub const fn name(self) -> &'static str {
        match self {
            Verb::PreDump => "pre-dump",
            Verb::Dump => "dump",
            Verb::Restore => "restore",
        }
    }

    /// criu's log of it in the images' directory.
    pub fn log(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.log", self.name()))
    }
}

/// criu on PATH.
///
/// # Errors
/// There is none.
pub fn program() -> Result<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/sbin:/usr/bin:/sbin:/bin"));
    find("criu", &dirs).ok_or_else(|| {
        Error::os(libc::ENOENT, "criu is not installed")
            .hint("checkpoints are made by criu: install it, or put it on PATH")
    })
}

/// criu on PATH, of a version that will do.
///
/// # Errors
/// There is none, it is too old, or does not say which version it is.
pub fn program_checked() -> Result<PathBuf> {
    let criu = program()?;
    let (status, lines) = Command::new(&criu).args(["--version"]).collect()?;
    let said = lines.join(" ");
    match version(&said) {
        Some(v) if status.success() && v >= OLDEST => Ok(criu),
        Some((major, minor)) if status.success() => Err(Error::new(format!(
            "{} is version {major}.{minor}: must have criu {}.{} or greater to checkpoint/restore",
            criu.display(),
            OLDEST.0,
            OLDEST.1
        ))),
        _ => Err(Error::new(format!("{} --version says no version, but {said:?}", criu.display()))),
    }
}

/// The number in `Version: X.Y[.Z]`.
fn version(said: &str) -> Option<(u32, u32)> {
    let number = said.split("Version:").nth(1)?.split_whitespace().next()?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|p| p.parse().ok()).unwrap_or(0)))
}

/// Which of the features criu has here. A number that is no feature makes it none.
///
/// # Errors
/// There is no criu.
pub fn features(wanted: u64) -> Result<u64> {
    let known = FEATURES.iter().fold(0, |all, (bit, _)| all | bit);
    if wanted & !known != 0 || wanted == 0 {
        return Ok(0);
    }
    let criu = program()?;
    let mut have = 0;
    for (bit, name) in FEATURES.iter().filter(|(bit, _)| wanted & bit != 0) {
        if Command::new(&criu).args(["check", "--feature", name]).collect()?.0.success() {
            have |= bit;
        }
    }
    Ok(have)
}

/// Refuses what criu cannot dump or restore, before anything happens.
///
/// # Errors
/// Who is not root; network devices that are known not to work.
pub fn refuse(config: &Config) -> Result<()> {
    if sys::cred::euid() != 0 {
        return Err(Error::os(libc::EPERM, "Must be root to checkpoint"));
    }
    let dumpable = [Kind::Veth, Kind::None, Kind::Empty, Kind::Phys, Kind::Macvlan];
    match config.network.devices.iter().find(|(_, d)| !dumpable.contains(&d.kind)) {
        None => Ok(()),
        Some((n, d)) => {
            let kind = crate::network::keys::type_name(d.kind);
            Err(Error::os(libc::EOPNOTSUPP, format!("Found un-dumpable network: lxc.net.{n}.type = {kind}")))
        }
    }
}

/// What every call begins with.
pub fn head(verb: Verb, directory: &Path, roots: &[(String, String)], verbose: bool) -> Vec<OsString> {
    let mut words = strings(&[
        verb.name(),
        "--tcp-established",
        "--file-locks",
        "--link-remap",
        "--manage-cgroups=full",
        "--ext-mount-map",
        "auto",
        "--enable-external-sharing",
        "--enable-external-masters",
        "--enable-fs",
        "hugetlbfs",
        "--enable-fs",
        "tracefs",
    ]);
    words.extend(["-D".into(), directory.into(), "-o".into(), OsString::from(verb.log(directory))]);
    for (controller, path) in roots {
        words.extend(strings(&["--cgroup-root", &format!("{controller}:{path}")]));
    }
    if verbose {
        words.push("-v4".into());
    }
    words
}

/// Words as arguments.
pub fn strings(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// An option with a path.
pub fn option(name: &str, value: &OsStr) -> [OsString; 2] {
    [name.into(), value.into()]
}

/// The bind mounts of `lxc.mount.entry`: on a dump the place inside gets a name, on a restore the name gets a source.
///
/// # Errors
/// A line that is none.
pub fn bind_mounts(conf: &mount::Conf, verb: Verb) -> Result<Vec<OsString>> {
    let mut words = Vec::new();
    for entry in &conf.entries {
        let Some(line) = mount::fstab::parse_entry(entry)? else { continue };
        if line.options.flags & libc::MS_BIND == 0 {
            continue;
        }
        let map = match verb {
            Verb::Restore => format!("{}:{}", line.target, line.source),
            _ => format!("/{}:{}", line.target, line.target),
        };
        words.extend(strings(&["--ext-mount-map", &map]));
    }
    Ok(words)
}

/// A device that criu makes anew: what it is told, and the host's end of a pair.
pub struct Link {
    /// N of `lxc.net.N`.
    pub number: u32,
    /// The value of `--external`; none for devices that need no word.
    pub word: Option<String>,
    /// The name of the host's end.
    pub host: Option<String>,
}

/// The container's devices for a restore.
///
/// # Errors
/// No random bytes.
pub fn links(config: &Config) -> Result<Vec<Link>> {
    config.network.devices.iter().map(|(n, d)| link(*n, d)).collect()
}

fn link(number: u32, d: &Device) -> Result<Link> {
    let inside = d.name.clone().unwrap_or_else(|| format!("eth{number}"));
    let at = d.link.as_deref().unwrap_or_default();
    let (word, host) = match d.kind {
        Kind::Veth => {
            let host = match &d.veth_pair {
                Some(name) => name.clone(),
                None => crate::network::random_name().ctx(|| "random bytes".into())?,
            };
            let bridge = if at.is_empty() { String::new() } else { format!("@{at}") };
            (Some(format!("veth[{inside}]:{host}{bridge}")), Some(host))
        }
        Kind::Macvlan => (Some(format!("macvlan[{inside}]:{at}")), None),
        Kind::Phys => (Some(format!("netdev[{inside}]:{at}")), None),
        _ => (None, None),
    };
    Ok(Link { number, word, host })
}

/// The hierarchies for `--cgroup-root`, in the order of /proc/self/cgroup: the controllers of each, separated by commas,
/// and the container's group, for which `group` is asked by one of the controllers.
pub fn roots(host: &Host, group: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let place = |c: &str| text.lines().position(|l| l.split(':').nth(1).is_some_and(|f| f.split(',').any(|n| n == c)));
    let v1 = host.hierarchies.iter().filter(|h| h.kind == Version::V1);
    let mut all: Vec<Vec<String>> = v1.map(|h| h.controllers.clone()).collect();
    all.sort_by_key(|list| list.first().and_then(|c| place(c)).unwrap_or(usize::MAX));
    let v2 = host.v2_controllers().into_iter().filter(|c| c != "cgroup" && host.v1(c).is_none());
    all.push(v2.collect());
    // It is the same in all; cgroup2 beside version 1 does not answer by a controller's name.
    let path = all.iter().flatten().find_map(|c| group(c)).unwrap_or_default();
    let named = all.iter().filter(|list| !list.is_empty());
    named.map(|list| (list.join(","), relative(host, &path))).collect()
}

/// On a pure cgroup2 layout a group has no slash in front.
fn relative(host: &Host, path: &str) -> String {
    if host.layout == Layout::Unified { path.trim_start_matches('/').to_string() } else { path.to_string() }
}

/// The files by which a process gets to the top of every hierarchy by writing `0`: criu is not to be in a group of the
/// container, or of who asks for it.
pub fn tops(host: &Host) -> Vec<String> {
    let file = |v: Version| if v == Version::V1 { "tasks" } else { "cgroup.procs" };
    host.hierarchies.iter().map(|h| format!("{}/{}", h.mount, file(h.kind))).collect()
}

/// The freezer's directory for a dump.
pub fn freezer(host: &Host, path: &str) -> Option<String> {
    let index = host.v1("freezer").or(host.v2())?;
    host.hierarchies.get(index).map(|h| format!("{}/{}", h.mount, relative(host, path)))
}

/// The profile that restored processes get where AppArmor is at work; `label` is what a start would give.
pub fn apparmor(conf: &security::Conf, label: Option<&str>) -> Option<String> {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with('Y'));
    let name = label.or_else(|| conf.apparmor_profile.as_deref().filter(|p| *p == "unconfined"));
    name.filter(|_| enabled).map(|name| format!("apparmor:{name}"))
}

/// Keeps the console's terminal beside the images; `None` removes what an earlier dump has left.
///
/// # Errors
/// The file cannot be written.
pub fn save_tty(directory: &Path, tty: Option<&str>) -> Result<()> {
    let file = directory.join(TTY_FILE);
    match tty {
        Some(tty) => fs::write(&file, tty).ctx(|| format!("failed to write {}", file.display())),
        None => match fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&e, file.display().to_string())),
            _ => Ok(()),
        },
    }
}

/// The console's terminal of the dump: `tty[RDEV:DEV]`, in hexadecimal.
///
/// # Errors
/// The file holds something else.
pub fn saved_tty(directory: &Path) -> Result<Option<String>> {
    let path = directory.join(TTY_FILE);
    let Ok(file) = fs::File::open(&path) else { return Ok(None) };
    let mut text = String::new();
    file.take(64).read_to_string(&mut text).ctx(|| path.display().to_string())?;
    let text = text.trim_end();
    let hex = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_hexdigit());
    let inner = text.strip_prefix("tty[").and_then(|t| t.strip_suffix(']')).and_then(|t| t.split_once(':'));
    match inner {
        _ if text.is_empty() => Ok(None),
        Some((rdev, dev)) if hex(rdev) && hex(dev) => Ok(Some(text.to_string())),
        _ => Err(Error::os(libc::EINVAL, format!("{}: {text:?} is not tty[RDEV:DEV]", path.display()))),
    }
}

/// Why criu failed: the first error of its log, else what it said last, else its status.
pub fn failed(verb: Verb, name: &str, directory: &Path, lines: &[String], code: i32) -> Error {
    let log = verb.log(directory);
    let text = fs::read(&log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    // Without its time.
    let plain =
        |l: &str| l.split_once(") ").filter(|(t, _)| t.starts_with('(')).map_or(l, |(_, r)| r).trim().to_string();
    let first = text.lines().find(|l| l.contains("Error")).map(plain);
    let why = first.or_else(|| lines.last().cloned()).unwrap_or_else(|| format!("status {code}"));
    let error = Error::new(format!("The {} of {name} failed: criu: {why}", verb.name()));
    if text.is_empty() { error } else { error.hint(format!("criu's log is {}", log.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[OsString]) -> String {
        words.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    fn config(lines: &str) -> Config {
        let mut c = Config::new();
        c.load_str(lines, "test").unwrap();
        c
    }

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version("Version: 3.17.1"), Some((3, 17)));
        assert_eq!(version("Version: 10.0 GitID: v10.0"), Some((10, 0)));
        assert_eq!((version("Version: 4"), version("junk"), version("Version: abc")), (Some((4, 0)), None, None));
        assert!(version("Version: 10.0") > Some(OLDEST) && version("Version: 1.9") < Some(OLDEST));
    }

    #[test]
    fn only_known_features_are_asked_for() {
        assert_eq!((features(0).unwrap(), features(4).unwrap(), features(7).unwrap()), (0, 0, 0));
    }

    #[test]
    fn binds_are_named_and_nothing_else() {
        let c = config(
            "lxc.mount.entry = /opt opt none bind,create=dir 0 0\nlxc.mount.entry = tmpfs mnt tmpfs defaults 0 0\n\
             lxc.mount.entry = /a a\\040b none ro,rbind 0 0\n",
        );
        let dump = bind_mounts(&c.mount, Verb::Dump).unwrap();
        assert_eq!(text(&dump), "--ext-mount-map /opt:opt --ext-mount-map /a b:a b");
        let restore = bind_mounts(&c.mount, Verb::Restore).unwrap();
        assert_eq!(text(&restore), "--ext-mount-map opt:/opt --ext-mount-map a b:/a");
    }

    #[test]
    fn links_by_type() {
        let c = config(
            "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = p0\nlxc.net.1.type = veth\n\
             lxc.net.2.type = empty\nlxc.net.3.type = macvlan\nlxc.net.3.name = m\nlxc.net.3.link = eth9\n\
             lxc.net.4.type = phys\nlxc.net.4.link = eth8\n",
        );
        let links = links(&c).unwrap();
        let words: Vec<_> = links.iter().map(|l| l.word.as_deref().unwrap_or("-")).collect();
        assert_eq!(
            (words[0], words[2], words[3], words[4]),
            ("veth[eth0]:p0@br0", "-", "macvlan[m]:eth9", "netdev[eth4]:eth8")
        );
        let host = links[1].host.as_deref().unwrap();
        assert_eq!(words[1], format!("veth[eth1]:{host}"));
        assert!(host.starts_with("veth") && host.len() == 10);
    }

    #[test]
    fn undumpable_networks_are_refused_by_key() {
        if sys::cred::euid() == 0 {
            let e = refuse(&config("lxc.net.1.type = vlan\n")).unwrap_err();
            assert_eq!(e.what, "Found un-dumpable network: lxc.net.1.type = vlan");
            refuse(&config("lxc.net.0.type = veth\n")).unwrap();
        }
    }

    #[test]
    fn the_terminal_is_kept_and_believed_only_in_its_form() {
        let dir = std::env::temp_dir().join(format!("lxc-criu-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        assert_eq!(saved_tty(&dir).unwrap(), None);
        save_tty(&dir, Some("tty[8800:1a]")).unwrap();
        assert_eq!(saved_tty(&dir).unwrap().as_deref(), Some("tty[8800:1a]"));
        fs::write(dir.join(TTY_FILE), "tty[8800:1a] --pidfile /etc/passwd").unwrap();
        assert!(saved_tty(&dir).is_err());
        save_tty(&dir, None).unwrap();
        save_tty(&dir, None).unwrap();
        let e = failed(Verb::Dump, "c", &dir, &["last".into()], 1);
        assert_eq!((e.what.as_str(), e.hint), ("The dump of c failed: criu: last", None));
        fs::write(dir.join("dump.log"), "(00.1) all well\n(00.2) Error (x.c:1): no\n(00.3) Error: later\n").unwrap();
        let e = failed(Verb::Dump, "c", &dir, &[], 1);
        assert_eq!(e.what, "The dump of c failed: criu: Error (x.c:1): no");
        fs::remove_dir_all(&dir).unwrap();
    }
}
