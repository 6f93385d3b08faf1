//! lxc-update-config: rewrites a config of LXC 1.x or 2.0 to today's keys. The rewriting itself is `config::update`'s.
#![forbid(unsafe_code)]

use super::common::{err_line, out, out_bytes};
use crate::base::{Context, Error, Result};
use crate::config::update;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const USAGE: &str = "lxc-update-config -h|--help [-c|--config]\nconfig: the container configuration to update\n\
                     --dry-run: show the change as a unified diff and write nothing\n";

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Usage,
    Version,
    Update { file: PathBuf, dry_run: bool },
}

/// Runs it.
pub fn main(args: &[OsString]) -> i32 {
    let asked = match asked(args.get(1..).unwrap_or_default()) {
        Ok(asked) => asked,
        Err(why) => {
            err_line(&format!("lxc-update-config: {why}"));
            return 1;
        }
    };
    match asked {
        Asked::Usage => out(USAGE),
        Asked::Version => out(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Asked::Update { file, dry_run } => {
            if let Err(e) = run(&file, dry_run) {
                err_line(&format!("lxc-update-config: {e}"));
                return 1;
            }
        }
    }
    0
}

fn asked(words: &[OsString]) -> std::result::Result<Asked, String> {
    let (mut file, mut dry_run) = (None, false);
    let mut words = words.iter();
    if words.len() == 0 {
        return Ok(Asked::Usage);
    }
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let glued = bytes.strip_prefix(b"--config=").or_else(|| bytes.strip_prefix(b"-c").filter(|b| !b.is_empty()));
        match bytes {
            b"-h" | b"--help" => return Ok(Asked::Usage),
            b"--version" => return Ok(Asked::Version),
            b"--dry-run" => dry_run = true,
            b"-c" | b"--config" => {
                file = Some(words.next().cloned().ok_or("-c needs the file to update")?);
            }
            _ => match glued {
                Some(name) => file = Some(OsString::from(std::ffi::OsStr::from_bytes(name))),
                None => {
                    return Err(format!("'{}' is no option; -c FILE names the file to update", word.to_string_lossy()));
                }
            },
        }
    }
    match file {
        Some(file) => Ok(Asked::Update { file: PathBuf::from(file), dry_run }),
        None => Err("-c FILE names the file to update".into()),
    }
}

fn run(file: &std::path::Path, dry_run: bool) -> Result<()> {
    let shown = file.display().to_string();
    let what = || format!("read {shown}");
    let meta = std::fs::metadata(file).ctx(what)?;
    if !meta.is_file() {
        return Err(Error::new(format!("{shown} is no regular file")));
    }
    let told = |updated: &update::Updated| {
        for (line, why) in &updated.left {
            err_line(&format!("lxc-update-config: {shown}:{line}:1: {why}"));
        }
    };
    if dry_run {
        let updated = update::update(&std::fs::read(file).ctx(what)?);
        told(&updated);
        out_bytes(&update::diff(&shown, &updated));
        return Ok(());
    }
    let mut backup = file.as_os_str().to_os_string();
    backup.push(".backup");
    // Whoever saves the config waits: their save is not undone by an older text.
    crate::keys::file::change(file, |old| {
        let updated = update::update(old);
        told(&updated);
        std::fs::copy(file, &backup).ctx(|| format!("write {}", backup.to_string_lossy()))?;
        Ok(updated.changes().then(|| updated.text()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let of = |words: &[&str]| asked(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&[]), Ok(Asked::Usage));
        assert_eq!(of(&["-c", "f", "-h"]), Ok(Asked::Usage));
        for words in [&["--dry-run", "-c", "f"][..], &["-cf", "--dry-run"], &["--config=f", "--dry-run"]] {
            assert_eq!(of(words), Ok(Asked::Update { file: "f".into(), dry_run: true }));
        }
        for bad in [&["-x"][..], &["-c"], &["--dry-run"], &["f"]] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}
