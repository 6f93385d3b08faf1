//! Removing groups: rmdir first (a group full of kernel files can be removed as it stands), a look inside only when the
//! kernel says that something is left. Never follows a symbolic link, never unlinks a file.
#![forbid(unsafe_code)]

use super::file;
use crate::sys::xattr;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Removes a group and those below it. With `kill`, what still runs there is killed; waits at most `patience`.
/// A group that is gone already is success.
pub(crate) fn remove(dir: &str, kill: bool, patience: Duration) -> io::Result<()> {
    let mut end = None;
    let mut pause = Duration::from_micros(200);
    // Somebody who makes groups as fast as we remove them does not hold us up for ever either.
    let last = Instant::now() + patience + Duration::from_secs(1);
    loop {
        let busy = match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) => match e.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV) => return Ok(()),
                Some(libc::EBUSY | libc::ENOTEMPTY) => e,
                _ => return Err(e),
            },
        };
        if below(Path::new(dir), 0) && Instant::now() < last {
            continue;
        }
        let end = match end {
            Some(t) => t,
            None => {
                if kill {
                    kill_all(dir);
                }
                *end.insert(Instant::now() + patience)
            }
        };
        if Instant::now() >= end {
            return Err(busy);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Removes the groups below `dir`, deepest first; says whether one went.
fn below(dir: &Path, depth: u32) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    let mut went = false;
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let path = entry.path();
            went |= fs::remove_dir(&path).is_ok();
            // 64 levels: a container can nest as deep as it likes, our stack is finite; what is deeper goes next round.
            if depth < 64 && path.exists() {
                went |= below(&path, depth + 1) && fs::remove_dir(&path).is_ok();
            }
        }
    }
    went
}

/// Kills what runs in a group and below: cgroup.kill of cgroup2 (one write, nothing escapes), else each process by its
/// number, thawed first, since a frozen one of version 1 does not die.
fn kill_all(dir: &str) {
    if file::write(format!("{dir}/cgroup.kill"), b"1").is_ok() {
        return;
    }
    _ = file::write(format!("{dir}/freezer.state"), b"THAWED");
    each_process(Path::new(dir), 0, &mut |pid| {
        _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    });
}

fn each_process(dir: &Path, depth: u32, f: &mut impl FnMut(i32)) {
    for pid in file::read(dir.join("cgroup.procs")).unwrap_or_default().lines().filter_map(|l| l.parse::<i32>().ok()) {
        if pid > 1 {
            f(pid);
        }
    }
    if let (true, Ok(entries)) = (depth < 64, fs::read_dir(dir)) {
        for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
            each_process(&entry.path(), depth + 1, f);
        }
    }
}

/// The mark on parent directories that a start made for its groups: whoever uses one last may remove it.
const MADE: &CStr = c"trusted.lxc.made";

/// Marks a directory as made for our groups. Where that cannot be (no CAP_SYS_ADMIN) the directory stays in the end.
pub(crate) fn mark(dir: &str) {
    if let Ok(path) = CString::new(dir) {
        _ = xattr::set_link(&path, MADE, b"1");
    }
}

/// Removes the marked directories that led to `rel` below `base`, innermost first, as far as nobody uses them by now.
pub(crate) fn remove_parents(base: &str, rel: &str) {
    let mut rest = rel;
    while let Some((parent, _)) = rest.rsplit_once('/') {
        let dir = format!("{base}/{parent}");
        let marked = CString::new(dir.as_str()).is_ok_and(|path| xattr::get_link(&path, MADE, &mut []).is_ok());
        if !marked || fs::remove_dir(&dir).is_err() {
            return;
        }
        rest = parent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_directories() {
        let top = std::env::temp_dir().join(format!("lxctest-tree-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join("a/d")).unwrap();
        let a = top.join("a").display().to_string();
        remove(&a, false, Duration::ZERO).unwrap();
        assert!(!Path::new(&a).exists());
        remove(&a, false, Duration::ZERO).unwrap();
        // A file keeps it: the error comes after the time is up.
        fs::create_dir_all(top.join("a")).unwrap();
        fs::write(top.join("a/f"), "").unwrap();
        assert!(remove(&a, false, Duration::from_millis(3)).is_err());
        fs::remove_file(top.join("a/f")).unwrap();
        // Parents: only marked ones go.
        fs::create_dir_all(top.join("a/x/y")).unwrap();
        remove_parents(&top.display().to_string(), "a/x/y/leaf");
        assert!(top.join("a/x/y").exists());
        fs::remove_dir_all(&top).unwrap();
    }
}
