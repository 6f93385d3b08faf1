//! /dev of a container: the tmpfs, device nodes, links, the boot id. Renders ops; pseudo terminals are `pts`'s.
#![forbid(unsafe_code)]

use super::{Conf, Prepared};
use crate::base::Result;
use crate::base::facts::Facts;
use crate::base::op::{Act, At, Create, MountOp, Op, cstring};
use libc::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, S_IFCHR};
use std::ffi::CStr;

/// The tmpfs's size in bytes when `lxc.autodev.tmpfs.size` leaves it open.
const DEFAULT_SIZE: i32 = 500_000;

/// Name and device number (Documentation/admin-guide/devices.txt) of the nodes that every container gets.
const NODES: [(&CStr, &CStr, u32, u32); 6] = [
    (c"dev/full", c"/dev/full", 1, 7),
    (c"dev/null", c"/dev/null", 1, 3),
    (c"dev/random", c"/dev/random", 1, 8),
    (c"dev/tty", c"/dev/tty", 5, 0),
    (c"dev/urandom", c"/dev/urandom", 1, 9),
    (c"dev/zero", c"/dev/zero", 1, 5),
];

/// Links that programs expect in /dev.
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/proc/self/fd", c"dev/fd"),
    (c"/proc/self/fd/0", c"dev/stdin"),
    (c"/proc/self/fd/1", c"dev/stdout"),
    (c"/proc/self/fd/2", c"dev/stderr"),
];

/// The tmpfs on /dev; before all other mounts, which may lie in it.
///
/// # Errors
/// None that input can reach.
pub fn autodev_ops(conf: &Conf) -> Result<Vec<Op>> {
    if !conf.autodev {
        return Ok(Vec::new());
    }
    let size = if conf.tmpfs_size > 0 { conf.tmpfs_size } else { DEFAULT_SIZE };
    let data = Some(cstring(format!("mode=0755,size={size}"))?);
    let mount = MountOp::fs(c"tmpfs".into(), c"none".into(), data, c"dev".into(), 0);
    Ok(vec![
        Op::new("dev", "/dev (lxc.autodev = 1)", Act::Mount(MountOp { create: Create::Dir, ..mount })),
        Op::new("dev", "/dev/pts", Act::Mkdir(At::Rootfs(c"dev/pts".into()), 0o755)),
    ])
}

/// Device nodes; after the hooks `mount` and `autodev`.
pub fn node_ops(conf: &Conf, facts: &Facts) -> Vec<Op> {
    if !conf.autodev {
        return Vec::new();
    }
    let (uid, gid) = facts.root_ids;
    let node = |&(path, host, major, minor): &(&CStr, &CStr, u32, u32)| {
        let dev = libc::makedev(major, minor);
        let act = Act::Node { at: At::Rootfs(path.into()), mode: S_IFCHR | 0o666, dev, host: host.into(), uid, gid };
        Op::new("dev", host.to_string_lossy(), act)
    };
    NODES.iter().map(node).collect()
}

/// /dev/fd and the three that point into it. A /dev that cannot be written keeps what it has.
pub fn link_ops() -> Vec<Op> {
    let link = |&(to, at): &(&CStr, &CStr)| {
        let act = Act::Symlink { to: to.into(), at: At::Rootfs(at.into()) };
        Op::new("dev", format!("/{}", at.to_string_lossy()), act).optional()
    };
    LINKS.iter().map(link).collect()
}

/// A boot id of the container's own, bound over the kernel's; once proc is mounted.
pub fn boot_id_ops(conf: &Conf, prepared: &Prepared) -> Vec<Op> {
    let Some(id) = prepared.boot_id.as_ref().filter(|_| conf.autodev) else { return Vec::new() };
    let file = At::Rootfs(c"dev/.lxc-boot-id".into());
    let flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    let over = MountOp::bind(file.clone(), false, c"proc/sys/kernel/random/boot_id".into(), flags);
    vec![
        Op::new("dev", "/dev/.lxc-boot-id", Act::Write { at: file, bytes: id.clone(), create: Some(0o444) }).optional(),
        Op::new("dev", "/proc/sys/kernel/random/boot_id", Act::Mount(MountOp { if_present: true, ..over })).optional(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::op::Source;

    #[test]
    fn autodev_off_leaves_dev_alone() {
        let conf = Conf { autodev: false, ..Conf::default() };
        let prepared = Prepared { boot_id: Some(b"x\n".to_vec()), ..Prepared::default() };
        assert!(autodev_ops(&conf).expect("renders").is_empty());
        assert!(node_ops(&conf, &Facts::default()).is_empty());
        assert!(boot_id_ops(&conf, &prepared).is_empty());
        assert_eq!(link_ops().len(), 4);
    }

    #[test]
    fn the_tmpfs_has_its_size() {
        for (set, used) in [(0, 500_000), (-5, 500_000), (4096, 4096)] {
            let ops = autodev_ops(&Conf { tmpfs_size: set, ..Conf::default() }).expect("renders");
            let Act::Mount(MountOp { source: Source::Fs { data: Some(d), .. }, .. }) = &ops[0].act else {
                panic!("{ops:?}")
            };
            assert_eq!(d.to_string_lossy(), format!("mode=0755,size={used}"));
        }
    }

    #[test]
    fn nodes_are_those_of_the_manual() {
        let ops = node_ops(&Conf::default(), &Facts { root_ids: (7, 8), ..Facts::default() });
        assert_eq!(ops.len(), 6);
        let Act::Node { mode, dev, host, uid, gid, .. } = &ops[1].act else { panic!("{:?}", ops[1]) };
        assert_eq!(
            (*mode, *dev, host.as_c_str(), *uid, *gid),
            (S_IFCHR | 0o666, libc::makedev(1, 3), c"/dev/null", 7, 8)
        );
    }

    #[test]
    fn the_boot_id_is_read_only() {
        let prepared = Prepared { boot_id: Some(b"x\n".to_vec()), ..Prepared::default() };
        let ops = boot_id_ops(&Conf::default(), &prepared);
        let Act::Mount(m) = &ops[1].act else { panic!("{ops:?}") };
        assert!(m.flags & MS_RDONLY != 0 && m.if_present);
    }
}
