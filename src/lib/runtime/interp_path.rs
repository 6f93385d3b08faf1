//! Paths and files for the interpreter: every path below the rootfs is resolved from a directory descriptor. Same rule as
//! `interp`: no allocation, no lock.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

use super::interp::{Child, Done, err};
use crate::base::op::{Act, At};
use crate::sys;
use crate::sys::path::Resolve;
use nix::libc;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens the node itself: no read, no write.
pub(super) const PATH: i32 = libc::O_PATH | libc::O_CLOEXEC;

/// What a place is resolved from.
pub(super) enum Base<'a> {
    /// The present root, by absolute path.
    Host,
    /// A directory.
    Dir(BorrowedFd<'a>),
}

/// One component of a path, on the stack.
pub(super) struct Name {
    buf: [u8; 256],
    len: usize,
}

impl Name {
    fn new(part: &[u8]) -> io::Result<Self> {
        let mut name = Self { buf: [0; 256], len: part.len() };
        // One byte stays zero.
        if part.len() >= name.buf.len() {
            return Err(err(libc::ENAMETOOLONG));
        }
        name.buf.get_mut(..part.len()).ok_or_else(|| err(libc::ENAMETOOLONG))?.copy_from_slice(part);
        Ok(name)
    }

    pub(super) fn as_c(&self) -> &CStr {
        self.buf.get(..=self.len).and_then(|b| CStr::from_bytes_with_nul(b).ok()).unwrap_or(c"")
    }
}

/// The path without leading slashes; `.` when nothing is left.
pub(super) fn below(path: &CStr) -> &CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().position(|b| *b != b'/').unwrap_or(0);
    match bytes.get(start..).and_then(|b| CStr::from_bytes_with_nul(b).ok()) {
        Some(rest) if !rest.is_empty() => rest,
        _ => c".",
    }
}

/// Components of a path; `.` and empty ones left out.
fn parts(path: &CStr) -> impl Iterator<Item = &[u8]> {
    path.to_bytes().split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".")
}

/// One step down, no symlink followed.
fn enter(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    sys::path::openat2(dir, name, PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks)
}

/// mkdir -p below a directory; the last one, opened. Follows no symlink, refuses `..`.
pub(super) fn make_dirs(base: BorrowedFd<'_>, path: &CStr, mode: u32) -> io::Result<OwnedFd> {
    let mut here = enter(base, c".")?;
    for part in parts(path) {
        here = step(here.as_fd(), part, mode)?;
    }
    Ok(here)
}

fn step(dir: BorrowedFd<'_>, part: &[u8], mode: u32) -> io::Result<OwnedFd> {
    if part == b".." {
        return Err(err(libc::EXDEV));
    }
    let name = Name::new(part)?;
    match enter(dir, name.as_c()) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
            match sys::path::mkdirat(dir, name.as_c(), mode) {
                Err(e) if e.raw_os_error() != Some(libc::EEXIST) => return Err(e),
                _ => {}
            }
            enter(dir, name.as_c())
        }
        opened => opened,
    }
}

/// The parent of a path, made 0755 where it is missing, and the last component. Where all of it is there, one call does.
fn make_parent(base: BorrowedFd<'_>, path: &CStr) -> io::Result<(OwnedFd, Name)> {
    let count = parts(path).count();
    let Some(last) = parts(path).last() else { return Err(err(libc::EINVAL)) };
    if last == b".." {
        return Err(err(libc::EXDEV));
    }
    let mut buf = [0_u8; 128];
    if let Some(dir) = short_prefix(path, &mut buf)
        && let Ok(dir) = enter(base, dir)
    {
        return Ok((dir, Name::new(last)?));
    }
    let mut here = enter(base, c".")?;
    for part in parts(path).take(count - 1) {
        here = step(here.as_fd(), part, 0o755)?;
    }
    Ok((here, Name::new(last)?))
}

/// What stands before the last component, when it is short enough for the buffer; `.` for nothing.
fn short_prefix<'b>(path: &CStr, buf: &'b mut [u8; 128]) -> Option<&'b CStr> {
    let bytes = path.to_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/')?;
    let Some(cut) = bytes.get(..end)?.iter().rposition(|b| *b == b'/') else { return Some(c".") };
    buf.get_mut(..cut)?.copy_from_slice(bytes.get(..cut)?);
    buf.get(..=cut).and_then(|b| CStr::from_bytes_with_nul(b).ok())
}

