//! Hooks and network scripts on the host: run by a shell, their output logged line by line, their status told. What they
//! are called with is `hook`'s.
#![forbid(unsafe_code)]

use crate::base::{Context, Error, Result};
use crate::hook::Rendered;
use crate::sys::{self, process::ExecArgs};
use crate::{log_debug, log_error};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};

/// Runs one and waits for it.
///
/// # Errors
/// It could not be run, or ended by something else than status 0; `key` names it.
pub fn run(key: &str, hook: &Rendered) -> Result<()> {
    let what = || format!("{key} = {}", hook.command);
    let (read, write) = sys::fd::pipe().ctx(what)?;
    let args = ExecArgs::new(&hook.argv, &hook.envp);
    let out = write.as_raw_fd();
    let pid = sys::process::spawn(c"/bin/sh", &args, &[(out, 1), (out, 2)]).ctx(what).map_err(|e| e.stage("hook"))?;
    drop(write);
    log_output(key, read);
    let (_, status) = sys::process::wait_pid(pid, 0).ctx(what)?;
    match said(status) {
        None => Ok(()),
        Some(how) => {
            log_error!("{key}: the script {how}");
            Err(Error::new(format!("{}: the script {how}", what())).stage("hook"))
        }
    }
}

/// Logs what a script writes until it closes its end.
pub fn log_output(key: &str, from: OwnedFd) {
    let mut reader = BufReader::new(std::fs::File::from(from));
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        log_debug!("{key} produced output: {}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

/// A wait status in words; `None` for success.
pub fn said(status: i32) -> Option<String> {
    use nix::libc::{WEXITSTATUS, WIFEXITED, WIFSIGNALED, WTERMSIG};
    if status == 0 {
        None
    } else if WIFEXITED(status) {
        Some(match WEXITSTATUS(status) {
            126 => "exited with status 126: it cannot be executed".to_string(),
            127 => "exited with status 127: there is no such command".to_string(),
            n => format!("exited with status {n}"),
        })
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
        run("k", &hook("/bin/true")).unwrap();
        let e = run("k", &hook("/bin/sh -c 'exit $A'")).unwrap_err();
        assert!(e.what.ends_with("exited with status 7"), "{}", e.what);
        assert!(run("k", &hook("/nonexistent/x")).unwrap_err().what.contains("127"));
        assert!(run("k", &hook("/bin/sh -c 'kill -9 $$'")).unwrap_err().what.contains("signal 9"));
    }
}
