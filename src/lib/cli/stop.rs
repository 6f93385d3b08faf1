//! lxc-stop: shuts a container down, reboots it, or kills it.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told, whole_number};
use crate::base::{Error, Result};
use crate::runtime::stop::Stopped;
use clap::Command;
use std::time::Duration;

/// How long a shutdown may take before the kill, unless -t says otherwise.
const DEFAULT: i64 = 60;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-stop",
    text: "\
--name=NAME [OPTION...]

Shuts the container NAME down, and kills it when that takes too long.

-r, --reboot\treboot it
-W, --nowait\tdo not wait for the shutdown or the reboot
-t, --timeout=T\twait T seconds (60) before it is killed; -1: for ever
-k, --kill\tkill it at once, in place of a clean shutdown
--nokill\task for a clean shutdown only, do not kill it later
--nolock\tdo not take the container's lock (with -k)",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("timeout", |a| a.value_parser(|v: &str| whole_number(v).ok_or("not a number of seconds")))
}

/// What contradicts itself.
fn conflict(call: &Call) -> Option<&'static str> {
    let timeout = call.get::<i64>("timeout");
    let kill = call.flag("kill");
    if timeout.is_some_and(|t| t < -1) {
        return Some("Invalid timeout");
    }
    if kill && call.flag("nokill") {
        return Some("-k can't be used with --nokill");
    }
    if kill && call.flag("reboot") {
        return Some("-k can't be used with -r");
    }
    if kill && timeout.is_some() {
        return Some("-k doesn't allow timeouts");
    }
    if !kill && call.flag("nolock") {
        return Some("--nolock may only be used with -k");
    }
    None
}

fn run(call: &Call) -> Result<i32> {
    if let Some(text) = conflict(call) {
        crate::log_error!("{text}");
        return Err(told(1));
    }
    load_rcfile(call)?;
    let c = call.container()?;
    if !c.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.name);
        return Err(told(1));
    }
    if !c.is_running() {
        crate::log_error!("{} is not running", call.name);
        if !c.is_defined() {
            call.say_what_helps();
        }
        return Err(told(2));
    }
    if call.flag("kill") {
        return c.stop().map(|_| 0);
    }
    let seconds = if call.flag("nowait") { 0 } else { call.get::<i64>("timeout").unwrap_or(DEFAULT) };
    let limit = u64::try_from(seconds).ok().map(Duration::from_secs);
    if call.flag("reboot") {
        return match c.reboot(limit)? {
            Stopped::Done => Ok(0),
            Stopped::TimedOut => Err(late(call, "come up again", seconds)),
            Stopped::NotRunning => Err(Error::new(format!("{} stopped instead of rebooting", call.name))),
        };
    }
    match c.shutdown(limit) {
        Ok(Stopped::Done | Stopped::NotRunning) => Ok(0),
        // Told to go, and not waited for.
        Ok(Stopped::TimedOut) if limit == Some(Duration::ZERO) => Ok(0),
        Ok(Stopped::TimedOut) if call.flag("nokill") => Err(late(call, "shut down", seconds)),
        Err(e) if call.flag("nokill") => Err(e),
        Err(e) => {
            crate::log_info!("{e}: killing it");
            c.stop().map(|_| 0)
        }
        Ok(Stopped::TimedOut) => c.stop().map(|_| 0),
    }
}

fn late(call: &Call, what: &str, seconds: i64) -> Error {
    Error::new(format!("{} has not {what} within {seconds} seconds", call.name))
}
