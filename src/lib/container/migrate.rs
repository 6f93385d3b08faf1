//! Checkpoint and restore of a container by the program `criu` on PATH: what is refused, what a dump is told about the
//! running container. How criu is called is `runtime::criu`'s, how its processes get a monitor `runtime::restore`'s.
#![forbid(unsafe_code)]

use super::Container;
use super::life::StartOptions;
use crate::base::op::cstring;
use crate::base::spawn::Command;
use crate::base::{Context, Error, Result};
use crate::cgroup::{Host, layout::Base};
use crate::config::Config;
use crate::runtime::criu;
use crate::runtime::restore::Restore;
use crate::runtime::start;
use crate::sys::path;
use crate::{log_info, log_warn, terminal};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::runtime::criu::{Verb, features};

/// Leaves all groups, then becomes the program: `$1` files follow, then the program and its arguments.
const AT_THE_TOP: &str = "n=$1; shift; while [ \"$n\" -gt 0 ]; do { echo 0 > \"$1\"; } 2> /dev/null || :; shift; \
                          n=$((n - 1)); done; exec \"$@\"";

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
    /// A restore for a program of somebody else's, which is not to be forked.
    pub from_library: bool,
}

/// What is known of the running container.
struct Facts {
    pid: i32,
    host: Arc<Host>,
    roots: Vec<(String, String)>,
    freezer: Option<String>,
    /// The console's terminal, `tty[RDEV:DEV]`.
    tty: Option<String>,
}

impl Container {
    /// Writes images of the running container; `verb` is a dump or a pre-dump.
    ///
    /// # Errors
    /// The container does not run or cannot be dumped; there is no criu that will do; criu failed: the first error of its
    /// log is quoted.
    pub fn dump(&self, verb: Verb, how: &Migrate) -> Result<()> {
        let pid = self.init_pid().ok_or_else(|| self.not_running())?;
        let none = Config::default();
        let config = self.config().unwrap_or(&none);
        let directory = images(&how.directory)?;
        criu::refuse(config)?;
        let program = criu::program_checked()?;
        make(&directory)?;
        let facts = self.dump_facts(config, pid)?;
        criu::save_tty(&directory, facts.tty.as_deref())?;
        let words = dump_words(verb, how, &directory, config, &facts)?;
        let tops = criu::tops(&facts.host);
        let count = tops.len().to_string();
        let command = Command::new("/bin/sh").args(["-c", AT_THE_TOP, "criu", &count]).args(tops);
        let (status, lines) = command.args([program]).args(words).collect()?;
        for line in &lines {
            log_info!("criu: {line}");
        }
        if !status.success() {
            return Err(criu::failed(verb, self.name(), &directory, &lines, status.code()));
        }
        Ok(())
    }

    fn dump_facts(&self, config: &Config, pid: i32) -> Result<Facts> {
        let base = if config.cgroup.relative { Base::Own } else { Base::Init };
        let host = Host::get(base)?;
        let client = self.client();
        let group = |controller: &str| client.limit_cgroup_path(controller).ok().flatten();
        let roots = criu::roots(&host, group);
        let freezer = group("freezer").and_then(|path| criu::freezer(&host, &path));
        let tty = if terminal::pts::has_console(&config.terminal) { Some(console_tty(pid)?) } else { None };
        Ok(Facts { pid, host, roots, freezer, tty })
    }

    /// Brings it back from images; a monitor stays behind, as after a start in the background.
    ///
    /// # Errors
    /// It runs; it cannot be restored; there is no criu that will do; criu failed. Nothing of it is left then.
    pub fn restore(&self, how: &Migrate) -> Result<()> {
        if self.is_running() {
            return Err(Error::new(format!("{} is already running", self.name())));
        }
        let config = self.config().ok_or_else(|| self.undefined())?;
        let directory = images(&how.directory)?;
        criu::refuse(config)?;
        let restore = Restore {
            criu: criu::program_checked()?,
            directory,
            action_script: how.action_script.as_deref().map(absolute).transpose()?,
            verbose: how.verbose,
        };
        let options = StartOptions { daemonize: true, from_library: how.from_library, ..StartOptions::default() };
        let request = start::StartRequest { restore: Some(restore), ..self.request(&options)? };
        start::run(&request).map(drop)
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).ctx(|| path.display().to_string())
}

/// The images' directory, absolute: criu takes the name of its log as relative to it.
fn images(directory: &Path) -> Result<PathBuf> {
    if directory.as_os_str().is_empty() {
        return Err(Error::os(libc::EINVAL, "a checkpoint needs a directory"));
    }
    absolute(directory)
}

/// Memory lies in it: for root alone.
fn make(directory: &Path) -> Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.ctx(|| format!("Failed to create {}", directory.display()))
}

