//! Memory that a process no longer needs: giving it back to the kernel before a long wait.

use std::ffi::c_void;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" {
    /// The highest address of the first thread's stack; the dynamic linker's (and a static program's) own variable.
    static __libc_stack_end: *const c_void;
}

/// How much of the stack below is kept: what the next calls need anyway, bytes.
const KEPT: usize = 4 << 10;
/// How far down it is looked at, bytes.
const DEEP: usize = 512 << 10;
/// How far the first thread's stack reaches at most from its end, for this purpose, bytes.
const STACK: usize = 4 << 20;

/// Gives what the heap does not use, and what deeper calls left on the stack, back to the kernel (malloc_trim(3),
/// madvise(2)): for a process that has done its work and only waits from now on. Changes nothing that is in use.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim takes the heap's own locks and changes nothing that is in use.
        unsafe { libc::malloc_trim(0) };
        trim_stack();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim_stack() {
    let here = 0u8;
    let at = std::ptr::from_ref(&here) as usize;
    // SAFETY: written once, before main, by the dynamic linker.
    let end = unsafe { __libc_stack_end } as usize;
    // The stack of another thread may have anything right below it: left alone.
    if !(at..at.saturating_add(STACK)).contains(&end) {
        return;
    }
    let page = 4095;
    let top = at.saturating_sub(KEPT) & !page;
    let bottom = top.saturating_sub(DEEP);
    // SAFETY: below the frame of this function, which is the deepest, nothing of the stack is in use; the first thread's
    // stack has a gap of its own (1 MiB and more) under it, so that no other mapping lies in the range. Parts that are
    // not mapped make the call fail after it has done the rest, which is all that is wanted.
    unsafe {
        libc::madvise(std::ptr::without_provenance_mut::<c_void>(bottom), top - bottom, libc::MADV_DONTNEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_stays() {
        let kept: Vec<String> = (0..1000).map(|i| format!("{i}")).collect();
        let on_stack = [7u8; 4096];
        trim();
        assert!(kept.iter().enumerate().all(|(i, s)| *s == i.to_string()));
        assert!(std::hint::black_box(&on_stack).iter().all(|b| *b == 7));
    }
}
