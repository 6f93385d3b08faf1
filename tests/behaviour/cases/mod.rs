//! All cases, by tool and topic.

use crate::case::Cases;

mod attach;
mod common;
mod console;
mod create;
mod destroy;
mod execute;
mod info;
mod ls;
mod start;
mod stop;

/// Every case, in the order of the files.
pub fn all() -> Cases {
    let mut c = Cases::default();
    common::add(&mut c);
    create::add(&mut c);
    start::add(&mut c);
    attach::add(&mut c);
    execute::add(&mut c);
    console::add(&mut c);
    ls::add(&mut c);
    info::add(&mut c);
    stop::add(&mut c);
    destroy::add(&mut c);
    c
}
