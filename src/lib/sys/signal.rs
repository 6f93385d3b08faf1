//! Signals: masks, dispositions, signalfd (signal(7)). Decides about none of them.

use super::rc::check;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SigSet(libc::sigset_t);

impl std::fmt::Debug for SigSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries((1..=64).filter(|n| self.has(*n))).finish()
    }
}

impl SigSet {
    /// No signal.
    pub fn empty() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset fills it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// All signals.
    pub fn full() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset fills it.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// These signals.
    pub fn of(signals: &[i32]) -> Self {
        let mut set = Self::empty();
        for n in signals {
            set.add(*n);
        }
        set
    }

    /// Puts a signal in; an invalid number does nothing.
    pub fn add(&mut self, n: i32) {
        // SAFETY: the set is initialised; bad numbers answer EINVAL.
        unsafe { libc::sigaddset(&mut self.0, n) };
    }

    /// Takes a signal out.
    pub fn remove(&mut self, n: i32) {
        // SAFETY: the set is initialised; bad numbers answer EINVAL.
        unsafe { libc::sigdelset(&mut self.0, n) };
    }

    /// Whether it is in.
    pub fn has(&self, n: i32) -> bool {
        // SAFETY: the set is initialised; bad numbers answer -1.
        unsafe { libc::sigismember(&self.0, n) == 1 }
    }
}

/// Sets the calling thread's mask; returns the one before.
///
/// # Errors
/// pthread_sigmask(3).
pub fn set_mask(set: &SigSet) -> io::Result<SigSet> {
    mask(libc::SIG_SETMASK, set)
}

/// Adds to the calling thread's mask; returns the one before.
///
/// # Errors
/// pthread_sigmask(3).
pub fn block(set: &SigSet) -> io::Result<SigSet> {
    mask(libc::SIG_BLOCK, set)
}

fn mask(how: i32, set: &SigSet) -> io::Result<SigSet> {
    let mut old = SigSet::empty();
    // SAFETY: both sets are initialised.
    match unsafe { libc::pthread_sigmask(how, &set.0, &mut old.0) } {
        0 => Ok(old),
        e => Err(io::Error::from_raw_os_error(e)),
    }
}

/// Blocks all signals; returns the mask before.
///
/// # Errors
/// pthread_sigmask(3).
pub fn block_all() -> io::Result<SigSet> {
    set_mask(&SigSet::full())
}

/// The mask of the calling thread.
///
/// # Errors
/// pthread_sigmask(3).
pub fn current_mask() -> io::Result<SigSet> {
    block(&SigSet::empty())
}

/// A descriptor that tells of these signals; non-blocking, close-on-exec. They must be blocked.
///
/// # Errors
/// signalfd(2).
pub fn signalfd(set: &SigSet) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised; the descriptor is new.
    unsafe {
        let fd = libc::signalfd(-1, &set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        Ok(OwnedFd::from_raw_fd(check(fd)?))
    }
}

/// A signal as signalfd(2) tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Its number.
    pub signal: i32,
    /// Who sent it, 0 for the kernel or a process that cannot be seen from here.
    pub pid: i32,
    /// How it came about (SI_USER …).
    pub code: i32,
}

/// The next signal; `None` when there is none.
///
/// # Errors
/// read(2).
pub fn read_signalfd(fd: BorrowedFd<'_>) -> io::Result<Option<Told>> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: the buffer has the size given; all bit patterns are valid.
    let n = unsafe { libc::read(fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    if n < 0 {
        let e = io::Error::last_os_error();
        return match e.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(None),
            _ => Err(e),
        };
    }
    // SAFETY: zeroed before, filled by the kernel.
    let info = unsafe { info.assume_init() };
    Ok(Some(Told { signal: info.ssi_signo as i32, pid: info.ssi_pid as i32, code: info.ssi_code }))
}

fn set(n: i32, handler: libc::sighandler_t) -> io::Result<()> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed is an empty mask and no flags; the handler is SIG_DFL or SIG_IGN.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = handler;
        check(libc::sigaction(n, action.as_ptr(), std::ptr::null_mut())).map(drop)
    }
}

/// Gives a signal its default meaning.
///
/// # Errors
/// sigaction(2).
pub fn default(n: i32) -> io::Result<()> {
    set(n, libc::SIG_DFL)
}

/// Gives all signals their default meaning. What cannot be changed is passed over.
pub fn reset_all_default() {
    for n in 1..=64 {
        // KILL, STOP and the two that libc keeps for itself refuse.
        let _ = default(n);
    }
}

/// The first real-time signal that programs may use.
pub fn rtmin() -> i32 {
    libc::SIGRTMIN()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_blocked_signal_is_told() {
        let set = SigSet::of(&[libc::SIGUSR2]);
        let old = block(&set).unwrap();
        let fd = signalfd(&set).unwrap();
        assert_eq!(read_signalfd(fd.as_fd()).unwrap(), None);
        // SAFETY: a signal to this thread, which has it blocked.
        unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
        assert_eq!(read_signalfd(fd.as_fd()).unwrap().unwrap().signal, libc::SIGUSR2);
        set_mask(&old).unwrap();
    }
}
