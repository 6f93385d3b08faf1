//! The tools: `common` (what all share), one file per tool. Owns the command line, its texts and its exit codes.
#![forbid(unsafe_code)]

pub mod attach;
pub mod check;
pub mod checkconfig;
pub mod common;
#[cfg(test)]
mod completion;
pub mod config;
pub mod console;
pub mod create;
pub mod destroy;
pub mod execute;
pub mod freeze;
pub mod getopt;
pub mod info;
pub mod json;
pub mod live;
pub mod ls;
#[cfg(test)]
mod pages;
pub mod start;
pub mod stop;
pub mod table;
pub mod update_config;
pub mod wait;

use common::Tool;
use std::ffi::OsString;

/// The tools that have the common options.
pub const TOOLS: &[&Tool] = &[
    &attach::TOOL,
    &console::TOOL,
    &create::TOOL,
    &destroy::TOOL,
    &execute::TOOL,
    &freeze::FREEZE,
    &info::TOOL,
    &ls::TOOL,
    &start::TOOL,
    &stop::TOOL,
    &freeze::UNFREEZE,
    &wait::TOOL,
];

/// Runs the tool of that name and returns its exit code.
pub fn main(name: &str, args: &[OsString]) -> i32 {
    if name == attach::TOOL.name {
        // Before anything is open: it may execute itself anew.
        crate::runtime::attach_protect::run_read_only(c"lxc-attach");
    }
    match name {
        "lxc-config" => config::main(args),
        "lxc-checkconfig" => checkconfig::main(args),
        "lxc-update-config" => update_config::main(args),
        _ => match TOOLS.iter().find(|t| t.name == name) {
            Some(tool) => common::run(tool, args),
            None => {
                common::err_line(&format!("{name}: liblxc.so.1 knows no tool of this name"));
                1
            }
        },
    }
}
