//! The three variadic members. Stable Rust cannot define a variadic function, so each is a few instructions (one macro for
//! each architecture, `variadic/*.s`; tests/abi/trampoline.c tries them alone) that lay all arguments out in memory and call
//! a function with that.

use super::guard;
use super::handle::Handle;
use super::layout::{AttachOptions, BdevSpecs, LxcContainer};
use super::members;
use super::memory::Text;
use std::ffi::{CStr, CString, c_char, c_int};

/// How many arguments come in registers.
#[cfg(target_arch = "x86_64")]
const REGISTERS: usize = 6;
#[cfg(target_arch = "aarch64")]
const REGISTERS: usize = 8;

#[cfg(target_arch = "x86_64")]
macro_rules! source {
    () => {
        include_str!("variadic/x86_64.s")
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! source {
    () => {
        include_str!("variadic/aarch64.s")
    };
}

core::arch::global_asm!(
    source!(),
    "trampoline lxc_rs_startl, {startl}",
    "trampoline lxc_rs_createl, {createl}",
    "trampoline lxc_rs_waitl, {waitl}",
    startl = sym startl,
    createl = sym createl,
    waitl = sym waitl,
);

unsafe extern "C" {
    /// `startl(c, useinit, ...)`.
    pub fn lxc_rs_startl(c: *mut LxcContainer, useinit: c_int, ...) -> bool;
    /// `createl(c, t, bdevtype, specs, flags, ...)`.
    pub fn lxc_rs_createl(
        c: *mut LxcContainer,
        t: Text,
        bdevtype: Text,
        specs: *mut BdevSpecs,
        flags: c_int,
        ...
    ) -> bool;
    /// `attach_run_waitl(c, options, program, arg, ...)`.
    pub fn lxc_rs_waitl(c: *mut LxcContainer, options: *mut AttachOptions, program: Text, arg: Text, ...) -> c_int;
}

/// All arguments of a call, each a word: those of registers, and where the others begin.
#[repr(C)]
struct Args {
    registers: [usize; REGISTERS],
    stack: *const usize,
}

impl Args {
    /// Argument `i`.
    ///
    /// # Safety
    /// Laid out by a trampoline that was called with more than `i` arguments.
    unsafe fn at(&self, i: usize) -> usize {
        match self.registers.get(i) {
            Some(word) => *word,
            // SAFETY: the caller's promise.
            None => unsafe { *self.stack.add(i - REGISTERS) },
        }
    }

    /// Argument `i` as a pointer.
    ///
    /// # Safety
    /// As [`Args::at`]; C passed a pointer there.
    unsafe fn pointer<T>(&self, i: usize) -> *mut T {
        // SAFETY: the caller's promise.
        std::ptr::with_exposed_provenance_mut(unsafe { self.at(i) })
    }

    /// Argument `i` as an int: the upper half of its word is undefined.
    ///
    /// # Safety
    /// As [`Args::at`].
    unsafe fn int(&self, i: usize) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { self.at(i) as c_int }
    }

    /// The strings from argument `first` to the null that ends them.
    ///
    /// # Safety
    /// As [`Args::at`]: C strings and a final null.
    unsafe fn words(&self, first: usize) -> Vec<CString> {
        let mut all = Vec::new();
        for i in first.. {
            // SAFETY: every argument up to the null is there.
            let word = unsafe { self.pointer::<c_char>(i) };
            if word.is_null() {
                break;
            }
            // SAFETY: a C string, by contract.
            all.push(unsafe { CStr::from_ptr(word) }.to_owned());
        }
        all
    }
}

unsafe extern "C" fn startl(args: &Args) -> bool {
    guard::entry("startl", false, || {
        // SAFETY: the trampoline's block, and C's promise about the arguments and the handle.
        let (h, useinit, words) = unsafe { (Handle::of(args.pointer(0)), args.int(1) != 0, args.words(2)) };
        h.is_some_and(|h| guard::of("startl", h, |h| members::life::start_with(h, useinit, words)))
    })
}

unsafe extern "C" fn createl(args: &Args) -> bool {
    guard::entry("createl", false, || {
        // SAFETY: as in `startl`.
        let (h, template, backend, specs, flags, words) = unsafe {
            (
                Handle::of(args.pointer(0)),
                Text::of(args.pointer(1)),
                Text::of(args.pointer(2)),
                args.pointer::<BdevSpecs>(3),
                args.int(4),
                args.words(5),
            )
        };
        let create = |h| members::disk::create_with(h, template, backend, specs, flags, words);
        h.is_some_and(|h| guard::of("createl", h, create))
    })
}

unsafe extern "C" fn waitl(args: &Args) -> c_int {
    guard::entry("attach_run_waitl", -1, || {
        // SAFETY: as in `startl`. The first word is a named argument: words that it ends are none.
        let (h, options, program, words) = unsafe {
            (Handle::of(args.pointer(0)), args.pointer::<AttachOptions>(1), Text::of(args.pointer(2)), args.words(3))
        };
        let run = |h| members::attach::run_wait_with(h, options, program, words);
        h.map_or(-1, |h| guard::of("attach_run_waitl", h, run))
    })
}
