//! The words `proc`, `sys` and `shmounts` of `lxc.mount.auto`. The `cgroup` words are `cgroup`'s.
#![forbid(unsafe_code)]

use super::Conf;
use super::conf::{Proc, Sys};
use crate::base::Result;
use crate::base::facts::Facts;
use crate::base::op::{Act, At, Create, MountOp, Op, Source, cstring};
use libc::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_SLAVE};
use std::ffi::{CStr, CString};

/// CAP_NET_ADMIN (capabilities(7)).
const CAP_NET_ADMIN: u8 = 12;
/// What proc, and sysfs with `sys:mixed`, are mounted with.
const SAFE: u64 = MS_NODEV | MS_NOEXEC | MS_NOSUID;

/// An op of this stage whose object is the word of the config.
fn op(word: &str, act: Act) -> Op {
    Op::new("mount", format!("lxc.mount.auto = {word}"), act)
}

/// A path in the rootfs.
fn inside(path: &CStr) -> At {
    At::Rootfs(path.into())
}

/// Binds `from` on `on`, both in the rootfs; a missing one is passed over.
fn bind(word: &str, from: &CStr, on: &CStr, flags: u64, clear: u64) -> Op {
    let mount = MountOp { clear, if_present: true, ..MountOp::bind(inside(from), false, CString::from(on), flags) };
    op(word, Act::Mount(mount))
}

/// Takes away what a recursive bind of the rootfs brought along on this directory.
fn bare(word: &str, dir: &CStr) -> Op {
    op(word, Act::Umount(inside(dir), libc::MNT_DETACH))
}

/// Ops for proc and sys, in this order, after autodev's tmpfs and before the fstab.
pub fn auto_ops(conf: &Conf, facts: &Facts) -> Vec<Op> {
    let mut ops = Vec::new();
    match conf.auto_proc {
        Proc::No => {}
        Proc::Rw => {
            ops.push(bare("proc:rw", c"proc"));
            ops.push(new_fs("proc:rw", c"proc", c"proc", SAFE));
        }
        Proc::Mixed => proc_mixed(&mut ops, facts),
    }
    match conf.auto_sys {
        Sys::No => {}
        Sys::Rw => {
            ops.push(bare("sys:rw", c"sys"));
            ops.push(new_fs("sys:rw", c"sysfs", c"sys", 0));
        }
        Sys::Ro => {
            ops.push(bare("sys:ro", c"sys"));
            ops.push(new_fs("sys:ro", c"sysfs", c"sys", MS_RDONLY));
        }
        Sys::Mixed => sys_mixed(&mut ops),
    }
    ops
}

/// A new proc or sysfs on a directory that is made when it is missing.
fn new_fs(word: &str, fstype: &CStr, on: &CStr, flags: u64) -> Op {
    let mount = MountOp::fs(fstype.into(), fstype.into(), None, on.into(), flags);
    op(word, Act::Mount(MountOp { create: Create::Dir, ..mount }))
}

/// proc with /proc/sys and /proc/sysrq-trigger read-only; /proc/sys/net stays writable with CAP_NET_ADMIN.
///
/// The read-only bind is a bare one as in LXC: nosuid, nodev and noexec are the proc mount's own.
fn proc_mixed(ops: &mut Vec<Op>, facts: &Facts) {
    let word = "proc:mixed";
    ops.push(bare(word, c"proc"));
    ops.push(new_fs(word, c"proc", c"proc", SAFE));
    ops.push(bind(word, c"proc/sys", c"proc/sys", MS_RDONLY, SAFE));
    if facts.keeps_cap(CAP_NET_ADMIN) {
        ops.push(bind(word, c"proc/sys/net", c"proc/sys/net", SAFE, MS_RDONLY));
    }
    ops.push(bind(word, c"proc/sysrq-trigger", c"proc/sysrq-trigger", MS_RDONLY, SAFE));
}

