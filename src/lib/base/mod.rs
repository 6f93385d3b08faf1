//! The nouns and tools that features share. Knows no feature, no key and no order of steps.
#![forbid(unsafe_code)]

pub mod error;
pub mod facts;
pub mod fault;
pub mod ids;
pub mod lock;
pub mod log;
pub mod mount_options;
pub mod op;
pub mod owned_dir;
pub mod pack;
pub mod paths;
pub mod spawn;
pub mod units;

pub use error::{Context, Error, Result};