/// The terminal on the container's /dev/console, by its numbers.
fn console_tty(pid: i32) -> Result<String> {
    let what = || "the container's /dev/console".to_string();
    let root = path::open(&cstring(format!("/proc/{pid}/root"))?, libc::O_PATH | libc::O_DIRECTORY, 0).ctx(what)?;
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let node = path::openat2(root.as_fd(), c"dev/console", flags, 0, path::Resolve::InRoot).ctx(what)?;
    let st = path::fstat(node.as_fd()).ctx(what)?;
    if st.mode & libc::S_IFMT != libc::S_IFCHR {
        return Err(Error::os(libc::ENOTTY, what()));
    }
    Ok(format!("tty[{:x}:{:x}]", st.rdev, st.dev))
}

/// criu's arguments.
fn dump_words(verb: Verb, how: &Migrate, directory: &Path, config: &Config, facts: &Facts) -> Result<Vec<OsString>> {
    let mut words = criu::head(verb, directory, &facts.roots, how.verbose);
    if let Some(script) = &how.action_script {
        words.extend(criu::option("--action-script", script.as_os_str()));
    }
    words.extend(criu::bind_mounts(&config.mount, verb)?);
    let mut add = |w: &[&str]| words.extend(criu::strings(w));
    add(&["-t", &facts.pid.to_string()]);
    if !how.disable_skip_in_flight {
        add(&["--skip-in-flight"]);
    }
    match &facts.freezer {
        Some(freezer) => add(&["--freeze-cgroup", freezer]),
        None => log_warn!("criu stops the processes one by one: there is no freezer"),
    }
    if let Some(tty) = &facts.tty {
        add(&["--ext-mount-map", "/dev/console:console", "--external", tty]);
    }
    if let Some(dir) = &how.predump_dir {
        words.extend(criu::option("--prev-images-dir", dir.as_os_str()));
        words.push("--track-mem".into());
    }
    let mut add = |w: &[&str]| words.extend(criu::strings(w));
    if let Some((address, port)) = &how.pageserver {
        add(&["--page-server", "--address", address, "--port", port]);
    }
    if !how.preserves_inodes {
        add(&["--force-irmap"]);
    }
    if how.ghost_limit > 0 {
        add(&["--ghost-limit", &how.ghost_limit.to_string()]);
    }
    if verb == Verb::Dump && !how.stop {
        add(&["--leave-running"]);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(verb: Verb, how: &Migrate) -> String {
        let facts = Facts {
            pid: 7,
            host: Host::get(Base::Init).unwrap(),
            roots: vec![("cpu,cpuacct".into(), "/lxc.payload.m1".into())],
            freezer: Some("/f".into()),
            tty: Some("tty[8800:1a]".into()),
        };
        let all = dump_words(verb, how, Path::new("/img"), &Config::default(), &facts).unwrap();
        all.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_of_a_dump() {
        let head = "--tcp-established --file-locks --link-remap --manage-cgroups=full --ext-mount-map auto \
                    --enable-external-sharing --enable-external-masters --enable-fs hugetlbfs --enable-fs tracefs -D /img";
        let console = "--ext-mount-map /dev/console:console --external tty[8800:1a]";
        let how = Migrate { directory: "/img".into(), ..Migrate::default() };
        assert_eq!(
            words(Verb::Dump, &how),
            format!(
                "dump {head} -o /img/dump.log --cgroup-root cpu,cpuacct:/lxc.payload.m1 -t 7 --skip-in-flight \
                 --freeze-cgroup /f {console} --force-irmap --leave-running"
            )
        );
        let how = Migrate {
            verbose: true,
            stop: true,
            predump_dir: Some("../pre".into()),
            pageserver: Some(("1.2.3.4".into(), "99".into())),
            preserves_inodes: true,
            action_script: Some("/a".into()),
            disable_skip_in_flight: true,
            ghost_limit: 5,
            ..how
        };
        let rest = format!(
            "--cgroup-root cpu,cpuacct:/lxc.payload.m1 -v4 --action-script /a -t 7 --freeze-cgroup /f {console} \
             --prev-images-dir ../pre --track-mem --page-server --address 1.2.3.4 --port 99 --ghost-limit 5"
        );
        assert_eq!(words(Verb::Dump, &how), format!("dump {head} -o /img/dump.log {rest}"));
        assert_eq!(words(Verb::PreDump, &how), format!("pre-dump {head} -o /img/pre-dump.log {rest}"));
    }

    #[test]
    fn directories_are_named_and_absolute() {
        assert_eq!(images(Path::new("")).unwrap_err().errno, libc::EINVAL);
        assert!(images(Path::new("a/b")).unwrap().is_absolute());
    }
}
