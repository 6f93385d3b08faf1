//! `lxc.mount.fstab` and `lxc.mount.entry`: from lines to ops. Decides where a line's target lies, what must exist before
//! the clone and what comes last; mounts nothing.
#![forbid(unsafe_code)]

use super::Conf;
use super::fstab::{self, Line};
use crate::base::facts::Facts;
use crate::base::mount_options::{IdmapSource, MountOptions};
use crate::base::op::{Act, At, MountOp, Op, Source, cstring};
use crate::base::owned_dir;
use crate::base::{Error, Result};
use std::path::{Component, Path, PathBuf};

/// The hook stage `pre-mount`, as `Facts::hooks` counts it (its commands may make a mount's source).
const PRE_MOUNT: u16 = 1 << 1;

/// An id-mapped mount (`idmap=`) that the parent has to make; its number is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idmapped {
    /// A file that refers to the user namespace, or `container` for the container's own.
    pub userns: String,
}

/// What the mount keys ask for: ops in their order (fstab, entries, helpers for nesting, id-mapped ones last) and the
/// id-mapped mounts that the parent answers.
pub type Rendered = (Vec<Op>, Vec<Idmapped>);

/// Renders `lxc.mount.fstab` and `lxc.mount.entry`. To be called after the pre-start hooks, which may make sources.
///
/// # Errors
/// A faulty line; a source that is missing and not optional, where nothing can make it any more; `idmap=` on something
/// else than a bind.
pub fn entry_ops(conf: &Conf, facts: &Facts) -> Result<Rendered> {
    let mut ops = Vec::new();
    let mut last = Vec::new();
    let mut idmapped = Vec::new();
    for line in lines(conf, facts)? {
        let Some(target) = target_below_rootfs(&line.target, facts) else {
            crate::log_warn!("Ignoring mount point \"{}\"", line.target);
            continue;
        };
        check_source(&line, facts)?;
        make_overlay_dirs(&line, facts)?;
        let number = line.options.idmap.as_ref().map(|userns| {
            idmapped.push(Idmapped {
                userns: match userns {
                    IdmapSource::Container => "container".into(),
                    IdmapSource::Path(p) => p.clone(),
                },
            });
            idmapped.len() - 1
        });
        let op = render(&line, &target, number)?;
        if number.is_some() { last.push(op) } else { ops.push(op) }
    }
    ops.append(&mut last);
    Ok((ops, idmapped))
}

/// All lines in the order in which they are mounted.
fn lines(conf: &Conf, facts: &Facts) -> Result<Vec<Line>> {
    let mut all = match &conf.fstab {
        Some(file) => fstab::read(Path::new(file))?,
        None => Vec::new(),
    };
    for entry in &conf.entries {
        all.extend(fstab::parse_entry(entry)?);
    }
    if let Some((host, inside)) = &conf.shmounts {
        all.push(Line {
            source: host.clone(),
            target: inside.trim_start_matches('/').to_string(),
            fstype: "none".into(),
            options: MountOptions::parse("bind,create=dir")?,
            origin: format!("lxc.mount.auto = shmounts:{host}:{inside}"),
        });
    }
    if facts.allow_nesting {
        for (name, fstype) in [("proc", "proc"), ("sys", "sysfs")] {
            all.push(Line {
                source: name.into(),
                target: format!("dev/.lxc/{name}"),
                fstype: fstype.into(),
                options: MountOptions::parse("create=dir,optional")?,
                origin: "lxc.apparmor.allow_nesting = 1".into(),
            });
        }
    }
    Ok(all)
}

/// Where below the rootfs a target lies: a relative one as it stands, an absolute one without the path of the container's
/// rootfs in front; `None` for any other absolute one, which is passed over. Without a rootfs every target is the host's.
fn target_below_rootfs(target: &str, facts: &Facts) -> Option<String> {
    if !target.starts_with('/') {
        return Some(target.to_string());
    }
    let Some(rootfs) = &facts.rootfs else {
        return Some(target.trim_start_matches('/').to_string());
    };
    let own = facts.lxcpath.join(&facts.name).join("rootfs");
    let path = Path::new(target);
    let rest = path.strip_prefix(&own).or_else(|_| path.strip_prefix(rootfs)).ok()?;
    Some(rest.to_str()?.to_string())
}

/// The host's path of a source; LXC resolves a relative one from the monitor's working directory, which is `/`.
fn host_path(source: &str) -> PathBuf {
    Path::new("/").join(source)
}

