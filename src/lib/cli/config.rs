//! lxc-config: the values of lxc.conf. A parser of its own, as its habits are its own: no common options but `--version`. `--check`
//! is `check`'s.
#![forbid(unsafe_code)]

use super::common::{err_line, out};
use super::json;
use crate::base::paths;
use std::ffi::OsString;

/// The keys that `-l` lists, in LXC's order.
pub(super) const KEYS: [&str; 7] = [
    "lxc.default_config",
    "lxc.lxcpath",
    "lxc.bdev.lvm.vg",
    "lxc.bdev.lvm.thin_pool",
    "lxc.bdev.zfs.root",
    "lxc.cgroup.use",
    "lxc.cgroup.pattern",
];

const USAGE: &str = "Usage: lxc-config -l: list all available configuration items
       lxc-config item: print configuration item
       lxc-config --format=json: print all items and their values as JSON
       lxc-config --check [FILE | -n NAME [-P PATH]] [--format json]: tell everything that is wrong with a config
";

/// Runs it.
pub fn main(args: &[OsString]) -> i32 {
    if args.iter().skip(1).any(|w| w == "--check" || w.as_encoded_bytes().starts_with(b"--check=")) {
        return super::check::main(args.get(1..).unwrap_or_default());
    }
    let word = |i: usize| args.get(i).map(|w| w.to_string_lossy().into_owned()).unwrap_or_default();
    match word(1).as_str() {
        "" | "-h" | "--help" => out(USAGE),
        "-l" => out(&(KEYS.join("\n") + "\n")),
        "--version" => out(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        "--format=json" => out(&as_json()),
        "--format" if word(2) == "json" => out(&as_json()),
        w if w.starts_with("--format") => {
            err_line("lxc-config: the formats are: json");
            return 1;
        }
        key => return print(key),
    }
    0
}

fn as_json() -> String {
    let value = |key| json::maybe(paths::global(key).ok().flatten().as_deref());
    json::object(KEYS.map(|k| (k, value(k)))) + "\n"
}

/// Only a key's whole name counts: LXC also took any beginning of one.
fn print(key: &str) -> i32 {
    match paths::global(key) {
        _ if !KEYS.contains(&key) => {
            out(&format!("Unknown configuration item: {key}\n"));
            1
        }
        Ok(Some(value)) => {
            out(&format!("{value}\n"));
            0
        }
        _ => {
            out(&format!("{key} is not set.\n"));
            0
        }
    }
}
