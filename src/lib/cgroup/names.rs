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

/// The names by the settings; `pattern` is `lxc.cgroup.pattern` of lxc.conf.
pub(crate) fn names(conf: &Conf, name: &str, pattern: Option<&str>) -> Result<Names> {
    let pair = (&conf.dir_monitor, &conf.dir_container);
    let fine = conf.dir_pivot.is_some() || conf.dir_inner.is_some() || pair.0.is_some() || pair.1.is_some();
    if conf.dir.is_some() && fine {
        return Err(refuse("lxc.cgroup.dir cannot be combined with lxc.cgroup.dir.monitor and its kin")
            .hint("keep lxc.cgroup.dir, or the lxc.cgroup.dir.* keys, not both"));
    }
    let pivot = checked(conf.dir_pivot.as_deref().unwrap_or("lxc.pivot"))?;
    let stem = |path: String, suffix| -> Result<Stem> { Ok(Stem { path: checked(&path)?, suffix }) };
    if let (Some(monitor), Some(payload)) = pair {
        let inner = conf.dir_inner.clone();
        return Ok(Names {
            monitor: stem(monitor.clone(), false)?,
            payload: stem(payload.clone(), false)?,
            inner,
            pivot,
        });
    }
    if fine {
        return Err(refuse("lxc.cgroup.dir.container and lxc.cgroup.dir.monitor must both be set"));
    }
    let (monitor, payload) = match (&conf.dir, pattern.filter(|p| !p.is_empty())) {
        (Some(d), _) => (format!("{d}/lxc.monitor.{name}"), format!("{d}/lxc.payload.{name}")),
        (None, Some(p)) => {
            let p = p.replace("%n", name);
            (format!("{p}/monitor"), format!("{p}/payload"))
        }
        (None, None) => (format!("lxc.monitor.{name}"), format!("lxc.payload.{name}")),
    };
    Ok(Names { monitor: stem(monitor, true)?, payload: stem(payload, true)?, inner: None, pivot })
}

/// The path without needless slashes; refuses what leads out of the base.
fn checked(path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    if parts.is_empty() || parts.contains(&"..") {
        return Err(refuse(&format!("cgroup path \"{path}\" leads out of the base group")));
    }
    Ok(parts.join("/"))
}

fn refuse(what: &str) -> Error {
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
        assert!(names(&conf, "a", None).unwrap_err().what.contains("both"));
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
