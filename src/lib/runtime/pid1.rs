//! The small init of lxc-execute: starts the command as process 2, reaps what is orphaned, passes signals on, ends with the
//! command's status. It runs in the container's first process without an exec of its own, hence allocates nothing; the
//! program init.lxc.static is the same code for roots that want it as a file. Mounts nothing and configures nothing.
//!
//! Refuses to run as anything but process 1: it ends processes by kill(-1).
#![forbid(unsafe_code)]

use super::interp::Exec;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::process::{self, Clone3, ExecArgs, Never, exit_now};
use crate::sys::signal::{self, SigSet};
use crate::sys::{alloc_guard, fd, pty, time, tty};
use nix::libc;
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

/// Status of a command that cannot be executed, whatever the reason (as lxc-execute 5.0.2 ends).
const NOT_EXECUTED: i32 = 255;
/// How long processes have after SIGTERM; begins anew with each that ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is left to do.
struct Init {
    /// The command.
    command: i32,
    /// The namespace is its own: it may signal everybody in it.
    first: bool,
    /// Its status, once it has ended.
    status: Option<i32>,
    /// Processes are being ended: when the rest is killed.
    deadline: Option<Duration>,
}

/// Becomes the container's init. The signal mask at the call is the command's.
pub fn run(exec: &Exec) -> ! {
    // In a pid namespace that is another container's it looks after its own children only.
    let first = process::pid() == 1;
    if !first {
        let _ = process::set_child_subreaper(true);
    }
    alloc_guard::may_alloc("one short-lived buffer, in a process that executes nothing", || {
        // Only how it shows in ps.
        let _ = process::set_title("init");
    });
    let all = SigSet::full();
    let Ok(mask) = signal::set_mask(&all) else { exit_now(NOT_EXECUTED) };
    let Ok(child) = process::clone3(&Clone3::default(), || -> Never { command(exec, &mask) }) else {
        exit_now(NOT_EXECUTED)
    };
    // What the monitor's process had open is none of the container's business. The command took its own share along.
    let _ = fd::close_range(3, u32::MAX, false);
    let Ok(signals) = signal::signalfd(&all) else { exit_now(NOT_EXECUTED) };
    let mut init = Init { command: child.pid, first, status: None, deadline: None };
    loop {
        if init.reap() {
            exit_now(init.status.unwrap_or(NOT_EXECUTED));
        }
        let mut set = [PollFd::new(signals.as_fd(), POLLIN)];
        let _ = poll(&mut set, init.timeout_ms());
        init.kill_late();
        while let Ok(Some(told)) = signal::read_signalfd(signals.as_fd()) {
            init.signal(told);
        }
    }
}

/// The command's process: a session of its own with the terminal of standard input, then the command.
fn command(exec: &Exec, mask: &SigSet) -> ! {
    alloc_guard::step("command");
    signal::reset_all_default();
    let _ = signal::set_mask(mask);
    let _ = process::setsid();
    if let Ok(stdin) = fd::borrow(0)
        && tty::is_tty(stdin)
    {
        let _ = pty::set_controlling_tty(stdin);
    }
    for path in &exec.paths {
        // A path with a slash is not searched for; a file of unknown format goes to a shell.
        let _ = process::execvpe(path, &exec.args);
    }
    exit_now(NOT_EXECUTED)
}

impl Init {
    /// Reaps all that have ended; true when nobody is left. The command's orphans are waited for, as lxc-execute does.
    fn reap(&mut self) -> bool {
        loop {
            match process::wait_pid(-1, libc::WNOHANG) {
                Ok((0, _)) => return false,
                Ok((pid, status)) => {
                    if pid == self.command {
                        self.status = Some(process::exit_code(status));
                    }
                    if self.deadline.is_some() {
                        self.deadline = Some(time::since_boot() + PATIENCE);
                    }
                }
                Err(_) => return true,
            }
        }
    }

    /// How long to wait for a signal.
    fn timeout_ms(&self) -> i32 {
        let Some(deadline) = self.deadline else { return -1 };
        let left = deadline.saturating_sub(time::since_boot());
        i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1)
    }

    /// Signals everybody of its own namespace; in another's, the command alone.
    fn kill_all(&self, signal: i32) {
        let _ = process::kill(if self.first { -1 } else { self.command }, signal);
    }

    /// Kills what did not end in time.
    fn kill_late(&mut self) {
        if self.deadline.is_some_and(|d| time::since_boot() >= d) {
            self.kill_all(libc::SIGKILL);
            self.deadline = Some(time::since_boot() + PATIENCE);
        }
    }

    /// SIGTERM and SIGPWR, from inside as well, end everything; other signals reach the command when they come from outside
    /// (a process of this namespace can signal it itself).
    fn signal(&mut self, told: signal::Told) {
        match told.signal {
            libc::SIGCHLD => {}
            libc::SIGTERM | libc::SIGPWR if self.deadline.is_none() => {
                self.kill_all(libc::SIGTERM);
                self.deadline = Some(time::since_boot() + PATIENCE);
            }
            libc::SIGTERM | libc::SIGPWR => {}
            n if told.pid == 0 && self.status.is_none() => {
                let _ = process::kill(self.command, n);
            }
            _ => {}
        }
    }
}

