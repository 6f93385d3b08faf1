//! Copying a rootfs: every kind of file, owners, modes, times, extended attributes, hard links, holes. Works below
//! descriptors and follows no link, since what lies in a rootfs was written by its container; enters no mount inside.
#![forbid(unsafe_code)]

use crate::base::{Context, Result};
use crate::sys::path::{self, Resolve, Stat};
use crate::sys::xattr;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::{Whence, lseek};
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Of so many of the directories above the one that is copied the descriptors are held; above those they are opened again
/// on the way back, so that no nesting can exhaust them.
const HELD: usize = 24;

/// A copy under way.
struct Copier {
    /// The top of the copy.
    to: OwnedFd,
    /// The file system of the original.
    device: u64,
    /// The marks of an overlay's upper layer are copied.
    layer: bool,
    /// The directories so far: the number of the one above and the name; the first is the top.
    places: Vec<(usize, CString)>,
    /// Where the first name of a file with several was put, by device and inode: directory and name.
    links: HashMap<(u64, u64), (usize, CString)>,
}

/// A directory and its copy.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
}

/// One directory on the way down to the one that is copied.
struct Level {
    /// Its number among the copier's places.
    place: usize,
    /// Always there for the deepest one.
    held: Option<Pair>,
    /// Device and inode, original and copy: what it must be when it is opened again.
    ids: [(u64, u64); 2],
    /// Directories in it that are still to be copied.
    left: Vec<CString>,
}

/// Copies the tree `from` to `to`, which is made; `layer`: it is the upper layer of an overlay, whose marks belong to it.
///
/// # Errors
/// The first file that cannot be copied, by its path.
pub fn copy(from: &Path, to: &Path, layer: bool) -> Result<()> {
    let what = |p: &Path| format!("Failed to copy {}", p.display());
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let name =
        |p: &Path| CString::new(p.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    let open = |p: &Path| name(p).and_then(|n| path::open(&n, flags, 0));
    let source = open(from).ctx(|| what(from))?;
    copy_fd(&source, from, to, layer)
}

/// [`copy`] of an open directory; `from` names it in messages.
///
/// # Errors
/// As [`copy`].
pub fn copy_fd(source: &OwnedFd, from: &Path, to: &Path, layer: bool) -> Result<()> {
    let what = |p: &Path| format!("Failed to copy {}", p.display());
    match std::fs::create_dir(to) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e).ctx(|| what(to)),
        _ => {}
    }
    let target = CString::new(to.as_os_str().as_bytes())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
        .and_then(|n| path::open(&n, libc::O_RDONLY | libc::O_DIRECTORY, 0))
        .ctx(|| what(to))?;
    let device = path::fstat(source.as_fd()).ctx(|| what(from))?.dev;
    let top = target.try_clone().ctx(|| what(to))?;
    let source = source.try_clone().ctx(|| what(from))?;
    let places = vec![(0, CString::default())];
    let mut copier = Copier { to: top, device, layer, places, links: HashMap::new() };
    copier
        .tree(Pair { from: source, to: target })
        .map_err(|(below, e)| crate::base::Error::io(&e, what(&from.join(below))))
}

type Fault = (PathBuf, io::Error);

