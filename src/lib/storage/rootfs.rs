//! The rootfs of a start: checked on the host, pinned, rendered as one op. Knows dir and overlay; what is mounted below it
//! is `mount`'s.
#![forbid(unsafe_code)]

use super::backend::{self, Kind};
use super::{Conf, overlay};
use crate::base::facts::Facts;
use crate::base::mount_options::{IdmapSource, MountOptions};
use crate::base::op::{Act, At, Create, Op, RootfsOp, Source, cstring};
use crate::base::{Context, Error, Result};
use crate::sys::mount;
use libc::{MS_REC, MS_SLAVE};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The name of the file that keeps a rootfs's file system busy.
const PIN: &str = ".lxc_keep";

/// What a start needs to know and to hold of its rootfs. Dropping it lets the rootfs go.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The ops, `Act::Rootfs` among them.
    pub ops: Vec<Op>,
    /// The user namespace (`container`, or a file) whose ids the rootfs shows: the parent makes the id-mapped tree that the
    /// op's `idmapped` (number 0) asks for.
    pub idmapped: Option<String>,
    /// An open, deleted file on the rootfs's file system: a container cannot make that read-only for the host as long as
    /// it is held.
    pub pin: Option<File>,
    /// The detached tree of an id-mapped rootfs, which the child finds by its descriptor.
    pub held: Option<OwnedFd>,
}

/// Checks the rootfs and renders its mount.
///
/// # Errors
/// A rootfs, its mount point or its options that cannot work, each with what mends it.
pub fn prepare(conf: &Conf, facts: &Facts) -> Result<Prepared> {
    let mount_point = cstring(facts.rootfs_mount.as_os_str().as_encoded_bytes())?;
    let Some(path) = conf.path.as_deref() else {
        let op = RootfsOp {
            source: None,
            mount: mount_point,
            flags: 0,
            clear: 0,
            propagation: MS_SLAVE | MS_REC,
            idmapped: None,
        };
        return Ok(Prepared { ops: vec![Op::new("rootfs", "/", Act::Rootfs(op))], ..Prepared::default() });
    };
    let options = options(conf)?;
    let kind = backend::resolve(conf.backend.as_deref(), path)?;
    check_mount_point(&facts.rootfs_mount)?;
    let mut held = None;
    let (source, pin) = match kind {
        Kind::Overlay => (overlay::source(path, &options.data, facts)?, None),
        // An id-mapped tree is the host's until it is mapped: the container's root need not pass to it, so the directory
        // is taken here and found by its descriptor.
        _ if options.idmap.is_some() => {
            let whole = mount::OPEN_TREE_CLONE | mount::AT_RECURSIVE;
            let tree = mount::open_tree(crate::sys::path::cwd(), &cstring(path)?, whole)
                .ctx(|| format!("lxc.rootfs.path = {path}"))
                .map_err(|e| e.stage("rootfs").hint("create the container first (lxc-create), or mend the path"))?;
            let number = tree.as_raw_fd();
            held = Some(tree);
            (Source::Held(number), None)
        }
        _ => {
            check_dir(path, facts)?;
            let from = At::Host(cstring(path)?);
            (Source::Bind { from, recursive: true }, if facts.userns() { None } else { pin(Path::new(path)) })
        }
    };
    let op = RootfsOp {
        source: Some(source),
        mount: mount_point,
        flags: options.attributes(),
        clear: options.clear,
        propagation: options.propagation,
        idmapped: options.idmap.is_some().then_some(0),
    };
    Ok(Prepared {
        ops: vec![Op::new("rootfs", format!("lxc.rootfs.path = {path}"), Act::Rootfs(op))],
        idmapped: options.idmap.map(|i| match i {
            IdmapSource::Container => "container".into(),
            IdmapSource::Path(p) => p,
        }),
        pin,
        held,
    })
}

/// `lxc.rootfs.options`, without the words that mean something for a mount inside only.
fn options(conf: &Conf) -> Result<MountOptions> {
    let text = conf.options.as_deref().unwrap_or_default();
    let name = |e: Error| Error { what: format!("lxc.rootfs.options = {text}: {}", e.what), ..e }.stage("rootfs");
    let o = MountOptions::parse(text).map_err(name)?;
    if o.create != Create::No || o.optional || o.relative {
        return Err(name(Error::os(libc::EINVAL, "create=, optional and relative are for lxc.mount.entry")));
    }
    Ok(o)
}

/// `lxc.rootfs.mount` must be a directory.
///
/// # Errors
/// It is none.
pub fn check_mount_point(dir: &Path) -> Result<()> {
    let what = || format!("lxc.rootfs.mount = {}", dir.display());
    let hint = || format!("mkdir -p {}", dir.display());
    let meta = std::fs::metadata(dir).ctx(what).map_err(|e| e.stage("rootfs").hint(hint()))?;
    if meta.is_dir() { Ok(()) } else { Err(Error::os(libc::ENOTDIR, what()).stage("rootfs").hint(hint())) }
}

