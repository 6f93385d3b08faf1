//! Rendering of the child's script: ops, hooks, init's command line and environment, all checked before the clone. Order is
//! `steps`'.
#![forbid(unsafe_code)]

use super::interp::{Exec, Script};
use super::plan::Starting;
use super::steps;
use crate::base::op::{Act, At, MountOp, Op, Source, cstring, slot};
use crate::base::{Context, Error, Result};
use crate::process::command;
use crate::sys::{self, process::ExecArgs};
use crate::terminal;
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// Where execvp(3) looks without a PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Renders everything that the child needs.
///
/// # Errors
/// What a feature refuses, an op that names a slot which does not exist.
pub fn render(s: &mut Starting) -> Result<()> {
    let ops = steps::child_ops(s)?;
    if let Some(op) = ops.iter().find(|o| !slots_exist(&o.act)) {
        return Err(Error::new(format!("{}: no such slot", op.object)).stage(op.stage));
    }
    let process = &s.config.process;
    let argv = command::argv(process, &s.request.argv, s.request.useinit)?;
    let ttys = terminal::container_ttys(&s.config.terminal, &s.facts).unwrap_or_default();
    let envp = command::init_env(process, &ttys)?;
    let program = argv.first().cloned().unwrap_or_default();
    let paths = search(&program, &envp);
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").ctx(|| "/dev/null".into())?;
    let hook_output = if s.hooks.is_empty() {
        None
    } else {
        let (read, write) = sys::fd::pipe().ctx(|| "a pipe for hooks".into())?;
        s.hook_output = Some(read);
        Some(write)
    };
    s.script = Some(Script {
        ops,
        hooks: s.hooks.iter().map(|h| ExecArgs::new(&h.argv, &h.envp)).collect(),
        hook_output,
        null: OwnedFd::from(null),
        exec: Exec { paths, args: ExecArgs::new(&argv, &envp) },
        mask: s.mask,
        trace: crate::base::log::enabled(crate::base::log::Level::Trace),
        supervise: s.supervise,
    });
    Ok(())
}

/// The places that execvp(3) would try, by the PATH that init will have.
fn search(program: &CString, envp: &[CString]) -> Vec<CString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let path = envp.iter().filter_map(|e| e.to_str().ok()?.strip_prefix("PATH=")).next().unwrap_or(DEFAULT_PATH);
    let dirs = path.split(':').map(|d| if d.is_empty() { "." } else { d });
    dirs.filter_map(|d| cstring([d.as_bytes(), b"/", program.as_bytes()].concat()).ok()).collect()
}

/// Whether all slots of an act exist.
fn slots_exist(act: &Act) -> bool {
    let at_ok = |at: &At| !matches!(at, At::Slot(n, _) if *n >= slot::COUNT);
    let mount_ok = |m: &MountOp| {
        let source = match &m.source {
            Source::Bind { from, .. } | Source::Moved(from) => at_ok(from),
            _ => true,
        };
        source && at_ok(&m.target)
    };
    match act {
        Act::Mount(m) => mount_ok(m),
        Act::Pty { ptmx, slot: n } => at_ok(ptmx) && n + 1 < slot::COUNT,
        Act::Open { at, slot: n, .. } => at_ok(at) && *n < slot::COUNT,
        Act::Close(n) | Act::Seccomp { slot: n, .. } => *n < slot::COUNT,
        Act::SendFds { slots, .. } => slots.iter().all(|n| *n < slot::COUNT),
        _ => true,
    }
}

/// A script's op for messages: `None` stands for the execution of init.
pub fn op_at(script: &Script, n: u32) -> Option<&Op> {
    script.ops.get(n as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_is_searched_by_its_own_path() {
        let names = |p: &str, env: &[&str]| {
            let env: Vec<CString> = env.iter().map(|e| cstring(*e).unwrap()).collect();
            search(&cstring(p).unwrap(), &env).into_iter().map(|c| c.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names("/sbin/init", &["PATH=/x"]), ["/sbin/init"]);
        assert_eq!(names("sh", &[]), ["/bin/sh", "/usr/bin/sh"]);
        assert_eq!(names("sh", &["A=1", "PATH=/x::/y"]), ["/x/sh", "./sh", "/y/sh"]);
    }

    #[test]
    fn slots_are_checked() {
        assert!(slots_exist(&Act::Close(slot::COUNT - 1)) && !slots_exist(&Act::Close(slot::COUNT)));
        assert!(!slots_exist(&Act::Pty { ptmx: At::Rootfs(c"x".into()), slot: slot::COUNT - 1 }));
    }
}
