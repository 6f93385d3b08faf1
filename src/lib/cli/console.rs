//! lxc-console: this terminal becomes one of the container's, until the escape.
#![forbid(unsafe_code)]

use super::common::{Call, Named, Tool, load_rcfile, told, whole_number};
use crate::base::{Context, Result};
use crate::ipc::command::Fail;
use crate::sys::poll::{self, PollFd};
use crate::sys::signal::{self, SigSet};
use crate::sys::{fd, tty};
use clap::Command;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The tool.
pub const TOOL: Tool = Tool {
    name: "lxc-console",
    text: "\
--name=NAME [--tty NUMBER]

lxc-console logs on the container with the identifier NAME

-t, --tty=NUMBER\ttty NUMBER (the first one that is free); 0 is the console
-e, --escape=PREFIX\tkey that begins an escape: a letter, or ^ and a letter (^a)",
    named: Named::Must,
    types,
    check: |_| Ok(()),
    more_help: None,
    run,
};

/// How much is moved at once, bytes.
const CHUNK: usize = 4096;

fn types(cmd: Command) -> Command {
    cmd.mut_arg("tty", |a| {
        a.value_parser(|v: &str| {
            whole_number(v).and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0).ok_or("not the number of a tty")
        })
    })
    .mut_arg("escape", |a| a.value_parser(|v: &str| escape_code(v).ok_or("not a letter, nor ^ and a letter")))
}

/// The control code of `a`, `A`, `^a` and `^A`.
fn escape_code(text: &str) -> Option<u8> {
    let letter = text.strip_prefix('^').unwrap_or(text);
    match letter.as_bytes() {
        [c] if c.is_ascii_alphabetic() => Some(c.to_ascii_lowercase() - b'a' + 1),
        _ => None,
    }
}

fn run(call: &Call) -> Result<i32> {
    load_rcfile(call)?;
    let c = call.container()?;
    let client = c.client();
    if !client.may_control() {
        crate::log_error!("Insufficent privileges to control {}", call.place_and_name());
        return Err(told(1));
    }
    if !c.is_running() {
        crate::log_error!("{} is not running", call.name);
        return Err(told(1));
    }
    let wanted = call.get::<i32>("tty").unwrap_or(-1);
    let (hold, ptx, number) = match client.console(wanted) {
        Ok(got) => got,
        Err(Fail::Refused(_) | Fail::Unsupported) => {
            crate::log_error!("Denied access to tty");
            return Err(told(1));
        }
        Err(f) => return Err(f.error(&call.name, "give a tty")),
    };
    let stdin = std::io::stdin();
    if !tty::is_tty(&stdin) {
        crate::log_error!("Failed to add stdin handler");
        call.say("stdin is no terminal: to run a command without one use lxc-attach");
        return Err(told(1));
    }
    let escape = call.get::<u8>("escape").unwrap_or(1);
    banner(number, escape);
    let relayed = relay(&hold, &ptx, escape);
    drop(hold);
    relayed.map(|()| 0)
}

fn banner(number: i32, escape: u8) {
    let key = format!("Ctrl+{}", char::from(escape - 1 + b'a'));
    let _ = write!(
        std::io::stderr(),
        "\nConnected to tty {number}\nType <{key} q> to exit the console, <{key} {key}> to enter {key} itself\n"
    );
}

/// Carries bytes both ways until the escape, or until the container's side or ours ends.
fn relay(hold: &OwnedFd, ptx: &OwnedFd, escape: u8) -> Result<()> {
    let stdin = std::io::stdin();
    let mut watched = SigSet::empty();
    for n in [libc::SIGWINCH, libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
        watched.add(n);
    }
    let old = signal::block(&watched).ctx(|| "signals".into())?;
    let told = signal::signalfd(&watched).ctx(|| "signals".into())?;
    // The modes come back when it goes, however this ends.
    let raw = tty::Raw::enter(&stdin).ctx(|| "Failed to setup terminal".into())?;
    copy_size(ptx);
    let mut keys = Keys { escape, pending: false };
    let result = loop {
        let mut set = [
            PollFd::new(stdin.as_fd(), libc::POLLIN),
            PollFd::new(ptx.as_fd(), libc::POLLIN),
            PollFd::new(hold.as_fd(), libc::POLLIN),
            PollFd::new(told.as_fd(), libc::POLLIN),
        ];
        match poll::poll(&mut set, -1) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => break Err(e),
            Ok(_) => {}
        }
        let [typed, shown, gone, signalled] = set.map(|p| p.revents() != 0);
        if shown && !carry_out(ptx.as_fd()) {
            break Ok(());
        }
        if typed && !keys.carry_in(stdin.as_fd(), ptx.as_fd()) {
            break Ok(());
        }
        // The monitor closes the reservation when the container ends; what it wrote before is shown first.
        if gone && !shown {
            break Ok(());
        }
        if signalled {
            match signal::read_signalfd(told.as_fd()) {
                Ok(Some(s)) if s.signal == libc::SIGWINCH => copy_size(ptx),
                Ok(Some(_)) => break Ok(()),
                _ => {}
            }
        }
    };
    drop(raw);
    let _ = signal::set_mask(&old);
    result.ctx(|| "the terminals".into())
}

fn copy_size(ptx: &OwnedFd) {
    if let Ok(size) = tty::winsize(std::io::stdin()) {
        let _ = tty::set_winsize(ptx, size);
    }
}

/// False at the end.
fn carry_out(ptx: BorrowedFd<'_>) -> bool {
    let mut buf = [0; CHUNK];
    match fd::read_into(ptx, &mut buf) {
        Ok(0) | Err(_) => false,
        Ok(n) => fd::write_all(std::io::stdout().as_fd(), buf.get(..n).unwrap_or_default()).is_ok(),
    }
}

/// What is typed, with its escapes.
struct Keys {
    escape: u8,
    /// The prefix was typed.
    pending: bool,
}

impl Keys {
    /// What of `typed` goes on; `None` for the exit.
    fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(typed.len());
        for &b in typed {
            if self.pending && b == b'q' {
                return None;
            }
            if b == self.escape && !self.pending {
                self.pending = true;
                continue;
            }
            self.pending = false;
            out.push(b);
        }
        Some(out)
    }

    /// False at the end.
    fn carry_in(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
        let mut buf = [0; CHUNK];
        match fd::read_into(from, &mut buf) {
            Ok(0) | Err(_) => false,
            Ok(n) => match self.filter(buf.get(..n).unwrap_or_default()) {
                None => false,
                Some(bytes) => fd::write_all(to, &bytes).is_ok(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_both_cases() {
        for text in ["b", "B", "^b", "^B"] {
            assert_eq!(escape_code(text), Some(2), "{text}");
        }
        for text in ["", "^", "ab", "1", "^1"] {
            assert_eq!(escape_code(text), None, "{text}");
        }
    }

    #[test]
    fn keys_with_escapes() {
        let mut k = Keys { escape: 1, pending: false };
        assert_eq!(k.filter(b"x\x01\x01y"), Some(b"x\x01y".to_vec()));
        assert_eq!(k.filter(b"\x01"), Some(vec![]));
        assert_eq!(k.filter(b"z"), Some(b"z".to_vec()));
        assert_eq!(k.filter(b"q\x01"), Some(b"q".to_vec()));
        assert_eq!(k.filter(b"q"), None);
    }
}
