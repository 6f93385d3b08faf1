//! The tools: `common` (what all share), one file per tool. Owns the command line, its texts and its exit codes.
#![forbid(unsafe_code)]

pub mod getopt;

use std::ffi::OsString;

/// Runs the tool of that name and returns its exit code.
pub fn main(_tool: &str, _args: Vec<OsString>) -> i32 {
    println!("{}", env!("CARGO_PKG_VERSION"));
    0
}