fn c(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Reads the names of a directory, one after the other.
fn names(dir: &OwnedFd) -> io::Result<impl Iterator<Item = io::Result<CString>>> {
    let mut buf = [0; 32];
    let listing = path::proc_fd_path(dir.as_fd(), &mut buf);
    let entries = std::fs::read_dir(OsStr::from_bytes(listing.to_bytes()))?;
    Ok(entries.map(|entry| entry.and_then(|e| c(&e.file_name()))))
}

fn id(dir: &OwnedFd) -> io::Result<(u64, u64)> {
    path::fstat(dir.as_fd()).map(|s| (s.dev, s.ino))
}

/// The directory above, if it is still the one that it was.
fn above(dir: &OwnedFd, was: (u64, u64)) -> io::Result<OwnedFd> {
    let up = path::openat(dir.as_fd(), c"..", libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
    if id(&up)? == was { Ok(up) } else { Err(io::Error::from_raw_os_error(libc::ESTALE)) }
}

impl Copier {
    /// Copies what is in a directory and below, each directory's own attributes last: its times are what changes last.
    fn tree(&mut self, top: Pair) -> std::result::Result<(), Fault> {
        let first = self.level(top, 0)?;
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            let place = level.place;
            let Some(name) = level.left.pop() else {
                self.up(&mut levels).map_err(|e| (self.path(place, None), e))?;
                continue;
            };
            let held = level.held.as_ref();
            let down = held.map_or(Ok(None), |pair| self.down(pair, &name));
            let Some(pair) = down.map_err(|e| (self.path(place, Some(&name)), e))? else { continue };
            self.places.push((place, name));
            let next = self.level(pair, self.places.len() - 1)?;
            levels.push(next);
            if let Some(far) = levels.len().checked_sub(HELD + 1).and_then(|n| levels.get_mut(n)) {
                far.held = None;
            }
        }
        Ok(())
    }

    /// Copies the files of a directory and notes its directories.
    fn level(&mut self, pair: Pair, place: usize) -> std::result::Result<Level, Fault> {
        let at = |e: io::Error, copier: &Self| (copier.path(place, None), e);
        let ids = id(&pair.from).and_then(|from| Ok([from, id(&pair.to)?])).map_err(|e| at(e, self))?;
        let mut left = Vec::new();
        for name in names(&pair.from).map_err(|e| at(e, self))? {
            let name = name.map_err(|e| at(e, self))?;
            let stat = path::statat(pair.from.as_fd(), &name, false);
            let done = stat.and_then(|stat| match stat.kind() {
                libc::S_IFDIR => {
                    left.push(name.clone());
                    Ok(())
                }
                _ => self.entry(&pair, place, &name, &stat),
            });
            done.map_err(|e| (self.path(place, Some(&name)), e))?;
        }
        Ok(Level { place, held: Some(pair), ids, left })
    }

    /// Makes the copy of a directory; nothing when it is none of the original's file system.
    fn down(&self, pair: &Pair, name: &CString) -> io::Result<Option<Pair>> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let stat = path::statat(pair.from.as_fd(), name, false)?;
        path::mkdirat(pair.to.as_fd(), name, 0o700)?;
        // What is mounted inside is not the container's.
        if stat.dev != self.device {
            return path::chmodat(pair.to.as_fd(), name, 0o755).map(|()| None);
        }
        let to = path::openat2(pair.to.as_fd(), name, flags, 0, Resolve::BeneathNoLinks)?;
        let from = path::openat2(pair.from.as_fd(), name, flags, 0, Resolve::BeneathNoLinks)?;
        Ok(Some(Pair { from, to }))
    }

    /// Leaves a directory whose contents are copied.
    fn up(&self, levels: &mut Vec<Level>) -> io::Result<()> {
        let Some(Level { held: Some(done), .. }) = levels.pop() else { return Ok(()) };
        attributes(&done.from, &done.to, self.layer)?;
        if let Some(parent) = levels.last_mut()
            && parent.held.is_none()
        {
            let [from, to] = parent.ids;
            parent.held = Some(Pair { from: above(&done.from, from)?, to: above(&done.to, to)? });
        }
        Ok(())
    }

    fn entry(&mut self, pair: &Pair, place: usize, name: &CString, stat: &Stat) -> io::Result<()> {
        if stat.nlink > 1 {
            if let Some((place, first)) = self.links.get(&(stat.dev, stat.ino)) {
                let dir = self.open(*place)?;
                return path::linkat(dir.as_fd(), first, pair.to.as_fd(), name);
            }
            self.links.insert((stat.dev, stat.ino), (place, name.clone()));
        }
        file(pair.from.as_fd(), pair.to.as_fd(), name, stat, self.layer)
    }

    /// The names from the top down to a place.
    fn way(&self, mut place: usize) -> Vec<&CString> {
        let mut way = Vec::new();
        while let Some((above, name)) = self.places.get(place).filter(|_| place != 0) {
            way.push(name);
            place = *above;
        }
        way.reverse();
        way
    }

    /// Where something lies below the top, for messages.
    fn path(&self, place: usize, name: Option<&CString>) -> PathBuf {
        self.way(place).into_iter().chain(name).map(|n| OsStr::from_bytes(n.to_bytes())).collect()
    }

    /// Opens a directory of the copy again, in steps that the kernel takes as a path.
    fn open(&self, place: usize) -> io::Result<OwnedFd> {
        const STEP: usize = 12;
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        let mut dir = self.to.try_clone()?;
        for part in self.way(place).chunks(STEP) {
            let names: Vec<&[u8]> = part.iter().map(|n| n.to_bytes()).collect();
            let step = c(OsStr::from_bytes(&names.join(&b'/')))?;
            dir = path::openat2(dir.as_fd(), &step, flags, 0, Resolve::BeneathNoLinks)?;
        }
        Ok(dir)
    }
}

