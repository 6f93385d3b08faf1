//! Mounts, the rootfs and the pivot for the interpreter. Same rule as `interp`: no allocation, no lock.
#![forbid(unsafe_code)]
#![deny(clippy::disallowed_methods)]

use super::interp::{Child, err};
use super::interp_path::PATH;
use super::sync::{Kind, Record};
use crate::base::op::{At, Create, MountOp, RootfsOp, Source};
use crate::sys;
use crate::sys::mount as m;
use crate::sys::path::Resolve;
use nix::libc;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// MS_* flags (mount(2)) and what mount_setattr(2) calls them. RELATIME is the absence of the other two.
const FLAGS: [(u64, u64); 8] = [
    (libc::MS_RDONLY, m::ATTR_RDONLY),
    (libc::MS_NOSUID, m::ATTR_NOSUID),
    (libc::MS_NODEV, m::ATTR_NODEV),
    (libc::MS_NOEXEC, m::ATTR_NOEXEC),
    (libc::MS_NODIRATIME, m::ATTR_NODIRATIME),
    (libc::MS_NOATIME, m::ATTR_NOATIME),
    (libc::MS_STRICTATIME, m::ATTR_STRICTATIME),
    (256, m::ATTR_NOSYMFOLLOW),
];

/// Attributes to set and to clear.
fn attributes(set: u64, clear: u64) -> (u64, u64) {
    let map = |flags: u64| FLAGS.iter().filter(|(ms, _)| flags & ms != 0).fold(0, |a, (_, attr)| a | attr);
    let (set_attr, mut clear_attr) = (map(set), map(clear));
    // The kernel wants the whole field cleared when one of its values is set (mount_setattr(2)).
    let times = libc::MS_NOATIME | libc::MS_STRICTATIME | libc::MS_RELATIME;
    if (set | clear) & times != 0 {
        clear_attr |= m::ATTR_ATIME;
    }
    (set_attr, clear_attr & (!set_attr | m::ATTR_ATIME))
}

/// What happens to a tree before it is placed; fields as in [`MountOp`].
struct How {
    flags: u64,
    clear: u64,
    deep_flags: bool,
    propagation: u64,
    idmapped: Option<usize>,
}

