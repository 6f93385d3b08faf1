//! The words `cgroup`, `cgroup-full` and `cgroup2` of `lxc.mount.auto`: what a container sees on /sys/fs/cgroup. Knows
//! nothing of how groups are made; the hierarchies are told to it.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::{Cg, CgMode};
use crate::base::facts::Facts;
use crate::base::ids::Ns;
use crate::base::op::{Act, At, Create, MountOp, Op, cstring};
use crate::base::{Error, Result};
use libc::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME};

/// CAP_SYS_ADMIN (capabilities(7)).
const CAP_SYS_ADMIN: u8 = 21;
/// What the tmpfs and new cgroup mounts are mounted with.
const SAFE: u64 = MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RELATIME;

/// One cgroup hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its directory below /sys/fs/cgroup, the last part of its mount point: `cpu,cpuacct`, `systemd`, `unified`.
    pub dir: String,
    /// Mount options that name it: `cpu,cpuacct`, `name=systemd`; empty for cgroup2.
    pub options: String,
    /// cgroup2.
    pub v2: bool,
    /// Where the host has it mounted.
    pub host_mount: String,
    /// The container's group below that, with a slash in front: `/lxc.payload.c1`.
    pub payload: String,
}

/// What is to be done, once the mode is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// cgroup2 alone on /sys/fs/cgroup.
    Unified { read_only: bool },
    /// A tmpfs with a new cgroup mount for each hierarchy.
    Whole { read_only: bool },
    /// A tmpfs with the container's own group of each hierarchy, its parents read-only or not.
    Own { parents_read_only: bool, read_only: bool },
}

/// Settles which view a word asks for; `None` when the container is left to mount its cgroups itself.
fn view(word: Cg, facts: &Facts) -> Result<Option<View>> {
    let cgroup_ns = facts.new_ns.has(Ns::Cgroup);
    let admin = facts.keeps_cap(CAP_SYS_ADMIN);
    if cgroup_ns && admin && !word.force && !word.v2 && !facts.unified {
        return Ok(None);
    }
    let mode = match word.mode {
        CgMode::NoSpec if admin => CgMode::Rw,
        CgMode::NoSpec => CgMode::Mixed,
        given => given,
    };
    let read_only = mode == CgMode::Ro;
    if word.v2 || facts.unified {
        if !cgroup_ns {
            return Err(Error::os(libc::EINVAL, "lxc.mount.auto: cgroup2 can be mounted in a cgroup namespace only")
                .stage("cgroup")
                .hint("leave `cgroup` out of lxc.namespace.keep and lxc.namespace.share, or the cgroup word out of lxc.mount.auto"));
        }
        return Ok(Some(View::Unified { read_only }));
    }
    if cgroup_ns || word.full {
        return Ok(Some(View::Whole { read_only }));
    }
    Ok(Some(View::Own { parents_read_only: mode != CgMode::Rw, read_only }))
}

/// The word as the config has it, for messages.
fn spelling(word: Cg) -> String {
    let name = if word.v2 {
        "cgroup2"
    } else if word.full {
        "cgroup-full"
    } else {
        "cgroup"
    };
    let mode = match word.mode {
        CgMode::NoSpec => "",
        CgMode::Ro => ":ro",
        CgMode::Rw => ":rw",
        CgMode::Mixed => ":mixed",
    };
    format!("lxc.mount.auto = {name}{mode}{}", if word.force { ":force" } else { "" })
}

