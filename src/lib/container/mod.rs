//! A container as its user knows it: a name in a store, a config file, and what is done to it. Owns creating, destroying,
//! copying and listing; what happens while it runs lies in `runtime`, what its monitor knows is asked through `ipc`.
#![forbid(unsafe_code)]

pub mod clone;
pub mod copytree;
pub mod create;
pub mod destroy;
pub mod device;
mod hooks;
pub mod inject;
pub mod life;
pub mod list;
pub mod migrate;
pub mod name;
pub mod net;
pub mod partial;
pub mod rename;
pub mod snapshot;
pub mod wait;

mod sha1;

use crate::base::{Error, Result};
use crate::config::Config;
use crate::ipc::command::{ANSWER_WITHIN, Client};
use crate::ipc::state::State;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A container that may or may not exist on disk.
#[derive(Debug, Clone)]
pub struct Container {
    name: String,
    lxcpath: PathBuf,
    config: Option<Config>,
    /// How long an answer of the monitor is waited for; `None`: as long as it takes.
    limit: Option<Duration>,
}

impl Container {
    /// A handle; `None` is the system's store. Reads nothing.
    ///
    /// # Errors
    /// The name is refused ([`name::check`]), or lxc.conf cannot be read.
    pub fn new(name: &str, lxcpath: Option<&Path>) -> Result<Self> {
        name::check(name)?;
        let lxcpath = match lxcpath {
            Some(path) => path.to_path_buf(),
            None => crate::base::paths::lxcpath(),
        };
        Ok(Self { name: name.to_string(), lxcpath: stripped(lxcpath), config: None, limit: Some(ANSWER_WITHIN) })
    }

    /// A handle with its config file read, when there is one.
    ///
    /// # Errors
    /// As [`Container::new`], or the config file does not parse.
    pub fn open(name: &str, lxcpath: Option<&Path>) -> Result<Self> {
        let mut container = Self::new(name, lxcpath)?;
        if container.is_defined() {
            container.load(None)?;
        }
        Ok(container)
    }

    /// A handle to nothing, for who has lost the name of theirs.
    pub(crate) fn nameless() -> Self {
        Self { name: "lost".into(), lxcpath: PathBuf::from("/"), config: None, limit: Some(ANSWER_WITHIN) }
    }

    /// How long an answer of the monitor is waited for; `None`: as long as it takes.
    pub fn answer_limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Sets how long an answer of the monitor is waited for.
    pub fn set_answer_limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store.
    pub fn lxcpath(&self) -> &Path {
        &self.lxcpath
    }

    /// Its directory in the store.
    pub fn dir(&self) -> PathBuf {
        self.lxcpath.join(&self.name)
    }

    /// Its config file, whether it exists or not.
    pub fn config_file(&self) -> PathBuf {
        self.dir().join("config")
    }

    /// The config file exists.
    pub fn is_defined(&self) -> bool {
        self.config_file().metadata().is_ok()
    }

    /// What is configured; `None` until something was read or set.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// What is configured, made when there is nothing yet.
    pub fn config_mut(&mut self) -> &mut Config {
        self.config.get_or_insert_with(Config::new)
    }

    /// Forgets what is configured.
    pub fn clear_config(&mut self) {
        self.config = None;
    }

    /// Replaces what is configured.
    pub fn set_config(&mut self, config: Config) {
        self.config = Some(config);
    }

    /// Reads `file`, or its own config file, in place of what is configured.
    ///
    /// # Errors
    /// The first wrong line, as file:line:column; nothing is configured then.
    pub fn load(&mut self, file: Option<&Path>) -> Result<()> {
        let own = self.config_file();
        let mut config = Config::new();
        self.config = None;
        config.load_file(file.unwrap_or(&own))?;
        self.config = Some(config);
        Ok(())
    }

    /// Writes what is configured to its own config file; makes its directory.
    ///
    /// # Errors
    /// The directory or the file cannot be written; the old file is then intact.
    pub fn save(&mut self) -> Result<()> {
        self.make_own_dir()?;
        let file = self.config_file();
        self.config_mut().save(&file)
    }

    /// Writes the config elsewhere. The container's own directory is made all the same: LXD relies on its owner.
    ///
    /// # Errors
    /// As [`Container::save`].
    pub fn save_as(&mut self, file: &Path) -> Result<()> {
        self.make_own_dir()?;
        self.config_mut().save(file)
    }

    /// A connection to its monitor, for questions.
    pub fn client(&self) -> Client {
        Client::new(&self.lxcpath, &self.name).timeout(self.limit)
    }

    /// Its state; STOPPED when no monitor answers.
    pub fn state(&self) -> State {
        self.client().state().unwrap_or(State::Stopped)
    }

    /// It is in any state but STOPPED.
    pub fn is_running(&self) -> bool {
        self.state() != State::Stopped
    }

    /// The process id of init as the caller sees it.
    pub fn init_pid(&self) -> Option<i32> {
        self.client().init_pid().ok().flatten().filter(|pid| *pid > 0)
    }

    /// The caller may drive it; true also when it does not run.
    pub fn may_control(&self) -> bool {
        self.client().may_control()
    }

    /// The error of a container that does not exist.
    pub(crate) fn undefined(&self) -> Error {
        Error::new("Container is not defined")
    }
}

/// The store without trailing slashes, as the command socket's name has it; `/` stays.
fn stripped(path: PathBuf) -> PathBuf {
    match path.to_str() {
        Some(text) if text.len() > 1 && text.ends_with('/') => {
            let cut = text.trim_end_matches('/');
            PathBuf::from(if cut.is_empty() { "/" } else { cut })
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_reads_nothing_and_refuses_names_that_leave_the_store() {
        let c = Container::new("c1", Some(Path::new("/no/such///"))).unwrap();
        assert_eq!(c.lxcpath(), Path::new("/no/such"));
        assert_eq!(c.config_file(), Path::new("/no/such/c1/config"));
        assert!(!c.is_defined() && c.config().is_none());
        assert!(Container::new("..", None).is_err());
        assert_eq!(stripped(PathBuf::from("//")), Path::new("/"));
    }
}
