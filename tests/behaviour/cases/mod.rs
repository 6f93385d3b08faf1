//! All cases, by tool and topic.

use crate::case::Cases;

mod attach;
mod cgroups;
mod check;
mod common;
mod config;
mod console;
mod create;
mod destroy;
mod execute;
mod faults;
mod hooks;
mod hostile;
mod info;
mod inside;
pub mod keys;
mod life;
mod ls;
mod mixed;
mod network;
pub mod options;
mod start;
mod stop;
mod systemd;
mod v2;

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
    config::add(&mut c);
    check::add(&mut c);
    inside::add(&mut c);
    cgroups::add(&mut c);
    keys::add(&mut c);
    hooks::add(&mut c);
    network::add(&mut c);
    life::add(&mut c);
    systemd::add(&mut c);
    v2::add(&mut c);
    hostile::add(&mut c);
    mixed::add(&mut c);
    faults::add(&mut c);
    options::add(&mut c);
    c
}