/// Ops for the cgroup word, to be run after all other mounts and before the mount hook.
///
/// # Errors
/// cgroup2 without a cgroup namespace.
pub fn cgroup_ops(conf: &Conf, facts: &Facts, hierarchies: &[Hierarchy]) -> Result<Vec<Op>> {
    let Some(word) = conf.auto_cgroup else { return Ok(Vec::new()) };
    let Some(view) = view(word, facts)? else { return Ok(Vec::new()) };
    let object = spelling(word);
    let mut ops = Vec::new();
    let mount = |m: MountOp| Op::new("cgroup", object.as_str(), Act::Mount(m));
    let on = c"sys/fs/cgroup";
    let ro = |read_only: bool| if read_only { MS_RDONLY } else { 0 };
    if let View::Unified { read_only } = view {
        ops.push(mount(MountOp::fs(c"cgroup2".into(), c"none".into(), None, on.into(), SAFE | ro(read_only))));
        return Ok(ops);
    }
    let data = Some(c"size=10240k,mode=755".into());
    ops.push(mount(MountOp::fs(c"tmpfs".into(), c"none".into(), data, on.into(), SAFE)));
    for h in hierarchies {
        let dir = cstring(format!("sys/fs/cgroup/{}", h.dir))?;
        match view {
            View::Unified { .. } => {}
            View::Whole { read_only } => {
                let fstype = if h.v2 { c"cgroup2" } else { c"cgroup" };
                let data = if h.options.is_empty() { None } else { Some(cstring(h.options.as_str())?) };
                let new = MountOp::fs(fstype.into(), c"none".into(), data, dir, SAFE | ro(read_only));
                ops.push(mount(MountOp { create: Create::Dir, ..new }));
            }
            View::Own { parents_read_only, read_only } => {
                let own = cstring(format!("sys/fs/cgroup/{}{}", h.dir, h.payload))?;
                let host = At::Host(cstring(format!("{}{}", h.host_mount, h.payload))?);
                if parents_read_only {
                    // The directories of the tmpfs must exist before their parent becomes read-only.
                    ops.push(Op::new("cgroup", object.as_str(), Act::Mkdir(At::Rootfs(own.clone()), 0o755)));
                    ops.push(mount(MountOp::bind(At::Rootfs(dir.clone()), false, dir, MS_RDONLY)));
                }
                let own = MountOp { create: Create::Dir, ..MountOp::bind(host, false, own, ro(read_only)) };
                ops.push(mount(own));
            }
        }
    }
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::NsSet;
    use crate::base::op::Source;

    fn hierarchies() -> Vec<Hierarchy> {
        let h = |dir: &str, options: &str, v2| Hierarchy {
            dir: dir.into(),
            options: options.into(),
            v2,
            host_mount: format!("/sys/fs/cgroup/{dir}"),
            payload: "/lxc.payload.c".into(),
        };
        vec![h("systemd", "name=systemd", false), h("unified", "", true)]
    }

    fn facts(cgroup_ns: bool, caps: u64, unified: bool) -> Facts {
        let mut new_ns = NsSet::default();
        if cgroup_ns {
            new_ns.add(Ns::Cgroup);
        }
        Facts { new_ns, caps, unified, ..Facts::default() }
    }

    fn word(full: bool, v2: bool, mode: CgMode, force: bool) -> Conf {
        Conf { auto_cgroup: Some(Cg { full, v2, mode, force }), ..Conf::default() }
    }

    fn script(conf: &Conf, facts: &Facts) -> Vec<String> {
        let ops = cgroup_ops(conf, facts, &hierarchies()).expect("renders");
        ops.iter()
            .map(|o| match &o.act {
                Act::Mkdir(At::Rootfs(p), _) => format!("mkdir {}", p.to_string_lossy()),
                Act::Mount(m) => {
                    let At::Rootfs(on) = &m.target else { panic!("{:?}", m.target) };
                    let what = match &m.source {
                        Source::Fs { fstype, data, .. } => {
                            format!(
                                "{} {}",
                                fstype.to_string_lossy(),
                                data.as_ref().map_or("-".into(), |d| d.to_string_lossy().into_owned())
                            )
                        }
                        Source::Bind { from: At::Rootfs(p) | At::Host(p), .. } => p.to_string_lossy().into_owned(),
                        other => panic!("{other:?}"),
                    };
                    format!("{what} on {}{}", on.to_string_lossy(), if m.flags & MS_RDONLY != 0 { " ro" } else { "" })
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_capable_container_with_a_cgroup_namespace_mounts_itself() {
        for mode in [CgMode::NoSpec, CgMode::Ro, CgMode::Rw, CgMode::Mixed] {
            assert!(script(&word(false, false, mode, false), &facts(true, u64::MAX, false)).is_empty());
        }
        assert!(!script(&word(false, false, CgMode::NoSpec, false), &facts(true, 0, false)).is_empty());
    }

    #[test]
    fn forced_on_hybrid_mounts_every_hierarchy_anew() {
        let ops = script(&word(false, false, CgMode::Ro, true), &facts(true, u64::MAX, false));
        assert_eq!(
            ops,
            [
                "tmpfs size=10240k,mode=755 on sys/fs/cgroup",
                "cgroup name=systemd on sys/fs/cgroup/systemd ro",
                "cgroup2 - on sys/fs/cgroup/unified ro",
            ]
        );
        let mixed = script(&word(false, false, CgMode::Mixed, true), &facts(true, u64::MAX, false));
        assert_eq!(mixed[1], "cgroup name=systemd on sys/fs/cgroup/systemd");
    }

    #[test]
    fn without_a_cgroup_namespace_only_the_own_group_is_bound() {
        let rw = script(&word(false, false, CgMode::NoSpec, false), &facts(false, u64::MAX, false));
        assert_eq!(
            rw,
            [
                "tmpfs size=10240k,mode=755 on sys/fs/cgroup",
                "/sys/fs/cgroup/systemd/lxc.payload.c on sys/fs/cgroup/systemd/lxc.payload.c",
                "/sys/fs/cgroup/unified/lxc.payload.c on sys/fs/cgroup/unified/lxc.payload.c",
            ]
        );
        let ro = script(&word(false, false, CgMode::Ro, false), &facts(false, u64::MAX, false));
        assert_eq!(
            ro[1..4],
            [
                "mkdir sys/fs/cgroup/systemd/lxc.payload.c",
                "sys/fs/cgroup/systemd on sys/fs/cgroup/systemd ro",
                "/sys/fs/cgroup/systemd/lxc.payload.c on sys/fs/cgroup/systemd/lxc.payload.c ro",
            ]
        );
        let mixed = script(&word(false, false, CgMode::Mixed, false), &facts(false, u64::MAX, false));
        assert_eq!(mixed[2..4], [ro[2].clone(), ro[3].trim_end_matches(" ro").to_string()]);
    }

    #[test]
    fn cgroup2_words_and_pure_v2() {
        for (conf, unified) in
            [(word(false, true, CgMode::NoSpec, true), false), (word(false, false, CgMode::Mixed, false), true)]
        {
            assert_eq!(script(&conf, &facts(true, u64::MAX, unified)), ["cgroup2 - on sys/fs/cgroup"]);
            let e = cgroup_ops(&conf, &facts(false, u64::MAX, unified), &[]).expect_err("no namespace");
            assert!(e.hint.is_some());
        }
        assert_eq!(
            script(&word(false, false, CgMode::Ro, true), &facts(true, 0, true)),
            ["cgroup2 - on sys/fs/cgroup ro"]
        );
    }
}
