//! lxc-wait: until a container is in one of some states.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, atoi, load_rcfile, told, utf8};
use crate::base::Result;
use crate::container::wait::parse_states;
use crate::ipc::state::State;
use clap::Command;
use std::time::Duration;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-wait",
    text: "\
--name=NAME --state=STATE

Waits until the container NAME is in a STATE.

-s, --state=STATE\tstates to wait for, parted by |: STOPPED, STARTING, RUNNING,
\tSTOPPING, ABORTING, FREEZING, FROZEN, THAWED
-t, --timeout=TMO\tgive up after TMO seconds (-1, or 0 while it runs: never)",
    named: Named::Must,
    types,
    check: |call| {
        if call.get::<String>("state").is_some() { Ok(()) } else { Err("Missing state object: -s STATE".into()) }
    },
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("state", |a| a.value_parser(utf8)).mut_arg("timeout", |a| a.value_parser(utf8))
}

fn run(call: &Call) -> Result<i32> {
    load_rcfile(call)?;
    let c = call.container()?;
    let states = match parse_states(&call.get::<String>("state").unwrap_or_default()) {
        Ok(states) => states,
        Err(e) => {
            crate::log_error!("{e}");
            return Err(told(1));
        }
    };
    if !c.may_control() {
        call.say(format_args!("Insufficent privileges to control {}", call.place_and_name()));
        return Err(told(1));
    }
    let seconds = call.get::<String>("timeout").map_or(-1, |t| atoi(&t));
    let runs = c.state() != State::Stopped;
    let limit = match seconds {
        0 if runs => None,
        n => u64::try_from(n).ok().map(Duration::from_secs),
    };
    if c.wait(&states, limit)? {
        return Ok(0);
    }
    // Of a container that does not run, LXC says nothing when the time is over.
    if c.state() != State::Stopped {
        crate::log_error!(errno = libc::EAGAIN, "Failed to receive message");
        crate::log_error!(errno = libc::EAGAIN, "Failed to receive state from monitor");
    }
    Err(told(1))
}
