//! The three variadic members. Stable Rust cannot define a variadic function, so each is a few instructions that lay the
//! unnamed arguments out in memory, those of registers and where those of the stack begin, and call a function with that.

use super::guard;
use super::handle::Handle;
use super::layout::{AttachOptions, BdevSpecs, LxcContainer};
use super::members;
use super::memory::Text;
use std::ffi::{CStr, CString, c_char, c_int};

type Word = *const c_char;

/// The unnamed arguments: `N` came in registers, the rest lie on the stack.
#[repr(C)]
struct Args<const N: usize> {
    regs: [Word; N],
    stack: *const Word,
}

impl<const N: usize> Args<N> {
    /// The words up to the null that ends them.
    ///
    /// # Safety
    /// Laid out by a trampoline, from arguments that C strings and a final null are.
    unsafe fn words(&self) -> Vec<CString> {
        let mut all = Vec::new();
        for i in 0.. {
            let word = match self.regs.get(i) {
                Some(word) => *word,
                // SAFETY: every argument up to the null is there.
                None => unsafe { *self.stack.add(i - N) },
            };
            if word.is_null() {
                break;
            }
            // SAFETY: a C string, by contract.
            all.push(unsafe { CStr::from_ptr(word) }.to_owned());
        }
        all
    }
}

#[cfg(target_arch = "x86_64")]
mod regs {
    /// rdx, rcx, r8, r9.
    pub const STARTL: usize = 4;
    /// r9.
    pub const CREATEL: usize = 1;
    /// r8, r9.
    pub const WAITL: usize = 2;
}

#[cfg(target_arch = "aarch64")]
mod regs {
    /// x2 to x7.
    pub const STARTL: usize = 6;
    /// x5 to x7.
    pub const CREATEL: usize = 3;
    /// x4 to x7.
    pub const WAITL: usize = 4;
}

/// `startl(c, useinit, ...)`.
#[unsafe(naked)]
pub unsafe extern "C" fn startl(c: *mut LxcContainer, useinit: c_int) -> bool {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 40",
        ".cfi_adjust_cfa_offset 40",
        "mov [rsp], rdx",
        "mov [rsp + 8], rcx",
        "mov [rsp + 16], r8",
        "mov [rsp + 24], r9",
        "lea rax, [rsp + 48]",
        "mov [rsp + 32], rax",
        "mov rdx, rsp",
        "call {to}",
        "add rsp, 40",
        ".cfi_adjust_cfa_offset -40",
        "ret",
        ".cfi_endproc",
        to = sym startl_with,
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "sub sp, sp, #64",
        "stp x2, x3, [sp]",
        "stp x4, x5, [sp, #16]",
        "stp x6, x7, [sp, #32]",
        "add x9, sp, #64",
        "stp x9, x30, [sp, #48]",
        "mov x2, sp",
        "bl {to}",
        "ldr x30, [sp, #56]",
        "add sp, sp, #64",
        "ret",
        to = sym startl_with,
    );
}

unsafe extern "C" fn startl_with(c: *mut LxcContainer, useinit: c_int, args: *const Args<{ regs::STARTL }>) -> bool {
    guard::entry("startl", false, || {
        // SAFETY: the trampoline's block, and C's promise about the arguments and the handle.
        let (h, words) = unsafe { (Handle::of(c), (*args).words()) };
        h.is_some_and(|h| members::life::start_with(h, useinit != 0, words))
    })
}

/// `createl(c, t, bdevtype, specs, flags, ...)`.
#[unsafe(naked)]
pub unsafe extern "C" fn createl(
    c: *mut LxcContainer,
    t: Text,
    bdevtype: Text,
    specs: *mut BdevSpecs,
    flags: c_int,
) -> bool {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 24",
        ".cfi_adjust_cfa_offset 24",
        "mov [rsp], r9",
        "lea rax, [rsp + 32]",
        "mov [rsp + 8], rax",
        "mov r9, rsp",
        "call {to}",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        ".cfi_endproc",
        to = sym createl_with,
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "sub sp, sp, #48",
        "stp x5, x6, [sp]",
        "add x9, sp, #48",
        "stp x7, x9, [sp, #16]",
        "str x30, [sp, #32]",
        "mov x5, sp",
        "bl {to}",
        "ldr x30, [sp, #32]",
        "add sp, sp, #48",
        "ret",
        to = sym createl_with,
    );
}

unsafe extern "C" fn createl_with(
    c: *mut LxcContainer,
    t: Text,
    bdevtype: Text,
    specs: *mut BdevSpecs,
    flags: c_int,
    args: *const Args<{ regs::CREATEL }>,
) -> bool {
    guard::entry("createl", false, || {
        // SAFETY: the trampoline's block, and C's promise about the arguments and the handle.
        let (h, words) = unsafe { (Handle::of(c), (*args).words()) };
        h.is_some_and(|h| members::disk::create_with(h, t, bdevtype, specs, flags, words))
    })
}

/// `attach_run_waitl(c, options, program, arg, ...)`.
#[unsafe(naked)]
pub unsafe extern "C" fn attach_run_waitl(
    c: *mut LxcContainer,
    options: *mut AttachOptions,
    program: Text,
    arg: Text,
) -> c_int {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        ".cfi_startproc",
        "sub rsp, 24",
        ".cfi_adjust_cfa_offset 24",
        "mov [rsp], r8",
        "mov [rsp + 8], r9",
        "lea rax, [rsp + 32]",
        "mov [rsp + 16], rax",
        "mov r8, rsp",
        "call {to}",
        "add rsp, 24",
        ".cfi_adjust_cfa_offset -24",
        "ret",
        ".cfi_endproc",
        to = sym waitl_with,
    );
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "sub sp, sp, #48",
        "stp x4, x5, [sp]",
        "stp x6, x7, [sp, #16]",
        "add x9, sp, #48",
        "stp x9, x30, [sp, #32]",
        "mov x4, sp",
        "bl {to}",
        "ldr x30, [sp, #40]",
        "add sp, sp, #48",
        "ret",
        to = sym waitl_with,
    );
}

unsafe extern "C" fn waitl_with(
    c: *mut LxcContainer,
    options: *mut AttachOptions,
    program: Text,
    arg: Text,
    args: *const Args<{ regs::WAITL }>,
) -> c_int {
    guard::entry("attach_run_waitl", -1, || {
        // SAFETY: the trampoline's block, and C's promise about the arguments and the handle. The first word is named: when
        // it is the null, the others are not there.
        let (h, rest) = unsafe { (Handle::of(c), if arg.is_null() { Vec::new() } else { (*args).words() }) };
        let words: Vec<CString> = arg.owned().into_iter().chain(rest).collect();
        h.map_or(-1, |h| members::attach::run_wait_with(h, options, program, words))
    })
}
