//! Resource limits, /proc and sysctl settings, personality: names turned into what the kernel takes. Renders and checks;
//! `runtime` applies.
#![forbid(unsafe_code)]

use super::conf::Conf;
use crate::base::op::{Act, At, Op, cstring};
use crate::base::{Error, Result};
use std::path::{Path, PathBuf};

/// The names of getrlimit(2) as `lxc.prlimit.NAME` knows them, with their numbers.
const LIMITS: [(&str, u32); 16] = [
    ("as", 9),
    ("core", 4),
    ("cpu", 0),
    ("data", 2),
    ("fsize", 1),
    ("locks", 10),
    ("memlock", 8),
    ("msgqueue", 12),
    ("nice", 13),
    ("nofile", 7),
    ("nproc", 6),
    ("rss", 5),
    ("rtprio", 14),
    ("rttime", 15),
    ("sigpending", 11),
    ("stack", 3),
];

/// One limit for prlimit(2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name in the config.
    pub name: String,
    /// RLIMIT_*.
    pub resource: u32,
    /// Soft limit; `u64::MAX` is none.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// The limits of `lxc.prlimit.*`.
///
/// # Errors
/// An unknown name, or a soft limit above the hard one.
pub fn limits(conf: &Conf) -> Result<Vec<Limit>> {
    conf.prlimits
        .iter()
        .map(|(name, soft, hard)| {
            let known = LIMITS.iter().find(|(n, _)| n == name).map(|(_, r)| *r);
            let Some(resource) = known.or_else(|| name.parse().ok().filter(|n| *n < 16)) else {
                return Err(Error::new(format!("lxc.prlimit.{name}: no such limit"))
                    .hint(format!("known are {}", LIMITS.map(|l| l.0).join(" "))));
            };
            if soft > hard {
                return Err(Error::new(format!(
                    "lxc.prlimit.{name}: the soft limit {soft} is above the hard limit {hard}"
                )));
            }
            Ok(Limit { name: name.clone(), resource, soft: *soft, hard: *hard })
        })
        .collect()
}

/// What a start refuses of the limits, settings and files.
pub fn check(conf: &Conf) -> Vec<Error> {
    let all = [limits(conf).err(), sysctl_ops(conf).err(), procs(conf).err()];
    all.into_iter().flatten().collect()
}

/// Turns the dotted name of `lxc.sysctl.` or `lxc.proc.` into a path; refuses what would leave the directory.
fn dotted(key: &str, name: &str) -> Result<String> {
    let path = name.replace('.', "/");
    if path.split('/').any(str::is_empty) {
        return Err(
            Error::new(format!("{key}.{name}: not a name")).hint("write it with single dots, as sysctl(8) does")
        );
    }
    Ok(path)
}

/// The files of `lxc.proc.*` below /proc/PID, with their values.
///
/// # Errors
/// A name that is none.
pub fn procs(conf: &Conf) -> Result<Vec<(String, String)>> {
    conf.procs.iter().map(|(n, v)| Ok((dotted("lxc.proc", n)?, v.clone()))).collect()
}

/// The writes of `lxc.sysctl.*`, inside the container.
///
/// # Errors
/// A name that is none.
pub fn sysctl_ops(conf: &Conf) -> Result<Vec<Op>> {
    conf.sysctls
        .iter()
        .map(|(name, value)| {
            let at = At::Proc(cstring(format!("sys/{}", dotted("lxc.sysctl", name)?))?);
            let act = Act::Write { at, bytes: value.as_bytes().to_vec(), create: None };
            Ok(Op::new("sysctl", format!("lxc.sysctl.{name} = {value}"), act))
        })
        .collect()
}

/// The files of `lxc.sysctl.*` and `lxc.proc.*` that a start would not find, as far as the host's /proc (`proc`) tells: a
/// namespace has the host's names. Interfaces are its own, and have what `default` has.
pub fn missing(conf: &Conf, proc: &Path) -> Vec<Error> {
    let sysctls = conf.sysctls.iter().filter_map(|(name, value)| {
        let path = dotted("lxc.sysctl", name).ok()?;
        let mut parts: Vec<&str> = path.split('/').collect();
        if let ["net", _, "conf" | "neigh", interface, ..] = &mut parts[..] {
            *interface = "default";
        }
        Some((format!("lxc.sysctl.{name} = {value}"), proc.join("sys").join(parts.join("/"))))
    });
    let procs = conf.procs.iter().filter_map(|(name, value)| {
        let path = dotted("lxc.proc", name).ok()?;
        Some((format!("lxc.proc.{name} = {value}"), proc.join("self").join(path)))
    });
    let fault = |(what, path): (String, PathBuf)| {
        let e = std::fs::symlink_metadata(path).err().filter(|e| e.kind() == std::io::ErrorKind::NotFound)?;
        Some(Error::io(&e, what))
    };
    sysctls.chain(procs).filter_map(fault).collect()
}

/// personality(2) for `lxc.arch`: PER_LINUX or PER_LINUX32; nothing when unset.
pub fn personality(conf: &Conf) -> Option<u64> {
    conf.arch32.map(|is32| if is32 { 8 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_by_name_and_number() {
        let mut conf = Conf { prlimits: vec![("nofile".into(), 10, 20), ("3".into(), 1, u64::MAX)], ..Conf::default() };
        let l = limits(&conf).unwrap();
        assert_eq!((l[0].resource, l[1].resource), (7, 3));
        conf.prlimits = vec![("files".into(), 1, 1)];
        assert!(limits(&conf).unwrap_err().to_string().contains("lxc.prlimit.files"));
        conf.prlimits = vec![("core".into(), 2, 1)];
        assert!(limits(&conf).is_err());
    }

    #[test]
    fn names_cannot_leave_their_directory() {
        let list = vec![("oom_score_adj".into(), "5".into()), ("sys.x".into(), "1".into())];
        let mut conf = Conf { procs: list, ..Conf::default() };
        assert_eq!(procs(&conf).unwrap()[1].0, "sys/x");
        for bad in ["..", "a..b", "a/../b", "/x", ""] {
            conf.procs = vec![(bad.into(), "1".into())];
            assert!(procs(&conf).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_that_no_kernel_has_are_missing() {
        let pair = |name: &str| (name.to_string(), "1".to_string());
        let names = ["net.ipv4.ip_forward", "net.no.such", "net.ipv4.conf.eth7.forwarding", "net.ipv4.conf.eth7.no"];
        let conf = Conf {
            sysctls: names.map(pair).to_vec(),
            procs: vec![pair("oom_score_adj"), pair("no.such")],
            ..Conf::default()
        };
        let found: Vec<String> = missing(&conf, Path::new("/proc")).into_iter().map(|e| e.what).collect();
        assert_eq!(
            found,
            ["lxc.sysctl.net.no.such = 1", "lxc.sysctl.net.ipv4.conf.eth7.no = 1", "lxc.proc.no.such = 1"]
        );
    }

    #[test]
    fn sysctls_are_written_below_a_private_proc() {
        let conf = Conf { sysctls: vec![("net.ipv4.ip_forward".into(), "1".into())], ..Conf::default() };
        let ops = sysctl_ops(&conf).unwrap();
        assert_eq!(
            ops[0].act,
            Act::Write { at: At::Proc(c"sys/net/ipv4/ip_forward".to_owned()), bytes: b"1".to_vec(), create: None }
        );
    }
}
