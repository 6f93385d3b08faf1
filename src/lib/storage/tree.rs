//! Directory trees of containers on the host: made for `lxc-create`, removed for `lxc-destroy`. What lies in them was
//! written by somebody else: removal works below descriptors, follows no link and enters no mount.
#![forbid(unsafe_code)]

use crate::base::op::cstring;
use crate::base::{Context, Error, Result};
use crate::sys::{path, random, walk};
use std::ffi::{CStr, CString};
use std::fs::ReadDir;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Deeper directories are moved up before they are removed, so that no nesting can exhaust our descriptors.
const DEPTH: usize = 64;

/// Makes a rootfs directory, 0755, for these ids (host side). An existing one stays as it is.
///
/// # Errors
/// mkdir(2), chown(2), with the directory's name.
pub fn make_rootfs(dir: &Path, uid: u32, gid: u32) -> Result<()> {
    let what = || format!("make the rootfs directory {}", dir.display());
    match std::fs::DirBuilder::new().mode(0o755).create(dir) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        made => made.ctx(what)?,
    }
    if (uid, gid) == (0, 0) {
        return Ok(());
    }
    std::os::unix::fs::lchown(dir, Some(uid), Some(gid)).ctx(what)
}

/// Removes `name` below `dir` with all that is in it. A missing one is no failure.
///
/// # Errors
/// What cannot be removed, by its path below `dir`: EXDEV with a hint for something that is still mounted.
pub fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match path::unlinkat(dir, name, false) {
        Ok(()) => return Ok(()),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => {}
        Err(e) => return Err(Error::io(&e, format!("remove {}", name.to_string_lossy()))),
    }
    let mut tree = Tree { top: open(dir, name, &[])?, levels: Vec::new() };
    tree.empty(name)?;
    drop(tree);
    path::unlinkat(dir, name, true).ctx(|| format!("remove {}", name.to_string_lossy()))
}

/// [`remove`] by an absolute path whose parent nobody else writes.
///
/// # Errors
/// As [`remove`]; a path without parent or name.
pub fn remove_path(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::os(libc::EINVAL, format!("remove {}", path.display())));
    };
    let parent = match std::fs::File::open(parent) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.ctx(|| format!("remove {}", path.display()))?,
    };
    let shown = |e: Error| Error {
        what: e.what.replacen("remove ", &format!("remove {}/", path.parent().unwrap_or(path).display()), 1),
        ..e
    };
    remove(parent.as_fd(), &cstring(name.as_bytes())?).map_err(shown)
}

/// One directory that is being emptied.
struct Level {
    fd: OwnedFd,
    entries: ReadDir,
    name: CString,
}

/// The tree that is being removed.
struct Tree {
    top: OwnedFd,
    levels: Vec<Level>,
}

/// Opens a directory of the tree.
fn open(dir: BorrowedFd<'_>, name: &CStr, above: &[&CStr]) -> Result<OwnedFd> {
    walk::open_subdir(dir, name).map_err(|e| {
        let mut path: Vec<_> = above.iter().map(|n| n.to_string_lossy()).collect();
        path.push(name.to_string_lossy());
        let mounted = e.raw_os_error() == Some(libc::EXDEV);
        let e = Error::io(&e, format!("remove {}", path.join("/")));
        if mounted { e.hint("something is mounted there: umount it first") } else { e }
    })
}

