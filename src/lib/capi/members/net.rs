//! Members about the network inside.

use super::member;
use crate::base::Result;
use crate::capi::guard::{set_errno, told, truth};
use crate::capi::memory::{self, Text};
use crate::container::net::Family;
use std::ffi::{c_char, c_int};

/// A list for C: null for none and for a failure.
fn list(got: Result<Vec<String>>) -> *mut *mut c_char {
    match got {
        Ok(all) => memory::strings(&all),
        Err(e) => {
            told(&e);
            std::ptr::null_mut()
        }
    }
}

member! {
    /// Names of interfaces.
    get_interfaces(h) -> *mut *mut c_char, else std::ptr::null_mut(), {
        list(h.copy().interfaces())
    }
}

member! {
    /// Addresses.
    get_ips(h, interface: Text, family: Text, scope: c_int) -> *mut *mut c_char, else std::ptr::null_mut(), {
        let family = match family.text() {
            None if family.is_null() => Family::Any,
            Some("inet") => Family::V4,
            Some("inet6") => Family::V6,
            _ => {
                set_errno(libc::EINVAL);
                return std::ptr::null_mut();
            }
        };
        list(h.copy().ips(interface.text(), family, scope as u32))
    }
}

member! {
    /// Moves an interface in.
    attach_interface(h, dev: Text, dst_dev: Text) -> bool, else false, {
        let Some(dev) = dev.text() else { return false };
        truth(h.copy().attach_interface(dev, dst_dev.text().unwrap_or(dev)).map(|()| true))
    }
}

member! {
    /// Moves an interface out.
    detach_interface(h, dev: Text, dst_dev: Text) -> bool, else false, {
        let Some(dev) = dev.text() else { return false };
        truth(h.copy().detach_interface(dev, dst_dev.text().unwrap_or(dev)).map(|()| true))
    }
}
