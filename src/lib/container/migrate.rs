//! Checkpoint and feature check by the program `criu` on PATH. Owns its command lines and what its log says when it
//! fails; nothing of how it works.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::spawn::{Command, find};
use crate::base::{Context, Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Options of all acts.
#[derive(Debug, Clone, Default)]
pub struct Migrate {
    /// Where the images are.
    pub directory: PathBuf,
    /// criu logs all it can.
    pub verbose: bool,
    /// The container ends with the dump.
    pub stop: bool,
    /// Images of an earlier pre-dump, relative to `directory`.
    pub predump_dir: Option<PathBuf>,
    /// Where pages go in place of the disk.
    pub pageserver: Option<(String, String)>,
    /// The file systems are the same on the other side.
    pub preserves_inodes: bool,
    /// criu's action script.
    pub action_script: Option<PathBuf>,
    /// Connections that are being made are an error.
    pub disable_skip_in_flight: bool,
    /// The largest deleted file that is saved, bytes; 0 is criu's own limit.
    pub ghost_limit: u64,
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// Memory only, the container goes on.
    Pre,
    /// All.
    Final,
}

/// criu can track changes of memory (FEATURE_MEM_TRACK).
pub const MEM_TRACK: u64 = 1;
/// criu can restore pages lazily (FEATURE_LAZY_PAGES).
pub const LAZY_PAGES: u64 = 2;

/// criu's file.
fn criu() -> Result<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/sbin:/usr/bin:/sbin:/bin"));
    find("criu", &dirs).ok_or_else(|| {
        Error::os(libc::ENOENT, "criu is not installed")
            .hint("checkpoints are made by criu: install it, or put it on PATH")
    })
}

/// Which of the features criu has here.
///
/// # Errors
/// There is no criu; a feature that has no name.
pub fn features(wanted: u64) -> Result<u64> {
    let criu = criu()?;
    let mut have = 0;
    for (bit, name) in [(MEM_TRACK, "mem_dirty_track"), (LAZY_PAGES, "uffd-noncoop")] {
        if wanted & bit != 0 {
            let (status, _) = Command::new(&criu).args(["check", "--feature", name]).collect()?;
            if status.success() {
                have |= bit;
            }
        }
    }
    Ok(have)
}

impl Container {
    /// Writes images of the running container.
    ///
    /// # Errors
    /// There is no criu; the container does not run; criu failed: the first error of its log is quoted.
    pub fn dump(&self, what: Dump, how: &Migrate) -> Result<()> {
        self.must_be_root("a checkpoint")?;
        if how.directory.as_os_str().is_empty() {
            return Err(Error::os(libc::EINVAL, "a checkpoint needs a directory"));
        }
        let pid = self.init_pid().ok_or_else(|| self.not_running())?;
        let criu = criu()?;
        let made = || format!("Failed to create {}", how.directory.display());
        std::fs::create_dir_all(&how.directory).ctx(made)?;
        let log = how.directory.join(if what == Dump::Pre { "pre-dump.log" } else { "dump.log" });
        let words = self.dump_words(what, how, pid, &log);
        run(&criu, &words, &log, "checkpoint", self.name())?;
        if what == Dump::Final && how.stop {
            self.stop()?;
        }
        Ok(())
    }

    /// Brings it back from images.
    ///
    /// # Errors
    /// This build does not do it yet.
    pub fn restore(&self, how: &Migrate) -> Result<()> {
        self.must_be_root("a restore")?;
        criu()?;
        let dir = how.directory.display();
        Err(Error::os(libc::ENOSYS, format!("{}: a restore from {dir} is not built yet", self.name())))
    }

    /// criu's arguments.
    fn dump_words(&self, what: Dump, how: &Migrate, pid: i32, log: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |w: &[&str]| words.extend(w.iter().map(OsString::from));
        add(&[if what == Dump::Pre { "pre-dump" } else { "dump" }]);
        add(&["--tcp-established", "--file-locks", "--link-remap", "--manage-cgroups=full"]);
        add(&["--ext-mount-map", "auto", "--enable-external-sharing", "--enable-external-masters"]);
        add(&["--enable-fs", "hugetlbfs", "--enable-fs", "tracefs"]);
        add(&["-t", &pid.to_string()]);
        add(&["-D", &how.directory.to_string_lossy(), "-o", &log.to_string_lossy()]);
        add(&[if how.verbose { "-v4" } else { "-v2" }]);
        if let Some(script) = &how.action_script {
            add(&["--action-script", &script.to_string_lossy()]);
        }
        if let Some(dir) = &how.predump_dir {
            add(&["--prev-images-dir", &dir.to_string_lossy()]);
        }
        if let Some((address, port)) = &how.pageserver {
            add(&["--page-server", "--address", address, "--port", port]);
        }
        if how.ghost_limit > 0 {
            add(&["--ghost-limit", &how.ghost_limit.to_string()]);
        }
        if !how.preserves_inodes {
            add(&["--force-irmap"]);
        }
        if what == Dump::Pre {
            add(&["--track-mem"]);
        } else {
            if !how.disable_skip_in_flight {
                add(&["--skip-in-flight"]);
            }
            if !how.stop {
                add(&["--leave-running"]);
            }
        }
        words
    }
}

/// Runs criu; its log tells why it failed.
fn run(criu: &Path, words: &[OsString], log: &Path, what: &str, name: &str) -> Result<()> {
    let (status, lines) = Command::new(criu).args(words).collect()?;
    for line in &lines {
        crate::log_info!("criu: {line}");
    }
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let first = text.lines().find(|l| l.contains("Error")).map(|l| l.trim().to_string());
    let why = first.or_else(|| lines.last().cloned()).unwrap_or_else(|| format!("status {}", status.code()));
    Err(Error::new(format!("The {what} of {name} failed: criu: {why}"))
        .hint(format!("criu's log is {}", log.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_dump() {
        let c = Container::new("m1", Some(Path::new("/s"))).unwrap();
        let how = Migrate { directory: "/img".into(), stop: true, ghost_limit: 5, ..Migrate::default() };
        let words = |what| {
            let all = c.dump_words(what, &how, 7, Path::new("/img/dump.log"));
            all.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert!(words(Dump::Final).contains("-t 7 -D /img -o /img/dump.log"));
        assert!(!words(Dump::Final).contains("--leave-running") && words(Dump::Final).contains("--ghost-limit 5"));
        assert!(words(Dump::Pre).starts_with("pre-dump ") && words(Dump::Pre).ends_with("--track-mem"));
    }
}
