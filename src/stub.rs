// The whole of a tool's own code: `main` hands over to the library. Built without std where panics abort (profile `stub`),
// plain elsewhere (the dev profile unwinds, which no_std cannot).

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn abort() -> !;
    }
    abort()
}

/// `lxc_tool!("lxc-info")`: the C `main` of that tool.
macro_rules! lxc_tool {
    ($name:literal) => {
        unsafe extern "C" {
            /// The library's way in, see src/lib/entry.rs.
            fn lxc_rs_tool_main(
                tool: *const core::ffi::c_char,
                version: *const core::ffi::c_char,
                argc: core::ffi::c_int,
                argv: *const *const core::ffi::c_char,
            ) -> core::ffi::c_int;
        }

        /// The C library calls it.
        ///
        /// # Safety
        /// As for every C `main`: `argv` holds `argc` strings.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(argc: core::ffi::c_int, argv: *const *const core::ffi::c_char) -> core::ffi::c_int {
            let version = concat!(env!("CARGO_PKG_VERSION"), "\0");
            // SAFETY: both literals end with NUL; argc and argv are what the C library gave.
            unsafe { lxc_rs_tool_main(concat!($name, "\0").as_ptr().cast(), version.as_ptr().cast(), argc, argv) }
        }
    };
}
