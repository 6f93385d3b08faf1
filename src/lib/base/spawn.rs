//! Running a program on the host and waiting for it: hooks, network scripts, newuidmap, storage tools. Says nothing about
//! which arguments they get and logs nothing: the caller gets each line of output.
//!
//! The program starts with default signal dispositions, an empty mask, and 0 to 2 as its only descriptors of ours (whatever
//! else this process opens is close-on-exec).
#![forbid(unsafe_code)]

use super::{Context, Error, Result};
use crate::sys::fd;
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::process::{self, ExecArgs};
use crate::sys::tied;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where programs without a slash are looked for when the environment has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A line that is longer than this many bytes comes in pieces.
const LINE_MAX: usize = 8192;

/// What to do with the program's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// Standard output and error, as they come, line by line to the caller. Standard input is /dev/null.
    #[default]
    Lines,
    /// The program has the caller's 0 to 2: templates, an editor.
    Inherit,
}

/// Who has a turn while a program runs.
pub trait Meanwhile {
    /// What wakes it, when it can be read.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    /// When it wants to be woken at the latest.
    fn deadline(&self) -> Option<Instant>;
    /// Its turn; whether the program has to go, with all that it has started.
    fn turn(&mut self) -> bool;
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Command {
    argv: Vec<OsString>,
    envp: Vec<OsString>,
    output: Output,
    limit: Option<Duration>,
    tied: bool,
}

impl Command {
    /// A program with the caller's environment; a name without a slash is looked for on its PATH.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut envp = Vec::new();
        for (key, value) in std::env::vars_os() {
            envp.push([key, value].join(OsStr::new("=")));
        }
        Self { argv: vec![program.as_ref().to_owned()], envp, output: Output::Lines, limit: None, tied: false }
    }

    /// `/bin/sh -c TEXT`.
    pub fn shell(text: impl AsRef<OsStr>) -> Self {
        Self::new("/bin/sh").args(["-c".as_ref(), text.as_ref()])
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Forgets the environment.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        self.envp.clear();
        self
    }