/// A directory that the container's root can reach: every component above it must let that user pass.
fn check_dir(path: &str, facts: &Facts) -> Result<()> {
    let what = || format!("lxc.rootfs.path = {path}");
    let meta = std::fs::metadata(path)
        .ctx(what)
        .map_err(|e| e.stage("rootfs").hint("create the container first (lxc-create), or mend the path"))?;
    if !meta.is_dir() {
        return Err(Error::os(libc::ENOTDIR, what()).stage("rootfs").hint("name a directory"));
    }
    if !facts.userns() {
        return Ok(());
    }
    let (uid, gid) = facts.host_root();
    for dir in Path::new(path).ancestors() {
        let Ok(m) = std::fs::metadata(dir) else { continue };
        let bits = if m.uid() == uid {
            0o100
        } else if m.gid() == gid {
            0o010
        } else {
            0o001
        };
        if m.mode() & bits == 0 {
            return Err(Error::os(
                libc::EACCES,
                format!("{}: user {uid} (root of the container) may not pass {}", what(), dir.display()),
            )
            .stage("rootfs")
            .hint(format!("chmod o+x {}", dir.display())));
        }
    }
    Ok(())
}

/// Keeps a file open on the rootfs's file system; a read-only or full one is let be.
fn pin(rootfs: &Path) -> Option<File> {
    let path = rootfs.join(PIN);
    let mut how = std::fs::OpenOptions::new();
    how.write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = how.open(&path).ok()?;
    // The open file is what counts; a name that stays behind does no harm.
    let _ = std::fs::remove_file(&path);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::{IdKind, IdMap, Ns, NsSet};
    use libc::{MS_NODEV, MS_RDONLY};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lxc-rootfs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("rootfs")).expect("made");
        dir
    }

    fn facts() -> Facts {
        Facts { rootfs_mount: "/mnt".into(), ..Facts::default() }
    }

    fn conf(path: &Path) -> Conf {
        Conf { path: Some(path.to_string_lossy().into_owned()), ..Conf::default() }
    }

    fn op(p: &Prepared) -> &RootfsOp {
        match &p.ops[0].act {
            Act::Rootfs(r) => r,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_is_bound_and_pinned() {
        let dir = scratch("dir");
        let rootfs = dir.join("rootfs");
        let c = Conf { options: Some("ro,nodev".into()), ..conf(&rootfs) };
        let p = prepare(&c, &facts()).expect("renders");
        assert_eq!((op(&p).flags, op(&p).idmapped), (MS_RDONLY | MS_NODEV, None));
        assert!(matches!(op(&p).source, Some(Source::Bind { recursive: true, .. })));
        assert!(p.pin.is_some() && !rootfs.join(PIN).exists());
        let c = Conf { options: Some("idmap=container".into()), ..conf(&rootfs) };
        let p = prepare(&c, &facts()).expect("renders");
        assert_eq!((op(&p).idmapped, p.idmapped.as_deref()), (Some(0), Some("container")));
        assert!(matches!(op(&p).source, Some(Source::Held(_))) && p.held.is_some());
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn no_rootfs_shares_the_hosts() {
        let p = prepare(&Conf::default(), &facts()).expect("renders");
        assert!(op(&p).source.is_none() && p.pin.is_none());
    }

    #[test]
    fn faults_are_named_with_what_mends_them() {
        let dir = scratch("faults");
        let c = conf(&dir.join("rootfs"));
        let e = prepare(&c, &Facts { rootfs_mount: "/no/such/mount".into(), ..facts() }).expect_err("mount point");
        assert_eq!((e.hint.as_deref(), e.stage), (Some("mkdir -p /no/such/mount"), "rootfs"));
        let e = prepare(&Conf { options: Some("optional".into()), ..c.clone() }, &facts()).expect_err("options");
        assert!(e.what.starts_with("lxc.rootfs.options = optional"), "{}", e.what);
        let e = prepare(&conf(&dir.join("gone")), &facts()).expect_err("missing");
        assert_eq!(e.errno, libc::ENOENT);
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn a_component_that_shuts_out_the_containers_root_is_named() {
        let dir = scratch("pass");
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).expect("chmod");
        let mut new_ns = NsSet::default();
        new_ns.add(Ns::User);
        let map = |kind| IdMap { kind, nsid: 0, hostid: 100_000, range: 65_536 };
        let f = Facts { new_ns, idmap: vec![map(IdKind::Uid), map(IdKind::Gid)], ..facts() };
        let e = prepare(&conf(&dir.join("rootfs")), &f).expect_err("shut out");
        assert_eq!((e.errno, e.hint), (libc::EACCES, Some(format!("chmod o+x {}", dir.display()))));
        std::fs::remove_dir_all(dir).expect("removed");
    }
}
