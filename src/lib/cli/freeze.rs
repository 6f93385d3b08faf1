//! lxc-freeze and lxc-unfreeze: all processes of a container stop where they are, or go on.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told};
use crate::base::Result;
use crate::ipc::state::State;

/// lxc-freeze.
pub const FREEZE: Tool = Tool {
    name: "lxc-freeze",
    text: "--name=NAME\n\nStops all processes of the container NAME where they are, until lxc-unfreeze.\n\n",
    named: Named::Must,
    types: |cmd| cmd,
    check: |_| Ok(()),
    more_help: None,
    run: |call| run(call, true),
};

/// lxc-unfreeze.
pub const UNFREEZE: Tool = Tool {
    name: "lxc-unfreeze",
    text: "--name=NAME\n\nLets the processes of a frozen container go on.\n\n",
    run: |call| run(call, false),
    ..FREEZE
};

fn run(call: &Call, freeze: bool) -> Result<i32> {
    load_rcfile(call)?;
    let c = call.container()?;
    if !c.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Err(told(1));
    }
    // Thawing what is defined and does not run has always been a success.
    if !freeze && c.is_defined() && c.state() == State::Stopped {
        return Ok(0);
    }
    let done = if freeze { c.freeze() } else { c.unfreeze() };
    if let Err(e) = done {
        let word = if freeze { "freeze" } else { "unfreeze" };
        crate::log_info!("{e}");
        crate::log_error!("Failed to {word} {}", call.place_and_name());
        return Err(told(1));
    }
    Ok(0)
}
