//! Freezing and thawing a running container from outside. On cgroup2 the monitor does it; where the freezer is version 1's
//! the client writes it and tells the monitor, and lxc-monitord, what it has done: that is the protocol's division.
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
    let word = if on { "freeze" } else { "thaw" };
    let failed = |f: Fail| f.error(client.container(), word);
    // Only on pure cgroup2 the monitor hands out this descriptor: then the freezer is its own business.
    match client.limit_cgroup2_fd() {
        Ok(_) => {
            return if on { client.freeze(Some(PATIENCE)) } else { client.unfreeze(Some(PATIENCE)) }.map_err(failed);
        }
        Err(f @ (Fail::NotRunning | Fail::Denied | Fail::Timeout)) => return Err(failed(f)),
        Err(_) => {}
    }
    let begin = if on { State::Freezing } else { State::Thawed };
    tell(client, begin).map_err(failed)?;
    let done = group(client).and_then(|(kind, dir)| match on {
        true => freezer::freeze(&dir, kind, Some(PATIENCE)),
        false => freezer::thaw(&dir, kind, Some(PATIENCE)),
    });
    if done.is_err() && on {
        let _ = tell(client, State::Running);
        return done;
    }
    done?;
    // LXC's clients and its monitors both tell the end; readers of lxc-monitor count on seeing it twice.
    let end = if on { State::Frozen } else { State::Thawed };
    tell(client, end).map_err(failed)?;
    if on {
        publish(client.store(), client.container(), Event::State(end));
        return Ok(());
    }
    tell(client, State::Running).map_err(failed)
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
