//! Making a container: its directory, its first config, its storage, its template. Owns the order and what is taken back
//! when any of it fails or is interrupted; what a template does inside is its own.
#![forbid(unsafe_code)]

use super::partial::Creation;
use super::{Container, destroy, sha1};
use crate::base::ids::{IdKind, IdMap};
use crate::base::{Context, Error, Result, paths};
use crate::config::Config;
use crate::idmap;
use crate::sys::process::{self, ExecArgs};
use crate::sys::{cred, fd, mount, ns, path, signal};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Create {
    /// The template's name or absolute path; `None` makes a config file only.
    pub template: Option<String>,
    /// Arguments of the template.
    pub args: Vec<OsString>,
    /// Where the rootfs goes (`--dir`), absolute; `None` is below the container's directory.
    pub dir: Option<PathBuf>,
    /// The storage backend: `dir`, or a name for it.
    pub bdev: Option<String>,
    /// The template's output goes nowhere.
    pub quiet: bool,
    /// A config without a rootfs is no container yet but is made one (callers of the C library save first).
    pub complete: bool,
}

/// Signals that end a creation: they are taken while the template runs, so that nothing is left.
const INTERRUPTS: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];
/// How long a template gets to end after it was told to.
const GRACE: Duration = Duration::from_secs(5);

impl Container {
    /// Creates it, with what is configured in the handle as its first config.
    ///
    /// # Errors
    /// It exists, the template is missing or failed, the disk refuses. What was made is removed.
    pub fn create(&mut self, want: &Create) -> Result<()> {
        make_path(self.lxcpath())?;
        self.clear_broken_creation()?;
        if self.creation() == Creation::Ongoing || self.is_made(want) {
            return Err(Error::new("Container already exists"));
        }
        let template = want.template.as_deref().map(find_template).transpose()?;
        backend(want.bdev.as_deref())?;
        let existed = self.dir().symlink_metadata().is_ok();
        make_dir(&self.dir())?;
        let result = self.create_in_dir(want, template.as_deref());
        if result.is_err() && (want.complete || !existed) {
            // The first failure is the one to tell.
            if let Err(e) = destroy::remove_dir(self.lxcpath(), self.name(), false) {
                crate::log_error!("{e}");
            }
            self.clear_config();
        }
        result
    }

    /// There is a container already, as far as this creation is concerned.
    fn is_made(&self, want: &Create) -> bool {
        let rootfs = self.config().and_then(|c| c.storage.path.as_deref());
        self.is_defined() && (!want.complete || rootfs.is_some_and(|r| Path::new(r).exists()))
    }

    /// The rest, with the directory there.
    fn create_in_dir(&mut self, want: &Create, template: Option<&Path>) -> Result<()> {
        let marker = self.mark()?;
        self.save()?;
        let Some(template) = template else { return marker.finish() };
        let rootfs = self.make_rootfs(want)?;
        let made_outside = want.dir.is_some();
        let done = self.run_template(want, template, &rootfs).and_then(|()| self.add_header(want, template));
        if done.is_err() && made_outside {
            let (parent, last) = (rootfs.parent(), rootfs.file_name());
            if let (Some(parent), Some(last)) = (parent, last) {
                crate::storage::tree::remove_below(parent, last, &[])?;
            }
        }
        done?;
        self.load(None)?;
        marker.finish()
    }

    /// Makes the rootfs directory and names it in the config.
    fn make_rootfs(&mut self, want: &Create) -> Result<PathBuf> {
        let rootfs = want.dir.clone().unwrap_or_else(|| self.dir().join("rootfs"));
        make_path(&rootfs)?;
        if let Some((uid, gid)) = self.mapped_root() {
            // Its own directory as well, since the container's root has to pass through it. That comes last: once it is
            // given away, somebody else may put what he likes in the rootfs's place.
            for path in [rootfs.clone(), self.dir()] {
                std::os::unix::fs::chown(&path, Some(uid), Some(gid))
                    .ctx(|| format!("Failed to give {} to the container's root", path.display()))?;
            }
        }
        self.config_mut().set("lxc.rootfs.path", &format!("dir:{}", rootfs.display()))?;
        self.save()?;
        Ok(rootfs)
    }

