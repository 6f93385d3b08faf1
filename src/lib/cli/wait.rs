//! lxc-wait: waits until a container is in one of some states.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, atoi, utf8};
use crate::base::Result;
use crate::container::Container;
use crate::container::wait::parse_states;
use clap::Command;
use std::time::Duration;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-wait",
    text: "\
--name=NAME --state=STATE

lxc-wait waits for NAME container state to reach STATE

-s, --state=STATE\tthe states to wait for, joined by |:
\tSTOPPED, STARTING, RUNNING, STOPPING,
\tABORTING, FREEZING, FROZEN, THAWED
-t, --timeout=TIMEOUT\tfor so many seconds at most",
    named: Named::Must,
    types,
    check,
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("state", |a| a.value_parser(utf8)).mut_arg("timeout", |a| a.value_parser(utf8))
}

fn check(call: &Call) -> std::result::Result<(), String> {
    match call.get::<String>("state") {
        None => Err("missing state option to wait for".into()),
        Some(text) => parse_states(&text).map(drop).map_err(|e| e.to_string()),
    }
}

fn run(call: &Call) -> Result<i32> {
    let states = parse_states(&call.get::<String>("state").unwrap_or_default())?;
    let container = Container::new(&call.name, Some(&call.lxcpath))?;
    if !container.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Ok(1);
    }
    // 0 waits without limit while the container runs, as every release did; -1 always does.
    let limit = match call.get::<String>("timeout").map(|t| atoi(&t)) {
        None => None,
        Some(0) if container.is_running() => None,
        Some(n) if n < 0 => None,
        Some(n) => Some(Duration::from_secs(n.unsigned_abs())),
    };
    Ok(i32::from(!container.wait(&states, limit)?))
}
