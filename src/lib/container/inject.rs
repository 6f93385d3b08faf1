//! Mounts that appear in a running container: made here as a tree of its own, attached by a child that enters the
//! container's mount namespace. Owns also how a path of the container is walked from outside.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Context, Error, Result};
use crate::sys::path::{self, Resolve};
use crate::sys::process::{self, Clone3, Never};
use crate::sys::{cred, mount, ns};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// What is to be mounted.
#[derive(Debug)]
pub struct Inject<'a> {
    /// A device, a directory, a file, or a word.
    pub source: Option<&'a CStr>,
    /// Where, inside.
    pub target: &'a Path,
    /// The file system; none for a bind mount.
    pub fstype: Option<&'a CStr>,
    /// MS_*, mount(2).
    pub flags: u64,
    /// Options of the file system, by commas.
    pub data: Option<&'a CStr>,
}

/// A path inside, rendered for a process that cannot allocate.
#[derive(Debug)]
pub struct Place {
    /// The directories, one name each.
    dirs: Vec<CString>,
    /// The same in one piece.
    whole: CString,
    /// The last name.
    pub name: CString,
}

impl Place {
    /// Takes an absolute path apart.
    ///
    /// # Errors
    /// A relative path, one with `..`, the root itself.
    pub fn new(path: &Path) -> Result<Self> {
        let wrong = || Error::os(libc::EINVAL, format!("{} is no absolute path of something below /", path.display()));
        let mut dirs = Vec::new();
        let mut parts = path.components();
        if parts.next() != Some(Component::RootDir) {
            return Err(wrong());
        }
        for part in parts {
            match part {
                Component::Normal(name) => dirs.push(CString::new(name.as_bytes()).map_err(|_| wrong())?),
                Component::CurDir => {}
                _ => return Err(wrong()),
            }
        }
        let name = dirs.pop().ok_or_else(wrong)?;
        let whole = dirs.iter().map(|d| d.to_bytes()).collect::<Vec<_>>().join(&b'/');
        let whole = if whole.is_empty() { c".".to_owned() } else { CString::new(whole).map_err(|_| wrong())? };
        Ok(Self { dirs, whole, name })
    }

    /// The directory that holds the last name. Links that the container has made end below `root`; where directories are
    /// missing they are made (0755) when `make`, and then no link is followed. Allocates nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn parent(&self, root: BorrowedFd<'_>, make: bool) -> io::Result<OwnedFd> {
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        match path::openat2(root, &self.whole, flags, 0, Resolve::InRoot) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && make => {}
            other => return other,
        }
        let mut dir = path::openat(root, c".", flags, 0)?;
        for name in &self.dirs {
            dir = match path::openat2(dir.as_fd(), name, flags | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    path::mkdirat(dir.as_fd(), name, 0o755)?;
                    path::openat2(dir.as_fd(), name, flags | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks)?
                }
                other => other?,
            };
        }
        Ok(dir)
    }
}

/// A container's root as its init has it.
///
/// # Errors
/// open(2): the caller may not look there.
pub fn root_of(pid: i32) -> io::Result<OwnedFd> {
    let name = CString::new(format!("/proc/{pid}/root")).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    path::open(&name, libc::O_PATH | libc::O_DIRECTORY, 0)
}

impl Container {
    /// Mounts something in the running container. It must have been started with `lxc.mount.auto = shmounts:…`, which says
    /// that its owner wants this.
    ///
    /// # Errors
    /// EINVAL: it does not run or takes no mounts; the kernel's.
    pub fn mount(&self, what: &Inject<'_>) -> Result<()> {
        let init = self.takes_mounts()?;
        let place = Place::new(what.target)?;
        let failed = || format!("Failed to mount {} in {}", what.target.display(), self.name());
        let tree = tree(what).ctx(failed)?;
        let stat = path::fstat(tree.as_fd()).ctx(failed)?;
        let is_dir = stat.kind() == libc::S_IFDIR;
        let root = self.init_pid().and_then(mapped_root);
        let act = || match (attach(&tree, &place, is_dir), root) {
            // A file system of the container's own user namespace takes no file of a user that is not mapped there.
            (Err(e), Some((uid, gid))) if e.raw_os_error() == Some(libc::EOVERFLOW) => {
                cred::setfsids(uid, gid);
                attach(&tree, &place, is_dir)
            }
            (done, _) => done,
        };
        self.inside(&init, act).ctx(failed)
    }

