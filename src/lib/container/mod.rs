//! container: to be filled by its owner.
#![forbid(unsafe_code)]
