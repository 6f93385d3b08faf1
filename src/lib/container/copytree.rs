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

/// A copy under way.
struct Copier {
    /// The top of the copy.
    to: OwnedFd,
    /// The file system of the original.
    device: u64,
    /// The marks of an overlay's upper layer are copied.
    layer: bool,
    /// Where the first name of a file with several was put, by inode.
    links: HashMap<u64, CString>,
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
    let mut copier = Copier { to: top, device, layer, links: HashMap::new() };
    copier
        .dir(source, &target, &PathBuf::new())
        .map_err(|(below, e)| crate::base::Error::io(&e, what(&from.join(below))))
}

type Fault = (PathBuf, io::Error);

fn c(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

impl Copier {
    /// Copies what is in a directory, then its own attributes: its times are the last thing that changes.
    fn dir(&mut self, from: &OwnedFd, to: &OwnedFd, below: &Path) -> std::result::Result<(), Fault> {
        let at = |e: io::Error| (below.to_path_buf(), e);
        let mut buf = [0; 32];
        let listing = path::proc_fd_path(from.as_fd(), &mut buf);
        for entry in std::fs::read_dir(OsStr::from_bytes(listing.to_bytes())).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            let path = below.join(&name);
            self.entry(from.as_fd(), to.as_fd(), &name, &path)?;
        }
        attributes(from, to, self.layer).map_err(at)
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &OsStr,
        below: &Path,
    ) -> std::result::Result<(), Fault> {
        let at = |e: io::Error| (below.to_path_buf(), e);
        let cname = c(name).map_err(at)?;
        let stat = path::statat(from, &cname, false).map_err(at)?;
        if stat.kind() == libc::S_IFDIR {
            let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW;
            path::mkdirat(to, &cname, 0o700).map_err(at)?;
            let target = path::openat2(to, &cname, flags, 0, Resolve::BeneathNoLinks).map_err(at)?;
            // What is mounted inside is not the container's.
            if stat.dev != self.device {
                return path::chmodat(to, &cname, 0o755).map_err(at);
            }
            let source = path::openat2(from, &cname, flags, 0, Resolve::BeneathNoLinks).map_err(at)?;
            return self.dir(&source, &target, below);
        }
        if stat.nlink > 1 {
            if let Some(first) = self.links.get(&stat.ino) {
                return path::linkat(self.to.as_fd(), first, to, &cname).map_err(at);
            }
            self.links.insert(stat.ino, c(below.as_os_str()).map_err(at)?);
        }
        file(from, to, &cname, &stat, self.layer).map_err(at)
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
}
