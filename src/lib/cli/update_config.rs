//! lxc-update-config: rewrites a config of LXC 1.x or 2.0 to today's keys. The rewriting itself is `keys::update`'s.
#![forbid(unsafe_code)]

use super::common::{err_line, out};
use std::ffi::OsString;

const USAGE: &str = "lxc-update-config -h|--help [-c|--config]\nconfig: the container configuration to update\n";

/// Runs it.
pub fn main(args: &[OsString]) -> i32 {
    let mut words = args.iter().skip(1);
    let Some(first) = words.next() else {
        out(USAGE);
        return 0;
    };
    let text = first.to_string_lossy();
    let file = match text.as_ref() {
        "-h" | "--help" => {
            out(USAGE);
            return 0;
        }
        "--version" => {
            out(concat!(env!("CARGO_PKG_VERSION"), "\n"));
            return 0;
        }
        "-c" | "--config" => words.next().cloned(),
        t => t
            .strip_prefix("--config=")
            .or_else(|| t.strip_prefix("-c").filter(|_| !t.starts_with("--")))
            .map(OsString::from),
    };
    let Some(file) = file else {
        err_line(&format!(
            "lxc-update-config: {}",
            if text.starts_with("-c") || text == "--config" {
                "-c needs the file to update".to_string()
            } else {
                format!("'{text}' is no option; -c FILE names the file to update")
            }
        ));
        return 1;
    };
    err_line(&format!("lxc-update-config: {}: not built yet", file.to_string_lossy()));
    1
}
