//! lxc-destroy: removes a container from the disk. Owns the options; the rules lie in `container::destroy`.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, told};
use crate::base::Result;
use crate::container::Container;
use clap::Command;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-destroy",
    text: "\
--name=NAME [-f] [-P lxcpath]

lxc-destroy destroys a container with the identifier NAME

-f, --force\tstop it first when it runs
-s, --snapshots\tdestroy its snapshots as well",
    named: Named::Must,
    types: |cmd: Command| cmd,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn run(call: &Call) -> Result<i32> {
    let mut container = Container::new(&call.name, Some(&call.lxcpath))?;
    if container.clear_broken_creation()? {
        return Ok(0);
    }
    if !container.is_defined() {
        crate::log_error!("Container is not defined");
        return Ok(1);
    }
    if !container.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Ok(1);
    }
    if container.is_running() {
        if !call.flag("force") {
            crate::log_error!("{} is running", call.name);
            return Ok(1);
        }
        container.stop()?;
    }
    let result = if call.flag("snapshots") { container.destroy_with_snapshots() } else { container.destroy() };
    match result {
        Ok(()) => Ok(0),
        Err(e) => {
            crate::log_error!("{e}");
            crate::log_error!("Destroying {} failed", call.name);
            if let Some(hint) = &e.hint {
                call.say(hint);
            }
            Err(told(1))
        }
    }
}
