//! Feature `hook`: scripts that run on a container's way (lxc.hook.*). Renders and runs one; when
//! which runs is `runtime`'s.
#![forbid(unsafe_code)]

pub mod conf;
pub mod keys;
pub mod run;

pub use conf::{Conf, When};
pub use run::{Call, Rendered, render, render_all};
