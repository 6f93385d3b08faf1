//! The wall between C and Rust: every entry runs inside of [`entry`], which stops panics and sets errno. A panic becomes a
//! failure of that one call and a line in the log; nothing is printed.

use super::handle::Handle;
use crate::base::{Error, Result};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many entries this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What the entry that this thread is in told last.
    static TOLD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Sets errno.
pub fn set_errno(errno: i32) {
    // SAFETY: the C library's own place for this thread.
    unsafe { *libc::__errno_location() = errno }
}

/// Leaves the entry also when a panic passes.
struct Inside;

impl Inside {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

/// Keeps the message of a panic inside of an entry from the caller's stderr: it goes to the log. Others are told as before.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                before(info);
            } else {
                crate::log_crit!("internal error: {info}; please report it");
            }
        }));
    });
}

/// Runs an entry; `failed` is its result when it panics (errno EFAULT).
pub fn entry<T>(name: &str, failed: T, f: impl FnOnce() -> T) -> T {
    quiet_panics();
    let inside = Inside::enter();
    let done = catch_unwind(AssertUnwindSafe(|| {
        planted(name);
        f()
    }));
    drop(inside);
    done.unwrap_or_else(|_| {
        crate::log_crit!("{name}: the call failed by an internal error");
        set_errno(libc::EFAULT);
        failed
    })
}

/// Runs the body of a member: what it tells goes to the container's own log file (`lxc.log.file`) as well. A caller that has
/// opened no log, as daemons have not, finds it there.
pub fn of<T>(name: &str, h: Handle, f: impl FnOnce(Handle) -> T) -> T {
    let _ = TOLD.take();
    let done = f(h);
    if let Some(text) = TOLD.take() {
        // SAFETY: the C library's own place for this thread.
        let errno = unsafe { *libc::__errno_location() };
        h.own_log(name, &text);
        set_errno(errno);
    }
    done
}

/// A panic where a test wants one, in development builds: `LXC_TEST_PANIC` names the entry.
fn planted(name: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("LXC_TEST_PANIC").is_some_and(|n| n == name) {
        panic!("planted by LXC_TEST_PANIC");
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Puts a failure where C finds it: the log and errno.
pub fn told(e: &Error) {
    if e.told {
        return;
    }
    crate::log_error!("{e}");
    TOLD.set(Some(e.to_string()));
    if e.errno != 0 {
        set_errno(e.errno);
    }
}

/// A failure of something that was asked of a monitor: where it carries no number, the connection tells which.
pub fn by(client: &crate::ipc::Client, e: Error) -> Error {
    if e.errno != 0 {
        return e;
    }
    let errno = match client.init_pid() {
        Ok(Some(_)) => 0,
        Ok(None) => libc::ECONNREFUSED,
        Err(f) => f.errno(),
    };
    // Not into the text, which says it in words.
    crate::log_error!("{e}");
    TOLD.set(Some(e.to_string()));
    set_errno(errno);
    Error { told: true, code: errno, ..e }
}

/// A result as C's bool.
pub fn truth(result: Result<bool>) -> bool {
    result.unwrap_or_else(|e| {
        told(&e);
        false
    })
}

/// A result as a number: a failure is the negative errno, -1 when none is known.
pub fn number(result: Result<i32>) -> i32 {
    result.unwrap_or_else(|e| {
        told(&e);
        match e.errno {
            errno if errno > 0 => -errno,
            _ if e.told && e.code > 0 => -e.code,
            _ => -1,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_failure_of_its_call() {
        set_errno(0);
        assert!(!entry("test", false, || panic!("no harm")));
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EFAULT));
        assert_eq!(DEPTH.get(), 0);
        assert_eq!(entry("test", 0, || entry("inner", 1, || 2)), 2);
    }

    #[test]
    fn failures_have_numbers() {
        assert_eq!(number(Err(Error::os(libc::ENOENT, "x"))), -2);
        assert_eq!(number(Err(Error::new("x"))), -1);
        assert!(!truth(Err(Error::new("x"))));
    }
}
