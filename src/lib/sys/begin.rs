//! What a process may have inherited from a careless caller and no code of ours can work with. For programs only: a
//! library leaves its caller's process alone.

use super::{fd, signal};
use std::os::fd::IntoRawFd;

/// Opens /dev/null in the place of standard descriptors that are closed, lest other files get their numbers, and takes
/// SIGCHLD back to its default: ignored, every wait for a child would fail (sigaction(2)).
pub fn mend() {
    for n in 0..3 {
        if fd::borrow(n).is_err()
            && let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null")
        {
            // The lowest free number: this one. It stays open, and across an exec.
            let got = null.into_raw_fd();
            if let Ok(f) = fd::borrow(got) {
                let _ = fd::set_cloexec(f, false);
            }
        }
    }
    let _ = signal::default(libc::SIGCHLD);
}