/// The program init.lxc.static: `init.lxc.static [-n NAME] [-P PATH] [-l LEVEL] [-o FILE] [-q] -- COMMAND [ARG…]`. The
/// options are those that LXC's own callers pass; none of them changes anything.
pub fn main(args: impl Iterator<Item = OsString>) -> i32 {
    let argv: Vec<CString> = match command_line(args.skip(1)) {
        Ok(argv) => argv,
        Err(text) => {
            eprintln!("init.lxc: {text}\nusage: init.lxc [--name=NAME] [--lxcpath=PATH] [--quiet] -- COMMAND [ARG...]");
            return 1;
        }
    };
    if process::pid() != 1 {
        eprintln!("init.lxc: only for the first process of a pid namespace; lxc-execute starts it there");
        return 1;
    }
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let mut line = name.into_vec();
        line.push(b'=');
        line.extend_from_slice(&value.into_vec());
        CString::new(line).ok()
    });
    let envp: Vec<CString> = environment.collect();
    // execvpe(3) does the search.
    let paths = argv.first().cloned().into_iter().collect();
    run(&Exec { paths, args: ExecArgs::new(&argv, &envp) })
}

/// What follows the options.
fn command_line(mut args: impl Iterator<Item = OsString>) -> Result<Vec<CString>, String> {
    let mut command = Vec::new();
    while let Some(word) = args.next() {
        match word.to_str() {
            Some("--") => {
                command.extend(args.by_ref());
                break;
            }
            Some("-n" | "-P" | "-l" | "-o" | "--name" | "--lxcpath" | "--logpriority" | "--logfile") => {
                drop(args.next())
            }
            Some("-q" | "--quiet") => {}
            Some(w) if ["--name=", "--lxcpath=", "--logpriority=", "--logfile="].iter().any(|o| w.starts_with(o)) => {}
            Some(w) if w.starts_with('-') && w.len() > 1 => return Err(format!("unknown option {w}")),
            _ => {
                command.push(word);
                command.extend(args.by_ref());
                break;
            }
        }
    }
    if command.is_empty() {
        return Err("no command".into());
    }
    command.into_iter().map(|w| CString::new(w.into_vec()).map_err(|_| "NUL in an argument".into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::ns;

    fn words(words: &[&str]) -> impl Iterator<Item = OsString> {
        words.iter().map(OsString::from).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn command_lines() {
        let of = |w: &[&str]| {
            command_line(words(w)).map(|v| v.iter().map(|c| c.to_string_lossy().into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["-n", "c", "--", "a", "-b"]), Ok(vec!["a".into(), "-b".into()]));
        assert_eq!(of(&["--name=c", "-q", "a", "--", "b"]), Ok(vec!["a".into(), "--".into(), "b".into()]));
        assert!(of(&[]).is_err() && of(&["--"]).is_err() && of(&["--bad", "a"]).is_err());
    }

    #[test]
    fn it_refuses_outside_of_a_pid_namespace() {
        assert_eq!(main(words(&["init.lxc", "--", "true"])), 1);
    }

    /// Runs the init in a pid namespace of its own; `then` gets its pid. Its exit code.
    fn in_namespace(command: &[&str], then: impl FnOnce(i32)) -> Option<i32> {
        let argv: Vec<CString> = command.iter().map(|w| CString::new(*w).expect("no NUL")).collect();
        let exec = Exec { paths: vec![argv[0].clone()], args: ExecArgs::new(&argv, &[c"PATH=/bin:/usr/bin".into()]) };
        let flags = libc::CLONE_NEWPID as u64 | ns::CLONE_NEWNS;
        let child = process::clone3(&Clone3 { flags, ..Clone3::default() }, || -> Never {
            let none = SigSet::empty();
            let _ = signal::set_mask(&none);
            run(&exec)
        });
        // Needs root.
        let child = child.ok()?;
        then(child.pid);
        let (_, status) = process::wait_pid(child.pid, 0).expect("reaped");
        Some(process::exit_code(status))
    }

    #[test]
    fn statuses() {
        for (command, code) in
            [(["/bin/sh", "-c", "exit 5"], 5), (["/bin/sh", "-c", "kill -9 $$"], 137), (["/no/such", "", ""], 255)]
        {
            if let Some(got) = in_namespace(&command, |_| {}) {
                assert_eq!(got, code, "{command:?}");
            }
        }
    }

    #[test]
    fn the_command_is_process_2_in_a_session_of_its_own() {
        let script = "set -- $(cat /proc/self/stat); [ $$ = 2 ]";
        if let Some(code) = in_namespace(&["/bin/sh", "-c", script], |_| {}) {
            assert_eq!(code, 0);
        }
    }

    #[test]
    fn orphans_are_waited_for_and_the_commands_status_counts() {
        if let Some(code) = in_namespace(&["/bin/sh", "-c", "(sleep 0.2; exit 9) & exit 3"], |_| {}) {
            assert_eq!(code, 3);
        }
    }

    #[test]
    fn term_from_inside_ends_all_even_who_ignores_it() {
        let script = "trap '' TERM; kill -TERM 1; while :; do sleep 0.05; done";
        if let Some(code) = in_namespace(&["/bin/sh", "-c", script], |_| {}) {
            assert_eq!(code, 137);
        }
    }

    #[test]
    fn other_signals_pass_from_outside_only() {
        let inside = "kill -USR1 1; sleep 0.1; exit 4";
        if let Some(code) = in_namespace(&["/bin/sh", "-c", inside], |_| {}) {
            assert_eq!(code, 4);
        }
        let outside = "trap 'exit 6' USR1; echo >&3; while :; do sleep 0.02; done";
        let (ready, told) = fd::pipe().expect("pipe");
        let script = format!("exec 3>&{}; {outside}", std::os::fd::AsRawFd::as_raw_fd(&told));
        fd::set_cloexec(told.as_fd(), false).expect("kept");
        let code = in_namespace(&["/bin/sh", "-c", &script], |pid| {
            drop(told);
            let mut byte = [0];
            fd::read_into(ready.as_fd(), &mut byte).expect("the command's trap is set");
            process::kill(pid, libc::SIGUSR1).expect("sent");
        });
        assert!(matches!(code, None | Some(6)), "{code:?}");
    }
}
