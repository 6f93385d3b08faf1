//! Freezing and thawing all processes of a group: `freezer.state` of version 1, `cgroup.freeze` and `cgroup.events` of
//! cgroup2 (Linux: cgroup-v1/freezer-subsystem.rst, cgroup-v2.rst). Announces nothing.
#![forbid(unsafe_code)]

use super::file;
use super::layout::Kind;
use crate::base::{Error, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Freezes the group open as `dir` and waits until every process has stopped; `None` waits for ever.
///
/// # Errors
/// A kernel without a freezer; ETIMEDOUT when some process does not stop in time: the group is thawed again then.
pub fn freeze(dir: &impl AsFd, kind: Kind, patience: Option<Duration>) -> Result<()> {
    let done = change(dir, kind, true, patience);
    if done.as_ref().is_err_and(|e| e.raw_os_error() == Some(libc::ETIMEDOUT)) {
        _ = change(dir, kind, false, Some(Duration::ZERO));
    }
    done.map_err(|e| Error::io(&e, "cannot freeze the container's cgroup"))
}

/// Thaws it.
///
/// # Errors
/// As [`freeze`].
pub fn thaw(dir: &impl AsFd, kind: Kind, patience: Option<Duration>) -> Result<()> {
    change(dir, kind, false, patience).map_err(|e| Error::io(&e, "cannot thaw the container's cgroup"))
}

/// Whether the group is frozen, by its own setting or a parent's.
///
/// # Errors
/// A kernel without a freezer.
pub fn is_frozen(dir: &impl AsFd, kind: Kind) -> Result<bool> {
    let state = match kind {
        Kind::V1 => file::read_at(dir, "freezer.state").map(|s| s.trim() != "THAWED"),
        Kind::V2 => file::read_at(dir, "cgroup.events").map(|s| s.lines().any(|l| l == "frozen 1")),
    };
    state.map_err(|e| Error::io(&e, "cannot read the freezer's state"))
}

fn change(dir: &impl AsFd, kind: Kind, frozen: bool, patience: Option<Duration>) -> io::Result<()> {
    let end = patience.map(|p| Instant::now() + p);
    match kind {
        Kind::V1 => change_v1(dir, frozen, end),
        Kind::V2 => change_v2(dir, frozen, end),
    }
}

/// Version 1 has no event: the state is read again after a pause, and written again, as the kernel asks for, when a
/// process was too busy to stop.
fn change_v1(dir: &impl AsFd, frozen: bool, end: Option<Instant>) -> io::Result<()> {
    let word = if frozen { "FROZEN" } else { "THAWED" };
    let mut pause = Duration::from_micros(250);
    loop {
        file::write_at(dir, "freezer.state", word.as_bytes())?;
        if file::read_at(dir, "freezer.state")?.trim() == word {
            return Ok(());
        }
        if end.is_some_and(|e| Instant::now() >= e) {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn change_v2(dir: &impl AsFd, frozen: bool, end: Option<Instant>) -> io::Result<()> {
    let mut events = File::open(file::below(dir.as_fd(), "cgroup.events"))?;
    let want = if frozen { "frozen 1" } else { "frozen 0" };
    file::write_at(dir, "cgroup.freeze", if frozen { b"1" } else { b"0" })?;
    loop {
        let mut text = String::new();
        events.rewind()?;
        events.read_to_string(&mut text)?;
        if text.lines().any(|l| l == want) {
            return Ok(());
        }
        let left = end.map(|e| e.saturating_duration_since(Instant::now()));
        if left.is_some_and(|l| l.is_zero()) {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        // The kernel reports a change as POLLPRI; a second at most, so that a missed one costs no more.
        let wait = left.map_or(1000, |l| l.as_millis().clamp(1, 1000));
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLPRI)];
        poll(&mut fds, PollTimeout::from(u16::try_from(wait).unwrap_or(1000)))?;
    }
}