/// A bind's source that is not there ends the start now, by its line, and not in the child – unless `optional`, or unless
/// something may still make it: a pre-mount hook, or the rootfs mount itself.
fn check_source(line: &Line, facts: &Facts) -> Result<()> {
    let o = &line.options;
    if o.idmap.is_some() && !o.is_bind() {
        return Err(Error::os(libc::EINVAL, format!("idmap= needs a bind mount: {}", line.origin)).stage("mount"));
    }
    let early = o.is_bind() && !o.relative && !o.optional && !o.is_remount() && facts.hooks & PRE_MOUNT == 0;
    let path = host_path(&line.source);
    if !early || path.starts_with(&facts.rootfs_mount) {
        return Ok(());
    }
    let missing =
        std::fs::metadata(&path).err().filter(|e| matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)));
    let Some(e) = missing else { return Ok(()) };
    Err(Error::io(&e, format!("{}: the source {} is missing", line.origin, path.display()))
        .stage("mount")
        .hint("make it, or add `optional` to the mount's options"))
}

/// Makes the upper and work directories of an overlay line when they lie in the container's own directory (lxc-copy -m
/// and hand-written ephemeral set-ups count on it).
fn make_overlay_dirs(line: &Line, facts: &Facts) -> Result<()> {
    if !matches!(line.fstype.as_str(), "overlay" | "overlayfs") {
        return Ok(());
    }
    let own = facts.lxcpath.join(&facts.name);
    for key in ["upperdir", "workdir"] {
        let Some(dir) = line.options.data_value(key).map(Path::new) else { continue };
        let plain = dir.components().all(|c| !matches!(c, Component::ParentDir));
        let Some(below) = dir.strip_prefix(&own).ok().filter(|b| plain && !b.as_os_str().is_empty()) else { continue };
        if !dir.is_dir() {
            std::fs::create_dir_all(&own)
                .and_then(|()| owned_dir::make(&own, below, facts.host_root()))
                .map_err(|e| Error::io(&e, format!("{}: make {}", line.origin, dir.display())).stage("mount"))?;
        }
    }
    Ok(())
}

