//! How a group comes to be: the first free name is claimed by a lock in the leader hierarchy, the same path is made in the
//! others, and what a dead owner left in its way is cleared. Owns no decision about names or limits.
#![forbid(unsafe_code)]

use super::groups::stage;
use super::layout::{Hierarchy, Host, Layout};
use super::names::Stem;
use super::remove::{LEFTOVER, remove_role};
use super::{cpuset, file, leftover, tree};
use crate::base::{Context, Error, Result};
use crate::sys::flock::try_lock;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// A made group: the same path in every hierarchy.
#[derive(Debug)]
pub(super) struct Role {
    /// Path below the base.
    pub(super) rel: String,
    /// The directory in the leader hierarchy, locked while the name is ours.
    pub(super) leader: OwnedFd,
}

/// The hierarchy whose directory carries the lock, and the others.
pub(super) fn leader(host: &Host) -> usize {
    host.v2().unwrap_or(0)
}

/// Makes a group under the first name that is free. `inner` is `None` for the monitor.
pub(super) fn claim(
    host: &Host,
    stem: &Stem,
    inner: Option<Option<&str>>,
    share: &mut Option<cpuset::Share>,
) -> Result<Role> {
    let mut candidates = stem.candidates();
    while let Some(rel) = candidates.next() {
        if let Some(role) = try_claim(host, &rel, inner, share)? {
            // A start that was killed while this name was still in use has left the next one.
            candidates.take(2).for_each(|rel| sweep(host, &rel));
            return Ok(role);
        }
        crate::log_info!("The cgroup {rel} is in use");
    }
    Err(Error::os(libc::EEXIST, format!("cgroup {} is in use", stem.path))
        .stage("cgroup")
        .hint("another container has this name or lxc.cgroup.dir.* value; see it with: systemd-cgls, lxc-ls --active"))
}

/// Makes a group in all hierarchies; `None` when the name is somebody else's.
fn try_claim(
    host: &Host,
    rel: &str,
    inner: Option<Option<&str>>,
    share: &mut Option<cpuset::Share>,
) -> Result<Option<Role>> {
    let first = leader(host);
    let Some(leader) = claim_leader(host, first, rel)? else { return Ok(None) };
    let role = Role { rel: rel.to_string(), leader };
    // What the groups above took from their parent, the next one takes as well.
    let mut local = None;
    let share = if rel.contains('/') { &mut local } else { share };
    fill(host, first, role, inner, share)
}

/// Removes a group that nobody has locked and nothing is in.
fn sweep(host: &Host, rel: &str) {
    let dir = host.hierarchies.get(leader(host)).map(|h| h.dir(rel)).unwrap_or_default();
    let Ok(f) = file::open_dir(&dir).map(File::from) else { return };
    let empty = file::read(format!("{dir}/cgroup.procs")).is_ok_and(|procs| procs.is_empty());
    if empty && try_lock(&f, true).is_ok() {
        let _ = remove_role(host, &Role { rel: rel.to_string(), leader: f.into() }, false, None);
    }
}

/// Makes and locks the directory in the leader hierarchy, clearing what a dead owner left.
fn claim_leader(host: &Host, first: usize, rel: &str) -> Result<Option<OwnedFd>> {
    let Some(h) = host.hierarchies.get(first) else { return Ok(None) };
    let dir = h.dir(rel);
    for _ in 0..16 {
        let fresh = make_dir(host, h, rel)?;
        let Ok(f) = file::open_dir(&dir).map(File::from) else { continue };
        let Ok(inode) = f.metadata().map(|m| m.ino()) else { continue };
        if try_lock(&f, !fresh).is_err() {
            return Ok(None);
        }
        if !fresh {
            leftover::thaw_dying(host, rel);
            if tree::remove(&dir, false, LEFTOVER).is_err() {
                return Ok(None);
            }
        } else if fs::metadata(&dir).is_ok_and(|m| m.ino() == inode) {
            return Ok(Some(f.into()));
        }
    }
    Ok(None)
}

/// Makes the group in the other hierarchies and sets all up; rolls back when one is in use.
fn fill(
    host: &Host,
    first: usize,
    role: Role,
    inner: Option<Option<&str>>,
    share: &mut Option<cpuset::Share>,
) -> Result<Option<Role>> {
    for (i, h) in host.hierarchies.iter().enumerate() {
        let done = fill_one(host, h, &role, i == first, inner, share);
        match done {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                // What stands of it is ours: the leader's lock says so.
                _ = remove_role(host, &role, false, None);
                return done.map(|_| None);
            }
        }
    }
    Ok(Some(role))
}