    /// Sets a variable, in the place of an older value.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        let head = format!("{key}=");
        self.envp.retain(|e| !e.as_bytes().starts_with(head.as_bytes()));
        let mut entry = OsString::from(head);
        entry.push(value);
        self.envp.push(entry);
        self
    }

    /// Sets several variables.
    #[must_use]
    pub fn envs<V: AsRef<OsStr>>(self, vars: impl IntoIterator<Item = (String, V)>) -> Self {
        vars.into_iter().fold(self, |c, (k, v)| c.env(&k, v))
    }

    /// What becomes of the output.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Kills the program (SIGKILL) when it runs longer than this.
    #[must_use]
    pub fn limit(mut self, limit: Option<Duration>) -> Self {
        self.limit = limit;
        self
    }

    /// The program, and what it has started, is killed when this process dies; only for a process without threads.
    #[must_use]
    pub fn tied(mut self) -> Self {
        self.tied = true;
        self
    }

    /// Runs it to its end. What it leaves running in the background is not waited for, and its output is read no longer.
    ///
    /// # Errors
    /// When it cannot be started. That it failed is in the [`Status`].
    pub fn run(&self, each_line: impl FnMut(&str)) -> Result<Status> {
        self.run_with(None, each_line)
    }

    /// The same; `meanwhile` has its turns, and may have the program killed with what it has started: it gets a process
    /// group of its own.
    ///
    /// # Errors
    /// As [`Command::run`].
    pub fn run_with(&self, meanwhile: Option<&mut dyn Meanwhile>, mut each_line: impl FnMut(&str)) -> Result<Status> {
        let program = self.argv.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        let what = || format!("cannot run {program}");
        let (path, args) = self.rendered().map_err(|e| e_what(e, what()))?;
        match self.output {
            Output::Inherit => {
                let pid = self.spawn(&path, &args, &[], meanwhile.is_some()).ctx(what)?;
                self.wait(pid, None, meanwhile, &mut each_line).ctx(what)
            }
            Output::Lines => {
                let (read, write) = fd::pipe().ctx(what)?;
                // Above 2, so that putting one in its place overwrites none of the others.
                let null = File::open("/dev/null").and_then(|f| fd::dup_above(f.as_fd(), 3)).ctx(what)?;
                let write = fd::dup_above(write.as_fd(), 3).ctx(what)?;
                let (i, o): (RawFd, RawFd) = (null.as_raw_fd(), write.as_raw_fd());
                let pid = self.spawn(&path, &args, &[(i, 0), (o, 1), (o, 2)], meanwhile.is_some()).ctx(what)?;
                drop((null, write));
                fd::set_nonblocking(read.as_fd(), true).ctx(what)?;
                self.wait(pid, Some(read), meanwhile, &mut each_line).ctx(what)
            }
        }
    }

    /// Runs it and gives its output, as it comes, with its end.
    ///
    /// # Errors
    /// As [`Command::run`].
    pub fn collect(&self) -> Result<(Status, Vec<String>)> {
        let mut lines = Vec::new();
        let status = self.run(|l| lines.push(l.to_string()))?;
        Ok((status, lines))
    }

    fn rendered(&self) -> io::Result<(CString, ExecArgs)> {
        let c = |list: &[OsString]| -> io::Result<Vec<CString>> {
            list.iter().map(|s| CString::new(s.as_bytes()).map_err(io::Error::from)).collect()
        };
        let (argv, envp) = (c(&self.argv)?, c(&self.envp)?);
        let program = self.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
        let path = if program.as_bytes().contains(&b'/') {
            PathBuf::from(program)
        } else {
            let dirs = self.envp.iter().find_map(|e| e.as_bytes().strip_prefix(b"PATH=")).map(OsStr::from_bytes);
            find(program, dirs.unwrap_or(OsStr::new(PATH))).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?
        };
        Ok((CString::new(path.as_os_str().as_bytes())?, ExecArgs::new(&argv, &envp)))
    }
}

fn e_what(e: io::Error, what: String) -> Error {
    match e.raw_os_error() {
        Some(errno) => Error::os(errno, what),
        None => Error::new(format!("{what}: {e}")),
    }
}

/// The first executable file of this name in a list of absolute directories.
pub fn find(name: impl AsRef<OsStr>, dirs: &OsStr) -> Option<PathBuf> {
    let name = name.as_ref();
    let usable = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let absolute = |d: &&[u8]| d.starts_with(b"/") && !name.is_empty();
    dirs.as_bytes()
        .split(|b| *b == b':')
        .filter(absolute)
        .map(|d| Path::new(OsStr::from_bytes(d)).join(name))
        .find(usable)
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// As wait(2) gives it.
    pub raw: i32,
    /// It ran longer than it may and was killed.
    pub timed_out: bool,
    /// It was killed because [`Meanwhile::turn`] wanted it.
    pub ended_early: bool,
}

impl Status {
    /// Whether it exited with 0.
    pub fn success(self) -> bool {
        self.raw == 0 && !self.timed_out && !self.ended_early
    }

    /// Its exit code, 128 + N for signal N.
    pub fn code(self) -> i32 {
        process::exit_code(self.raw)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.timed_out {
            f.write_str("took too long and was killed")
        } else if libc::WIFEXITED(self.raw) {
            write!(f, "exited with {}", libc::WEXITSTATUS(self.raw))
        } else {
            write!(f, "was killed by signal {}", libc::WTERMSIG(self.raw))
        }
    }
}

// How much is read once the program has ended: what its pipe can hold. Who writes on in the background is not waited for.
const REST_MAX: usize = 1 << 16;

impl Command {
    fn spawn(&self, path: &CStr, args: &ExecArgs, fds: &[(RawFd, RawFd)], group: bool) -> io::Result<i32> {
        if self.tied { tied::spawn(path, args, fds) } else { process::spawn(path, args, fds, group) }
    }

