//! All cases, by tool and topic.

use crate::case::Cases;

mod start;

/// Every case, in the order of the files.
pub fn all() -> Cases {
    let mut c = Cases::default();
    start::add(&mut c);
    c
}
