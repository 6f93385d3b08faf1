//! Members about checkpoints.

use super::member;
use crate::base::{Error, Result};
use crate::capi::guard::{number, outcome, truth};
use crate::capi::handle::Handle;
use crate::capi::layout::MigrateOpts;
use crate::capi::memory::{self, Text};
use crate::container::migrate::{self, Migrate, Verb};
use std::ffi::{c_int, c_uint};

/// MIGRATE_*.
mod cmd {
    pub const PRE_DUMP: u32 = 0;
    pub const DUMP: u32 = 1;
    pub const RESTORE: u32 = 2;
    pub const FEATURE_CHECK: u32 = 3;
}

/// What it is when the container's state forbids it.
const WRONG_STATE: c_int = -1;
/// What it is when it has been tried.
const FAILED: c_int = 1;

member! {
    /// Writes images.
    checkpoint(h, dir: Text, stop: bool, verbose: bool) -> bool, else false, {
        let how = Migrate { directory: dir.path().unwrap_or_default(), stop, verbose, ..Migrate::default() };
        truth(h.copy().dump(Verb::Dump, &how).map(|()| true))
    }
}

member! {
    /// Brings it back from images.
    restore(h, dir: Text, verbose: bool) -> bool, else false, {
        let directory = dir.path().unwrap_or_default();
        let how = Migrate { directory, verbose, from_library: true, ..Migrate::default() };
        truth(h.copy().restore(&how).map(|()| true))
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
            from_library: true,
        }
    }
}

fn act(h: Handle, command: u32, how: &Migrate, features: &mut u64) -> c_int {
    match command {
        cmd::PRE_DUMP | cmd::DUMP => {
            let c = h.copy();
            let verb = if command == cmd::DUMP { Verb::Dump } else { Verb::PreDump };
            let failed = if c.is_running() { FAILED } else { WRONG_STATE };
            outcome(c.dump(verb, how), failed)
        }
        cmd::RESTORE => {
            let c = h.copy();
            let failed = if c.is_running() { WRONG_STATE } else { FAILED };
            outcome(c.restore(how), failed)
        }
        cmd::FEATURE_CHECK => {
            let wanted = std::mem::take(features);
            let have = migrate::features(wanted).inspect(|have| *features = *have);
            let all = have.and_then(|have| match have == wanted {
                true => Ok(()),
                false => Err(Error::new("criu lacks a feature that was asked for")),
            });
            outcome(all, FAILED)
        }
        _ => number(Err(Error::os(libc::EINVAL, format!("invalid migrate command {command}")))),
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
        done
    }
}