fn missing(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

impl Child<'_> {
    pub(super) fn mount(&mut self, op: &MountOp) -> io::Result<()> {
        match self.mount_now(op) {
            Err(e) if op.if_present && missing(&e) => Ok(()),
            done => done,
        }
    }

    fn mount_now(&mut self, op: &MountOp) -> io::Result<()> {
        let at = &op.target;
        match &op.source {
            Source::Remount => {
                let on = self.target(at, Create::No)?;
                let (set, clear) = attributes(op.flags, op.clear);
                setattr(on.as_fd(), op.recursive_flags, set, clear, op.propagation)
            }
            Source::Fs { fstype, name, data } => {
                let on = self.target(at, op.create)?;
                mount_on(on.as_fd(), name, fstype, op.flags, data.as_deref())?;
                if op.propagation != 0 {
                    drop(on);
                    let on = self.target(at, Create::No)?;
                    setattr(on.as_fd(), false, 0, 0, op.propagation)?;
                }
                Ok(())
            }
            source => {
                let how = How {
                    flags: op.flags,
                    clear: op.clear,
                    deep_flags: op.recursive_flags,
                    propagation: op.propagation,
                    idmapped: op.idmapped,
                };
                let tree = self.tree(source, &how)?;
                let on = self.target(at, op.create)?;
                m::move_mount(tree.as_fd(), on.as_fd())
            }
        }
    }

    /// A detached tree of the source, flags applied.
    fn tree(&mut self, source: &Source, how: &How) -> io::Result<OwnedFd> {
        let (set, clear) = attributes(how.flags, how.clear);
        let tree = match source {
            Source::Bind { from, recursive } => self.clone_tree(from, *recursive)?,
            Source::Fd(fd) => m::open_tree(self.fd(*fd)?, c"", m::OPEN_TREE_CLONE)?,
            Source::Held(number) => sys::fd::dup_cloexec(sys::fd::borrow(*number)?)?,
            Source::Moved(at) => self.open(at, PATH)?,
            Source::Fs { fstype, name, data } => return detached(fstype, name, data.as_deref(), set),
            Source::Remount => return Err(err(libc::EINVAL)),
        };
        if set != 0 || clear != 0 || how.propagation != 0 {
            setattr(tree.as_fd(), how.deep_flags, set, clear, how.propagation)?;
        }
        if let Some(n) = how.idmapped { self.idmapped(tree, n) } else { Ok(tree) }
    }

    fn clone_tree(&mut self, from: &At, deep: bool) -> io::Result<OwnedFd> {
        let flags = m::OPEN_TREE_CLONE | if deep { m::AT_RECURSIVE } else { 0 };
        match from {
            At::Host(path) => m::open_tree(sys::path::cwd(), path, flags),
            at => {
                let source = self.open(at, PATH)?;
                m::open_tree(source.as_fd(), c"", flags)
            }
        }
    }

    /// The parent, which may write id mappings, gets the tree, changes it and says so.
    fn idmapped(&mut self, tree: OwnedFd, n: usize) -> io::Result<OwnedFd> {
        self.channel.send(&Record::new(Kind::Idmap, n as u32), &[tree.as_fd()])?;
        self.channel.wait_go()?;
        Ok(tree)
    }

    /// The node that a mount goes on; made if asked.
    fn target(&mut self, at: &At, create: Create) -> io::Result<OwnedFd> {
        match (self.resolve(at, PATH, 0, Resolve::BeneathNoLinks), create) {
            (Err(e), Create::Dir) if e.raw_os_error() == Some(libc::ENOENT) => self.mkdir(at, 0o755),
            (Err(e), Create::File) if e.raw_os_error() == Some(libc::ENOENT) => self.touch(at, 0),
            (opened, _) => opened,
        }
    }

    pub(super) fn umount(&mut self, at: &At, flags: i32) -> io::Result<()> {
        let done = match self.resolve(at, PATH | libc::O_NOFOLLOW, 0, Resolve::BeneathNoLinks) {
            Ok(node) => {
                let mut buf = [0_u8; 32];
                m::umount2(sys::path::proc_fd_path(node.as_fd(), &mut buf), flags)
            }
            Err(e) => Err(e),
        };
        match done {
            Err(e) if missing(&e) || e.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            done => done,
        }
    }

    pub(super) fn propagate(&mut self, at: &At, how: u64) -> io::Result<()> {
        let node = self.resolve(at, PATH, 0, Resolve::BeneathNoLinks)?;
        setattr(node.as_fd(), false, 0, 0, how)
    }

    pub(super) fn rootfs(&mut self, op: &RootfsOp) -> io::Result<()> {
        let Some(source) = &op.source else {
            self.root = Some(sys::path::open(c"/", PATH | libc::O_DIRECTORY, 0)?);
            return Ok(());
        };
        let how = How {
            flags: op.flags,
            clear: op.clear,
            deep_flags: false,
            propagation: op.propagation,
            idmapped: op.idmapped,
        };
        if let Source::Fs { fstype, name, data } = source {
            m::mount(Some(name), &op.mount, Some(fstype), op.flags, data.as_deref())?;
        } else {
            let tree = self.tree(source, &how)?;
            let on = sys::path::open(&op.mount, PATH | libc::O_DIRECTORY, 0)?;
            m::move_mount(tree.as_fd(), on.as_fd())?;
        }
        self.root = Some(sys::path::open(&op.mount, PATH | libc::O_DIRECTORY, 0)?);
        Ok(())
    }

    /// pivot_root(2) with both arguments the same directory: the old root lies on the new one for a moment and goes.
    pub(super) fn pivot(&mut self) -> io::Result<()> {
        let root = self.root.take().ok_or_else(|| err(libc::ENOENT))?;
        sys::process::fchdir(root.as_fd())?;
        match m::pivot_root(c".", c".") {
            Ok(()) => m::umount2(c".", libc::MNT_DETACH)?,
            // The root of an initial ramfs cannot be pivoted away: the new root moves over it.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                m::mount(Some(c"."), c"/", None, libc::MS_MOVE, None)?;
                sys::process::chroot(c".")?;
            }
            Err(e) => return Err(e),
        }
        sys::process::chdir(c"/")?;
        let root = sys::path::open(c"/", PATH | libc::O_DIRECTORY, 0)?;
        setattr(root.as_fd(), false, 0, 0, libc::MS_SHARED | libc::MS_REC)?;
        self.root = Some(root);
        Ok(())
    }
}

