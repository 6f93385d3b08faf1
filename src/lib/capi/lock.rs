//! The lock of a handle: one C program may use one handle from many threads. Differs from a mutex in one point: a process
//! forked while another thread held the lock can have it all the same, since that thread does not exist there.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A value and its lock.
pub struct Lock<T> {
    /// 0 free, else the process whose thread holds it.
    held: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the holder of the lock only.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Frees the lock, also when a panic passes.
struct Held<'a>(&'a AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<T> Lock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { held: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }

    /// Runs `f` alone. `renew` makes the value anew where its last holder was lost by a fork, which may have happened in
    /// the middle of a change; the old value is left as it is then.
    pub fn with<R>(&self, renew: impl FnOnce() -> T, f: impl FnOnce(&mut T) -> R) -> R {
        let own = std::process::id();
        let mut turns = 0_u32;
        while let Err(holder) = self.held.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            if holder != own
                && holder != 0
                && self.held.compare_exchange(holder, own, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                // SAFETY: we hold the lock; the old value may be half changed and is neither read nor dropped.
                unsafe { self.value.get().write(renew()) };
                break;
            }
            turns += 1;
            if turns < 50 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(Duration::from_micros(u64::from(turns.min(1000))));
            }
        }
        let _held = Held(&self.held);
        // SAFETY: we hold the lock.
        f(unsafe { &mut *self.value.get() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn threads_take_turns() {
        let lock = Lock::new(0_u64);
        std::thread::scope(|s| {
            for _ in 0..8 {
                s.spawn(|| (0..1000).for_each(|_| lock.with(|| 0, |n| *n += 1)));
            }
        });
        assert_eq!(lock.with(|| 0, |n| *n), 8000);
    }

    #[test]
    fn a_forked_child_does_not_wait_for_a_thread_that_it_lacks() {
        let lock = Lock::new(7);
        let status = lock.with(
            || 0,
            |_| {
                let child = process::clone3(&process::Clone3::default(), || process::exit_now(lock.with(|| 9, |n| *n)));
                process::wait_pid(child.unwrap().pid, 0).unwrap().1
            },
        );
        assert_eq!(process::exit_code(status), 9);
    }
}
