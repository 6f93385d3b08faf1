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

/// The leaf below a cgroup2 group that attached processes go to: `.lxc`, made when missing. Whatever a container has made of
/// it may refuse processes (it hands controllers on, it is threaded): then it is `.lxc-1`, and so on.
///
/// # Errors
/// No leaf can be made; EBUSY when a thousand of them refuse.
pub fn leaf(dir: &impl AsFd) -> io::Result<OwnedFd> {
    for i in 0..1000 {
        let name = if i == 0 { ".lxc".to_string() } else { format!(".lxc-{i}") };
        let path = file::below(dir.as_fd(), &name);
        let fresh = match file::make_dir(&path) {
            Ok(()) => true,
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => false,
            Err(e) => return Err(e),
        };
        match file::open_dir(&path) {
            Ok(fd) if takes_processes(&fd) => return Ok(fd),
            // Beside threaded groups no new one takes any.
            Ok(_) if fresh => return std::fs::remove_dir(&path).and(Err(io::Error::from_raw_os_error(libc::EBUSY))),
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

/// By the rules of cgroup-v2.rst, "No Internal Process Constraint" and "Threads".
fn takes_processes(dir: &impl AsFd) -> bool {
    file::read_at(dir, "cgroup.subtree_control").is_ok_and(|t| t.trim().is_empty())
        && file::read_at(dir, "cgroup.type").is_ok_and(|t| t.trim() == "domain")
}
