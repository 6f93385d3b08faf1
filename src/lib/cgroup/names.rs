//! What a container's groups are called, by its keys and lxc.conf. Pure text: makes no group.
#![forbid(unsafe_code)]

use super::Conf;
use crate::base::{Error, Result};

/// A group's path below the base, and whether `-1` … `-999` may be added when it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stem {
    pub(crate) path: String,
    pub(crate) suffix: bool,
}

impl Stem {
    /// The names to try, in order.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = String> + '_ {
        let last = if self.suffix { 999 } else { 0 };
        (0..=last).map(|i| if i == 0 { self.path.clone() } else { format!("{}-{i}", self.path) })
    }
}

/// The names of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) monitor: Stem,
    pub(crate) payload: Stem,
    /// `lxc.cgroup.dir.container.inner`: the leaf below the payload's group that init enters; limits stay outside.
    pub(crate) inner: Option<String>,
    /// Where a dying monitor goes when no group there is takes it in: `lxc.cgroup.dir.monitor.pivot`, or `lxc.pivot`.
    pub(crate) pivot: String,
}

/// What does not go together among the keys of groups, in the words of a start and of `lxc-config --check`.
///
/// # Errors
/// The first conflict; its text begins with the key.
pub fn check(conf: &Conf) -> Result<()> {
    names(conf, "name", None).map(drop)
}

/// The names by the settings; `pattern` is `lxc.cgroup.pattern` of lxc.conf.
pub(crate) fn names(conf: &Conf, name: &str, pattern: Option<&str>) -> Result<Names> {
    const MONITOR: &str = "lxc.cgroup.dir.monitor";
    const PAYLOAD: &str = "lxc.cgroup.dir.container";
    let fine = [
        (MONITOR, &conf.dir_monitor),
        (PAYLOAD, &conf.dir_container),
        ("lxc.cgroup.dir.container.inner", &conf.dir_inner),
    ];
    let set = fine.iter().find(|(_, value)| value.is_some()).map(|(key, _)| *key);
    if let (Some(_), Some(key)) = (&conf.dir, set) {
        return Err(refuse(format!("lxc.cgroup.dir does not go together with {key}"))
            .hint("keep lxc.cgroup.dir, or the keys below it, not both"));
    }
    // The pivot goes with all of them (seen on 5.0.2).
    let pivot = checked("lxc.cgroup.dir.monitor.pivot", conf.dir_pivot.as_deref().unwrap_or("lxc.pivot"))?;
    if let (Some(monitor), Some(payload)) = (&conf.dir_monitor, &conf.dir_container) {
        let stem = |key, path: &str| -> Result<Stem> { Ok(Stem { path: checked(key, path)?, suffix: false }) };
        let inner = conf.dir_inner.clone();
        return Ok(Names { monitor: stem(MONITOR, monitor)?, payload: stem(PAYLOAD, payload)?, inner, pivot });
    }
    if let Some(key) = set {
        let lacking: Vec<&str> =
            fine[..2].iter().filter(|(_, value)| value.is_none()).map(|(lacking, _)| *lacking).collect();
        return Err(refuse(format!("{key} needs {} too", lacking.join(" and "))).hint("set both, or none of them"));
    }
    let (key, monitor, payload) = match (&conf.dir, pattern.filter(|p| !p.is_empty())) {
        (Some(d), _) => ("lxc.cgroup.dir", format!("{d}/lxc.monitor.{name}"), format!("{d}/lxc.payload.{name}")),
        (None, Some(p)) => {
            let p = p.replace("%n", name);
            ("lxc.cgroup.pattern", format!("{p}/monitor"), format!("{p}/payload"))
        }
        (None, None) => ("lxc.cgroup.dir", format!("lxc.monitor.{name}"), format!("lxc.payload.{name}")),
    };
    let stem = |path: &str| -> Result<Stem> { Ok(Stem { path: checked(key, path)?, suffix: true }) };
    Ok(Names { monitor: stem(&monitor)?, payload: stem(&payload)?, inner: None, pivot })
}

/// The path without needless slashes; refuses what leads out of the base, or is the base itself.
fn checked(key: &str, path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(refuse(format!("{key} = {path}: not a group below the base group")));
    }
    Ok(parts.join("/"))
}

fn refuse(what: String) -> Error {
    Error::os(libc::EINVAL, what).stage("cgroup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_dir_pattern() {
        let mut conf = Conf::default();
        let n = names(&conf, "a", None).unwrap();
        assert_eq!(n.payload.path, "lxc.payload.a");
        let tries: Vec<String> = n.monitor.candidates().collect();
        assert_eq!((tries.len(), tries[0].as_str(), tries[999].as_str()), (1000, "lxc.monitor.a", "lxc.monitor.a-999"));
        let n = names(&conf, "a", Some("/lxc/%n")).unwrap();
        assert_eq!((n.monitor.path.as_str(), n.payload.path.as_str()), ("lxc/a/monitor", "lxc/a/payload"));
        conf.dir = Some("x//y/".into());
        assert_eq!(names(&conf, "a", Some("p")).unwrap().monitor.path, "x/y/lxc.monitor.a");
        conf.dir_inner = Some("in".into());
        assert!(names(&conf, "a", None).is_err());
    }

    #[test]
    fn exact() {
        let mut conf = Conf { dir_monitor: Some("m".into()), ..Conf::default() };
        assert_eq!(check(&conf).unwrap_err().what, "lxc.cgroup.dir.monitor needs lxc.cgroup.dir.container too");
        conf.dir_container = Some("c/d".into());
        conf.dir_inner = Some("in".into());
        let n = names(&conf, "a", None).unwrap();
        assert_eq!(n.payload.candidates().count(), 1);
        assert_eq!(n.inner.as_deref(), Some("in"));
        conf.dir_container = Some("../d".into());
        assert!(names(&conf, "a", None).is_err());
        let conf = Conf { dir_inner: Some("in".into()), ..Conf::default() };
        assert!(names(&conf, "a", None).is_err());
    }
}
