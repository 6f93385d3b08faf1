//! Groups that have been made, as bytes for the program that becomes the monitor: names, hierarchies, and the two
//! descriptors whose locks say whose they are.
#![forbid(unsafe_code)]

use super::{Conf, Groups, Role};
use crate::base::Result;
use crate::base::pack::{Pack, Unpack};
use crate::cgroup::layout::{Hierarchy, Host, Kind, Layout};
use crate::cgroup::limits::Limits;
use crate::cgroup::names::{Names, Stem};
use std::cell::OnceCell;
use std::os::fd::AsFd;
use std::sync::Arc;

impl Groups {
    /// Writes them down.
    pub fn pack(&self, out: &mut Pack) {
        out.number(self.host.layout as i64);
        out.number(self.host.hierarchies.len() as i64);
        for h in &self.host.hierarchies {
            out.number(i64::from(h.kind == Kind::V2));
            out.put(h.controllers.join(",").as_bytes());
            out.put(h.mount.as_bytes());
            out.put(h.base.as_bytes());
        }
        for stem in [&self.names.monitor, &self.names.payload] {
            out.put(stem.path.as_bytes());
            out.number(i64::from(stem.suffix));
        }
        out.option(self.names.inner.as_deref());
        out.put(self.names.pivot.as_bytes());
        for role in [&self.monitor, &self.payload] {
            out.fd_option(role.as_ref().map(|r| r.leader.as_fd()));
            out.put(role.as_ref().map_or("", |r| &r.rel).as_bytes());
        }
        out.number(i64::from(self.is_base_busy));
    }

    /// Takes them over; `conf` is that of their making. `None` when the bytes are none of [`Groups::pack`].
    ///
    /// # Errors
    /// As [`super::prepare`], for limits.
    pub fn unpack(from: &mut Unpack<'_>, conf: &Conf) -> Option<Result<Groups>> {
        let layout = match from.number()? {
            0 => Layout::Legacy,
            1 => Layout::Hybrid,
            2 => Layout::Unified,
            _ => return None,
        };
        let mut hierarchies = Vec::new();
        for _ in 0..from.number()? {
            let kind = if from.number()? != 0 { Kind::V2 } else { Kind::V1 };
            let controllers = from.text()?.split(',').filter(|c| !c.is_empty()).map(str::to_string).collect();
            hierarchies.push(Hierarchy { kind, controllers, mount: from.text()?, base: from.text()? });
        }
        let host = Arc::new(Host { layout, hierarchies });
        let mut stem = || Some(Stem { path: from.text()?, suffix: from.number()? != 0 });
        let (monitor, payload) = (stem()?, stem()?);
        let names = Names { monitor, payload, inner: from.option()?, pivot: from.text()? };
        let mut role = || {
            let (leader, rel) = (from.fd_option()?, from.text()?);
            Some(leader.map(|leader| Role { rel, leader }))
        };
        let (monitor, payload) = (role()?, role()?);
        let is_base_busy = from.number()? != 0;
        let dirs = host.hierarchies.iter().map(|_| OnceCell::new()).collect();
        let owner = std::process::id();
        let limits = Limits::plan(conf, &host);
        Some(limits.map(|limits| Groups {
            host,
            names,
            monitor,
            payload,
            dirs,
            limits,
            program: None,
            share: None,
            owner,
            is_base_busy,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsRawFd, OwnedFd};

    #[test]
    fn they_arrive_as_they_were() {
        let h = |kind, list: &[&str], mount: &str| Hierarchy {
            kind,
            controllers: list.iter().map(|c| (*c).to_string()).collect(),
            mount: mount.into(),
            base: String::new(),
        };
        let hierarchies = vec![h(Kind::V1, &["cpu", "cpuacct"], "/a b"), h(Kind::V2, &[], "/u")];
        let leader = OwnedFd::from(std::fs::File::open("/").unwrap());
        let mut conf = Conf::default();
        conf.v1.push(("cpu.shares".into(), "7".into()));
        let host = Arc::new(Host { layout: Layout::Hybrid, hierarchies });
        let groups = Groups {
            limits: Limits::plan(&conf, &host).unwrap(),
            host,
            names: super::super::names::names(&conf, "c", None).unwrap(),
            monitor: None,
            payload: Some(Role { rel: "lxc.payload.c-1".into(), leader: leader.try_clone().unwrap() }),
            dirs: Vec::new(),
            program: None,
            share: None,
            owner: 0,
            is_base_busy: true,
        };
        let mut out = Pack::default();
        groups.pack(&mut out);
        assert_eq!(out.fds().len(), 1);
        // The receiver adopts the number, which is ours here as well.
        let raw = groups.payload.as_ref().unwrap().leader.as_raw_fd();
        let mut back = Groups::unpack(&mut Unpack::new(out.bytes()), &conf).unwrap().unwrap();
        back.owner = 0;
        assert_eq!((&back.host, &back.names, &back.limits), (&groups.host, &groups.names, &groups.limits));
        assert_eq!(
            back.payload.as_ref().map(|r| (r.rel.as_str(), r.leader.as_raw_fd())),
            Some(("lxc.payload.c-1", raw))
        );
        assert!(back.monitor.is_none() && back.is_base_busy);
        std::mem::forget(groups);
        assert!(Groups::unpack(&mut Unpack::new(b""), &conf).is_none());
    }
}