    /// Unmounts something in the running container.
    ///
    /// # Errors
    /// As [`Container::mount`].
    pub fn umount(&self, target: &Path, flags: u64) -> Result<()> {
        let init = self.takes_mounts()?;
        let place = Place::new(target)?;
        let flags = i32::try_from(flags).map_err(|_| Error::os(libc::EINVAL, "flags of an unmount"))?;
        let failed = || format!("Failed to unmount {} in {}", target.display(), self.name());
        self.inside(&init, || detach(&place, flags)).ctx(failed)
    }

    /// Init, when the container runs and was started for this.
    fn takes_mounts(&self) -> Result<OwnedFd> {
        let refused = |why: &str| Error::os(libc::EINVAL, format!("{} {why}", self.name()));
        if self.config().is_none_or(|c| c.mount.shmounts.is_none()) {
            let auto = self.client().config_item("lxc.mount.auto").ok().flatten().unwrap_or_default();
            if !auto.split_whitespace().any(|w| w.starts_with("shmounts")) {
                return Err(refused("takes no mounts: it is not started with lxc.mount.auto = shmounts:"));
            }
        }
        self.client().init_pidfd().map_err(|_| refused("is not running"))
    }

    /// Runs `act` in a child inside of the container's mount namespace.
    fn inside(&self, init: &OwnedFd, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let user = if cred::euid() == 0 { 0 } else { ns::CLONE_NEWUSER };
        let child = process::clone3(&Clone3::default(), || -> Never {
            let done = ns::setns(init.as_fd(), ns::CLONE_NEWNS | user).and_then(|()| act());
            process::exit_now(done.map_or_else(|e| e.raw_os_error().unwrap_or(libc::EIO), |()| 0))
        })?;
        match process::wait_pid(child.pid, 0)?.1 {
            0 => Ok(()),
            status if libc::WIFEXITED(status) => Err(io::Error::from_raw_os_error(libc::WEXITSTATUS(status))),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

/// The ids that the root of a process's user namespace has here.
fn mapped_root(pid: i32) -> Option<(u32, u32)> {
    let id = |file: &str| {
        let map = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let first = map.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
        first.filter(|w| w.first() == Some(&"0")).find_map(|w| w.get(1)?.parse().ok())
    };
    Some((id("uid_map")?, id("gid_map")?))
}

/// In the child: makes the target and puts the tree there.
fn attach(tree: &OwnedFd, place: &Place, is_dir: bool) -> io::Result<()> {
    let root = path::open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let dir = place.parent(root.as_fd(), true)?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let open = || path::openat2(dir.as_fd(), &place.name, flags, 0, Resolve::BeneathNoLinks);
    let target = match open() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            if is_dir {
                path::mkdirat(dir.as_fd(), &place.name, 0o755)?;
            } else {
                let create = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
                path::openat2(dir.as_fd(), &place.name, create, 0o644, Resolve::BeneathNoLinks)?;
            }
            open()?
        }
        other => other?,
    };
    mount::move_mount(tree.as_fd(), target.as_fd())
}

/// In the child: takes a mount away.
fn detach(place: &Place, flags: i32) -> io::Result<()> {
    const UMOUNT_NOFOLLOW: i32 = 8;
    let root = path::open(c"/", libc::O_PATH | libc::O_DIRECTORY, 0)?;
    let dir = place.parent(root.as_fd(), false)?;
    process::fchdir(dir.as_fd())?;
    drop(dir);
    mount::umount2(&place.name, flags | UMOUNT_NOFOLLOW)
}

/// The MOUNT_ATTR_* of MS_* flags.
fn attributes(flags: u64) -> u64 {
    const PAIRS: [(u64, u64); 6] = [
        (libc::MS_RDONLY, mount::ATTR_RDONLY),
        (libc::MS_NOSUID, mount::ATTR_NOSUID),
        (libc::MS_NODEV, mount::ATTR_NODEV),
        (libc::MS_NOEXEC, mount::ATTR_NOEXEC),
        (libc::MS_NOATIME, mount::ATTR_NOATIME),
        (libc::MS_NODIRATIME, mount::ATTR_NODIRATIME),
    ];
    PAIRS.iter().filter(|(ms, _)| flags & ms != 0).fold(0, |all, (_, attr)| all | attr)
}

/// The mount as a tree that is attached nowhere.
fn tree(what: &Inject<'_>) -> io::Result<OwnedFd> {
    let attrs = attributes(what.flags);
    if what.flags & libc::MS_BIND == 0
        && let Some(fstype) = what.fstype.filter(|t| !matches!(t.to_bytes(), b"" | b"none"))
    {
        let fs = mount::fsopen(fstype)?;
        if let Some(source) = what.source {
            mount::fsconfig_string(fs.as_fd(), c"source", source)?;
        }
        let options = what.data.map_or(&b""[..], CStr::to_bytes);
        for option in options.split(|b| *b == b',').filter(|o| !o.is_empty()) {
            let word = |w: &[u8]| CString::new(w).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
            match option.iter().position(|b| *b == b'=') {
                Some(at) => {
                    let (key, value) = option.split_at(at);
                    mount::fsconfig_string(fs.as_fd(), &word(key)?, &word(value.get(1..).unwrap_or_default())?)?;
                }
                None => mount::fsconfig_flag(fs.as_fd(), &word(option)?)?,
            }
        }
        mount::fsconfig_create(fs.as_fd())?;
        return mount::fsmount(fs.as_fd(), attrs);
    }
    let source = what.source.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let recursive = what.flags & libc::MS_REC != 0;
    let below = if recursive { mount::AT_RECURSIVE } else { 0 };
    let tree = mount::open_tree(path::cwd(), source, mount::OPEN_TREE_CLONE | below)?;
    if attrs != 0 {
        let attr = mount::SetAttr { set: attrs, ..mount::SetAttr::default() };
        mount::mount_setattr(tree.as_fd(), c"", recursive, attr, None)?;
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_absolute_and_stay_inside() {
        let p = Place::new(Path::new("/dev//x/./y")).unwrap();
        assert_eq!((p.dirs.len(), p.name.as_c_str()), (2, c"y"));
        for bad in ["/", "", "dev/x", "/a/../b", "/.."] {
            assert!(Place::new(Path::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn links_of_the_container_are_not_followed() {
        let top = std::env::temp_dir().join(format!("lxc-inject-{}", std::process::id()));
        std::fs::create_dir_all(&top).unwrap();
        std::os::unix::fs::symlink("/etc", top.join("out")).unwrap();
        let root = CString::new(top.as_os_str().as_bytes()).unwrap();
        let root = path::open(&root, libc::O_PATH | libc::O_DIRECTORY, 0).unwrap();
        assert!(Place::new(Path::new("/out/x")).unwrap().parent(root.as_fd(), true).is_err());
        std::fs::create_dir(top.join("etc")).unwrap();
        let etc = Place::new(Path::new("/out/x")).unwrap().parent(root.as_fd(), true).unwrap();
        let inside = path::statat(root.as_fd(), c"etc", false).unwrap();
        assert_eq!(path::fstat(etc.as_fd()).unwrap().ino, inside.ino);
        Place::new(Path::new("/a/b/c")).unwrap().parent(root.as_fd(), true).unwrap();
        assert!(top.join("a/b").is_dir());
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn what_does_not_run_takes_no_mounts() {
        let c = Container::new("inject-nobody", Some(Path::new("/nonexistent/store"))).unwrap();
        let what =
            Inject { source: Some(c"/etc"), target: Path::new("/x"), fstype: None, flags: libc::MS_BIND, data: None };
        assert_eq!(c.mount(&what).unwrap_err().errno, libc::EINVAL);
        assert_eq!(c.umount(Path::new("/x"), 0).unwrap_err().errno, libc::EINVAL);
    }
}
