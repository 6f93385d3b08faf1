//! lxc-console: this terminal becomes one of the container's, until the escape.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told, whole_number};
use crate::base::Result;
use crate::runtime::console_client::{self, Session};
use clap::Command;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-console",
    text: "\
--name=NAME [--tty NUMBER]

Connects this terminal to a tty of the container NAME, to log in there.

-t, --tty=NUMBER\ttty NUMBER (the first one that is free); 0 is the console
-e, --escape=PREFIX\tkey that begins an escape: a letter, or ^ and a letter (^a)",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("tty", |a| {
        a.value_parser(|v: &str| {
            whole_number(v).and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0).ok_or("not the number of a tty")
        })
    })
    .mut_arg("escape", |a| {
        a.value_parser(|v: &str| console_client::parse_escape(v).ok_or("not a letter, nor ^ and a letter"))
    })
}

fn run(call: &Call) -> Result<i32> {
    load_rcfile(call)?;
    let c = call.container()?;
    if !c.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Err(told(1));
    }
    if !c.is_running() {
        crate::log_error!("{} is not running", call.name);
        call.say_what_helps();
        return Err(told(1));
    }
    let session = Session {
        tty: call.get("tty").unwrap_or(-1),
        escape: Some(call.get("escape").unwrap_or(1)),
        ..Session::default()
    };
    match console_client::run(&c.client(), &session) {
        Ok(None) => Ok(0),
        Ok(Some(signal)) => Ok(console_client::end_by(signal)),
        Err(e) if e.errno != 0 => {
            crate::log_error!(errno = e, "{}", e.what);
            if let Some(hint) = &e.hint {
                call.say(hint);
            }
            Err(told(1))
        }
        Err(e) => Err(e),
    }
}