/// Flags and propagation by one call where both reach equally far, by two otherwise.
fn setattr(fd: BorrowedFd<'_>, deep: bool, set: u64, clear: u64, propagation: u64) -> io::Result<()> {
    let deep_propagation = propagation & libc::MS_REC != 0;
    let propagation = propagation & !libc::MS_REC;
    if propagation == 0 || deep == deep_propagation || (set | clear) == 0 {
        let deep = if propagation == 0 { deep } else { deep_propagation };
        return m::mount_setattr(fd, c"", deep, m::SetAttr { set, clear, propagation }, None);
    }
    m::mount_setattr(fd, c"", deep, m::SetAttr { set, clear, propagation: 0 }, None)?;
    m::mount_setattr(fd, c"", deep_propagation, m::SetAttr { set: 0, clear: 0, propagation }, None)
}

/// mount(2) on an open node: by its directory where it is one (that needs no /proc), by its /proc name otherwise.
fn mount_on(on: BorrowedFd, name: &CStr, fstype: &CStr, flags: u64, data: Option<&CStr>) -> io::Result<()> {
    if sys::process::fchdir(on).is_ok() {
        return m::mount(Some(name), c".", Some(fstype), flags, data);
    }
    let mut buf = [0_u8; 32];
    m::mount(Some(name), sys::path::proc_fd_path(on, &mut buf), Some(fstype), flags, data)
}

/// A new file system that is attached nowhere; its data goes over word by word (fsconfig(2)).
fn detached(fstype: &CStr, name: &CStr, data: Option<&CStr>, attr: u64) -> io::Result<OwnedFd> {
    let context = m::fsopen(fstype)?;
    m::fsconfig_string(context.as_fd(), c"source", name)?;
    for word in data.unwrap_or(c"").to_bytes().split(|b| *b == b',').filter(|w| !w.is_empty()) {
        let (mut key, mut value) = ([0_u8; 256], [0_u8; 256]);
        let cut = word.iter().position(|b| *b == b'=');
        let key = c_in(&mut key, word.get(..cut.unwrap_or(word.len())).unwrap_or_default())?;
        match cut.and_then(|c| word.get(c + 1..)) {
            Some(v) => m::fsconfig_string(context.as_fd(), key, c_in(&mut value, v)?)?,
            None => m::fsconfig_flag(context.as_fd(), key)?,
        }
    }
    m::fsconfig_create(context.as_fd())?;
    m::fsmount(context.as_fd(), attr)
}

/// Bytes as a C string in a buffer.
fn c_in<'b>(buf: &'b mut [u8; 256], bytes: &[u8]) -> io::Result<&'b CStr> {
    buf.get_mut(..bytes.len()).ok_or_else(|| err(libc::E2BIG))?.copy_from_slice(bytes);
    let whole: &[u8] = buf;
    whole.get(..=bytes.len()).and_then(|b| CStr::from_bytes_with_nul(b).ok()).ok_or_else(|| err(libc::E2BIG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_attributes() {
        assert_eq!(attributes(libc::MS_RDONLY | libc::MS_NODEV, 0), (m::ATTR_RDONLY | m::ATTR_NODEV, 0));
        assert_eq!(attributes(0, libc::MS_RDONLY), (0, m::ATTR_RDONLY));
        let (set, clear) = attributes(libc::MS_NOATIME, 0);
        assert_eq!((set, clear), (m::ATTR_NOATIME, m::ATTR_ATIME));
        assert_eq!(attributes(libc::MS_RELATIME, 0), (0, m::ATTR_ATIME));
    }
}
