//! Removing directory trees of containers. What lies in them was written by somebody else: removal works below descriptors,
//! follows no link, enters no mount and is stopped by no depth. Owns no rule about what may be removed.
#![forbid(unsafe_code)]

use crate::base::op::cstring;
use crate::base::{Context, Error, Result};
use crate::sys::path::{self, Resolve};
use crate::sys::random;
use std::ffi::{CStr, CString, OsStr};
use std::fs::ReadDir;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Deeper directories are moved up before they are removed, so that no nesting can exhaust our descriptors.
const DEPTH: usize = 64;

/// Removes the tree `name` below `parent`, a directory that nobody else writes; what its top holds under a name of `keep`
/// stays, and the top with it, unless it is an empty directory. A missing tree is no failure, a link goes itself.
///
/// # Errors
/// What cannot be removed, by its path: EXDEV where something is still mounted.
pub fn remove_below(parent: &Path, name: &OsStr, keep: &[&OsStr]) -> Result<()> {
    let what = |below: &str| format!("Failed to remove {}", parent.join(below).display());
    let shown = name.to_string_lossy();
    let dir = match std::fs::File::open(parent) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.ctx(|| what(&shown))?,
    };
    let named = |e: Error| Error { what: what(&e.what), ..e };
    remove(dir.as_fd(), &cstring(name.as_bytes())?, keep).map_err(named)
}

/// [`remove_below`] by descriptor; an error's text is the path below `dir`.
fn remove(dir: BorrowedFd<'_>, name: &CStr, keep: &[&OsStr]) -> Result<()> {
    let shown = || name.to_string_lossy().into_owned();
    match path::unlinkat(dir, name, false) {
        Ok(()) => return Ok(()),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => {}
        Err(e) => return Err(Error::io(&e, shown())),
    }
    let mut tree = Tree { top: open(dir, name, &[])?, levels: Vec::new(), keep };
    tree.empty(name)?;
    drop(tree);
    match path::unlinkat(dir, name, true) {
        Err(e) if !keep.is_empty() && e.raw_os_error() == Some(libc::ENOTEMPTY) => Ok(()),
        other => other.ctx(shown),
    }
}

/// One directory that is being emptied.
struct Level {
    fd: OwnedFd,
    entries: ReadDir,
    name: CString,
}

/// The tree that is being removed.
struct Tree<'a> {
    top: OwnedFd,
    levels: Vec<Level>,
    /// Names of the top that stay.
    keep: &'a [&'a OsStr],
}

fn open_subdir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    path::openat2(dir, name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0, Resolve::SameMount)
}

/// Opens a directory of the tree.
fn open(dir: BorrowedFd<'_>, name: &CStr, above: &[&CStr]) -> Result<OwnedFd> {
    open_subdir(dir, name).map_err(|e| {
        let mut path: Vec<_> = above.iter().map(|n| n.to_string_lossy()).collect();
        path.push(name.to_string_lossy());
        let mounted = e.raw_os_error() == Some(libc::EXDEV);
        let note = if mounted { ", where something is mounted (umount it first)" } else { "" };
        Error::io(&e, format!("{}{note}", path.join("/")))
    })
}

