//! Starting a program that does not outlive the process that started it, which posix_spawn(3) cannot. Between the two stands
//! a guard: the kernel tells it when its parent dies (prctl(2), PR_SET_PDEATHSIG), and it kills its process group then, the
//! program and what that has started. For a process without threads: the signal comes when the starting thread ends.

use super::poll::{POLLIN, PollFd, poll};
use super::process::{self, Clone3, ExecArgs, Never};
use super::signal::{self, SigSet};
use super::{alloc_guard, fd};
use nix::unistd::{Pid, getppid, setpgid};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// The program and what it needs.
struct Program<'a> {
    path: &'a CStr,
    args: &'a ExecArgs,
    fds: &'a [(RawFd, RawFd)],
    /// Where it is told that it cannot be executed.
    errors: OwnedFd,
    parent: i32,
}

/// Starts `path` as [`process::spawn`] does: default dispositions, an empty mask, `fds` as (from, to) put in place, in a
/// process group of its own; what a fork leaves open is close-on-exec. The guard's pid, which ends as the program does.
///
/// # Errors
/// The kernel's: of the clones, or of what came before the program ran.
pub fn spawn(path: &CStr, args: &ExecArgs, fds: &[(RawFd, RawFd)]) -> io::Result<i32> {
    let (read, write) = fd::pipe()?;
    // Above what is put in place below.
    let errors = fd::dup_above(write.as_fd(), 3)?;
    drop(write);
    let program = Program { path, args, fds, errors, parent: process::pid() };
    let guard = process::clone3(&Clone3::default(), || {
        alloc_guard::step("guard of a program");
        let failed = |e: &io::Error| {
            program.tell(e);
            process::exit_now(127)
        };
        program.guard().unwrap_or_else(|e| failed(&e))
    })?;
    drop(program);
    let mut told = [0; 4];
    match fd::read_into(read.as_fd(), &mut told) {
        Ok(4) => {
            let _ = process::wait_pid(guard.pid, 0);
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(told)))
        }
        _ => Ok(guard.pid),
    }
}

impl Program<'_> {
    fn tell(&self, e: &io::Error) {
        let errno = e.raw_os_error().unwrap_or(libc::EIO);
        let _ = fd::write_all(self.errors.as_fd(), &errno.to_ne_bytes());
    }

    /// The guard's life.
    fn guard(&self) -> io::Result<Never> {
        process::retitle(b"[lxc hook of]");
        // One that no script sends to its group.
        let told = signal::rtmin() + 20;
        signal::block_all()?;
        signal::default(libc::SIGCHLD)?;
        let signals = signal::signalfd(&SigSet::of(&[told]))?;
        process::set_pdeathsig(told)?;
        setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
        if self.orphaned() {
            process::exit_now(1);
        }
        let child = process::clone3(&Clone3 { pidfd: true, ..Clone3::default() }, || {
            self.tell(&self.become_it());
            process::exit_now(127)
        })?;
        fd::close_raw(self.errors.as_raw_fd());
        let pidfd = child.pidfd.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS))?;
        loop {
            let mut set = [PollFd::new(pidfd.as_fd(), POLLIN), PollFd::new(signals.as_fd(), POLLIN)];
            poll(&mut set, -1)?;
            let [ended, signal] = set.map(|p| p.revents() != 0);
            if signal {
                let _ = signal::read_signalfd(signals.as_fd());
                if self.orphaned() {
                    // The guard among them.
                    let _ = process::kill(0, libc::SIGKILL);
                }
            }
            if ended {
                end_as(process::wait_pid(child.pid, 0)?.1);
            }
        }
    }

    fn orphaned(&self) -> bool {
        getppid().as_raw() != self.parent
    }

    fn become_it(&self) -> io::Error {
        let place = |(from, to): &(RawFd, RawFd)| fd::dup_onto(fd::borrow(*from)?, *to);
        if let Err(e) = self.fds.iter().try_for_each(place) {
            return e;
        }
        signal::reset_all_default();
        match signal::set_mask(&SigSet::empty()) {
            Ok(_) => process::execve(self.path, self.args),
            Err(e) => e,
        }
    }
}

/// Ends with this wait status.
fn end_as(status: i32) -> ! {
    if libc::WIFSIGNALED(status) {
        let n = libc::WTERMSIG(status);
        // Its core has been dumped by the program itself, if at all.
        let _ = process::set_dumpable(false);
        let _ = signal::default(n);
        let _ = process::kill(process::pid(), n);
        let _ = signal::set_mask(&SigSet::empty());
    }
    process::exit_now(process::exit_code(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn args(words: &[&str]) -> ExecArgs {
        let words: Vec<CString> = words.iter().map(|w| CString::new(*w).unwrap()).collect();
        ExecArgs::new(&words, &[])
    }

    #[test]
    fn what_cannot_be_executed_is_told() {
        let e = spawn(c"/no/such", &args(&["x"]), &[]).unwrap_err();
        assert_eq!(e.raw_os_error(), Some(libc::ENOENT));
        let pid = spawn(c"/bin/sh", &args(&["sh", "-c", "exit 7"]), &[]).unwrap();
        assert_eq!(process::exit_code(process::wait_pid(pid, 0).unwrap().1), 7);
        let pid = spawn(c"/bin/sh", &args(&["sh", "-c", "kill -15 $$"]), &[]).unwrap();
        assert_eq!(process::wait_pid(pid, 0).unwrap().1, 15);
    }

    #[test]
    fn it_and_its_children_die_with_its_starter() {
        let (read, write) = fd::pipe().unwrap();
        let shell = args(&["sh", "-c", "echo here; sleep 60; true"]);
        let out = [(write.as_raw_fd(), 1)];
        let starter = process::clone3(&Clone3::default(), || {
            let _ = spawn(c"/bin/sh", &shell, &out);
            // Until it is killed below.
            loop {
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
        })
        .unwrap();
        drop(write);
        let mut text = [0; 16];
        assert_eq!(fd::read_into(read.as_fd(), &mut text).unwrap(), 5);
        process::kill(starter.pid, libc::SIGKILL).unwrap();
        process::wait_pid(starter.pid, 0).unwrap();
        // The pipe has no writer left: the program is gone.
        assert_eq!(fd::read_into(read.as_fd(), &mut text).unwrap(), 0);
    }
}
