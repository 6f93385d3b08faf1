//! Entering the groups of a running container: what lxc-attach does with the directories that the monitor sends
//! (GET_CGROUP_CTX). Which process enters, and when, is the runtime's.
#![forbid(unsafe_code)]

use super::file;
use super::layout::Kind;
use crate::base::{Context, Error, Result};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A container's groups, ready to be entered.
#[derive(Debug, Default)]
pub struct Join {
    /// `tasks` of version 1, open for writing: the entering process writes `0` to each.
    pub tasks: Vec<OwnedFd>,
    /// The cgroup2 directory, for clone3(CLONE_INTO_CGROUP).
    pub v2: Option<OwnedFd>,
}

/// Sorts directories by their file system and opens what is needed to enter them.
///
/// # Errors
/// A directory that is none of a cgroup file system, a file that cannot be opened.
pub fn join(dirs: Vec<OwnedFd>) -> Result<Join> {
    let mut out = Join::default();
    for dir in dirs {
        match kind(dir.as_fd())? {
            Kind::V2 => out.v2 = Some(dir),
            Kind::V1 => {
                let path = file::below(dir.as_fd(), "tasks");
                let f =
                    OpenOptions::new().write(true).open(path).ctx(|| "cannot open the container's cgroup".into())?;
                out.tasks.push(f.into());
            }
        }
    }
    Ok(out)
}

/// The version of an open cgroup directory.
///
/// # Errors
/// EINVAL for any other file system.
pub fn kind(dir: BorrowedFd<'_>) -> Result<Kind> {
    let magic = nix::sys::statfs::fstatfs(dir).ctx(|| "cannot look at a cgroup directory".into())?.filesystem_type().0;
    [Kind::V1, Kind::V2]
        .into_iter()
        .find(|k| k.magic() == magic)
        .ok_or_else(|| Error::os(libc::EINVAL, "the monitor sent a directory that is no cgroup"))
}

/// A leaf below a cgroup2 group that refuses processes, since its children have controllers (EBUSY on entering): `.lxc`,
/// made when missing, else `.lxc-1` … Whatever is in the way and refuses as well is passed over by `try_enter`.
///
/// # Errors
/// No leaf could be made and entered; what `try_enter` said last.
pub fn leaf<T>(dir: &impl AsFd, mut try_enter: impl FnMut(OwnedFd) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::from_raw_os_error(libc::EBUSY);
    for i in 0..1000 {
        let name = if i == 0 { ".lxc".to_string() } else { format!(".lxc-{i}") };
        let path = file::below(dir.as_fd(), &name);
        match file::make_dir(&path) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {}
            Err(e) => return Err(e),
        }
        match file::open_dir(&path).and_then(&mut try_enter) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EBUSY | libc::EOPNOTSUPP | libc::ENOENT)) => last = e,
            done => return done,
        }
    }
    Err(last)
}