/// The entries of an open directory.
fn entries(fd: &OwnedFd) -> io::Result<ReadDir> {
    std::fs::read_dir(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

impl Tree<'_> {
    /// Empties the top directory, whose name is for messages. Passes repeat as long as directories were moved up.
    fn empty(&mut self, name: &CStr) -> Result<()> {
        loop {
            let shown = || name.to_string_lossy().into_owned();
            let fd = self.top.try_clone().ctx(shown)?;
            let list = entries(&fd).ctx(shown)?;
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
        let entry = entry.ctx(|| level.name.to_string_lossy().into_owned())?;
        let name = cstring(entry.file_name().as_bytes())?;
        if depth == 1 && self.keep.contains(&entry.file_name().as_os_str()) {
            // Empty, it has nothing to keep.
            let _ = path::unlinkat(level.fd.as_fd(), &name, true);
            return Ok(false);
        }
        if !entry.file_type().is_ok_and(|t| t.is_dir()) {
            let done = path::unlinkat(level.fd.as_fd(), &name, false);
            let done = done.or_else(|e| if e.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(e) });
            done.map_err(|e| Error::io(&e, self.path_of(&name)))?;
            return Ok(false);
        }
        if depth >= DEPTH {
            let random = random::text(16, b"0123456789abcdef").ctx(|| name.to_string_lossy().into_owned())?;
            let fresh = cstring(format!(".lxc-removed-{random}"))?;
            match path::renameat(level.fd.as_fd(), &name, self.top.as_fd(), &fresh, true) {
                Ok(()) => return Ok(true),
                // An overlay does not move what its lower layers hold: then depth costs a descriptor.
                Err(e) if e.raw_os_error() == Some(libc::EXDEV) => {}
                Err(e) => return Err(Error::io(&e, self.path_of(&name))),
            }
        }
        let above: Vec<_> = self.levels.iter().map(|l| l.name.as_c_str()).collect();
        let Some(level) = self.levels.last() else { return Ok(false) };
        let fd = open(level.fd.as_fd(), &name, &above)?;
        let list = entries(&fd).map_err(|e| Error::io(&e, self.path_of(&name)))?;
        self.levels.push(Level { fd, entries: list, name });
        Ok(false)
    }

    /// Leaves an emptied directory and removes it; the top one is the caller's.
    fn up(&mut self) -> Result<()> {
        let Some(done) = self.levels.pop() else { return Ok(()) };
        let Some(parent) = self.levels.last() else { return Ok(()) };
        path::unlinkat(parent.fd.as_fd(), &done.name, true).map_err(|e| Error::io(&e, self.path_of(&done.name)))
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

    fn gone(dir: &Path, name: &str, keep: &[&OsStr]) {
        remove_below(dir, OsStr::new(name), keep).expect("removed");
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
        gone(&dir, "c", &[]);
        assert!(!dir.join("c").exists() && dir.join("keep").exists() && dir.join("keepdir/f").exists());
        gone(&dir, "c", &[]);
        gone(&dir.join("no"), "such", &[]);
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn a_link_itself_is_removed_not_followed() {
        let dir = scratch("link");
        std::fs::create_dir(dir.join("keep")).expect("made");
        std::os::unix::fs::symlink("keep", dir.join("c")).expect("link");
        gone(&dir, "c", &[]);
        assert!(dir.join("keep").exists() && !dir.join("c").exists());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn what_is_kept_stays_with_the_top_unless_it_is_empty() {
        let dir = scratch("keep");
        std::fs::create_dir_all(dir.join("c/snaps/snap0")).expect("made");
        std::fs::create_dir_all(dir.join("c/rootfs/snaps")).expect("made");
        gone(&dir, "c", &[OsStr::new("snaps")]);
        assert!(dir.join("c/snaps/snap0").exists() && !dir.join("c/rootfs").exists());
        std::fs::remove_dir(dir.join("c/snaps/snap0")).expect("emptied");
        gone(&dir, "c", &[OsStr::new("snaps")]);
        assert!(!dir.join("c").exists());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }

    #[test]
    fn deep_nesting_does_not_exhaust_descriptors() {
        let dir = scratch("deep");
        let mut fd = OwnedFd::from(std::fs::File::open(&dir).expect("open"));
        for i in 0..1200 {
            let name = if i == 0 { c"top" } else { c"d" };
            path::mkdirat(fd.as_fd(), name, 0o755).expect("mkdir");
            fd = open_subdir(fd.as_fd(), name).expect("open");
        }
        drop(fd);
        gone(&dir, "top", &[]);
        assert!(!dir.join("top").exists());
        std::fs::remove_dir_all(dir).expect("cleaned");
    }
}