    // Reads until the program has ended, then what is left in the pipe; kills it when the time is over.
    fn wait(
        &self,
        pid: i32,
        out: Option<OwnedFd>,
        mut meanwhile: Option<&mut dyn Meanwhile>,
        each: &mut dyn FnMut(&str),
    ) -> io::Result<Status> {
        let until = self.limit.and_then(|l| Instant::now().checked_add(l));
        let mut lines = Lines::default();
        let mut status = Status { raw: 0, timed_out: false, ended_early: false };
        let mut out = out;
        match process::pidfd_open(pid) {
            Ok(pidfd) => loop {
                let mut set = vec![PollFd::new(pidfd.as_fd(), POLLIN)];
                set.extend(out.iter().map(|o| PollFd::new(o.as_fd(), POLLIN)));
                if let Some(m) = &meanwhile {
                    set.extend(m.fds().into_iter().map(|f| PollFd::new(f, POLLIN)));
                }
                let next = until.into_iter().chain(meanwhile.as_ref().and_then(|m| m.deadline())).min();
                poll(&mut set, next.map_or(-1, remaining_ms))?;
                let mut came = set.iter().map(|p| p.revents() != 0);
                let ended = came.next().unwrap_or(false);
                let output = out.is_some() && came.next().unwrap_or(false);
                drop(set);
                if (ended || output)
                    && let Some(o) = &out
                    && lines.read(o, each, if ended { REST_MAX } else { 1 })?
                {
                    out = None;
                }
                if ended {
                    break;
                }
                status.timed_out = until.is_some_and(|u| u <= Instant::now());
                status.ended_early = meanwhile.as_mut().is_some_and(|m| m.turn());
                if status.timed_out || status.ended_early {
                    if meanwhile.is_some() {
                        let _ = process::kill(-pid, libc::SIGKILL);
                    }
                    process::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL)?;
                    break;
                }
            },
            // Before Linux 5.3: the end of the output stands for the end of the program.
            Err(_) => {
                if let Some(o) = &out {
                    fd::set_nonblocking(o.as_fd(), false)?;
                    lines.read(o, each, usize::MAX)?;
                }
            }
        }
        lines.finish(each);
        status.raw = process::wait_pid(pid, 0)?.1;
        Ok(status)
    }
}

/// Milliseconds until then, rounded up, as poll(2) takes them.
pub fn remaining_ms(until: Instant) -> i32 {
    let left = until.saturating_duration_since(Instant::now());
    i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
}

// The bytes of a line that has not ended yet.
#[derive(Default)]
struct Lines {
    held: Vec<u8>,
}