/// A sysfs whose mount is read-only while its file system is not: only so can a part of it be bound writable. A container
/// configures its own network devices.
fn sys_mixed(ops: &mut Vec<Op>) {
    let word = "sys:mixed";
    ops.push(bare(word, c"sys"));
    ops.push(new_fs(word, c"sysfs", c"sys", SAFE));
    let remount = MountOp { flags: MS_RDONLY, ..MountOp::new(Source::Remount, inside(c"sys")) };
    ops.push(op(word, Act::Mount(remount)));
    ops.push(bind(word, c"sys/devices/virtual/net", c"sys/devices/virtual/net", 0, MS_RDONLY));
}

/// After the pivot: what the host mounts below the shared directory later appears inside, never the other way round.
///
/// # Errors
/// NUL in the directory's name.
pub fn late_ops(conf: &Conf) -> Result<Vec<Op>> {
    let Some((host, inside)) = &conf.shmounts else { return Ok(Vec::new()) };
    let at = At::Rootfs(cstring(inside.trim_start_matches('/'))?);
    Ok(vec![op(&format!("shmounts:{host}:{inside}"), Act::Propagate(at, MS_SLAVE | MS_REC))])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mount TYPE on TARGET +flags -clear`, one a line.
    fn script(ops: &[Op]) -> Vec<String> {
        ops.iter()
            .map(|o| match &o.act {
                Act::Umount(At::Rootfs(p), libc::MNT_DETACH) => format!("umount {}", p.to_string_lossy()),
                Act::Mount(m) => {
                    assert_eq!(m.create == Create::Dir, matches!(m.source, Source::Fs { .. }));
                    let what = match &m.source {
                        Source::Fs { fstype, .. } => fstype.to_string_lossy().into_owned(),
                        Source::Bind { from: At::Rootfs(p), recursive: false } => p.to_string_lossy().into_owned(),
                        Source::Remount => "remount".into(),
                        other => panic!("{other:?}"),
                    };
                    let At::Rootfs(on) = &m.target else { panic!("{:?}", m.target) };
                    format!("{what} on {} +{} -{}", on.to_string_lossy(), m.flags, m.clear)
                }
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn nothing_asked_nothing_done() {
        assert!(auto_ops(&Conf::default(), &Facts::default()).is_empty());
    }

    #[test]
    fn proc_mixed_with_and_without_net_admin() {
        let conf = Conf { auto_proc: Proc::Mixed, ..Conf::default() };
        let with = script(&auto_ops(&conf, &Facts { caps: u64::MAX, ..Facts::default() }));
        assert_eq!(
            with,
            [
                "umount proc",
                "proc on proc +14 -0",
                "proc/sys on proc/sys +1 -14",
                "proc/sys/net on proc/sys/net +14 -1",
                "proc/sysrq-trigger on proc/sysrq-trigger +1 -14",
            ]
        );
        let without = script(&auto_ops(&conf, &Facts::default()));
        assert!(!without.iter().any(|l| l.contains("net")));
    }

    #[test]
    fn sys_words() {
        let of = |auto_sys| script(&auto_ops(&Conf { auto_sys, ..Conf::default() }, &Facts::default()));
        assert_eq!(of(Sys::Rw), ["umount sys", "sysfs on sys +0 -0"]);
        assert_eq!(of(Sys::Ro), ["umount sys", "sysfs on sys +1 -0"]);
        assert_eq!(
            of(Sys::Mixed)[2..],
            ["remount on sys +1 -0", "sys/devices/virtual/net on sys/devices/virtual/net +0 -1"]
        );
    }

    #[test]
    fn shmounts_become_a_slave() {
        let conf = Conf { shmounts: Some(("/h".into(), "/dev/.lxc-mounts".into())), ..Conf::default() };
        let ops = late_ops(&conf).expect("renders");
        assert_eq!(ops[0].act, Act::Propagate(At::Rootfs(c"dev/.lxc-mounts".into()), MS_SLAVE | MS_REC));
    }
}
