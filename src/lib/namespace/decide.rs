//! Which namespaces a container gets new and which it joins (namespaces(7)), and the clock offsets. Opens nothing, clones
//! nothing.
#![forbid(unsafe_code)]

use super::conf::{Conf, TimeOffset};
use crate::base::ids::{Ns, NsSet};
use crate::base::{Error, Result};

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// Made new.
    pub new: NsSet,
    /// Joined, with the text of `lxc.namespace.share.NS`.
    pub shared: Vec<(Ns, String)>,
}

/// Decides. `mapped`: there is an id map. `host_net`: the only network device is of type `none`.
///
/// # Errors
/// Keys that exclude each other.
pub fn decide(conf: &Conf, mapped: bool, host_net: bool) -> Result<Decision> {
    let offset = conf.boot != TimeOffset::default() || conf.monotonic != TimeOffset::default();
    if !conf.clone.is_empty() && !conf.keep.is_empty() {
        return Err(Error::new("lxc.namespace.clone and lxc.namespace.keep are both set").hint("keep one of the two"));
    }
    if offset && conf.keep.has(Ns::Time) {
        return Err(Error::new("lxc.time.offset needs a time namespace, but lxc.namespace.keep names time"));
    }
    let mut new = NsSet::default();
    if !conf.clone.is_empty() {
        new = conf.clone;
    } else if !conf.keep.is_empty() {
        for ns in Ns::ALL.into_iter().filter(|n| !conf.keep.has(*n)) {
            // LXC makes a user namespace here even without a map, with which nothing can start.
            if ns != Ns::User || mapped {
                new.add(ns);
            }
        }
    } else {
        for ns in [Ns::Mnt, Ns::Pid, Ns::Uts, Ns::Ipc, Ns::Cgroup] {
            new.add(ns);
        }
        if !host_net {
            new.add(Ns::Net);
        }
        if mapped {
            new.add(Ns::User);
        }
    }
    if offset {
        new.add(Ns::Time);
    }
    let mut shared = Vec::new();
    for ns in Ns::ALL {
        if let Some(Some(text)) = conf.share.get(ns as usize) {
            new.remove(ns);
            shared.push((ns, text.clone()));
        }
    }
    if new.has(Ns::User) && !mapped {
        return Err(Error::new("lxc.namespace.clone names user, but no lxc.idmap is set")
            .hint("add lxc.idmap lines, or take user out of the list"));
    }
    Ok(Decision { new, shared })
}

/// The lines for /proc/self/timens_offsets (time_namespaces(7)); empty without an offset.
pub fn offsets(conf: &Conf) -> String {
    let mut text = String::new();
    for (clock, o) in [("boottime", conf.boot), ("monotonic", conf.monotonic)] {
        if o.secs != 0 {
            text.push_str(&format!("{clock} {} 0\n", o.secs));
        } else if o.nanos != 0 {
            let billion = 1_000_000_000;
            text.push_str(&format!("{clock} {} {}\n", o.nanos.div_euclid(billion), o.nanos.rem_euclid(billion)));
        }
    }
    text
}

/// Namespaces that the child can only unshare itself once it has its ids and its place: network below a user namespace
/// of its own (so that it belongs to it), cgroup (its root is the group that the child is in), time.
pub fn late(new: NsSet) -> NsSet {
    let mut late = NsSet::default();
    for ns in [Ns::Cgroup, Ns::Time] {
        if new.has(ns) {
            late.add(ns);
        }
    }
    if new.has(Ns::User) && new.has(Ns::Net) {
        late.add(Ns::Net);
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: NsSet) -> String {
        set.iter().map(Ns::name).collect::<Vec<_>>().join(" ")
    }

    fn set(list: &[Ns]) -> NsSet {
        let mut s = NsSet::default();
        for n in list {
            s.add(*n);
        }
        s
    }

    #[test]
    fn defaults() {
        let conf = Conf::default();
        assert_eq!(names(decide(&conf, false, false).unwrap().new), "mnt pid uts ipc net cgroup");
        assert_eq!(names(decide(&conf, true, true).unwrap().new), "user mnt pid uts ipc cgroup");
    }

    #[test]
    fn clone_is_exact_and_keep_is_the_rest() {
        let conf = Conf { clone: set(&[Ns::Mnt, Ns::Pid]), ..Conf::default() };
        assert_eq!(names(decide(&conf, false, false).unwrap().new), "mnt pid");
        let conf = Conf { keep: set(&[Ns::Net]), ..Conf::default() };
        assert_eq!(names(decide(&conf, false, false).unwrap().new), "mnt pid uts ipc cgroup time");
        assert_eq!(names(decide(&conf, true, false).unwrap().new), "user mnt pid uts ipc cgroup time");
    }

    #[test]
    fn shared_ones_are_not_new() {
        let mut conf = Conf::default();
        conf.share[Ns::Net as usize] = Some("other".into());
        let d = decide(&conf, false, false).unwrap();
        assert_eq!(names(d.new), "mnt pid uts ipc cgroup");
        assert_eq!(d.shared, [(Ns::Net, "other".to_string())]);
    }

    #[test]
    fn contradictions_are_refused() {
        let both = Conf { clone: set(&[Ns::Mnt]), keep: set(&[Ns::Net]), ..Conf::default() };
        assert!(decide(&both, false, false).is_err());
        let user = Conf { clone: set(&[Ns::User, Ns::Mnt]), ..Conf::default() };
        assert!(decide(&user, false, false).is_err());
        let mut time = Conf { keep: set(&[Ns::Time]), ..Conf::default() };
        time.boot.secs = 1;
        assert!(decide(&time, false, false).is_err());
    }

    #[test]
    fn negative_nanoseconds_are_carried() {
        let mut conf = Conf::default();
        conf.boot.nanos = -1;
        conf.monotonic.secs = -3;
        assert_eq!(offsets(&conf), "boottime -1 999999999\nmonotonic -3 0\n");
        assert_eq!(offsets(&Conf::default()), "");
    }

    #[test]
    fn late_namespaces() {
        assert_eq!(names(late(set(&[Ns::User, Ns::Net, Ns::Cgroup, Ns::Time, Ns::Mnt]))), "net cgroup time");
        assert_eq!(names(late(set(&[Ns::Net, Ns::Mnt]))), "");
    }
}
