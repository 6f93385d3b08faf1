//! Members about checkpoints.

use super::member;
use crate::base::{Error, Result};
use crate::capi::guard::{number, truth};
use crate::capi::handle::Handle;
use crate::capi::layout::MigrateOpts;
use crate::capi::memory::{self, Text};
use crate::container::migrate::{self as criu, Dump, Migrate};
use std::ffi::{c_int, c_uint};
use std::path::PathBuf;

/// MIGRATE_*.
mod cmd {
    pub const PRE_DUMP: u32 = 0;
    pub const DUMP: u32 = 1;
    pub const RESTORE: u32 = 2;
    pub const FEATURE_CHECK: u32 = 3;
}

fn directory(dir: &Text) -> Result<PathBuf> {
    dir.path().ok_or_else(|| Error::os(libc::EINVAL, "a checkpoint needs a directory"))
}

member! {
    /// Writes images.
    checkpoint(h, dir: Text, stop: bool, verbose: bool) -> bool, else false, {
        let done = directory(&dir).and_then(|directory| {
            h.copy().dump(Dump::Final, &Migrate { directory, stop, verbose, ..Migrate::default() })
        });
        truth(done.map(|()| true))
    }
}

member! {
    /// Brings it back from images.
    restore(h, dir: Text, verbose: bool) -> bool, else false, {
        let done = directory(&dir).and_then(|directory| {
            h.copy().restore(&Migrate { directory, verbose, ..Migrate::default() })
        });
        truth(done.map(|()| true))
    }
}

/// The caller's structure in our size: what it has not is zero, what it has beyond must be.
///
/// # Safety
/// `size` bytes may be read.
unsafe fn sized(opts: *const MigrateOpts, size: usize) -> Result<MigrateOpts> {
    const OURS: usize = size_of::<MigrateOpts>();
    // SAFETY: numbers, bools and pointers: zero bytes are valid.
    let mut own: MigrateOpts = unsafe { std::mem::zeroed() };
    // SAFETY: the caller's promise; at most our size is written.
    unsafe {
        let bytes = std::slice::from_raw_parts(opts.cast::<u8>(), size);
        if bytes.get(OURS..).is_some_and(|rest| rest.iter().any(|b| *b != 0)) {
            return Err(Error::os(libc::E2BIG, "migrate options of a later version"));
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut own).cast::<u8>(), size.min(OURS));
    }
    Ok(own)
}

/// The options in our words.
///
/// # Safety
/// Its strings are null or C strings.
unsafe fn options(o: &MigrateOpts) -> Migrate {
    // SAFETY: the caller's promise.
    unsafe {
        let text = |p| memory::text(p).map(str::to_string);
        Migrate {
            directory: memory::path(o.directory).unwrap_or_default(),
            verbose: o.verbose,
            stop: o.stop,
            predump_dir: memory::path(o.predump_dir),
            pageserver: text(o.pageserver_address).zip(text(o.pageserver_port)),
            preserves_inodes: o.preserves_inodes,
            action_script: memory::path(o.action_script),
            disable_skip_in_flight: o.disable_skip_in_flight,
            ghost_limit: o.ghost_limit,
        }
    }
}

fn act(h: Handle, command: u32, how: &Migrate, features: &mut u64) -> Result<()> {
    match command {
        cmd::PRE_DUMP => h.copy().dump(Dump::Pre, how),
        cmd::DUMP => h.copy().dump(Dump::Final, how),
        cmd::RESTORE => h.copy().restore(how),
        cmd::FEATURE_CHECK => {
            *features = criu::features(*features)?;
            if *features == 0 { Err(Error::new("criu has none of the features")) } else { Ok(()) }
        }
        _ => Err(Error::os(libc::EINVAL, "an unknown migrate command")),
    }
}

member! {
    /// All of it by number.
    migrate(h, command: c_uint, opts: *mut MigrateOpts, size: c_uint) -> c_int, else -libc::EINVAL, {
        if opts.is_null() {
            return -libc::EINVAL;
        }
        // SAFETY: the caller's promise about its structure.
        let own = unsafe { sized(opts, size as usize) };
        let own = match own {
            Ok(own) => own,
            Err(e) => return number(Err(e)),
        };
        let mut features = own.features_to_check;
        // SAFETY: as above.
        let how = unsafe { options(&own) };
        let done = act(h, command, &how, &mut features);
        let end = std::mem::offset_of!(MigrateOpts, features_to_check) + size_of::<u64>();
        if command == cmd::FEATURE_CHECK && size as usize >= end {
            // SAFETY: the caller's structure has the field.
            unsafe { (*opts).features_to_check = features }
        }
        number(done.map(|()| 0).map_err(|e| if e.errno == libc::EINVAL { e } else { Error { errno: 0, ..e } }))
    }
}
