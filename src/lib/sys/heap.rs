//! The C library's heap: giving unused pages back to the kernel.

/// Gives what the heap does not use back to the kernel (malloc_trim(3)): for a process that has done its work and only
/// waits from now on. A C library without it does nothing.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the heap's own locks and changes nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
