//! lxc-freeze and lxc-unfreeze: hold and release all processes of a container.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool};
use crate::base::Result;
use crate::container::Container;
use clap::Command;

/// lxc-freeze.
pub const FREEZE: Tool = Tool {
    name: "lxc-freeze",
    text: "\
--name=NAME

lxc-freeze freezes a container with the identifier NAME

",
    named: Named::Must,
    types: |cmd: Command| cmd,
    check: |_| Ok(()),
    more_help: None,
    run: |call| run(call, "freeze", Container::freeze),
};

/// lxc-unfreeze.
pub const UNFREEZE: Tool = Tool {
    name: "lxc-unfreeze",
    text: "\
--name=NAME

lxc-unfreeze unfreezes a container with the identifier NAME

",
    named: Named::Must,
    types: |cmd: Command| cmd,
    check: |_| Ok(()),
    more_help: None,
    run: |call| run(call, "unfreeze", Container::unfreeze),
};

fn run(call: &Call, what: &str, act: fn(&Container) -> Result<()>) -> Result<i32> {
    let container = Container::new(&call.name, Some(&call.lxcpath))?;
    let failed = || crate::log_error!("Failed to {what} {}", call.place_and_name());
    if !container.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Ok(1);
    }
    let running = container.is_running();
    if !running && !container.is_defined() {
        failed();
        return Ok(1);
    }
    // What is not frozen need not be released.
    if !running && what == "unfreeze" {
        return Ok(0);
    }
    match act(&container) {
        Ok(()) => Ok(0),
        Err(e) => {
            crate::log_error!("{e}");
            failed();
            Ok(1)
        }
    }
}
