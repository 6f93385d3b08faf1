//! lxc-execute: runs one command in a container of its own, below a small init of ours.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, tell, told, utf8};
use super::start;
use crate::base::{Error, Result};
use crate::container::life::StartOptions;
use crate::runtime::start::{Started, is_running};
use clap::Command;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-execute",
    text: "\
--name=NAME -- COMMAND

Runs COMMAND in the container NAME, below a small init of LXC's own, and ends with
its status. The container needs a config, no rootfs.

-d, --daemon\trun it in the background
-f, --rcfile=FILE\tuse this config FILE instead of the container's own
-s, --define=KEY=VAL\tset KEY of the config to VAL for this run
-u, --uid=UID\trun COMMAND as this user id inside
-g, --gid=GID\trun COMMAND as this group id inside
--share-net=NAME\tshare the network namespace of a container or pid
--share-ipc=NAME\tshare the IPC namespace
--share-uts=NAME\tshare the UTS namespace
--share-pid=NAME\tshare the PID namespace",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    start::share_types(cmd.mut_arg("define", |a| a.value_parser(utf8)))
        .mut_arg("uid", |a| a.value_parser(id))
        .mut_arg("gid", |a| a.value_parser(id))
}

/// A user or group id: a number.
pub(super) fn id(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| "not a number".to_string())
}

fn run(call: &Call) -> Result<i32> {
    let mut c = start::open(call, load_rcfile(call)?)?;
    if c.config().is_none() {
        crate::log_error!("Executing a container with no configuration file may crash the host");
        return Err(told(1));
    }
    let mut argv = start::words(&call.operands)?;
    start::apply_options(call, c.config_mut())?;
    if argv.is_empty() {
        argv = split_command(c.config().and_then(|c| c.process.execute_cmd.as_deref()).unwrap_or_default());
    }
    if argv.is_empty() {
        return Err(Error::new("no command to run").hint("give one after --, or set lxc.execute.cmd in the config"));
    }
    if let Some(uid) = call.get::<u32>("uid") {
        c.config_mut().process.init_uid = uid;
    }
    if let Some(gid) = call.get::<u32>("gid") {
        c.config_mut().process.init_gid = gid;
    }
    let daemonize = call.flag("daemon");
    let options = StartOptions {
        argv,
        useinit: true,
        daemonize,
        close_fds: daemonize,
        pidfile: None,
        config_file: call.rcfile.clone(),
        from_library: false,
    };
    match c.start(&options) {
        Ok(Started::Monitor(_)) => Ok(0),
        Ok(Started::Ended(status)) => Ok(exit_code(status)),
        Err(e) => {
            if is_running(&e) {
                crate::log_error!("Container \"{}\" appears to be already running", call.name);
                crate::log_error!("Failed to create command socket");
            } else {
                tell(call, &e);
            }
            crate::log_error!("Failed run an application inside container");
            Err(told(if e.code == 0 { 1 } else { e.code }))
        }
    }
}

/// A wait status as a shell has it.
pub(super) fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Words parted by blanks; quotes hold a word together, a backslash takes the next character as it is.
fn split_command(text: &str) -> Vec<std::ffi::CString> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut open, mut quote) = (String::new(), false, None);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.extend(chars.next());
                open = true;
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                open = true;
            }
            (' ' | '\t' | '\n', None) => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (c, _) => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    words.into_iter().filter_map(|w| std::ffi::CString::new(w).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_config() {
        let split = |t: &str| split_command(t).iter().map(|w| w.to_str().unwrap().to_string()).collect::<Vec<_>>();
        assert_eq!(split("\"/bin/sh\" \"-c\" \"exit 6\" "), ["/bin/sh", "-c", "exit 6"]);
        assert_eq!(split("  a  b\\ c '' 'x\"y'"), ["a", "b c", "", "x\"y"]);
        assert_eq!(split(" "), Vec::<String>::new());
    }

    #[test]
    fn codes() {
        assert_eq!(exit_code(5 << 8), 5);
        assert_eq!(exit_code(9), 137);
    }
}
