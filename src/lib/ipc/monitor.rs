//! What monitors tell lxc-monitord: one message into the store's fifo at each change of state. Owns no reader, and starts
//! no lxc-monitord: without one nobody is told.
#![forbid(unsafe_code)]

use super::wire::{Event, MSG, Msg};
use crate::base::paths;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How long a full fifo may hold a monitor up, milliseconds: lxc-monitord that does not read loses messages, and delays
/// nobody.
const FULL_MS: u16 = 200;

/// The fifo of the store `lxcpath`: `RUNDIR/lxc/LXCPATH/monitor-fifo`.
pub fn fifo_path(rundir: &Path, lxcpath: &Path) -> PathBuf {
    let below = lxcpath.strip_prefix("/").unwrap_or(lxcpath);
    rundir.join("lxc").join(below).join("monitor-fifo")
}

/// Tells lxc-monitord, if one listens, that `event` happened to `name`. Never fails, never waits for long.
pub fn publish(lxcpath: &Path, name: &str, event: Event) {
    publish_to(&fifo_path(&paths::rundir(), lxcpath), name, event);
}

/// As [`publish`], into this fifo; whether the message was written.
pub fn publish_to(fifo: &Path, name: &str, event: Event) -> bool {
    // Without a reader the open fails by ENXIO, without a fifo by ENOENT.
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let Ok(fd) = open(fifo, flags, Mode::empty()) else { return false };
    let message = Msg::encode(name, event);
    loop {
        // Shorter than PIPE_BUF, so all or nothing (pipe(7)).
        match nix::unistd::write(&fd, &message) {
            Ok(n) => return n == MSG,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut fds, PollTimeout::from(FULL_MS)) == Ok(0) {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::State;
    use std::io::Read;

    #[test]
    fn a_reader_gets_one_message_each_and_a_missing_fifo_is_nobody() {
        let dir = std::env::temp_dir().join(format!("lxc-ipc-fifo-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let fifo = dir.join("monitor-fifo");
        assert!(!publish_to(&fifo, "c1", Event::State(State::Running)));
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert!(!publish_to(&fifo, "c1", Event::State(State::Running)));
        let fd = open(&fifo, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap();
        let mut reader = std::fs::File::from(fd);
        assert!(publish_to(&fifo, "c1", Event::State(State::Running)));
        let mut buf = [0u8; MSG];
        reader.read_exact(&mut buf).unwrap();
        assert_eq!(Msg::decode(&buf).event, Event::State(State::Running));
        // A reader that sleeps delays nobody for long: the fifo holds 65536 bytes.
        let lost = (0..300).filter(|_| !publish_to(&fifo, "c1", Event::ExitCode(0))).take(1).count();
        assert_eq!(lost, 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_fifo_lies_below_rundir_under_the_stores_path() {
        let p = fifo_path(Path::new("/run"), Path::new("/tmp/rvstore"));
        assert_eq!(p, Path::new("/run/lxc/tmp/rvstore/monitor-fifo"));
    }
}