/// Copies one file that is no directory.
fn file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CString, stat: &Stat, layer: bool) -> io::Result<()> {
    match stat.kind() {
        libc::S_IFREG => {
            let source = path::openat2(from, name, libc::O_RDONLY | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks)?;
            let create = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
            let target = path::openat2(to, name, create, 0o600, Resolve::BeneathNoLinks)?;
            let (mut source, mut target) = (File::from(source), File::from(target));
            contents(&mut source, &mut target)?;
            attributes(&OwnedFd::from(source), &OwnedFd::from(target), layer)
        }
        libc::S_IFLNK => {
            let mut buf = vec![0; libc::PATH_MAX as usize];
            let len = path::readlinkat(from, name, &mut buf)?;
            buf.truncate(len);
            let target = CString::new(buf).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            path::symlinkat(&target, to, name)?;
            path::chownat(to, name, stat.uid, stat.gid)?;
            times_of_link(from, to, name)
        }
        _ => {
            path::mknodat(to, name, stat.mode, stat.rdev)?;
            path::chownat(to, name, stat.uid, stat.gid)?;
            // Made by us a moment ago in a directory of ours: the mask took bits away.
            path::chmodat(to, name, stat.mode & 0o7777)
        }
    }
}

/// The contents, holes left out.
fn contents(from: &mut File, to: &mut File) -> io::Result<()> {
    let size = from.metadata()?.size();
    let mut at: i64 = 0;
    loop {
        let data = match lseek(&*from, at, Whence::SeekData) {
            Ok(data) => data,
            Err(nix::errno::Errno::ENXIO) => break,
            // A file system that knows no holes.
            Err(_) if at == 0 => {
                from.rewind()?;
                io::copy(from, to)?;
                return Ok(());
            }
            Err(e) => return Err(e.into()),
        };
        let hole = lseek(&*from, data, Whence::SeekHole)?;
        from.seek(SeekFrom::Start(data.unsigned_abs()))?;
        to.seek(SeekFrom::Start(data.unsigned_abs()))?;
        io::copy(&mut Read::by_ref(from).take((hole - data).unsigned_abs()), to)?;
        at = hole;
    }
    to.set_len(size)
}

/// Owner, mode, extended attributes, times. The owner first: changing it clears set-user-id bits and file capabilities.
fn attributes(from: &OwnedFd, to: &OwnedFd, layer: bool) -> io::Result<()> {
    let source = File::from(from.try_clone()?);
    let meta = source.metadata()?;
    std::os::unix::fs::fchown(to, Some(meta.uid()), Some(meta.gid()))?;
    path::chmod_fd(to.as_fd(), meta.mode() & 0o7777)?;
    for name in xattr::fd_list(from)
        .or_else(|e| if e.raw_os_error() == Some(libc::EOPNOTSUPP) { Ok(Vec::new()) } else { Err(e) })?
    {
        // The layers' own marks mean nothing in a copy, and a label is given by the policy of where it lies.
        let keep =
            (layer || !name.to_bytes().starts_with(b"trusted.overlay.")) && name.to_bytes() != b"security.selinux";
        if keep && let Some(value) = xattr::fd_value(from, &name)? {
            xattr::fd_set(to, &name, &value)?;
        }
    }
    futimens(to, &TimeSpec::new(meta.atime(), meta.atime_nsec()), &TimeSpec::new(meta.mtime(), meta.mtime_nsec()))?;
    Ok(())
}

