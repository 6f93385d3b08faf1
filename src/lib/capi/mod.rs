//! The C ABI of liblxc.so.1: `struct lxc_container` and the fifteen functions of the public headers. Translates between C
//! and `container::Container`, and owns what only C has: malloc'ed memory, reference counts, errno, variadic members, a
//! wall that no panic crosses. Owns no behaviour of a container.
//!
//! Layout, return values and ownership: lxc-api(7) and include/lxc/*.h.
#![allow(
    unsafe_code,
    reason = "C callers and their memory cannot be reached without it; each block says why it is sound"
)]

pub mod global;
pub mod guard;
pub mod handle;
pub mod layout;
pub mod list;
mod lock;
mod members;
mod memory;
mod tls;
mod variadic;
