//! Members about the configuration: load, save, set, get, clear, keys, the store.

use super::member;
use crate::base::lock::{Lock, Wait};
use crate::base::{Result, paths};
use crate::capi::guard::{set_errno, told, truth};
use crate::capi::handle::Handle;
use crate::capi::memory::{self, Buffer, Text};
use crate::config::Config;
use crate::container::Container;
use crate::container::create::first_config;
use std::ffi::{c_char, c_int};

/// The lock of a container's files between processes. Where it cannot be made (a user without a run-time directory), the
/// file operations are atomic all the same.
pub fn disk_lock(c: &Container) -> Option<Lock> {
    Lock::acquire(&paths::lock_path(c.lxcpath(), c.name()), Wait::Forever).unwrap_or_else(|e| {
        crate::log_info!("{e}");
        None
    })
}

member! {
    /// Adds a file's items.
    load_config(h, alt_file: Text) -> bool, else false, {
        let own = h.with(|i| i.container.config_file());
        let file = alt_file.path().unwrap_or_else(|| own.clone());
        let _lock = if file == own { disk_lock(&h.copy()) } else { None };
        truth(h.with(|i| {
            i.container.config_mut().load_file(&file)?;
            i.loaded.get_or_insert(file);
            Ok(true)
        }))
    }
}

member! {
    /// Writes it.
    save_config(h, alt_file: Text) -> bool, else false, {
        truth(save(h, alt_file).map(|()| true))
    }
}

fn save(h: Handle, alt_file: Text) -> Result<()> {
    if h.with(|i| i.container.config().is_none()) {
        let first = first_config(None)?;
        h.with(|i| i.container.set_config(first));
    }
    let own = h.with(|i| i.container.config_file());
    match alt_file.path() {
        Some(file) if file != own => h.with(|i| i.container.save_as(&file)),
        _ => {
            let _lock = disk_lock(&h.copy());
            h.with(|i| i.container.save())
        }
    }
}

member! {
    /// The file's name.
    config_file_name(h) -> *mut c_char, else std::ptr::null_mut(), {
        // Programs may take the name away and expect none then.
        // SAFETY: a field of the caller's live handle: null or a C string.
        match unsafe { memory::bytes((*h.raw()).configfile) } {
            Some(name) => memory::string(name),
            None => std::ptr::null_mut(),
        }
    }
}

member! {
    /// As a line of the file would.
    set_config_item(h, key: Text, value: Text) -> bool, else false, {
        let (Some(key), Some(value)) = (key.text(), value.text()) else { return false };
        match h.with(|i| i.container.config_mut().set(key, value)) {
            Ok(()) => true,
            Err(e) => {
                set_errno(libc::EINVAL);
                told(&e);
                false
            }
        }
    }
}

member! {
    /// Resets a key.
    clear_config_item(h, key: Text) -> bool, else false, {
        let Some(key) = key.text() else { return false };
        let cleared = h.with(|i| i.container.config().is_some().then(|| i.container.config_mut().clear(key)));
        match cleared {
            None => false,
            Some(Ok(())) => true,
            Some(Err(e)) => {
                set_errno(libc::EINVAL);
                told(&e);
                false
            }
        }
    }
}

member! {
    /// Forgets what is configured.
    clear_config(h), {
        h.with(|i| {
            i.container.clear_config();
            i.loaded = None;
        });
    }
}

/// A text, or a negative errno, for a buffer.
fn answer(got: Option<std::result::Result<String, i32>>, retv: Buffer, inlen: c_int) -> c_int {
    match got {
        None => -1,
        Some(Ok(text)) => retv.fill(inlen, text.as_bytes()),
        Some(Err(errno)) => {
            set_errno(-errno);
            errno
        }
    }
}

member! {
    /// A value.
    get_config_item(h, key: Text, retv: Buffer, inlen: c_int) -> c_int, else -1, {
        let Some(key) = key.text() else { return -1 };
        answer(h.with(|i| i.container.config().map(|c| c.get(key))), retv, inlen)
    }
}

member! {
    /// Names of keys.
    get_keys(h, key: Text, retv: Buffer, inlen: c_int) -> c_int, else -1, {
        if key.is_null() {
            return answer(Some(Config::new().keys(None)), retv, inlen);
        }
        let Some(key) = key.text() else { return -1 };
        answer(h.with(|i| i.container.config().map(|c| c.keys(Some(key)))), retv, inlen)
    }
}

member! {
    /// A value of the running container.
    get_running_config_item(h, key: Text) -> *mut c_char, else std::ptr::null_mut(), {
        let Some(key) = key.text() else { return std::ptr::null_mut() };
        match h.client().config_item(key) {
            Ok(Some(value)) => memory::string(value),
            Ok(None) => std::ptr::null_mut(),
            Err(f) => {
                set_errno(f.errno());
                std::ptr::null_mut()
            }
        }
    }
}

member! {
    /// The store: the handle's own string.
    get_config_path(h) -> *const c_char, else std::ptr::null(), {
        // SAFETY: a field of the caller's live handle.
        unsafe { (*h.raw()).config_path }
    }
}

member! {
    /// Moves the handle to another store.
    set_config_path(h, path: Text) -> bool, else false, {
        let Some(path) = path.path() else { return false };
        truth(h.set_path(&path).map(|()| true))
    }
}
