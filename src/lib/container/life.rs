//! Starting and ending a container, freezing it: the handle's side. What a start does lies in `runtime::start`; a running
//! container is asked through its monitor and its config file is never needed.
#![forbid(unsafe_code)]

use super::Container;
use super::partial::Creation;
use crate::base::{Error, Result, log, units};
use crate::config::LogConf;
use crate::runtime::start::{self, StartRequest, Started};
use crate::runtime::stop::Stopped;
use crate::runtime::{freeze, stop};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the kernel may take to end a process that was killed, before it is said that it does not.
const KILL_WITHIN: Duration = Duration::from_secs(30);

/// How to start.
#[derive(Debug, Clone, Default)]
pub struct StartOptions {
    /// Init and its arguments; empty: the config's, else /sbin/init.
    pub argv: Vec<CString>,
    /// lxc-execute: a small init of ours supervises the command.
    pub useinit: bool,
    /// A monitor stays behind and the call returns once it runs; else the call returns when it has ended.
    pub daemonize: bool,
    /// Descriptors that the caller left open do not reach init.
    pub close_fds: bool,
    /// Where the monitor's pid is written.
    pub pidfile: Option<PathBuf>,
    /// The file that the config was read from, when it is not its own.
    pub config_file: Option<PathBuf>,
    /// The caller is a program of somebody else's: it may have threads, or be large, and is not forked.
    pub from_library: bool,
}

/// `lxc.ephemeral = 1`: the end of such a container, and what the supervisor program needs to bring it about.
///
/// # Errors
/// As [`Container::destroy`].
pub fn destroy_ephemeral(lxcpath: &Path, name: &str) -> Result<()> {
    Container::open(name, Some(lxcpath))?.destroy()
}

/// `lxc.log.*` takes effect where the command line said nothing; what cannot be is told and does not stop the start.
fn log_as_configured(conf: &LogConf) {
    let level = conf.level.and_then(|l| log::Level::from_number(i32::from(l)));
    let file = log::apply_config(level, conf.file.as_deref().map(Path::new));
    let syslog = conf.syslog.as_deref().map_or(Ok(()), |f| log::apply_syslog(&f.to_ascii_lowercase()));
    for e in [file, syslog].into_iter().filter_map(Result::err) {
        crate::log_warn!("{e}");
    }
}

impl Container {
    /// Starts it with what is configured in the handle.
    ///
    /// # Errors
    /// What failed and what mends it; [`start::is_running`] tells that it runs already.
    pub fn start(&self, options: &StartOptions) -> Result<Started> {
        let request = self.request(options)?;
        // A program of somebody else's keeps its log as it is; the monitor has one of its own.
        if !options.from_library {
            log_as_configured(&request.config.log);
        }
        start::run(&request)
    }

    /// The start as data, for the runtime.
    ///
    /// # Errors
    /// The container is being created.
    pub fn request(&self, options: &StartOptions) -> Result<StartRequest> {
        if self.creation() == Creation::Ongoing {
            return Err(Error::new("Ongoing container creation detected"));
        }
        Ok(StartRequest {
            name: self.name().to_string(),
            lxcpath: self.lxcpath().to_path_buf(),
            config: self.config().cloned().unwrap_or_default(),
            config_file: options.config_file.clone().unwrap_or_else(|| self.config_file()),
            useinit: options.useinit,
            argv: options.argv.clone(),
            daemonize: options.daemonize,
            close_fds: options.close_fds,
            pidfile: options.pidfile.clone(),
            destroy: Some(destroy_ephemeral),
            from_library: options.from_library,
            restore: None,
            in_supervise: false,
        })
    }

    /// Kills it and waits until its name is free. One that does not run is stopped already.
    ///
    /// # Errors
    /// It may not be controlled, or does not die.
    pub fn stop(&self) -> Result<Stopped> {
        match stop::kill(&self.client(), Some(KILL_WITHIN))? {
            Stopped::TimedOut => Err(Error::new(format!("{} does not die", self.name()))
                .hint("a process of it may hang in the kernel: see `ps -eo pid,stat,wchan,cmd` for state D")),
            done => Ok(done),
        }
    }

    /// Asks its init to shut down and waits for its end; `None` waits without limit, no time at all does not wait.
    ///
    /// # Errors
    /// It may not be controlled; its init cannot be signalled.
    pub fn shutdown(&self, limit: Option<Duration>) -> Result<Stopped> {
        stop::shutdown(&self.client(), self.stored_signal("lxc.signal.halt"), limit)
    }

    /// Asks its init to reboot and waits until it runs again; as [`Container::shutdown`].
    ///
    /// # Errors
    /// As [`Container::shutdown`].
    pub fn reboot(&self, limit: Option<Duration>) -> Result<Stopped> {
        stop::reboot(&self.client(), self.stored_signal("lxc.signal.reboot"), limit)
    }

    /// Freezes all its processes.
    ///
    /// # Errors
    /// It does not run, may not be controlled, or the kernel refuses.
    pub fn freeze(&self) -> Result<()> {
        freeze::freeze(&self.client())
    }

    /// Thaws them.
    ///
    /// # Errors
    /// As [`Container::freeze`].
    pub fn unfreeze(&self) -> Result<()> {
        freeze::unfreeze(&self.client())
    }

    /// A signal as the config file says it now, so that a change of it helps a container that does not react: 0 when it
    /// is not set; `None` when the file cannot be read.
    fn stored_signal(&self, key: &str) -> Option<i32> {
        let mut stored = crate::config::Config::new();
        let file = self.config_file();
        stored.load_file(&file).ok()?;
        stored.get(key).ok().map(|text| units::parse_signal(text.trim()).unwrap_or(0))
    }
}
