//! Two programs that the cases about criu need, as modes of this binary (there is no compiler where they run): a caller of
//! the C library's start, checkpoint, restore and migrate, and the part of a stand-in for criu that makes a process.
// The C library is called, and a process is cloned: neither goes without.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `struct migrate_opts`, 80 bytes.
#[repr(C)]
struct Opts {
    directory: *const c_char,
    verbose: bool,
    stop: bool,
    predump_dir: *const c_char,
    pageserver_address: *const c_char,
    pageserver_port: *const c_char,
    preserves_inodes: bool,
    action_script: *const c_char,
    disable_skip_in_flight: bool,
    ghost_limit: u64,
    features_to_check: u64,
}

/// Offsets of members of `struct lxc_container`.
const STATE: usize = 88;
const START: usize = 136;
const CHECKPOINT: usize = 464;
const RESTORE: usize = 472;
const MIGRATE: usize = 496;

type C = *mut c_void;

/// `struct lxc_log`.
#[repr(C)]
struct Log {
    name: *const c_char,
    lxcpath: *const c_char,
    file: *const c_char,
    level: *const c_char,
    prefix: *const c_char,
    quiet: bool,
}

/// Where the library's log goes.
pub const LOG: &str = "/tmp/api.log";

/// `--migrate LIBRARY STORE NAME ACT [KEY[=VALUE]]…`; ACT is a command's number, `start`, `checkpoint` or `restore`. Prints
/// `RESULT FEATURES STATE`.
pub fn migrate(args: &[String]) -> i32 {
    let [library, store, name, act, options @ ..] = args else { return 2 };
    let c = |s: &str| CString::new(s).unwrap_or_default();
    let get = |key: &str| {
        let found = options.iter().find_map(|o| o.strip_prefix(key)?.strip_prefix('='));
        // Lives as long as the process.
        found.map_or(std::ptr::null(), |v| c(v).into_raw().cast_const())
    };
    let set = |key: &str| options.iter().any(|o| o == key);
    let number =
        |key: &str| options.iter().find_map(|o| o.strip_prefix(key)?.strip_prefix('=')?.parse().ok()).unwrap_or(0);
    let mut opts = Opts {
        directory: get("dir"),
        verbose: set("verbose"),
        stop: set("stop"),
        predump_dir: get("predump"),
        pageserver_address: get("address"),
        pageserver_port: get("port"),
        preserves_inodes: set("inodes"),
        action_script: get("script"),
        disable_skip_in_flight: set("noskip"),
        ghost_limit: number("ghost"),
        features_to_check: number("features"),
    };
    // SAFETY: the library's documented ABI: what is called has these types and lies at these offsets.
    unsafe {
        let lib = libc::dlopen(c(library).as_ptr(), libc::RTLD_NOW);
        let new = libc::dlsym(lib, c"lxc_container_new".as_ptr());
        if lib.is_null() || new.is_null() {
            eprintln!("{library} cannot be loaded");
            return 2;
        }
        let init = libc::dlsym(lib, c"lxc_log_init".as_ptr());
        let init: unsafe extern "C" fn(*const Log) -> c_int = std::mem::transmute(init);
        let file = c(LOG);
        let (name_c, store_c) = (c(name), c(store));
        init(&Log {
            name: name_c.as_ptr(),
            lxcpath: store_c.as_ptr(),
            file: file.as_ptr(),
            level: c"INFO".as_ptr(),
            prefix: c"api".as_ptr(),
            quiet: true,
        });
        let new: unsafe extern "C" fn(*const c_char, *const c_char) -> C = std::mem::transmute(new);
        let container = new(name_c.as_ptr(), store_c.as_ptr());
        if container.is_null() {
            eprintln!("no container {name}");
            return 2;
        }
        let member = |offset: usize| container.byte_add(offset).cast::<*const c_void>().read();
        let result = match act.as_str() {
            "start" => {
                let f: unsafe extern "C" fn(C, c_int, *const *const c_char) -> bool =
                    std::mem::transmute(member(START));
                c_int::from(f(container, 0, std::ptr::null()))
            }
            "checkpoint" => {
                let f: unsafe extern "C" fn(C, *const c_char, bool, bool) -> bool =
                    std::mem::transmute(member(CHECKPOINT));
                c_int::from(f(container, opts.directory, opts.stop, opts.verbose))
            }
            "restore" => {
                let f: unsafe extern "C" fn(C, *const c_char, bool) -> bool = std::mem::transmute(member(RESTORE));
                c_int::from(f(container, opts.directory, opts.verbose))
            }
            number => {
                let f: unsafe extern "C" fn(C, c_uint, *mut Opts, c_uint) -> c_int =
                    std::mem::transmute(member(MIGRATE));
                let size = size_of::<Opts>() as c_uint;
                f(container, number.parse().unwrap_or(99), &mut opts, size)
            }
        };
        let state: unsafe extern "C" fn(C) -> *const c_char = std::mem::transmute(member(STATE));
        let state = std::ffi::CStr::from_ptr(state(container)).to_string_lossy();
        println!("{result} {} {state}", opts.features_to_check);
    }
    0
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    rest: [u64; 10],
}

/// `--restored ROOT GROUP`: what `criu restore --restore-detached --restore-sibling` leaves: an init in new namespaces, in
/// the container's groups, whose parent is criu's. `/tmp/fail` makes it fail all the same.
pub fn restored(args: &[String]) -> i32 {
    let [root, group] = args else { return 2 };
    let Ok((mut read, mut write)) = std::io::pipe() else { return 1 };
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;
    let args = CloneArgs { flags: (flags | libc::CLONE_PARENT) as u64, ..CloneArgs::default() };
    // SAFETY: without CLONE_VM the new process goes on here on its own copy; this process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) };
    if pid < 0 {
        eprintln!("clone3: {}", std::io::Error::last_os_error());
        return 1;
    }
    if pid == 0 {
        drop(write);
        let _ = read.read(&mut [0]);
        let inside = "mount --make-rprivate / && cd \"$0\" && mount --rbind . . && cd \"$0\" && pivot_root . mnt && \
                      umount -l /mnt && mount -t proc proc /proc && mount -t tmpfs tmpfs /dev && \
                      mknod -m 666 /dev/null c 1 3 && hostname restored && \
                      exec /sbin/shinit < /dev/null > /dev/null 2>&1";
        // SAFETY: a session and a namespace of its own, and an empty mask, as images would have them.
        unsafe {
            libc::setsid();
            libc::unshare(libc::CLONE_NEWCGROUP);
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        }
        let e = Command::new("/bin/sh").args(["-c", inside, root]).exec();
        eprintln!("sh: {e}");
        return 127;
    }
    for h in crate::sandbox::hierarchies() {
        let _ = fs::write(h.dir.join(group.trim_start_matches('/')).join("cgroup.procs"), pid.to_string());
    }
    let went_on = write.write_all(b"x").is_ok();
    // A restore that fails when all is made.
    i32::from(!went_on || fs::exists("/tmp/fail").unwrap_or(false))
}