impl Lines {
    // Reads what is there, until it is at least `enough` bytes; true at the end of the output.
    fn read(&mut self, out: &OwnedFd, each: &mut dyn FnMut(&str), enough: usize) -> io::Result<bool> {
        let mut buf = [0; 4096];
        let mut had = 0;
        while had < enough {
            match fd::read_into(out.as_fd(), &mut buf) {
                Ok(0) => return Ok(true),
                Ok(n) => {
                    self.take(buf.get(..n).unwrap_or_default(), each);
                    had += n;
                }
                Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        Ok(false)
    }

    fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(&str)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.held.extend_from_slice(end);
                    each(&String::from_utf8_lossy(&self.held));
                    self.held.clear();
                }
                None => self.held.extend_from_slice(piece),
            }
            if self.held.len() >= LINE_MAX {
                self.finish(each);
            }
        }
    }

    fn finish(&mut self, each: &mut dyn FnMut(&str)) {
        if !self.held.is_empty() {
            each(&String::from_utf8_lossy(&self.held));
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::signal::{self, SigSet};

    #[test]
    fn output_comes_in_lines_and_the_end_is_told() {
        let (status, lines) = Command::shell("echo one; echo two >&2; printf three; exit 7").collect().unwrap();
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(!status.success() && status.code() == 7);
        assert_eq!(status.to_string(), "exited with 7");
        let (status, lines) = Command::shell("kill -TERM $$").collect().unwrap();
        assert!(lines.is_empty() && status.code() == 128 + 15);
        assert_eq!(status.to_string(), "was killed by signal 15");
        assert!(Command::new("true").run(|_| ()).unwrap().success());
    }

    #[test]
    fn the_environment_and_the_descriptors_are_what_they_should_be() {
        let show = "echo \"$A $B\"; cat; readlink /proc/self/fd/0";
        let c = Command::shell(show).clear_env().env("A", "1").env("A", "2").envs([("B".to_string(), "x y")]);
        let (_, lines) = c.clone().env("PATH", PATH).collect().unwrap();
        assert_eq!(lines, ["2 x y", "/dev/null"]);
        // One signal blocked here, as a supervisor has them: the program starts without.
        let before = signal::block(&SigSet::of(&[libc::SIGUSR1])).unwrap();
        let (_, masks) = Command::new("grep").args(["-E", "^Sig(Blk|Ign)", "/proc/self/status"]).collect().unwrap();
        signal::set_mask(&before).unwrap();
        let bits = |l: &String| u64::from_str_radix(l.rsplit('\t').next().unwrap(), 16).unwrap();
        // glibc's posix_spawn ignores its own two, 32 and 33.
        assert_eq!(masks.iter().map(|m| bits(m) & !0x1_8000_0000).collect::<Vec<_>>(), [0, 0]);
    }

    /// Ends the program as soon as its descriptor can be read.
    struct Hangup(OwnedFd);

    impl Meanwhile for Hangup {
        fn fds(&self) -> Vec<BorrowedFd<'_>> {
            vec![self.0.as_fd()]
        }
        fn deadline(&self) -> Option<Instant> {
            None
        }
        fn turn(&mut self) -> bool {
            let mut set = [PollFd::new(self.0.as_fd(), POLLIN)];
            poll(&mut set, 0).is_ok_and(|n| n > 0)
        }
    }

    #[test]
    fn a_program_out_of_time_is_killed_and_a_background_one_not_waited_for() {
        let begun = Instant::now();
        let slow = Command::shell("echo a; exec sleep 60").limit(Some(Duration::from_millis(100)));
        let (status, lines) = slow.collect().unwrap();
        assert!(status.timed_out && !status.success());
        assert_eq!(lines, ["a"]);
        assert_eq!(status.to_string(), "took too long and was killed");
        let (status, lines) = Command::shell("yes & echo $! >&2; exit 0").collect().unwrap();
        assert!(status.success() && lines.len() < 1 << 20);
        let (read, write) = fd::pipe().unwrap();
        drop(write);
        let status = Command::shell("sleep 60; echo never").run_with(Some(&mut Hangup(read)), |_| ()).unwrap();
        assert!(status.ended_early && !status.timed_out && !status.success());
        let (status, lines) = Command::shell("sleep 2 & echo b").collect().unwrap();
        assert!(status.success());
        assert_eq!(lines, ["b"]);
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_cannot_be_run_is_named() {
        let e = Command::new("/no/such/program").run(|_| ()).unwrap_err();
        assert_eq!((e.errno, e.what.as_str()), (libc::ENOENT, "cannot run /no/such/program"));
        assert_eq!(Command::new("no-such-program-here").run(|_| ()).unwrap_err().errno, libc::ENOENT);
        assert!(Command::new("a\0b").run(|_| ()).is_err());
        assert_eq!(find("sh", OsStr::new("relative:/bin")), Some(PathBuf::from("/bin/sh")));
        assert_eq!(find("", OsStr::new("/bin")), None);
    }

    #[test]
    fn endless_lines_come_in_pieces() {
        let mut sizes = Vec::new();
        let c = Command::shell("head -c 20000 /dev/zero | tr '\\0' x");
        c.run(|l| sizes.push(l.len())).unwrap();
        assert_eq!(sizes.iter().sum::<usize>(), 20_000);
        assert!(sizes.len() > 1);
    }
}