/// The entries of an open directory.
fn entries(fd: &OwnedFd) -> io::Result<ReadDir> {
    std::fs::read_dir(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

impl Tree {
    /// Empties the top directory, whose name is for messages. Passes repeat as long as directories were moved up.
    fn empty(&mut self, name: &CStr) -> Result<()> {
        loop {
            let fd = self.top.try_clone().ctx(|| "remove".into())?;
            let list = entries(&fd).ctx(|| format!("remove {}", name.to_string_lossy()))?;
            self.levels = vec![Level { fd, entries: list, name: name.into() }];
            let mut moved = false;
            while !self.levels.is_empty() {
                moved |= self.step()?;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Removes the next entry of the deepest directory, goes down, or goes up. True when a directory was moved to the top.
    fn step(&mut self) -> Result<bool> {
        let depth = self.levels.len();
        let Some(level) = self.levels.last_mut() else { return Ok(false) };
        let Some(entry) = level.entries.next() else {
            self.up()?;
            return Ok(false);
        };
        let entry = entry.ctx(|| format!("read {}", level.name.to_string_lossy()))?;
        let name = cstring(entry.file_name().as_bytes())?;
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            let done = path::unlinkat(level.fd.as_fd(), &name, false);
            let done = done.or_else(|e| if e.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(e) });
            done.map_err(|e| Error::io(&e, format!("remove {}", self.path_of(&name))))?;
            return Ok(false);
        }
        if depth >= DEPTH {
            let fresh =
                cstring(format!(".lxc-removed-{}", random::text(16, b"0123456789abcdef").ctx(|| "remove".into())?))?;
            path::renameat(level.fd.as_fd(), &name, self.top.as_fd(), &fresh, true)
                .map_err(|e| Error::io(&e, format!("remove {}", self.path_of(&name))))?;
            return Ok(true);
        }
        let above: Vec<_> = self.levels.iter().map(|l| l.name.as_c_str()).collect();
        let Some(level) = self.levels.last() else { return Ok(false) };
        let fd = open(level.fd.as_fd(), &name, &above)?;
        let list = entries(&fd).map_err(|e| Error::io(&e, format!("remove {}", self.path_of(&name))))?;
        self.levels.push(Level { fd, entries: list, name });
        Ok(false)
    }

    /// Leaves an emptied directory and removes it; the top one is the caller's.
    fn up(&mut self) -> Result<()> {
        let Some(done) = self.levels.pop() else { return Ok(()) };
        let Some(parent) = self.levels.last() else { return Ok(()) };
        path::unlinkat(parent.fd.as_fd(), &done.name, true)
            .map_err(|e| Error::io(&e, format!("remove {}", self.path_of(&done.name))))
    }

    /// Where an entry of the deepest directory lies, for messages.
    fn path_of(&self, name: &CStr) -> String {
        let above = self.levels.iter().map(|l| l.name.to_string_lossy());
        above.chain([name.to_string_lossy()]).collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lxc-tree-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("made");
        dir
    }

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let dir = scratch("links");
        std::fs::create_dir_all(dir.join("c/rootfs/a/b")).expect("made");
        std::fs::write(dir.join("keep"), "x").expect("written");
        std::fs::create_dir(dir.join("keepdir")).expect("made");
        std::fs::write(dir.join("keepdir/f"), "x").expect("written");
        std::os::unix::fs::symlink(dir.join("keep"), dir.join("c/rootfs/l")).expect("link");
        std::os::unix::fs::symlink(dir.join("keepdir"), dir.join("c/rootfs/a/d")).expect("link");
        std::fs::write(dir.join("c/rootfs/a/b/f"), "x").expect("written");
        remove_path(&dir.join("c")).expect("removed");
        assert!(!dir.join("c").exists() && dir.join("keep").exists() && dir.join("keepdir/f").exists());
        remove_path(&dir.join("c")).expect("a missing one is no failure");
        remove_path(&dir.join("no/such")).expect("nor is a missing parent");
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn a_link_itself_is_removed_not_followed() {
        let dir = scratch("link");
        std::fs::create_dir(dir.join("keep")).expect("made");
        std::os::unix::fs::symlink("keep", dir.join("c")).expect("link");
        remove_path(&dir.join("c")).expect("removed");
        assert!(dir.join("keep").exists() && !dir.join("c").exists());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn deep_nesting_does_not_exhaust_descriptors() {
        let dir = scratch("deep");
        let mut fd = OwnedFd::from(std::fs::File::open(&dir).expect("open"));
        for i in 0..700 {
            let name = if i == 0 { c"top" } else { c"d" };
            path::mkdirat(fd.as_fd(), name, 0o755).expect("mkdir");
            fd = walk::open_subdir(fd.as_fd(), name).expect("open");
        }
        drop(fd);
        remove_path(&dir.join("top")).expect("removed");
        assert!(!dir.join("top").exists());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn a_rootfs_directory_is_made_once() {
        let dir = scratch("make");
        let rootfs = dir.join("rootfs");
        make_rootfs(&rootfs, 0, 0).expect("made");
        std::fs::write(rootfs.join("f"), "x").expect("written");
        make_rootfs(&rootfs, 0, 0).expect("stays");
        assert!(rootfs.join("f").exists());
        assert!(make_rootfs(&dir.join("no/such"), 0, 0).is_err());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }
}