fn times_of_link(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CString) -> io::Result<()> {
    let s = nix::sys::stat::fstatat(from, name.as_c_str(), nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let (a, m) = (TimeSpec::new(s.st_atime, s.st_atime_nsec), TimeSpec::new(s.st_mtime, s.st_mtime_nsec));
    nix::sys::stat::utimensat(to, name.as_c_str(), &a, &m, nix::sys::stat::UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    #[test]
    fn a_tree_is_copied_with_all_that_it_has() {
        let top = std::env::temp_dir().join(format!("lxc-copytree-{}", std::process::id()));
        let from = top.join("a");
        std::fs::create_dir_all(from.join("d/e")).unwrap();
        std::fs::write(from.join("d/file"), "text").unwrap();
        std::fs::hard_link(from.join("d/file"), from.join("hard")).unwrap();
        std::os::unix::fs::symlink("/nowhere", from.join("link")).unwrap();
        nix::unistd::mkfifo(&from.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o622)).unwrap();
        std::fs::set_permissions(from.join("d/file"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        let sparse = File::create(from.join("sparse")).unwrap();
        sparse.set_len(1 << 24).unwrap();
        drop(sparse);
        let xattr = xattr::set(&c(from.join("d").as_os_str()).unwrap(), c"user.lxc", b"v").is_ok();
        let to = top.join("b");
        copy(&from, &to, false).unwrap();
        let meta = |p: &str| to.join(p).symlink_metadata().unwrap();
        assert_eq!(std::fs::read_to_string(to.join("hard")).unwrap(), "text");
        assert_eq!((meta("hard").ino(), meta("hard").mode() & 0o7777), (meta("d/file").ino(), 0o4751));
        assert_eq!(std::fs::read_link(to.join("link")).unwrap(), Path::new("/nowhere"));
        assert!(meta("fifo").file_type().is_fifo() && meta("d/e").is_dir());
        assert_eq!((meta("sparse").len(), meta("sparse").blocks() < 100), (1 << 24, true));
        assert_eq!(meta("d").mtime_nsec(), from.join("d").metadata().unwrap().mtime_nsec());
        if xattr {
            let d = File::open(to.join("d")).unwrap();
            assert_eq!(xattr::fd_value(&d, c"user.lxc").unwrap().as_deref(), Some(&b"v"[..]));
        }
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn no_depth_exhausts_descriptors() {
        let top = std::env::temp_dir().join(format!("lxc-copydeep-{}", std::process::id()));
        std::fs::create_dir_all(top.join("a")).unwrap();
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let open = |dir: BorrowedFd<'_>, name: &CString| path::openat(dir, name, flags, 0).unwrap();
        let start = |name: &str| OwnedFd::from(File::open(top.join(name)).unwrap());
        let name = |n: usize| CString::new(format!("d{}", n % 7)).unwrap();
        const DEPTH: usize = 3000;
        let mut dir = start("a");
        for n in 0..DEPTH {
            path::mkdirat(dir.as_fd(), &name(n), 0o711).unwrap();
            // One beside it now and then, so that the way back is gone before all is copied.
            if n % 50 == 0 {
                path::mkdirat(dir.as_fd(), c"side", 0o700).unwrap();
            }
            dir = open(dir.as_fd(), &name(n));
        }
        let file = path::openat(dir.as_fd(), c"end", libc::O_WRONLY | libc::O_CREAT, 0o600).unwrap();
        drop(file);
        path::linkat(dir.as_fd(), c"end", dir.as_fd(), c"other").unwrap();
        path::linkat(dir.as_fd(), c"end", start("a").as_fd(), c"first").unwrap();
        drop(dir);
        copy(&top.join("a"), &top.join("b"), false).unwrap();
        let mut dir = start("b");
        let first = path::statat(dir.as_fd(), c"first", false).unwrap();
        for n in 0..DEPTH {
            assert_eq!(path::statat(dir.as_fd(), c"side", false).is_ok(), n % 50 == 0, "{n}");
            dir = open(dir.as_fd(), &name(n));
            assert_eq!(path::fstat(dir.as_fd()).unwrap().mode & 0o7777, 0o711);
        }
        let end = path::statat(dir.as_fd(), c"end", false).unwrap();
        assert_eq!((end.ino, end.nlink), (first.ino, 3));
        drop(dir);
        crate::storage::tree::remove_below(top.parent().unwrap(), top.file_name().unwrap(), &[]).unwrap();
    }
}
