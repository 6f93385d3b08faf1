//! Members about snapshots.

use super::config::disk_lock;
use super::disk::named;
use super::member;
use crate::capi::guard::{told, truth};
use crate::capi::layout::Snapshot;
use crate::capi::memory::{self, Out, Text};
use std::ffi::c_int;
use std::os::unix::ffi::OsStrExt;

member! {
    /// Takes one; its number.
    snapshot(h, commentfile: Text) -> c_int, else -1, {
        let c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        match c.snapshot(commentfile.path().as_deref()) {
            Ok(number) => c_int::try_from(number).unwrap_or(-1),
            Err(e) => {
                told(&e);
                -1
            }
        }
    }
}

/// `free` of an entry: its strings.
unsafe extern "C" fn free_entry(s: *mut Snapshot) {
    if s.is_null() {
        return;
    }
    // SAFETY: an entry that snapshot_list made, whose strings are freed once: they are null afterwards.
    unsafe {
        for field in
            [&raw mut (*s).name, &raw mut (*s).comment_pathname, &raw mut (*s).timestamp, &raw mut (*s).lxcpath]
        {
            memory::free(*field);
            *field = std::ptr::null_mut();
        }
    }
}

member! {
    /// All of them, as a malloc'ed array.
    snapshot_list(h, snapshots: Out<*mut Snapshot>) -> c_int, else -1, {
        let all = match h.copy().snapshots() {
            Ok(all) => all,
            Err(e) => {
                told(&e);
                return -1;
            }
        };
        if all.is_empty() || snapshots.is_null() {
            return c_int::try_from(all.len()).unwrap_or(c_int::MAX);
        }
        // SAFETY: room for all entries, each of which is written.
        let list = unsafe { libc::calloc(all.len(), size_of::<Snapshot>()) }.cast::<Snapshot>();
        if list.is_null() {
            return -1;
        }
        for (i, snap) in all.iter().enumerate() {
            let entry = Snapshot {
                name: memory::string(&snap.name),
                comment_pathname: memory::string(snap.comment.as_os_str().as_bytes()),
                timestamp: memory::string(&snap.timestamp),
                lxcpath: memory::string(snap.lxcpath.as_os_str().as_bytes()),
                free: Some(free_entry),
            };
            // SAFETY: as above.
            unsafe { list.add(i).write(entry) };
        }
        snapshots.set(list);
        c_int::try_from(all.len()).unwrap_or(c_int::MAX)
    }
}

member! {
    /// Makes a container of one.
    snapshot_restore(h, snapname: Text, newname: Text) -> bool, else false, {
        let mut c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        let done = named(&snapname).and_then(|snap| c.snapshot_restore(snap, newname.text()));
        truth(done.map(|()| true))
    }
}

member! {
    /// Removes one.
    snapshot_destroy(h, snapname: Text) -> bool, else false, {
        let c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        truth(named(&snapname).and_then(|snap| c.snapshot_destroy(snap)).map(|()| true))
    }
}

member! {
    /// Removes all.
    snapshot_destroy_all(h) -> bool, else false, {
        let c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        truth(c.snapshot_destroy_all().map(|()| true))
    }
}

member! {
    /// Removes all, then the container. Without a directory of snapshots nothing is removed.
    destroy_with_snapshots(h) -> bool, else false, {
        let mut c = h.copy();
        let _lock = if c.is_defined() { disk_lock(&c) } else { None };
        truth(c.snapshot_destroy_all().and_then(|()| c.destroy()).map(|()| true))
    }
}