/// One line as an op.
fn render(line: &Line, target: &str, idmapped: Option<usize>) -> Result<Op> {
    let o = &line.options;
    let from = || -> Result<At> {
        if o.relative {
            return Ok(At::Rootfs(cstring(line.source.as_str())?));
        }
        Ok(At::Host(cstring(host_path(&line.source).into_os_string().into_encoded_bytes())?))
    };
    let source = if o.is_remount() {
        Source::Remount
    } else if o.is_bind() {
        Source::Bind { from: from()?, recursive: o.is_recursive() }
    } else if o.is_move() {
        Source::Moved(from()?)
    } else {
        let data = if o.data.is_empty() { None } else { Some(cstring(o.data.as_str())?) };
        Source::Fs { fstype: cstring(line.fstype.as_str())?, name: cstring(line.source.as_str())?, data }
    };
    let mount = MountOp {
        flags: o.attributes(),
        clear: o.clear,
        propagation: o.propagation,
        create: o.create,
        idmapped,
        ..MountOp::new(source, At::Rootfs(cstring(target)?))
    };
    let op = Op::new("mount", line.origin.as_str(), Act::Mount(mount));
    Ok(if o.optional { op.optional() } else { op })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::op::{Create, OnFail};
    use libc::{MS_NODEV, MS_NOSUID, MS_RDONLY};

    fn facts() -> Facts {
        Facts {
            name: "c1".into(),
            lxcpath: "/var/lib/lxc".into(),
            rootfs: Some("/srv/c1".into()),
            rootfs_mount: "/usr/lib/lxc/rootfs".into(),
            ..Facts::default()
        }
    }

    fn ops(entries: &[&str], facts: &Facts) -> Result<Rendered> {
        let conf = Conf { entries: entries.iter().map(ToString::to_string).collect(), ..Conf::default() };
        entry_ops(&conf, facts)
    }

    fn mount(op: &Op) -> &MountOp {
        match &op.act {
            Act::Mount(m) => m,
            other => panic!("not a mount: {other:?}"),
        }
    }

    fn at(op: &Op) -> String {
        match &mount(op).target {
            At::Rootfs(p) => p.to_string_lossy().into_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn targets() {
        let f = facts();
        assert_eq!(target_below_rootfs("mnt/x", &f).as_deref(), Some("mnt/x"));
        assert_eq!(target_below_rootfs("/srv/c1/mnt", &f).as_deref(), Some("mnt"));
        assert_eq!(target_below_rootfs("/var/lib/lxc/c1/rootfs/mnt", &f).as_deref(), Some("mnt"));
        assert_eq!(target_below_rootfs("/srv/c12/mnt", &f), None);
        assert_eq!(target_below_rootfs("/mnt", &f), None);
        assert_eq!(target_below_rootfs("/mnt", &Facts { rootfs: None, ..f }).as_deref(), Some("mnt"));
    }

    #[test]
    fn a_bind_keeps_only_attributes_as_flags() {
        let (ops, _) = ops(&["/etc etc2 none rbind,ro,nodev,suid,create=dir,optional 0 0"], &facts()).expect("renders");
        let m = mount(&ops[0]);
        assert_eq!(m.source, Source::Bind { from: At::Host(c"/etc".into()), recursive: true });
        assert_eq!((m.flags, m.clear, m.create), (MS_RDONLY | MS_NODEV, MS_NOSUID, Create::Dir));
        assert_eq!((ops[0].on_fail, at(&ops[0]).as_str()), (OnFail::Info, "etc2"));
    }

    #[test]
    fn a_file_system_gets_its_data() {
        let (ops, _) = ops(&["none run tmpfs nosuid,size=1m,mode=700"], &facts()).expect("renders");
        assert_eq!(
            mount(&ops[0]).source,
            Source::Fs { fstype: c"tmpfs".into(), name: c"none".into(), data: Some(c"size=1m,mode=700".into()) }
        );
        assert_eq!(ops[0].object, "lxc.mount.entry = none run tmpfs nosuid,size=1m,mode=700");
    }

    #[test]
    fn a_missing_source_is_found_early_and_named() {
        let e = ops(&["/no/such/thing mnt none bind"], &facts()).expect_err("missing");
        assert!(e.what.contains("lxc.mount.entry = /no/such/thing mnt none bind"), "{}", e.what);
        assert_eq!((e.errno, e.stage), (libc::ENOENT, "mount"));
        for later in [
            "/no/such/thing mnt none bind,optional",
            "no/such mnt none bind,relative",
            "/usr/lib/lxc/rootfs/x mnt none bind",
        ] {
            assert!(ops(&[later], &facts()).is_ok(), "{later}");
        }
        let hooked = Facts { hooks: PRE_MOUNT, ..facts() };
        assert!(ops(&["/no/such/thing mnt none bind"], &hooked).is_ok());
    }

    #[test]
    fn idmapped_mounts_come_last_and_are_counted() {
        let entries =
            ["/etc a none bind,idmap=container", "/etc b none bind", "/etc c none bind,idmap=/proc/1/ns/user"];
        let (ops, idmapped) = ops(&entries, &facts()).expect("renders");
        assert_eq!(ops.iter().map(at).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(ops.iter().map(|o| mount(o).idmapped).collect::<Vec<_>>(), [None, Some(0), Some(1)]);
        assert_eq!(idmapped.iter().map(|i| i.userns.as_str()).collect::<Vec<_>>(), ["container", "/proc/1/ns/user"]);
        assert!(
            super::super::entry_ops(
                &Conf { entries: vec!["x a tmpfs idmap=container".into()], ..Conf::default() },
                &facts()
            )
            .is_err()
        );
    }

    #[test]
    fn a_foreign_absolute_target_is_passed_over() {
        let (ops, _) = ops(&["tmpfs /mnt tmpfs", "tmpfs /srv/c1/mnt tmpfs"], &facts()).expect("renders");
        assert_eq!(ops.iter().map(at).collect::<Vec<_>>(), ["mnt"]);
    }

    #[test]
    fn nesting_and_shmounts_add_their_lines() {
        let f = Facts { allow_nesting: true, ..facts() };
        let conf = Conf { shmounts: Some(("/tmp".into(), "/dev/.lxc-mounts".into())), ..Conf::default() };
        let (ops, _) = entry_ops(&conf, &f).expect("renders");
        assert_eq!(ops.iter().map(at).collect::<Vec<_>>(), ["dev/.lxc-mounts", "dev/.lxc/proc", "dev/.lxc/sys"]);
    }
}