    /// Makes the container's directory where it is missing. With an id map it becomes that of the container's root, who has
    /// to pass through it. (A user who is not root cannot give it away; the group still lets that user in.)
    pub(super) fn make_own_dir(&self) -> Result<()> {
        let dir = self.dir();
        make_dir(&dir)?;
        if self.config().is_none_or(|c| c.idmap.maps.is_empty()) || !nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let none =
            || Error::os(libc::EINVAL, "lxc.idmap gives the container no root").hint("map user 0 and group 0 as well");
        let (uid, gid) = self.mapped_root().ok_or_else(none)?;
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid))
            .ctx(|| format!("Failed to give {} to the container's root", dir.display()))
    }

    /// The host's ids of the container's root, with an id map.
    fn mapped_root(&self) -> Option<(u32, u32)> {
        let config = self.config()?;
        let id = |kind| config.idmap.maps.iter().find(|m| m.kind == kind && m.nsid == 0).map(|m| m.hostid);
        Some((id(IdKind::Uid)?, id(IdKind::Gid)?))
    }

    /// argv of the template, in the order of the contract.
    fn template_args(&self, want: &Create, template: &Path, rootfs: &Path) -> Result<Vec<CString>> {
        let mut words: Vec<OsString> = vec![template.into()];
        words.push(format!("--path={}", self.dir().display()).into());
        words.push(format!("--name={}", self.name()).into());
        words.push(format!("--rootfs={}", rootfs.display()).into());
        words.extend(want.args.iter().cloned());
        if self.config().is_some_and(|c| !c.idmap.maps.is_empty()) {
            let (uid, gid) = self.mapped_root().map_or((-1, -1), |(u, g)| (i64::from(u), i64::from(g)));
            for (option, id) in [("--mapped-uid", uid), ("--mapped-gid", gid)] {
                words.push(option.into());
                words.push(id.to_string().into());
            }
        }
        let nul = || Error::new("a template's argument contains a NUL");
        words.iter().map(|w| CString::new(w.as_bytes()).map_err(|_| nul())).collect()
    }

    /// Runs the template in a mount namespace of its own (with an id map in a user namespace of it as well) and waits for
    /// it, or for a signal.
    fn run_template(&self, want: &Create, template: &Path, rootfs: &Path) -> Result<()> {
        let argv = self.template_args(want, template, rootfs)?;
        let envp: Vec<CString> = std::env::vars_os()
            .filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok())
            .collect();
        let what = || format!("Failed to run the template {}", template.display());
        let watched = signal::SigSet::of(&INTERRUPTS);
        let old = signal::block(&watched).ctx(what)?;
        let ended =
            Launch { args: ExecArgs::new(&argv, &envp), quiet: want.quiet, mask: old, maps: self.template_maps() }
                .run(&watched)
                .map_err(|e| Error { what: format!("{}: {}", what(), e.what), ..e });
        let _ = signal::set_mask(&old);
        match ended? {
            Ended::Status(0) => Ok(()),
            Ended::Status(status) => Err(failed(&argv, template, status)),
            Ended::Interrupted(n) => {
                let mut e = Error::new(format!("interrupted by signal {n}: what the template had made is removed"));
                e.code = 128 + n;
                Err(e)
            }
        }
    }

    /// The container's id map, with the caller's own ids on the next free ones so that it reaches its files; empty
    /// without an id map.
    fn template_maps(&self) -> Vec<IdMap> {
        let Some(config) = self.config() else { return Vec::new() };
        let mut maps = config.idmap.maps.clone();
        if maps.is_empty() {
            return maps;
        }
        for (kind, own) in [(IdKind::Uid, cred::euid()), (IdKind::Gid, cred::egid())] {
            let of_kind = || maps.iter().filter(|m| m.kind == kind);
            let mapped = of_kind().any(|m| own >= m.hostid && own - m.hostid < m.range);
            let free = of_kind().map(|m| m.nsid.saturating_add(m.range)).max().unwrap_or(0);
            if !mapped {
                maps.push(IdMap { kind, nsid: free, hostid: own, range: 1 });
            }
        }
        maps
    }

    /// Writes the lines that tell where the container came from before its config.
    fn add_header(&self, want: &Create, template: &Path) -> Result<()> {
        let file = self.config_file();
        let what = || format!("Failed to write {}", file.display());
        let old = std::fs::read(&file).ctx(what)?;
        let mode = std::fs::metadata(&file).ctx(what)?.permissions().mode() & 0o777;
        let mut text = format!("# Template used to create this container: {}\n", template.display()).into_bytes();
        text.extend_from_slice(b"# Parameters passed to the template:");
        for arg in &want.args {
            text.push(b' ');
            text.extend_from_slice(arg.as_bytes());
        }
        if let Ok(script) = std::fs::read(template) {
            text.extend_from_slice(format!("\n# Template script checksum (SHA-1): {}", sha1::hex(&script)).as_bytes());
        }
        let rest = format!(
            "\n# For additional config options, please look at lxc.container.conf(5)\n\n\
             # Uncomment the following line to support nesting containers:\n\
             #lxc.include = {}/nesting.conf\n# (Be aware this has security implications)\n\n",
            paths::dirs::CONFIGDIR
        );
        text.extend_from_slice(rest.as_bytes());
        text.extend_from_slice(&old);
        crate::sys::fsops::replace_file(&file, &text, mode).ctx(what)
    }
}

