//! The three lists: names and handles of the containers of a store. One reference of each handle is the caller's.

use super::layout::LxcContainer;
use super::{guard, handle, memory};
use crate::base::Result;
use crate::container::list;
use std::ffi::{c_char, c_int};
use std::path::Path;

type Names = *mut *mut *mut c_char;
type Handles = *mut *mut *mut LxcContainer;

/// Fills the caller's two arrays from a list of names.
///
/// # Safety
/// `lxcpath` is null or a C string; the others are null or may be written.
unsafe fn give(
    entry: &str,
    lxcpath: *const c_char,
    names: Names,
    handles: Handles,
    read: fn(&Path) -> Result<Vec<String>>,
) -> c_int {
    guard::entry(entry, -1, || {
        // SAFETY: the caller's promise.
        let store = unsafe {
            if !names.is_null() {
                names.write(std::ptr::null_mut());
            }
            if !handles.is_null() {
                handles.write(std::ptr::null_mut());
            }
            handle::store(memory::path(lxcpath))
        };
        let all = match read(&store) {
            Ok(all) => all,
            Err(e) => {
                guard::told(&e);
                return -1;
            }
        };
        // With handles, a container that has none (its config does not parse) is left out of both.
        let (mut kept, mut made) = (Vec::new(), Vec::new());
        for name in all {
            if !handles.is_null() {
                match handle::open(&name, &store).map(handle::make) {
                    Ok(c) if !c.is_null() => made.push(c),
                    Ok(_) => continue,
                    Err(e) => {
                        crate::log_error!("{e}");
                        continue;
                    }
                }
            }
            kept.push(name);
        }
        // SAFETY: as above.
        unsafe {
            if !names.is_null() && !kept.is_empty() {
                names.write(memory::array(kept.iter().map(memory::string).collect(), false));
            }
            if !handles.is_null() && !made.is_empty() {
                handles.write(memory::array(made, false));
            }
        }
        c_int::try_from(kept.len()).unwrap_or(c_int::MAX)
    })
}

/// `list_defined_containers`.
///
/// # Safety
/// As the header says: null, or a C string and places for results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn list_defined_containers(lxcpath: *const c_char, names: Names, cret: Handles) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { give("list_defined_containers", lxcpath, names, cret, list::defined) }
}

/// `list_active_containers`.
///
/// # Safety
/// As [`list_defined_containers`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn list_active_containers(lxcpath: *const c_char, names: Names, cret: Handles) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { give("list_active_containers", lxcpath, names, cret, list::active) }
}

/// `list_all_containers`.
///
/// # Safety
/// As [`list_defined_containers`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn list_all_containers(lxcpath: *const c_char, names: Names, cret: Handles) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { give("list_all_containers", lxcpath, names, cret, list::all) }
}
