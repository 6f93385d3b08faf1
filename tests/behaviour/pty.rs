//! A command on a pseudo terminal: type to it, wait for text.

use crate::ctx::T;
use nix::pty::{Winsize, openpty};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The command and our side of its terminal.
pub struct Pty {
    child: Child,
    file: std::fs::File,
    cmd: String,
    /// All that it has written.
    pub text: String,
}

impl T {
    /// Run a shell line on a terminal of 80 columns.
    #[track_caller]
    pub fn pty(&mut self, cmd: &str) -> Pty {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap_or_else(|e| panic!("openpty: {e}"));
        let dup = || Stdio::from(pair.slave.try_clone().unwrap_or_else(|e| panic!("dup: {e}")));
        let path = format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", self.bin.display());
        let child = Command::new("setsid")
            .args(["-c", "/bin/sh", "-c", cmd])
            .env_clear()
            .envs([("PATH", path.as_str()), ("HOME", "/root"), ("TERM", "xterm"), ("LANG", "C.UTF-8")])
            .current_dir("/")
            .stdin(dup())
            .stdout(dup())
            .stderr(dup())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {cmd}: {e}"));
        Pty { child, file: std::fs::File::from(pair.master), cmd: cmd.to_string(), text: String::new() }
    }
}

impl Pty {
    /// Type. First wait until the tool has made the terminal raw: what is typed before is flushed.
    #[track_caller]
    pub fn send(&mut self, keys: &str) {
        use nix::sys::termios::{LocalFlags, tcgetattr};
        let end = Instant::now() + Duration::from_secs(10) * crate::harness::slow();
        while tcgetattr(&self.file).is_ok_and(|t| t.local_flags.contains(LocalFlags::ICANON)) && Instant::now() < end {
            self.pump();
        }
        if let Err(e) = self.file.write_all(keys.as_bytes()) {
            panic!("typing to {}: {e}", self.cmd);
        }
    }

    /// Read what is there, waiting a little.
    fn pump(&mut self) {
        use nix::poll::{PollFd, PollFlags, poll};
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, 20u8).is_ok_and(|n| n > 0) {
            let mut buf = [0u8; 4096];
            if let Ok(n) = self.file.read(&mut buf) {
                self.text.push_str(&String::from_utf8_lossy(&buf[..n]));
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Wait until the text appears.
    #[track_caller]
    pub fn expect(&mut self, want: &str) {
        let end = Instant::now() + Duration::from_secs(10) * crate::harness::slow();
        while !self.text.contains(want) {
            if Instant::now() > end {
                panic!("{want:?} did not appear from {}; seen: {:?}", self.cmd, self.text);
            }
            self.pump();
        }
    }

    /// Wait for its end; the exit code.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        let end = Instant::now() + Duration::from_secs(10) * crate::harness::slow();
        loop {
            if let Ok(Some(s)) = self.child.try_wait() {
                self.pump();
                return s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0));
            }
            if Instant::now() > end {
                panic!("hung for 10 s: {}; seen: {:?}", self.cmd, self.text);
            }
            self.pump();
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
