//! lxc-attach: runs a command inside of a running container.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told, utf8};
use super::execute::{exit_code, id};
use super::start;
use crate::base::Result;
use crate::base::ids::Ns;
use crate::base::units;
use crate::runtime::attach::{self, Options, Payload, Personality, flags};
use crate::sys::tty;
use clap::Command;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-attach",
    text: "\
--name=NAME [-- COMMAND]

Runs COMMAND, or a shell, inside of the running container NAME.

-e, --elevated-privileges[=PRIVILEGES]\tkeep privileges that the container lacks: a list of CAP, CGROUP
\tand LSM, parted by |; all three without a list.
\tCareful: they leak into the container.
-a, --arch=ARCH\trun the command as for this architecture
-s, --namespaces=FLAGS\tjoin only these namespaces, parted by |: MOUNT, PID, UTSNAME,
\tIPC, USER, NETWORK, CGROUP, TIME. Implies -e.
-R, --remount-sys-proc\twith -s without MOUNT: mount /proc and /sys anew for the
\tcommand, so that they show the namespaces that were joined
--clear-env\tpass no variable on; only PATH and container=lxc are set
--keep-env\tpass all variables on (default)
--keep-var=NAME\twith --clear-env: pass this one on all the same; may be repeated
-v, --set-var=NAME=VALUE\tset a variable, unset it without =; may be repeated
-L, --pty-log=FILE\tappend what the terminal shows to FILE
-f, --rcfile=FILE\tuse this config FILE instead of the container's own
-u, --uid=UID\trun COMMAND as this user id inside
-g, --gid=GID\trun COMMAND as this group id inside
-c, --context=CONTEXT\trun COMMAND with this SELinux context",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

fn types(cmd: Command) -> Command {
    cmd.mut_arg("elevated-privileges", |a| a.value_parser(privileges))
        .mut_arg("arch", |a| {
            a.value_parser(|v: &str| units::arch_is_32(v).ok_or_else(|| format!("unknown architecture {v}")))
        })
        .mut_arg("namespaces", |a| a.value_parser(namespaces))
        .mut_arg("set-var", |a| a.value_parser(clap::builder::ValueParser::os_string()))
        .mut_arg("uid", |a| a.value_parser(id))
        .mut_arg("gid", |a| a.value_parser(id))
        .mut_arg("context", |a| a.value_parser(utf8))
}

/// The attach flags that a list of privileges takes away.
fn privileges(list: &str) -> std::result::Result<u32, String> {
    const ALL: u32 = flags::MOVE_TO_CGROUP | flags::DROP_CAPABILITIES | flags::LSM_EXEC | flags::LSM_NOW;
    if list == super::table::NO_VALUE {
        return Ok(ALL);
    }
    list.split('|').filter(|w| !w.is_empty()).try_fold(0, |set, word| match word {
        "CGROUP" => Ok(set | flags::MOVE_TO_CGROUP),
        "CAP" => Ok(set | flags::DROP_CAPABILITIES),
        "LSM" => Ok(set | flags::LSM_EXEC | flags::LSM_NOW),
        other => Err(format!("unknown privilege {other}: there are CAP, CGROUP, LSM")),
    })
}

/// The CLONE_NEW* flags of a list of namespaces: the kernel's names in any case, LXC's own three in capitals.
pub(super) fn namespaces(list: &str) -> std::result::Result<u64, String> {
    list.split('|').filter(|w| !w.is_empty()).try_fold(0, |set, word| {
        let own = match word {
            "MOUNT" => Some(Ns::Mnt),
            "UTSNAME" => Some(Ns::Uts),
            "NETWORK" => Some(Ns::Net),
            _ => Ns::ALL.into_iter().find(|n| n.name().eq_ignore_ascii_case(word)),
        };
        own.map(|n| set | n.flag()).ok_or_else(|| {
            format!("unknown namespace {word}: there are MOUNT, PID, UTSNAME, IPC, USER, NETWORK, CGROUP, TIME")
        })
    })
}

fn options(call: &Call) -> Options {
    let words = |all: Vec<OsString>| all.into_iter().filter_map(|w| CString::new(w.into_vec()).ok()).collect();
    let mut o = Options {
        clear_env: call.place("clear-env").is_some_and(|c| call.place("keep-env").is_none_or(|k| c > k)),
        extra_env: words(call.all("set-var")),
        keep_env: words(call.all("keep-var")),
        uid: call.get("uid"),
        gid: call.get("gid"),
        pty_log: call.path("pty-log").map(Path::to_path_buf),
        in_place: true,
        ..Options::default()
    };
    let mut elevated = call.all::<u32>("elevated-privileges").into_iter().fold(0, |set, f| set | f);
    if let Some(ns) = call.get::<u64>("namespaces") {
        o.namespaces = Some(ns);
        elevated |= privileges(super::table::NO_VALUE).unwrap_or(0);
        if call.flag("remount-sys-proc") && ns & Ns::Mnt.flag() == 0 {
            o.flags |= flags::REMOUNT_PROC_SYS;
        }
    }
    o.flags &= !elevated;
    if let Some(is_32) = call.get::<bool>("arch") {
        const PER_LINUX32: u64 = 8;
        o.personality = Personality::Set(if is_32 { PER_LINUX32 } else { 0 });
    }
    if let Some(label) = call.get::<String>("context") {
        o.label = CString::new(label).ok();
        o.flags |= flags::LSM_LABEL;
    }
    if tty::is_tty(std::io::stdin()) || tty::is_tty(std::io::stdout()) || tty::is_tty(std::io::stderr()) {
        o.flags |= flags::TERMINAL;
    }
    o
}

fn run(call: &Call) -> Result<i32> {
    let rcfile = load_rcfile(call)?;
    let c = call.container()?;
    let client = c.client();
    if !client.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.name);
        return Err(told(1));
    }
    let argv = start::words(&call.operands)?;
    let command = argv.first().map_or_else(|| "the login shell".into(), |w| w.to_string_lossy().into_owned());
    let payload = if argv.is_empty() { Payload::Shell } else { Payload::Command(argv) };
    let mut options = options(call);
    options.container_env = rcfile.map(|config| {
        let set = config.process.environment.iter().chain(&config.process.environment_runtime);
        set.map(|line| format!("{line}\n")).collect()
    });
    match attach::attach(&client, &options, payload) {
        Ok(attached) => attached.wait(&command).map(exit_code),
        Err(e) if e.what.starts_with("Failed to get ") => {
            crate::log_error!(errno = e, "{}", e.what);
            if e.what != "Failed to get attach context" {
                crate::log_error!(errno = e, "Failed to get attach context");
            }
            if e.errno == libc::ECONNREFUSED {
                call.say_what_helps();
            }
            Err(told(1))
        }
        Err(e) => Err(e.code(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_namespaces() {
        assert_eq!(namespaces("MOUNT|PID"), Ok(Ns::Mnt.flag() | Ns::Pid.flag()));
        assert_eq!(namespaces("Mnt|net|UTSNAME|time"), namespaces("MOUNT|NETWORK|uts|TIME"));
        assert!(namespaces("network").is_err());
        assert!(namespaces("MOUNT,PID").is_err());
    }

    #[test]
    fn lists_of_privileges() {
        assert_eq!(privileges("CAP"), Ok(flags::DROP_CAPABILITIES));
        assert_eq!(privileges("CAP|CGROUP|LSM"), privileges(super::super::table::NO_VALUE));
        assert!(privileges("cap").is_err());
    }
}
