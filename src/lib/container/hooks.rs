//! The hooks of what is done to a container on disk: clone and destroy. Owns their environment and the mount namespace in
//! which clone hooks see the new rootfs; how a hook is called is `hook`'s, those of a start and a stop are `runtime`'s.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::facts::Facts;
use crate::base::mount_options::MountOptions;
use crate::base::op::{Source, cstring};
use crate::base::paths::dirs;
use crate::base::spawn::Command;
use crate::base::{Context, Error, Result};
use crate::config::Config;
use crate::hook::Rendered;
use crate::hook::conf::When;
use crate::storage::{overlay, rootfs};
use crate::sys::{cred, mount, ns, process, signal};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// A mount that the hooks of a copy find.
struct Shown {
    source: Source,
    target: CString,
    flags: u64,
}

impl Container {
    /// Runs the destroy hooks, in order, in the caller's namespaces: nothing is mounted for them.
    ///
    /// # Errors
    /// One did not end with 0.
    pub(super) fn run_destroy_hooks(&self) -> Result<()> {
        let Some(config) = self.config() else { return Ok(()) };
        let mut env = self.hook_env(config, &mount_point(config));
        if let Some(path) = &config.storage.path {
            crate::hook::run::set(&mut env, "LXC_ROOTFS_PATH", path);
        }
        run_all(&crate::hook::run::render_all(&config.hook, When::Destroy, self.name(), &[], &env)?)
    }

    /// Runs the clone hooks of this copy of the container `original`, in order and in a mount namespace of their own, in
    /// which layers are mounted at `lxc.rootfs.mount`; a directory is where it is. `rootfs` is the copy's
    /// `lxc.rootfs.path`, with its type.
    ///
    /// # Errors
    /// The layers cannot be mounted; a hook did not end with 0.
    pub(super) fn run_clone_hooks(&self, original: &str, rootfs: Option<&str>, args: &[String]) -> Result<()> {
        let Some(config) = self.config() else { return Ok(()) };
        let layers = rootfs.and_then(|r| r.strip_prefix("overlay:"));
        let seen = match rootfs.and_then(|r| r.strip_prefix("dir:")) {
            Some(dir) => PathBuf::from(dir),
            None => mount_point(config),
        };
        let mut env = self.hook_env(config, &seen);
        crate::hook::run::set(&mut env, "LXC_SRC_NAME", original);
        if let Some(rootfs) = rootfs {
            crate::hook::run::set(&mut env, "LXC_ROOTFS_PATH", rootfs);
        }
        let hooks = crate::hook::run::render_all(&config.hook, When::Clone, self.name(), args, &env)?;
        if hooks.is_empty() {
            return Ok(());
        }
        let shown = layers.map(|l| self.layers(config, l, &seen)).transpose()?;
        in_own_mounts(shown.as_ref(), || run_all(&hooks))
    }

    /// What all of these hooks find in their environment.
    fn hook_env(&self, config: &Config, rootfs_mount: &Path) -> Vec<String> {
        let own = ["LXC_ROOTFS_PATH=", "LXC_SRC_NAME=", "LXC_PID=", "LXC_TARGET="];
        let mut env: Vec<String> = std::env::vars_os()
            .filter_map(|(k, v)| Some(format!("{}={}", k.into_string().ok()?, v.into_string().ok()?)))
            .filter(|e| !own.iter().any(|name| e.starts_with(name)))
            .collect();
        for (name, value) in [
            ("LXC_NAME", self.name().to_string()),
            ("LXC_CONFIG_FILE", self.config_file().display().to_string()),
            ("LXC_ROOTFS_MOUNT", rootfs_mount.display().to_string()),
            ("LXC_CGNS_AWARE", "1".to_string()),
            ("LXC_HOOK_VERSION", config.hook.version.to_string()),
        ] {
            crate::hook::run::set(&mut env, name, &value);
        }
        env
    }

    /// The mount of layers as a start makes it.
    fn layers(&self, config: &Config, layers: &str, at: &Path) -> Result<Shown> {
        rootfs::check_mount_point(at)?;
        let options = MountOptions::parse(config.storage.options.as_deref().unwrap_or_default())?;
        let facts = Facts { name: self.name().to_string(), lxcpath: self.lxcpath().to_path_buf(), ..Facts::default() };
        let source = overlay::source(layers, &options.data, &facts)?;
        Ok(Shown { source, target: cstring(at.as_os_str().as_encoded_bytes())?, flags: options.flags })
    }
}

