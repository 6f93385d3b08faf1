//! What proc(5) says of a process: the fields of `stat` and `status`. Reads, never writes; other files of proc belong to
//! whoever needs them.

use std::io;
use std::path::PathBuf;

/// The fields of `/proc/PID/stat` that are used (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: i32,
    /// The name of its program, at most 15 bytes, any bytes.
    pub comm: String,
    /// One letter: R, S, D, Z, T, t, X, I.
    pub state: char,
    /// Its parent.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// Session.
    pub session: i32,
    /// Device number of the controlling terminal, 0 without one.
    pub tty: i32,
    /// Time in user mode, in clock ticks.
    pub utime: u64,
    /// Time in the kernel, in clock ticks.
    pub stime: u64,
    /// Threads.
    pub threads: i64,
    /// When it started, in clock ticks since boot. With the pid it names a process for good.
    pub start: u64,
}

impl Stat {
    /// From the text of the file. The name may hold blanks and parentheses: the last closing one ends it.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.rsplit_once(')')?;
        let (pid, comm) = head.split_once('(')?;
        let mut f = rest.split_ascii_whitespace();
        // The field numbers of the manual start with 3 here.
        let state = f.next()?.chars().next()?;
        let [ppid, pgrp, session, tty] =
            [f.next()?.parse().ok()?, f.next()?.parse().ok()?, f.next()?.parse().ok()?, f.next()?.parse().ok()?];
        Some(Self {
            pid: pid.trim().parse().ok()?,
            comm: comm.to_string(),
            state,
            ppid,
            pgrp,
            session,
            tty,
            utime: f.nth(6)?.parse().ok()?,
            stime: f.next()?.parse().ok()?,
            threads: f.nth(4)?.parse().ok()?,
            start: f.nth(1)?.parse().ok()?,
        })
    }

    /// Whether it is dead and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

fn file(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn text(pid: i32, name: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(file(pid, name))?).into_owned())
}

/// The fields of `/proc/PID/stat`.
///
/// # Errors
/// ENOENT or ESRCH without such a process; EINVAL for a file that does not read as one.
pub fn stat(pid: i32) -> io::Result<Stat> {
    Stat::parse(&text(pid, "stat")?).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

/// When the process started, in clock ticks since boot.
///
/// # Errors
/// As [`stat`].
pub fn start_time(pid: i32) -> io::Result<u64> {
    stat(pid).map(|s| s.start)
}

/// A field of `/proc/PID/status` (proc_pid_status(5)), without the blanks around it; `None` when this kernel has no such
/// field.
///
/// # Errors
/// ENOENT or ESRCH without such a process.
pub fn status(pid: i32, field: &str) -> io::Result<Option<String>> {
    Ok(status_field(&text(pid, "status")?, field))
}

/// A field of the text of a `status` file.
pub fn status_field(text: &str, field: &str) -> Option<String> {
    let value = |line: &str| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_string());
    text.lines().find_map(value)
}

/// The process' id in each pid namespace, from the reader's down to its own.
///
/// # Errors
/// ENOENT or ESRCH without such a process.
pub fn ns_pids(pid: i32) -> io::Result<Vec<i32>> {
    let field = status(pid, "NSpid")?.unwrap_or_default();
    Ok(field.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect())
}

/// The arguments of the process; empty for a kernel thread or a dead one.
///
/// # Errors
/// ENOENT or ESRCH without such a process.
pub fn cmdline(pid: i32) -> io::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(file(pid, "cmdline"))?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    Ok(if bytes.is_empty() { Vec::new() } else { bytes.split(|b| *b == 0).map(<[u8]>::to_vec).collect() })
}

/// All processes that proc shows now.
///
/// # Errors
/// When proc cannot be read.
pub fn pids() -> io::Result<Vec<i32>> {
    let number = |e: io::Result<std::fs::DirEntry>| e.ok()?.file_name().to_str()?.parse().ok();
    Ok(std::fs::read_dir("/proc")?.filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_do_not_shift_the_fields() {
        let line = "12 (a) R 1 (b) S 1 2 3 34816 5 6 7 8 9 10 100 200 13 14 20 0 3 0 4242 1 2";
        let s = Stat::parse(line).unwrap();
        assert_eq!((s.pid, s.comm.as_str(), s.state, s.ppid), (12, "a) R 1 (b", 'S', 1));
        assert_eq!((s.session, s.tty, s.utime, s.stime, s.threads, s.start), (3, 34816, 100, 200, 3, 4242));
        for bad in ["", "12", "12 (a)", "12 (a) S 1 2", ")(", "x (a) S 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 10"] {
            assert_eq!(Stat::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_process_is_found() {
        let me = i32::try_from(std::process::id()).unwrap();
        let s = stat(me).unwrap();
        assert!(s.pid == me && s.start > 0 && s.threads >= 1 && !s.is_dead());
        assert_eq!(start_time(me).unwrap(), s.start);
        assert_eq!(status(me, "Pid").unwrap().unwrap(), me.to_string());
        assert_eq!(status(me, "NoSuchField").unwrap(), None);
        assert!(ns_pids(me).unwrap().contains(&me));
        assert!(pids().unwrap().contains(&me));
        let args: Vec<_> = std::env::args().map(String::into_bytes).collect();
        assert_eq!(cmdline(me).unwrap(), args);
        assert!(stat(-1).is_err());
    }
}
