//! Members that mount inside of a running container. What `struct lxc_mount` says is not looked at, as in LXC: there is one
//! version, and LXD sends zeros.

use super::member;
use crate::base::Result;
use crate::capi::guard::{number, set_errno};
use crate::capi::layout::LxcMount;
use crate::capi::memory::{self, Text};
use crate::container::inject::Inject;
use std::ffi::{CString, c_int, c_ulong, c_void};

/// There is no place to mount at.
fn nowhere() -> c_int {
    set_errno(libc::EINVAL);
    -1
}

fn result(done: Result<()>) -> c_int {
    number(done.map(|()| 0))
}

member! {
    /// Mounts.
    mount(
        h,
        source: Text,
        target: Text,
        filesystemtype: Text,
        mountflags: c_ulong,
        data: *const c_void,
        mnt: *mut LxcMount,
    ) -> c_int, else -libc::EINVAL, {
        let _ = mnt;
        let Some(target) = target.path() else { return nowhere() };
        // SAFETY: options of a file system are a string, or null.
        let data = unsafe { memory::bytes(data.cast()) }.and_then(|b| CString::new(b).ok());
        let (source, fstype) = (source.owned(), filesystemtype.owned());
        let what = Inject {
            source: source.as_deref(),
            target: &target,
            fstype: fstype.as_deref(),
            flags: mountflags,
            data: data.as_deref(),
        };
        result(h.copy().mount(&what))
    }
}

member! {
    /// Unmounts.
    umount(h, target: Text, mountflags: c_ulong, mnt: *mut LxcMount) -> c_int, else -libc::EINVAL, {
        let _ = mnt;
        let Some(target) = target.path() else { return nowhere() };
        result(h.copy().umount(&target, mountflags))
    }
}
