//! lxc-destroy: takes a container off the disk.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told};
use crate::base::Result;
use crate::container::Container;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-destroy",
    text: "\
--name=NAME [-f] [-P lxcpath]

Removes the container NAME: its rootfs, its config, its directory.

-f, --force\tif it still runs, stop it first
-s, --snapshots\tdestroy its snapshots, too",
    named: Named::Must,
    types: |cmd| cmd,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn run(call: &Call) -> Result<i32> {
    let rcfile = load_rcfile(call)?;
    let mut c = call.container()?;
    if let Some(config) = rcfile {
        c.set_config(config);
    }
    if !c.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Err(told(1));
    }
    // What a creator that died has left.
    if c.clear_broken_creation()? {
        return Ok(0);
    }
    if !c.is_defined() {
        crate::log_error!("Container is not defined");
        call.say_what_helps();
        return Err(told(1));
    }
    if c.is_running() {
        if !call.flag("force") {
            crate::log_error!("{} is running", call.name);
            return Err(told(1));
        }
        c.stop()?;
    }
    if let Err(e) = destroy(&mut c, call.flag("snapshots")) {
        crate::log_error!("{e}");
        if !e.what.starts_with("Destroying ") {
            crate::log_error!("Destroying {} failed", call.name);
        }
        return Err(told(1));
    }
    Ok(0)
}

/// An ephemeral container may be gone as soon as it was stopped.
fn destroy(c: &mut Container, snapshots: bool) -> Result<()> {
    let done = if snapshots { c.destroy_with_snapshots() } else { c.destroy() };
    match done {
        Err(_) if !c.dir().exists() => Ok(()),
        done => done,
    }
}
