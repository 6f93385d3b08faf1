//! Members that make, copy, rename and remove a container on disk.

use super::config::disk_lock;
use super::member;
use crate::base::{Error, Result};
use crate::capi::guard::{told, truth};
use crate::capi::handle::{self, Handle};
use crate::capi::layout::{BdevSpecs, LxcContainer};
use crate::capi::memory::{self, Text, Words};
use crate::container::clone::Copy;
use crate::container::create::{Create, first_config};
use std::ffi::{CString, OsString, c_int};
use std::os::unix::ffi::OsStringExt;

/// LXC_CREATE_QUIET.
const QUIET: c_int = 1;

member! {
    /// Makes it.
    create(h, t: Text, bdevtype: Text, specs: *mut BdevSpecs, flags: c_int, argv: Words) -> bool, else false, {
        create_with(h, t, bdevtype, specs, flags, argv.list())
    }
}

/// Makes it with these words for the template.
pub fn create_with(
    h: Handle,
    t: Text,
    bdevtype: Text,
    specs: *mut BdevSpecs,
    flags: c_int,
    argv: Vec<CString>,
) -> bool {
    // SAFETY: null or the caller's structure; `dir` is in it since 1.0.
    let dir = if specs.is_null() { None } else { unsafe { memory::path((*specs).dir) } };
    let want = Create {
        template: t.text().filter(|t| !t.is_empty()).map(str::to_string),
        args: argv.into_iter().map(|w| OsString::from_vec(w.into_bytes())).collect(),
        dir,
        bdev: bdevtype.text().map(str::to_string),
        quiet: flags & QUIET != 0,
        complete: true,
    };
    truth(make(h, &want).map(|()| true))
}

fn make(h: Handle, want: &Create) -> Result<()> {
    let mut c = h.copy();
    if c.config().is_none() {
        c.set_config(first_config(None)?);
    }
    if want.template.is_none() && c.is_defined() {
        c.save()?;
    } else {
        let done = c.create(want);
        if done.is_err() && c.is_defined() {
            // It was there before and is untouched; so is the handle.
            return done;
        }
        if let Err(e) = done {
            h.with(|i| i.container.clear_config());
            return Err(e);
        }
    }
    h.with(|i| i.container = c);
    Ok(())
}

member! {
    /// Removes it.
    destroy(h) -> bool, else false, {
        let mut c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        truth(c.destroy().map(|()| true))
    }
}

member! {
    /// Renames it; the handle keeps the old name.
    rename(h, newname: Text) -> bool, else false, {
        let Some(new) = newname.text().filter(|n| !n.is_empty()) else { return false };
        truth(h.copy().rename(new).map(|_| true))
    }
}

/// LXC_CLONE_*.
mod flag {
    pub const KEEPNAME: i32 = 1;
    pub const KEEPMACADDR: i32 = 2;
    pub const SNAPSHOT: i32 = 4;
    pub const KEEPBDEVTYPE: i32 = 8;
    pub const MAYBE_SNAPSHOT: i32 = 16;
    pub const ALLOW_RUNNING: i32 = 64;
}

member! {
    /// A copy: a new handle with one reference.
    clone(
        h,
        newname: Text,
        lxcpath: Text,
        flags: c_int,
        bdevtype: Text,
        bdevdata: Text,
        newsize: u64,
        hookargs: Words,
    ) -> *mut LxcContainer, else std::ptr::null_mut(), {
        // For block devices, which are not built yet.
        let _ = (bdevdata, newsize);
        let has = |bit: i32| flags & bit != 0;
        let want = Copy {
            name: newname.text().map(str::to_string),
            lxcpath: lxcpath.path(),
            keep_name: has(flag::KEEPNAME),
            keep_mac: has(flag::KEEPMACADDR),
            snapshot: has(flag::SNAPSHOT),
            maybe_snapshot: has(flag::MAYBE_SNAPSHOT),
            allow_running: has(flag::ALLOW_RUNNING),
            bdev: bdevtype.text().map(str::to_string).filter(|_| !has(flag::KEEPBDEVTYPE)),
            hook_args: hookargs.list().iter().map(|w| w.to_string_lossy().into_owned()).collect(),
        };
        let c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        match c.copy_to(&want) {
            Ok(copy) => handle::make(copy),
            Err(e) => {
                told(&e);
                std::ptr::null_mut()
            }
        }
    }
}

/// A name that is there, or the error of a caller that gave none.
pub fn named(text: &Text) -> Result<&str> {
    text.text().filter(|n| !n.is_empty()).ok_or_else(|| Error::os(libc::EINVAL, "a name is missing"))
}
