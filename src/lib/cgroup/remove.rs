//! How a group goes: out of all hierarchies, with the parents that were made for it, after the process that removes it has
//! left it. Owns no decision about when.
#![forbid(unsafe_code)]

use super::layout::{Hierarchy, Host, Kind};
use super::make::{Role, leader};
use super::{file, leftover, tree};
use crate::base::{Error, Result};
use std::fs;
use std::time::Duration;

/// How long a start waits for the last processes of a killed container of the same name.
pub(super) const LEFTOVER: Duration = Duration::from_millis(60);
/// How long the removal of a group waits for what was killed in it.
const DYING: Duration = Duration::from_secs(3);

/// Removes a group in all hierarchies, and its parents as far as they were made for it and are empty.
/// With `leave` the calling process leaves it first; see [`leave_for_base`].
pub(super) fn remove_role(host: &Host, role: &Role, kill: bool, leave: Option<&str>) -> Result<()> {
    let mut result = Ok(());
    let first = leader(host);
    if kill
        && host.hierarchies.get(first).is_some_and(|h| tree::remove(&h.dir(&role.rel), false, Duration::ZERO).is_err())
    {
        // What version 1 has frozen does not die.
        leftover::thaw(host, &role.rel);
    }
    // To kill, cgroup2 first: one write there ends whatever is left, in all hierarchies. Else the leader last: while it
    // stands the name is ours, and a start that comes meanwhile does not put its own groups where we still remove.
    let mut order: Vec<usize> = (0..host.hierarchies.len()).filter(|i| *i != first).collect();
    order.insert(if kill { 0 } else { order.len() }, first);
    for h in order.into_iter().filter_map(|i| host.hierarchies.get(i)) {
        let dir = h.dir(&role.rel);
        if let (Some(pivot), true) = (leave, fs::remove_dir(&dir).is_err_and(|e| e.raw_os_error() == Some(libc::EBUSY)))
        {
            leave_for_base(h, pivot);
        }
        let patience = if kill || leave.is_some() { DYING } else { LEFTOVER };
        match tree::remove(&dir, kill, patience) {
            Ok(()) => tree::remove_parents(&h.base_dir(), &role.rel),
            Err(e) if result.is_ok() => {
                result = Err(Error::io(&e, format!("cannot remove cgroup {dir}")).stage("cgroup"))
            }
            Err(_) => {}
        }
    }
    result
}

/// Moves the calling process, of one thread, out of its group: to the base, where that refuses (it hands controllers on
/// and is not the top) to PID 1's own group or the top, and where none of them takes it to the leaf `pivot` of the base,
/// which stays.
fn leave_for_base(h: &Hierarchy, pivot: &str) {
    let base = h.base_dir();
    if h.kind == Kind::V1 {
        if file::write(format!("{base}/tasks"), b"0").is_err() && !h.base.is_empty() {
            _ = file::write(format!("{}/tasks", h.mount), b"0");
        }
        return;
    }
    let enter = |dir: &str| file::write(format!("{dir}/cgroup.procs"), b"0").is_ok();
    let inits = || {
        let text = file::read("/proc/1/cgroup").unwrap_or_default();
        let path = text.lines().find_map(|l| l.strip_prefix("0::")).map(str::to_string);
        // A group outside the cgroup namespace shows as `/..`.
        path.filter(|p| !p.contains("/..")).map(|p| format!("{}{p}", h.mount))
    };
    if enter(&base) || inits().is_some_and(|dir| enter(&dir)) || (!h.base.is_empty() && enter(&h.mount)) {
        return;
    }
    let pivot = format!("{base}/{pivot}");
    _ = file::make_dir(&pivot);
    if !enter(&pivot) {
        _ = fs::remove_dir(&pivot);
    }
}
