//! lxc-console's session: reserves a tty or the console at the monitor, shows it until the escape is typed or the container
//! ends. The monitor's end is `console`'s.
#![forbid(unsafe_code)]

use super::relay::{Escape, Modes, Relay, Shown};
use crate::base::{Context, Error, Result};
use crate::ipc::command::{Client, Fail};
use crate::sys::poll::{POLLIN, PollFd, poll};
use crate::sys::signal::{self, SigSet};
use crate::sys::{fd, process, tty};
use nix::libc;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use std::os::fd::{AsFd, BorrowedFd};

/// What a session is to be.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// 0 for the console, N for that tty, −1 for the first free one.
    pub tty: i32,
    /// Where what is typed comes from.
    pub input: i32,
    /// Where it is shown.
    pub output: i32,
    /// Where the banner goes.
    pub messages: i32,
    /// The control character that leaves, 1 (Ctrl-A) to 26; `None`: only the container's end does, and there is no banner.
    pub escape: Option<u8>,
}

impl Default for Session {
    fn default() -> Self {
        Self { tty: -1, input: 0, output: 1, messages: 2, escape: Some(1) }
    }
}

/// Signals that end a session, after the terminal has been restored.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The control character of `-e`: a letter of either case, with `^` in front or without. `None` for anything else.
pub fn parse_escape(text: &str) -> Option<u8> {
    match text.strip_prefix('^').unwrap_or(text).as_bytes() {
        [c] if c.is_ascii_alphabetic() => Some(c.to_ascii_lowercase() - b'a' + 1),
        _ => None,
    }
}

/// What is shown at the start.
fn banner(tty: i32, escape: u8) -> String {
    let key = char::from(b'a' + escape.saturating_sub(1));
    format!(
        "\nConnected to tty {tty}\n\
         Type <Ctrl+{key} q> to exit the console, <Ctrl+{key} Ctrl+{key}> to enter Ctrl+{key} itself\n"
    )
}

/// Runs a session until it is left; the number of the signal that ended it, if one did.
///
/// # Errors
/// The container does not run; the tty is busy or there is none; an input that cannot be waited for (/dev/null, a file).
pub fn run(client: &Client, session: &Session) -> Result<Option<i32>> {
    let (_reserved, ptx, number) = client.console(session.tty).map_err(|f| match f {
        Fail::Refused(e) => Error::os(e, "Denied access to tty"),
        f => f.error(client.container(), "give a terminal"),
    })?;
    check_input(session.input)?;
    let mut watched = SigSet::of(&ENDING);
    watched.add(libc::SIGWINCH);
    let failed = || "Failed to set up the console".to_string();
    let mask = signal::block(&watched).ctx(failed)?;
    let signals = signal::signalfd(&watched).ctx(failed)?;
    let shown = Shown { input: Some(session.input), output: session.output };
    let mut relay = Relay::new(ptx, shown, None, session.escape.map(Escape::new)).ctx(failed)?;
    relay.resize();
    // Before the banner: changing the modes throws away what was typed, and who has read it types.
    let modes = Modes::change(shown);
    if let Some(escape) = session.escape
        && let Ok(messages) = fd::borrow(session.messages)
    {
        let mut text = banner(number, escape);
        // The terminal turns no line feed into a new line any more.
        if modes.is_some() && tty::Modes::of(messages).is_ok() {
            text = text.replace('\n', "\r\n");
        }
        let _ = fd::write_all(messages, text.as_bytes());
    }
    let ended = carry(&mut relay, signals.as_fd());
    drop(modes);
    let _ = signal::set_mask(&mask);
    ended.ctx(|| "The console session failed".into())
}

/// An input that gives bytes as they come.
fn check_input(raw: i32) -> Result<()> {
    let input = fd::borrow(raw).ctx(|| "Failed to add stdin handler".into())?;
    let probe =
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).and_then(|e| e.add(input, EpollEvent::new(EpollFlags::EPOLLIN, 0)));
    probe.map_err(|e| {
        Error::io(&e.into(), "Failed to add stdin handler").hint("standard input must be a terminal or a pipe")
    })
}

/// Moves bytes until the session is over.
fn carry(relay: &mut Relay, signals: BorrowedFd<'_>) -> std::io::Result<Option<i32>> {
    loop {
        let [ptx, input] = relay.interest();
        let Some(pty) = ptx else { return Ok(None) };
        let own = PollFd::new(signals, POLLIN);
        let mut set = [own, pty, input.unwrap_or_else(|| PollFd::new(signals, 0))];
        poll(&mut set, -1)?;
        let [own, pty, typed] = set;
        let ready = Relay::ready([Some(pty), input.map(|_| typed)]);
        let signalled = own.readable();
        relay.carry(ready);
        // An input that has ended, say a pipe's, ends the session once it has been delivered.
        if relay.has_left() || relay.is_closed() || relay.is_idle() {
            return Ok(None);
        }
        if signalled {
            while let Some(told) = signal::read_signalfd(signals)? {
                if told.signal != libc::SIGWINCH {
                    return Ok(Some(told.signal));
                }
                relay.resize();
            }
        }
    }
}

/// Ends the calling process by the signal that ended its session, as it would have ended without one.
pub fn end_by(signal_number: i32) -> i32 {
    let _ = signal::default(signal_number);
    let _ = process::kill(process::pid(), signal_number);
    128 + signal_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn escapes_of_either_case() {
        for (text, code) in [("a", 1), ("^a", 1), ("B", 2), ("^B", 2), ("z", 26), ("^Z", 26)] {
            assert_eq!(parse_escape(text), Some(code), "{text}");
        }
        for bad in ["", "^", "ab", "1", "^^", "é"] {
            assert_eq!(parse_escape(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_banner_names_tty_and_keys() {
        assert_eq!(
            banner(3, 2),
            "\nConnected to tty 3\nType <Ctrl+b q> to exit the console, <Ctrl+b Ctrl+b> to enter Ctrl+b itself\n"
        );
    }

    #[test]
    fn inputs_that_cannot_be_waited_for() {
        let null = std::fs::File::open("/dev/null").expect("null");
        let e = check_input(null.as_raw_fd()).expect_err("refused");
        assert_eq!(e.what, "Failed to add stdin handler");
        let (pipe, _w) = fd::pipe().expect("pipe");
        assert!(check_input(pipe.as_raw_fd()).is_ok());
    }

    #[test]
    fn no_container_no_session() {
        let client = Client::new("/nonexistent/store", "none");
        assert!(run(&client, &Session::default()).is_err());
    }
}
