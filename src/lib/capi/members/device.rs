//! Members about device nodes.

use super::member;
use crate::base::{Error, Result};
use crate::capi::guard::truth;
use crate::capi::memory::Text;
use std::path::PathBuf;

fn source(path: &Text) -> Result<PathBuf> {
    path.path().ok_or_else(|| Error::os(libc::EINVAL, "no device is named"))
}

member! {
    /// Makes one inside.
    add_device_node(h, src_path: Text, dest_path: Text) -> bool, else false, {
        truth(source(&src_path).and_then(|s| h.copy().add_device(&s, dest_path.path().as_deref())).map(|()| true))
    }
}

member! {
    /// Removes one.
    remove_device_node(h, src_path: Text, dest_path: Text) -> bool, else false, {
        truth(source(&src_path).and_then(|s| h.copy().remove_device(&s, dest_path.path().as_deref())).map(|()| true))
    }
}