/// A template's process, rendered.
struct Launch {
    args: ExecArgs,
    quiet: bool,
    /// The signal mask that it gets.
    mask: signal::SigSet,
    /// The id map of its user namespace; empty: none.
    maps: Vec<IdMap>,
}

impl Launch {
    /// Clones, maps ids, executes, waits.
    fn run(&self, watched: &signal::SigSet) -> Result<Ended> {
        let null = path::open(c"/dev/null", libc::O_RDWR, 0).ctx(|| "/dev/null".into())?;
        let told = signal::signalfd(watched).ctx(|| "signals".into())?;
        let (ready, go) = fd::pipe().ctx(|| "a pipe".into())?;
        let mapped = !self.maps.is_empty();
        let mut flags = if cred::euid() == 0 || mapped { ns::CLONE_NEWNS } else { 0 };
        if mapped {
            flags |= ns::CLONE_NEWUSER;
        }
        let how = process::Clone3 { flags, pidfd: true, cgroup: None };
        let child = process::clone3(&how, || self.child(flags, &null, &ready)).ctx(|| "clone".into())?;
        drop(ready);
        if mapped {
            let path = std::env::var("PATH").unwrap_or_default();
            let written = idmap::write::write(&self.maps, child.pid, &idmap::write::way(&self.maps, &path));
            if let Err(e) = written {
                // It waits at the pipe and ends with it.
                drop(go);
                let _ = process::wait_pid(child.pid, 0);
                return Err(e);
            }
        }
        fd::write_all(go.as_fd(), b"g").ctx(|| "the template's start".into())?;
        wait_or_interrupt(child, &told).ctx(|| "waiting".into())
    }

    /// In the child: never returns, allocates nothing.
    fn child(&self, flags: u64, null: &OwnedFd, ready: &OwnedFd) -> process::Never {
        let mut word = [0];
        if fd::read_into(ready.as_fd(), &mut word).ok() != Some(1) {
            process::exit_now(127)
        }
        if flags & ns::CLONE_NEWUSER != 0 {
            let _ = cred::setgroups(&[]);
            if cred::setgid_all(0).and_then(|()| cred::setuid_all(0)).is_err() {
                process::exit_now(127)
            }
        }
        if flags & ns::CLONE_NEWNS != 0 {
            let _ = mount::mount(None, c"/", None, libc::MS_SLAVE | libc::MS_REC, None);
        }
        if self.quiet {
            for number in 0..3 {
                let _ = fd::dup_onto(null.as_fd(), number);
            }
        }
        let _ = signal::set_mask(&self.mask);
        process::umask(0o022);
        if let Some(program) = self.args.program() {
            process::execve(program, &self.args);
        }
        process::exit_now(127)
    }
}

/// The failure of a template.
fn failed(argv: &[CString], template: &Path, status: i32) -> Error {
    let how = if libc::WIFSIGNALED(status) {
        format!("was killed by signal {}", libc::WTERMSIG(status))
    } else {
        format!("ended with status {}", libc::WEXITSTATUS(status))
    };
    let args: Vec<_> = argv.iter().skip(1).map(|a| a.to_string_lossy()).collect();
    Error::new(format!("Failed to create container from template: {} {how}", template.display())).hint(format!(
        "run it by hand to see why: {} {}",
        template.display(),
        args.join(" ")
    ))
}

