//! lxc-start: starts a container, in the background unless told otherwise.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, err_line, load_rcfile, tell, tell_config, told, utf8};
use crate::base::{Error, Result};
use crate::config::{Config, table};
use crate::container::Container;
use crate::container::life::StartOptions;
use crate::runtime::start::is_running;
use clap::Command;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-start",
    text: "\
--name=NAME -- COMMAND

Starts the container NAME, in the background unless told otherwise. COMMAND runs
in place of its init.

-d, --daemon\trun it in the background (default)
-F, --foreground\tstay in the foreground, with this terminal as its console
-f, --rcfile=FILE\tuse this config FILE instead of the container's own
-s, --define=KEY=VAL\tset KEY of the config to VAL for this start
-c, --console=FILE\tuse FILE as the console, none for none
-L, --console-log=FILE\tappend what the console shows to FILE
-C, --close-all-fds\tpass no open file on to the container (implied by -d)
-p, --pidfile=FILE\twrite the process id of the monitor to FILE
--share-net=NAME\tshare the network namespace of a container or pid
--share-ipc=NAME\tshare the IPC namespace
--share-uts=NAME\tshare the UTS namespace
--share-pid=NAME\tshare the PID namespace",
    named: Named::Must,
    types,
    check: |call| {
        call.all::<String>("define").iter().try_for_each(|d| match split_define(d) {
            Some(_) => Ok(()),
            None => Err(format!("-s {d}: a definition is KEY=VALUE with a KEY that begins with lxc.")),
        })
    },
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    share_types(cmd.mut_arg("define", |a| a.value_parser(utf8)))
        .mut_arg("console", |a| a.value_parser(utf8))
        .mut_arg("console-log", |a| a.value_parser(utf8))
}

/// The types of `--share-*`.
pub(super) fn share_types(mut cmd: Command) -> Command {
    for ns in SHARED {
        cmd = cmd.mut_arg(format!("share-{ns}"), |a| a.value_parser(utf8));
    }
    cmd
}

const SHARED: [&str; 4] = ["net", "ipc", "uts", "pid"];

/// `lxc.key = value` of `-s`.
fn split_define(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim();
    key.starts_with("lxc.").then(|| (key, value.trim()))
}

/// Applies `-s` and `--share-*`. A definition that is none has been refused, or is passed over as lxc-execute does.
///
/// # Errors
/// A key or value that the config does not take: told in full.
pub(super) fn apply_options(call: &Call, config: &mut Config) -> Result<()> {
    for define in call.all::<String>("define") {
        let Some((key, value)) = split_define(&define) else {
            crate::log_warn!("-s {define}: not of the form KEY=VALUE, ignored");
            continue;
        };
        if let Err(e) = config.set(key, value) {
            if table::find(key).is_none() {
                crate::log_error!(errno = libc::EINVAL, "Unsupported config key \"{key}\"");
            }
            return Err(Error { what: format!("-s {define}: {}", e.what), ..e });
        }
    }
    for ns in SHARED {
        if let Some(whose) = call.get::<String>(&format!("share-{ns}")) {
            config.set(&format!("lxc.namespace.share.{ns}"), &whose)?;
        }
    }
    Ok(())
}

/// The handle with its config: `--rcfile`'s, else the stored one.
///
/// # Errors
/// The stored one cannot be read or parsed: told in full.
pub(super) fn open(call: &Call, rcfile: Option<Config>) -> Result<Container> {
    let mut c = call.container()?;
    if let Some(config) = rcfile {
        c.set_config(config);
    } else if c.is_defined()
        && let Err(e) = c.load(None)
    {
        tell_config(call, &e);
        err_line(&format!("Failed to load config for {}", call.name));
        crate::log_error!("Failed to create lxc_container");
        return Err(told(1));
    }
    Ok(c)
}

/// Words for execve(2).
///
/// # Errors
/// Never from a command line: its words hold no NUL.
pub(super) fn words(operands: &[OsString]) -> Result<Vec<CString>> {
    let word = |w: &OsString| CString::new(w.clone().into_vec()).map_err(|_| Error::new("a word contains a NUL"));
    operands.iter().map(word).collect()
}

fn run(call: &Call) -> Result<i32> {
    let rcfile = load_rcfile(call)?;
    let running = call.container()?;
    if !running.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.name);
        return Err(told(1));
    }
    if running.is_running() {
        crate::log_error!("Container is already running");
        return Ok(0);
    }
    let mut c = open(call, rcfile)?;
    let argv = words(&call.operands)?;
    if c.config().is_none() && argv.is_empty() {
        crate::log_error!("No container config specified");
        call.say_what_helps();
        return Err(told(1));
    }
    apply_options(call, c.config_mut())?;
    if let Some(console) = call.get::<String>("console") {
        c.config_mut().set("lxc.console.path", &console)?;
    }
    if let Some(file) = call.get::<String>("console-log") {
        c.config_mut().set("lxc.console.logfile", &file)?;
    }
    let pidfile = call.path("pidfile").map(Path::to_path_buf);
    if let Some(file) = &pidfile {
        ensure_pidfile(file)?;
    }
    let daemonize = call.place("foreground").is_none_or(|f| call.place("daemon").is_some_and(|d| d > f));
    let options = StartOptions {
        argv,
        useinit: false,
        daemonize,
        close_fds: daemonize || call.flag("close-all-fds"),
        pidfile,
        config_file: call.rcfile.clone(),
        from_library: false,
    };
    match c.start(&options) {
        Ok(_) => Ok(0),
        Err(e) if is_running(&e) => {
            crate::log_error!("Container is already running");
            Ok(0)
        }
        Err(e) => {
            failed(call, &e, daemonize);
            Err(told(if e.code == 0 { 1 } else { e.code }))
        }
    }
}

/// A path that cannot be written is better known before the start.
fn ensure_pidfile(file: &Path) -> Result<()> {
    if let Err(e) = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file) {
        crate::log_error!(errno = e, "Failed to create '{}'", file.display());
        crate::log_error!("Failed to ensure pidfile '{}'", file.display());
        return Err(told(1));
    }
    Ok(())
}

/// The one line that matters and what mends it; then LXC's own lines.
fn failed(call: &Call, e: &Error, daemonize: bool) {
    tell(call, e);
    if daemonize {
        crate::log_error!("Received container state \"ABORTING\" instead of \"RUNNING\"");
    }
    crate::log_error!("The container failed to start");
    if daemonize {
        crate::log_error!("To get more details, run the container in foreground mode");
    }
    crate::log_error!("Additional information can be obtained by setting the --logfile and --logpriority options");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions() {
        assert_eq!(split_define("lxc.uts.name=a=b"), Some(("lxc.uts.name", "a=b")));
        assert_eq!(split_define("lxc.uts.name = a"), Some(("lxc.uts.name", "a")));
        assert_eq!(split_define("bogus"), None);
        assert_eq!(split_define("x.y=1"), None);
    }
}