/// `lxc.rootfs.mount`, or the compiled default.
fn mount_point(config: &Config) -> PathBuf {
    config.storage.mount.as_deref().unwrap_or(dirs::ROOTFSMOUNT).into()
}

/// Runs `act` in a mount namespace of its own, of which nothing comes out. A mount namespace belongs to a thread: the
/// caller's is left alone, and what `act` starts has the caller's directory, environment and ids.
fn in_own_mounts(shown: Option<&Shown>, act: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    let what = || "Failed to make a mount namespace for clone hooks".to_string();
    // The caller's signals are not for this thread.
    let mask = signal::block_all().ctx(what)?;
    std::thread::scope(|scope| {
        let work = || match unshared() {
            // Who may not mount may still have hooks, as long as they need none.
            Err(e) if e.raw_os_error() == Some(libc::EPERM) && shown.is_none() && cred::euid() != 0 => act(),
            Err(e) => Err(Error::io(&e, what())),
            Ok(()) => shown.map_or(Ok(()), show).and_then(|()| act()),
        };
        match std::thread::Builder::new().spawn_scoped(scope, work) {
            Ok(thread) => {
                // They are for the one that waits.
                let restored = signal::set_mask(&mask).ctx(what);
                let done = thread.join().unwrap_or_else(|_| Err(Error::new("A clone hook could not be run")));
                done.and(restored.map(drop))
            }
            Err(e) => {
                let _ = signal::set_mask(&mask);
                Err(e).ctx(what)
            }
        }
    })
}

/// Gives the calling thread mounts of its own, which still follow the host's.
fn unshared() -> std::io::Result<()> {
    ns::unshare(ns::CLONE_NEWNS)?;
    mount::mount(None, c"/", None, libc::MS_SLAVE | libc::MS_REC, None)
}

fn show(shown: &Shown) -> Result<()> {
    let what = || format!("Failed to mount the rootfs at {} for clone hooks", shown.target.to_string_lossy());
    match &shown.source {
        Source::Fs { fstype, name, data } => {
            mount::mount(Some(name), &shown.target, Some(fstype), shown.flags, data.as_deref()).ctx(what)
        }
        _ => Err(Error::new(what())),
    }
}

fn run_all(hooks: &[Rendered]) -> Result<()> {
    hooks.iter().try_for_each(run_hook)
}

/// Runs one rendered hook; its output goes to the log.
fn run_hook(hook: &Rendered) -> Result<()> {
    let words = |list: &[CString]| list.iter().map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let mut argv = words(&hook.argv).into_iter();
    let program = argv.next().unwrap_or_default();
    let env = words(&hook.envp);
    let pairs = env.iter().filter_map(|e| e.split_once('=')).map(|(k, v)| (k.to_string(), v));
    let command = Command::new(program).args(argv).clear_env().envs(pairs);
    let status = command.run(|line| crate::log_info!("Script {} produced output: {line}", hook.command))?;
    match status.raw {
        0 => Ok(()),
        raw => Err(Error::new(format!("The hook {} ended with status {}", hook.command, process::exit_code(raw)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_a_hook_are_its_own() {
        let mine = std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
        let seen = std::sync::Mutex::new(PathBuf::new());
        in_own_mounts(None, || {
            *seen.lock().unwrap() = std::fs::read_link("/proc/thread-self/ns/mnt").unwrap();
            Ok(())
        })
        .unwrap();
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/mnt").unwrap(), mine);
        assert_eq!(*seen.lock().unwrap() != mine, cred::euid() == 0);
        let told = in_own_mounts(None, || Err(Error::os(libc::E2BIG, "told"))).unwrap_err();
        assert_eq!((told.errno, told.what.as_str()), (libc::E2BIG, "told"));
    }

    #[test]
    fn a_panic_of_the_thread_is_an_error() {
        assert!(in_own_mounts(None, || std::panic::resume_unwind(Box::new(()))).is_err());
    }
}
