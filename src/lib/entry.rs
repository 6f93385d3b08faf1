//! The ways from a program's `main` into the library: `lxc_rs_tool_main`, the one private symbol that the tools' stubs call,
//! and [`supervise`] for the static program that holds what it needs of the library. Owns nothing else.
#![allow(
    unsafe_code,
    reason = "C calls it, and argv is read as the C library left it; each block says why it is sound"
)]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a tool. Private to the stubs of this version: a stub of another one is refused.
///
/// # Safety
/// `tool` and `version` point to C strings, `argv` to `argc` C strings, as `main` gets them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_rs_tool_main(
    tool: *const c_char,
    version: *const c_char,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    let (tool, version) = unsafe { (CStr::from_ptr(tool), CStr::from_ptr(version)) };
    let args: Vec<OsString> = (0..usize::try_from(argc).unwrap_or(0))
        .map(|i| {
            // SAFETY: i < argc, and argv's strings live as long as the process.
            OsStr::from_bytes(unsafe { CStr::from_ptr(*argv.add(i)) }.to_bytes()).to_os_string()
        })
        .collect();
    let tool = tool.to_string_lossy();
    if version.to_bytes() != env!("CARGO_PKG_VERSION").as_bytes() {
        eprintln!(
            "{tool}: this is the {tool} of version {}, but liblxc.so.1 is of version {}: install both from one build",
            version.to_string_lossy(),
            env!("CARGO_PKG_VERSION")
        );
        return 1;
    }
    crate::sys::begin::mend();
    let run = || match &*tool {
        // No tool, but the program that starts containers for callers of the C library.
        "lxc-spawn" => crate::runtime::supervise::spawned(crate::container::life::destroy_ephemeral),
        tool => crate::cli::main(tool, &args),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        eprintln!("{tool}: internal error (see above); please report it with the command line");
        1
    })
}

/// Runs `lxc-supervise`: no tool, but the monitor of a container.
///
/// # Safety
/// `argv` points to `argc` C strings, as `main` gets them.
pub unsafe fn supervise(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let file = if argc > 1 { unsafe { CStr::from_ptr(*argv.add(1)) }.to_str().unwrap_or_default() } else { "" };
    crate::sys::begin::mend();
    let run = || crate::runtime::supervise::main(file, crate::container::life::destroy_ephemeral);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        eprintln!("lxc-supervise: internal error (see above); please report it");
        1
    })
}
