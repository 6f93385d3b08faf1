//! Hooks and network scripts on the host: run by a shell, their output logged line by line, their status told. What they
//! are called with is `hook`'s.
#![forbid(unsafe_code)]

use super::interrupt::Interrupt;
use crate::base::spawn::Command;
use crate::base::{Error, Result};
use crate::hook::Rendered;
use crate::log_debug;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Runs one and waits for it; while a start is under way not longer than its `interrupt` allows.
///
/// # Errors
/// It could not be run, was interrupted, or ended by something else than status 0; `key` names it.
pub fn run(key: &str, hook: &Rendered, interrupt: Option<&Interrupt>) -> Result<()> {
    let mut words = hook.argv.iter().map(|a| OsStr::from_bytes(a.as_bytes()));
    let mut command = Command::new(words.next().unwrap_or_default()).args(words).clear_env();
    for pair in &hook.envp {
        if let Some((name, value)) = pair.to_string_lossy().split_once('=') {
            command = command.env(name, value);
        }
    }
    if let Some(i) = interrupt {
        command = command.until(i.fds());
    }
    let status = command.run(|line| log_debug!("{key} produced output: {line}")).map_err(|e| e.stage("hook"))?;
    if status.ended_early
        && let Some(i) = interrupt
    {
        i.check().map_err(|e| Error { what: format!("{key} = {}: {}", hook.command, e.what), ..e })?;
    }
    match script_said(status.raw) {
        None => Ok(()),
        Some(how) => Err(Error::new(format!("{key} = {}: {how}", hook.command)).stage("hook")),
    }
}

/// How a script ended, in words; `None` for success.
pub fn script_said(status: i32) -> Option<String> {
    let how = said(status)?;
    let why = match how.as_str() {
        "exited with status 126" => "it cannot be executed: ",
        "exited with status 127" => "there is no such command: ",
        _ => "",
    };
    Some(format!("{why}the script {how}"))
}

/// A wait status in words; `None` for success.
pub fn said(status: i32) -> Option<String> {
    use nix::libc::{WEXITSTATUS, WIFEXITED, WIFSIGNALED, WTERMSIG};
    if status == 0 {
        None
    } else if WIFEXITED(status) {
        Some(format!("exited with status {}", WEXITSTATUS(status)))
    } else if WIFSIGNALED(status) {
        Some(format!("was killed by signal {}", WTERMSIG(status)))
    } else {
        Some(format!("ended with wait status {status}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{Call, render};

    fn hook(command: &str) -> Rendered {
        let call = Call { name: "c", section: "lxc", kind: "pre-start", extra: &[] };
        render(1, command, &call, &["A=7".to_string()]).unwrap()
    }

    #[test]
    fn status_and_environment_are_those_of_the_script() {
        let run = |key, hook: &Rendered| super::run(key, hook, None);
        run("k", &hook("/bin/true")).unwrap();
        let e = run("k", &hook("/bin/sh -c 'exit $A'")).unwrap_err();
        assert!(e.what.ends_with("exited with status 7"), "{}", e.what);
        assert!(run("k", &hook("/nonexistent/x")).unwrap_err().what.contains("127"));
        assert!(run("k", &hook("/bin/sh -c 'kill -9 $$'")).unwrap_err().what.contains("signal 9"));
    }
}