/// How the template ended.
enum Ended {
    /// By itself: raw wait status.
    Status(i32),
    /// It was told to, since the creator was: the signal.
    Interrupted(i32),
}

/// Waits for the child; a signal to the creator goes to the child, which gets [`GRACE`] to end.
fn wait_or_interrupt(child: process::Child, told: &OwnedFd) -> std::io::Result<Ended> {
    use crate::sys::poll::{self, PollFd};
    let Some(pidfd) = child.pidfd else { return Ok(Ended::Status(process::wait_pid(child.pid, 0)?.1)) };
    let mut interrupted: Option<(i32, Instant)> = None;
    loop {
        let left = interrupted.map(|(_, since)| GRACE.saturating_sub(since.elapsed()));
        if left.is_some_and(|l| l.is_zero()) {
            let _ = process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
        }
        let timeout = left.map_or(-1, |l| i32::try_from(l.as_millis()).unwrap_or(1000).max(20));
        let mut set = [PollFd::new(pidfd.as_fd(), libc::POLLIN), PollFd::new(told.as_fd(), libc::POLLIN)];
        poll::poll(&mut set, timeout)?;
        let [ended, signalled] = set.map(|fd| fd.revents() != 0);
        if ended {
            let status = process::wait_pid(child.pid, 0)?.1;
            return Ok(interrupted.map_or(Ended::Status(status), |(n, _)| Ended::Interrupted(n)));
        }
        if signalled
            && let Some(signal) = signal::read_signalfd(told.as_fd())?
            && interrupted.is_none()
        {
            interrupted = Some((signal.signal, Instant::now()));
            let _ = process::pidfd_send_signal(pidfd.as_fd(), libc::SIGTERM);
        }
    }
}

/// The template's path: a name below TEMPLATEDIR, or an absolute path.
///
/// # Errors
/// There is no such executable.
pub fn find_template(name: &str) -> Result<PathBuf> {
    let path = if name.starts_with('/') {
        PathBuf::from(name)
    } else {
        Path::new(paths::dirs::TEMPLATEDIR).join(format!("lxc-{name}"))
    };
    let usable = !name.contains("/../")
        && (name.starts_with('/') || !name.contains('/'))
        && path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if usable {
        return Ok(path);
    }
    let mut known = templates();
    known.push("none".to_string());
    Err(Error::os(libc::ENOENT, format!("bad template: {name} (no executable {})", path.display()))
        .hint(format!("templates here: {}", known.join(", "))))
}

/// The templates that are installed, sorted.
pub fn templates() -> Vec<String> {
    let mut known: Vec<String> = std::fs::read_dir(paths::dirs::TEMPLATEDIR)
        .map(|d| d.filter_map(|e| e.ok()?.file_name().to_str()?.strip_prefix("lxc-").map(str::to_string)).collect())
        .unwrap_or_default();
    known.sort_unstable();
    known
}

/// The backends that can be made here.
fn backend(name: Option<&str>) -> Result<()> {
    match name {
        None | Some("dir" | "none" | "best") => Ok(()),
        Some(other) => Err(Error::new(format!("the storage backend {other} is not built yet"))),
    }
}

/// mkdir -p, 0755.
fn make_path(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .ctx(|| format!("Failed to create directory {}", path.display()))
}

/// A container's own directory, 0770.
///
/// # Errors
/// mkdir(2).
pub(super) fn make_dir(path: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o770).create(path) {
        Ok(()) => {
            // 0770 whatever the caller's mask is.
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o770))
                .ctx(|| format!("Failed to set the mode of {}", path.display()))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(Error::io(&e, format!("Failed to create container directory {}", path.display()))),
    }
}

/// The config that a new container begins with: `file`, or the system's default, when it can be read.
///
/// # Errors
/// The file does not parse.
pub fn first_config(file: Option<&Path>) -> Result<Config> {
    let mut config = Config::new();
    let default = paths::global("lxc.default_config").ok().flatten().map(PathBuf::from);
    if let Some(file) = file.or(default.as_deref()) {
        config.load_file(file)?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_found_by_path_and_never_outside() {
        assert_eq!(find_template("/bin/sh").unwrap(), Path::new("/bin/sh"));
        for bad in ["no-such", "../../../bin/sh", "/etc/passwd", "/tmp/../bin/sh", "a/b"] {
            assert!(find_template(bad).is_err(), "{bad}");
        }
    }
}
