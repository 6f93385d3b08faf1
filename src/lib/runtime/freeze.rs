//! Freezing and thawing a running container from outside: the client writes the freezer and tells the monitor, and
//! lxc-monitord, what it has done. That is the protocol's division of work, seen with LXC 5.0.2 on both versions of cgroups.
#![forbid(unsafe_code)]

use crate::base::{Error, Result};
use crate::cgroup::{Kind, freezer};
use crate::ipc::monitor::publish;
use crate::ipc::wire::Event;
use crate::ipc::{Client, Fail, State};
use nix::libc;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long a freezer may need.
const PATIENCE: Duration = Duration::from_secs(60);

/// Freezes. Nothing happens to a container that is frozen already.
///
/// # Errors
/// It does not run; the monitor does not answer, or not to this user; a process does not freeze in time: the group is
/// thawed again then.
pub fn freeze(client: &Client) -> Result<()> {
    match client.state() {
        Ok(State::Frozen) => Ok(()),
        Ok(State::Stopped) => Err(Fail::NotRunning.error(client.container(), "freeze it")),
        Ok(_) => act(client, true),
        Err(f) => Err(f.error(client.container(), "tell its state")),
    }
}

/// Thaws. Nothing happens to a container that is not frozen.
///
/// # Errors
/// It does not run; the monitor does not answer, or not to this user.
pub fn unfreeze(client: &Client) -> Result<()> {
    match client.state() {
        Ok(State::Frozen | State::Freezing) => act(client, false),
        Ok(State::Stopped) => Err(Fail::NotRunning.error(client.container(), "thaw it")),
        Ok(_) => Ok(()),
        Err(f) => Err(f.error(client.container(), "tell its state")),
    }
}

fn act(client: &Client, on: bool) -> Result<()> {
    let failed = |f: Fail| f.error(client.container(), if on { "freeze it" } else { "thaw it" });
    // Only on pure cgroup2 a monitor hands out this descriptor.
    let (kind, dir) = match client.limit_cgroup2_fd() {
        Ok(dir) => (Kind::V2, dir),
        Err(f @ (Fail::NotRunning | Fail::Denied | Fail::Timeout)) => return Err(failed(f)),
        Err(_) => group(client)?,
    };
    tell(client, if on { State::Freezing } else { State::Thawed }).map_err(failed)?;
    match set(client, kind, &dir, on) {
        Ok(Done::Here) => {}
        Ok(Done::ByMonitor) => return Ok(()),
        Err(e) => {
            if on {
                let _ = tell(client, State::Running);
            }
            return Err(e);
        }
    }
    // With version 1, readers of lxc-monitor count on seeing FROZEN and THAWED twice: so LXC tells them.
    let again = kind == Kind::V1;
    if on {
        tell(client, State::Frozen).map_err(failed)?;
        if again {
            publish(client.store(), client.container(), Event::State(State::Frozen));
        }
        return Ok(());
    }
    if again {
        tell(client, State::Thawed).map_err(failed)?;
    }
    tell(client, State::Running).map_err(failed)
}

/// Who did it.
enum Done {
    /// The caller: it has to tell.
    Here,
    /// The monitor, which tells as well.
    ByMonitor,
}

/// Sets the freezer. A cgroup2 file that the caller may not write is the monitor's to write.
fn set(client: &Client, kind: Kind, dir: &OwnedFd, on: bool) -> Result<Done> {
    let done = match on {
        true => freezer::freeze(dir, kind, Some(PATIENCE)),
        false => freezer::thaw(dir, kind, Some(PATIENCE)),
    };
    match done {
        Err(e) if kind == Kind::V2 && matches!(e.errno, libc::EACCES | libc::EPERM | libc::EROFS) => {
            let asked = if on { client.freeze(Some(PATIENCE)) } else { client.unfreeze(Some(PATIENCE)) };
            asked.map(|()| Done::ByMonitor).map_err(|f| f.error(client.container(), "reach its freezer"))
        }
        other => other.map(|()| Done::Here),
    }
}

/// Tells the monitor, who waits there, and lxc-monitord.
fn tell(client: &Client, state: State) -> std::result::Result<(), Fail> {
    client.serve_state(state)?;
    publish(client.store(), client.container(), Event::State(state));
    Ok(())
}

/// The group that the freezer acts on.
fn group(client: &Client) -> Result<(Kind, OwnedFd)> {
    let (dir, about) = client.limit_cgroup_fd("freezer").map_err(|f| match f {
        Fail::Refused(libc::ENOENT) => {
            Error::os(libc::ENOENT, "there is no freezer here").hint("mount cgroup version 1's freezer, or use cgroup2")
        }
        f => f.error(client.container(), "name its freezer's group"),
    })?;
    let kind = if i64::from(about.kind) == Kind::V2.magic() { Kind::V2 } else { Kind::V1 };
    Ok((kind, dir))
}

/// Thaws the group of a container that is being killed, without a word to anybody.
///
/// # Errors
/// The group cannot be had or written.
pub fn thaw_group(client: &Client) -> Result<()> {
    let (kind, dir) = match client.limit_cgroup_fd("freezer") {
        Ok((dir, about)) if i64::from(about.kind) == Kind::V2.magic() => (Kind::V2, dir),
        Ok((dir, _)) => (Kind::V1, dir),
        // It has died already.
        Err(_) => return Ok(()),
    };
    match freezer::thaw(&dir, kind, Some(Duration::from_secs(5))) {
        Err(e) if e.errno == libc::ENODEV || e.errno == libc::ENOENT => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_run_cannot_be_frozen() {
        let c = Client::new("/nonexistent/store", "freeze-nobody");
        assert!(freeze(&c).is_err());
        assert!(unfreeze(&c).is_err());
        assert!(thaw_group(&c).is_ok());
    }
}