/// The directory below the rootfs that ops worked in last: nodes and links of /dev come in rows. Any mount empties it.
pub(super) struct Parent {
    path: [u8; 128],
    len: usize,
    dir: OwnedFd,
}

impl Child<'_> {
    /// The directory that a place is resolved from, and its path.
    pub(super) fn base<'p>(&mut self, at: &'p At) -> io::Result<(Base<'_>, &'p CStr)> {
        Ok(match at {
            At::Host(path) => (Base::Host, path.as_c_str()),
            At::Rootfs(path) => {
                if self.root.is_none() {
                    self.root = Some(sys::path::open(c"/", PATH | libc::O_DIRECTORY, 0)?);
                }
                let root = self.root.as_ref().ok_or_else(|| err(libc::ENOENT))?;
                (Base::Dir(root.as_fd()), below(path))
            }
            At::Slot(n, path) => {
                let dir = self.slots.get(*n).and_then(Option::as_ref).ok_or_else(|| err(libc::EBADF))?;
                (Base::Dir(dir.as_fd()), below(path))
            }
            At::Proc(path) => (Base::Dir(self.proc()?), below(path)),
        })
    }

    /// Opens a place with these O_* flags; `how` is for what lies below a directory.
    pub(super) fn resolve(&mut self, at: &At, flags: i32, mode: u32, how: Resolve) -> io::Result<OwnedFd> {
        match self.base(at)? {
            (Base::Host, path) => sys::path::open(path, flags | libc::O_CLOEXEC, mode),
            (Base::Dir(dir), path) => sys::path::openat2(dir, path, flags | libc::O_CLOEXEC, mode, how),
        }
    }

    /// Opens to read from or to bind from: links are followed inside.
    pub(super) fn open(&mut self, at: &At, flags: i32) -> io::Result<OwnedFd> {
        self.resolve(at, flags, 0, Resolve::InRoot)
    }

    /// A place as directory and name, its parent directories made; the directory stays in `self.parent`.
    fn parent(&mut self, at: &At) -> io::Result<(BorrowedFd<'_>, Name)> {
        let mut prefix = [0_u8; 128];
        let len = match at {
            At::Rootfs(path) => short_prefix(below(path), &mut prefix).map_or(0, |p| p.count_bytes()),
            _ => 0,
        };
        let same = |p: &Parent| len > 0 && p.len == len && p.path == prefix;
        if let (Some(true), At::Rootfs(path)) = (self.parent.as_ref().map(same), at) {
            let name = Name::new(parts(path).last().ok_or_else(|| err(libc::EINVAL))?)?;
            let dir = self.parent.as_ref().ok_or_else(|| err(libc::ENOENT))?;
            return Ok((dir.dir.as_fd(), name));
        }
        let (dir, name) = match self.base(at)? {
            (Base::Host, path) => {
                let root = sys::path::open(c"/", PATH | libc::O_DIRECTORY, 0)?;
                make_parent(root.as_fd(), path)?
            }
            (Base::Dir(dir), path) => make_parent(dir, path)?,
        };
        Ok((self.parent.insert(Parent { path: prefix, len, dir }).dir.as_fd(), name))
    }

    /// mkdir -p.
    pub(super) fn mkdir(&mut self, at: &At, mode: u32) -> io::Result<OwnedFd> {
        match self.base(at)? {
            (Base::Host, path) => {
                let root = sys::path::open(c"/", PATH | libc::O_DIRECTORY, 0)?;
                make_dirs(root.as_fd(), path, mode)
            }
            (Base::Dir(dir), path) => make_dirs(dir, path, mode),
        }
    }

    /// An empty file where nothing is; opened as a node.
    pub(super) fn touch(&mut self, at: &At, mode: u32) -> io::Result<OwnedFd> {
        let (dir, name) = self.parent(at)?;
        let node = |flags| sys::path::openat2(dir, name.as_c(), flags, 0, Resolve::BeneathNoLinks);
        match node(PATH | libc::O_NOFOLLOW) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
                match sys::path::mknodat(dir, name.as_c(), libc::S_IFREG | mode, 0) {
                    Err(e) if e.raw_os_error() != Some(libc::EEXIST) => return Err(e),
                    _ => {}
                }
                node(PATH | libc::O_NOFOLLOW)
            }
            opened => opened,
        }
    }

    pub(super) fn file_act(&mut self, act: &Act) -> Done {
        match act {
            Act::Mkdir(at, mode) => drop(self.mkdir(at, *mode)?),
            Act::Symlink { to, at } => {
                let (dir, name) = self.parent(at)?;
                match sys::path::symlinkat(to, dir, name.as_c()) {
                    Err(e) if e.raw_os_error() != Some(libc::EEXIST) => return Err(e.into()),
                    _ => {}
                }
            }
            Act::Write { at, bytes, create } => {
                let flags = libc::O_WRONLY | libc::O_NOCTTY;
                let (flags, mode) = match create {
                    Some(mode) => (flags | libc::O_CREAT | libc::O_TRUNC, *mode),
                    None => (flags, 0),
                };
                let file = self.resolve(at, flags, mode, Resolve::BeneathNoLinks)?;
                sys::fd::write_all(file.as_fd(), bytes)?;
            }
            Act::Node { at, mode, dev, host, uid, gid } => {
                if self.node(at, *mode, *dev, (*uid, *gid)).is_err() {
                    self.bind_node(at, host)?;
                }
            }
            _ => return Err(err(libc::ENOSYS).into()),
        }
        Ok(())
    }

    /// A real device node that can be opened.
    fn node(&mut self, at: &At, mode: u32, dev: u64, ids: (u32, u32)) -> io::Result<()> {
        let (dir, name) = self.parent(at)?;
        match sys::path::mknodat(dir, name.as_c(), mode, dev) {
            Ok(()) => {
                if ids != (0, 0) {
                    sys::path::chownat(dir, name.as_c(), ids.0, ids.1)?;
                }
                Ok(())
            }
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {
                let stat = sys::path::statat(dir, name.as_c(), false)?;
                let same = stat.mode & libc::S_IFMT == mode & libc::S_IFMT && stat.rdev == dev;
                if same { Ok(()) } else { Err(err(libc::EEXIST)) }
            }
            Err(e) => Err(e),
        }
    }

    /// The host's node bound on an empty file.
    fn bind_node(&mut self, at: &At, host: &CStr) -> io::Result<()> {
        let target = self.touch(at, 0)?;
        let tree = sys::mount::open_tree(sys::path::cwd(), host, sys::mount::OPEN_TREE_CLONE)?;
        sys::mount::move_mount(tree.as_fd(), target.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_strips_leading_slashes() {
        assert_eq!(below(c"//a/b"), c"a/b");
        assert_eq!(below(c"/"), c".");
        assert_eq!(below(c""), c".");
        assert_eq!(below(c"a"), c"a");
    }

    #[test]
    fn names_are_bounded() {
        assert_eq!(Name::new(b"abc").unwrap().as_c(), c"abc");
        assert_eq!(Name::new(&[b'x'; 255]).unwrap().as_c().count_bytes(), 255);
        assert!(Name::new(&[b'x'; 256]).is_err());
    }

    #[test]
    fn directories_are_made_and_symlinks_refused() {
        let dir = std::env::temp_dir().join(format!("lxc-interp-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::os::unix::fs::symlink("/etc", dir.join("link")).unwrap();
        let base = std::fs::File::open(&dir).unwrap();
        drop(make_dirs(base.as_fd(), c"a//b/./c", 0o755).unwrap());
        assert!(dir.join("a/b/c").is_dir());
        drop(make_dirs(base.as_fd(), c"a/b", 0o755).unwrap());
        assert!(make_dirs(base.as_fd(), c"link/x", 0o755).is_err());
        assert!(make_dirs(base.as_fd(), c"a/../../x", 0o755).is_err());
        let (parent, name) = make_parent(base.as_fd(), c"/q/r").unwrap();
        assert_eq!(name.as_c(), c"r");
        drop(parent);
        assert!(dir.join("q").is_dir());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