fn fill_one(
    host: &Host,
    h: &Hierarchy,
    role: &Role,
    is_made: bool,
    inner: Option<Option<&str>>,
    share: &mut Option<cpuset::Share>,
) -> Result<bool> {
    let dir = h.dir(&role.rel);
    if !is_made && !make_dir(host, h, &role.rel)? {
        let again = tree::remove(&dir, false, LEFTOVER).is_ok() && make_dir(host, h, &role.rel)?;
        if !again {
            return Ok(false);
        }
    }
    let set_up = |dir: &str, share: &mut Option<cpuset::Share>| -> io::Result<()> {
        if h.has("cpuset") {
            let parent = dir.rsplit_once('/').map_or(h.mount.as_str(), |(p, _)| p);
            let s = match share.take() {
                Some(s) => s,
                None => cpuset::of_parent(parent, &h.mount)?,
            };
            cpuset::set(dir, &s, inner.is_some())?;
            *share = Some(s);
        }
        Ok(())
    };
    set_up(&dir, share).ctx(|| format!("cannot set up cgroup {dir}")).map_err(stage)?;
    if let Some(Some(leaf)) = inner {
        if host.layout == Layout::Unified {
            enable_controllers(&dir);
        }
        let leaf = format!("{dir}/{leaf}");
        file::make_dir(&leaf).ctx(|| format!("cannot make cgroup {leaf}")).map_err(stage)?;
        set_up(&leaf, share).ctx(|| format!("cannot set up cgroup {leaf}")).map_err(stage)?;
    }
    Ok(true)
}

/// Makes a group's directory and the missing ones above it; `false` when it exists.
fn make_dir(host: &Host, h: &Hierarchy, rel: &str) -> Result<bool> {
    let base = h.base_dir();
    // A parent may go (its last user removes it) between two of our calls: then once more from the top.
    for _ in 0..8 {
        let mut end = rel.find('/');
        while let Some(at) = end {
            let parent = format!("{base}/{}", rel.get(..at).unwrap_or_default());
            match file::make_dir(&parent) {
                Ok(()) => {
                    tree::mark(&parent);
                    if h.has("cpuset") {
                        let above = parent.rsplit_once('/').map_or(h.mount.as_str(), |(p, _)| p);
                        let share =
                            cpuset::of_parent(above, &h.mount).ctx(|| format!("cannot read cpuset of {above}"))?;
                        cpuset::set(&parent, &share, false).ctx(|| format!("cannot set up cgroup {parent}"))?;
                    }
                }
                Err(e) if matches!(e.raw_os_error(), Some(libc::EEXIST | libc::ENOENT)) => {}
                Err(e) => return Err(cannot_make(&e, &parent)),
            }
            if host.layout == Layout::Unified {
                enable_controllers(&parent);
            }
            end = rel.get(at + 1..).and_then(|r| r.find('/')).map(|n| at + 1 + n);
        }
        let dir = h.dir(rel);
        match file::make_dir(&dir) {
            Ok(()) => {
                return Ok(true);
            }
            Err(e) if e.raw_os_error() == Some(libc::EEXIST) => return Ok(false),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) && rel.contains('/') => {}
            Err(e) => return Err(cannot_make(&e, &dir)),
        }
    }
    Err(cannot_make(&io::Error::from_raw_os_error(libc::ENOENT), &h.dir(rel)))
}

pub(super) fn cannot_make(e: &io::Error, dir: &str) -> Error {
    let err = Error::io(e, format!("cannot make cgroup {dir}")).stage("cgroup");
    match e.raw_os_error() {
        Some(libc::EROFS) => err.hint("mount -o remount,rw the cgroup file system"),
        Some(libc::EACCES | libc::EPERM) => err.hint(
            "run as root, or in a group delegated to you: systemd-run --user --scope -p Delegate=yes lxc-start …",
        ),
        Some(libc::EAGAIN | libc::ENOSPC) => {
            err.hint("cgroup.max.descendants or cgroup.max.depth of a parent is reached")
        }
        _ => err,
    }
}

/// Hands all controllers of a cgroup2 group on to its children. A refusal is no failure: a limit that needs the
/// controller will say so.
pub(super) fn enable_controllers(dir: &str) {
    let have = file::read(format!("{dir}/cgroup.controllers")).unwrap_or_default();
    let on = file::read(format!("{dir}/cgroup.subtree_control")).unwrap_or_default();
    let missing: Vec<String> =
        have.split_whitespace().filter(|c| !on.split_whitespace().any(|o| o == *c)).map(|c| format!("+{c}")).collect();
    if missing.is_empty() {
        return;
    }
    let path = format!("{dir}/cgroup.subtree_control");
    if let Err(e) = file::write(&path, missing.join(" ").as_bytes()) {
        for c in &missing {
            if file::write(&path, c.as_bytes()).is_err() {
                crate::log_debug!(errno = e, "Cannot write {c} to {path}");
            }
        }
    }
}
