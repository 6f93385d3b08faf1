//! The child rule, enforced: in debug builds the allocator aborts, naming the step, when a process between clone and exec
//! allocates. In release builds it is the system's allocator and nothing more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The allocator of the library and its tools.
#[derive(Debug)]
pub struct Guarded;

#[global_allocator]
static ALLOCATOR: Guarded = Guarded;

thread_local! {
    /// The step that the child is in; `None` anywhere else. Needs no destructor, so that reading it allocates nothing.
    static STEP: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Says that this process is the child and which step it is in.
pub fn step(name: &'static str) {
    if cfg!(debug_assertions) {
        STEP.with(|s| s.set(Some(name)));
    }
}

/// This process is no longer (or was never) the child: a hook's process, or an init of ours.
pub fn lift() {
    STEP.with(|s| s.set(None));
}

/// Runs something that must allocate, with the reason at hand for the reader.
pub fn may_alloc<T>(_why: &'static str, f: impl FnOnce() -> T) -> T {
    let old = STEP.with(Cell::take);
    let result = f();
    STEP.with(|s| s.set(old));
    result
}

/// Ends the process when it is the child.
fn guard() {
    if cfg!(debug_assertions)
        && let Ok(Some(step)) = STEP.try_with(Cell::get)
    {
        for part in ["lxc: the child allocated in step ", step, "\n"] {
            // SAFETY: the bytes are a string's; a failing write changes nothing.
            unsafe { libc::write(2, part.as_ptr().cast(), part.len()) };
        }
        // SAFETY: it does not return.
        unsafe { libc::abort() };
    }
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Guarded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        guard();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        guard();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        guard();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        guard();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
