//! The structures of the public headers, member for member. Data only. The order is the ABI of LXC 7.0, which serves
//! clients built for 1.0 to 7.0; tests/abi/layout.c asserts every offset from C.
#![allow(missing_docs, reason = "the members are documented in include/lxc/*.h, for the C programmer who uses them")]

use super::memory::{Buffer, Out, Text, Words};
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong, c_void};

/// A C function of the caller's that runs inside of a container.
pub type AttachFn = Option<unsafe extern "C" fn(*mut c_void) -> c_int>;

type C = *mut LxcContainer;
type Str = Text;

/// `struct lxc_container`.
#[repr(C)]
pub struct LxcContainer {
    pub name: *mut c_char,
    pub configfile: *mut c_char,
    pub pidfile: *mut c_char,
    pub slock: *mut c_void,
    pub privlock: *mut c_void,
    pub numthreads: c_int,
    pub lxc_conf: *mut c_void,
    pub error_string: *mut c_char,
    pub error_num: c_int,
    pub daemonize: bool,
    pub config_path: *mut c_char,
    pub is_defined: unsafe extern "C" fn(C) -> bool,
    pub state: unsafe extern "C" fn(C) -> *const c_char,
    pub is_running: unsafe extern "C" fn(C) -> bool,
    pub freeze: unsafe extern "C" fn(C) -> bool,
    pub unfreeze: unsafe extern "C" fn(C) -> bool,
    pub init_pid: unsafe extern "C" fn(C) -> libc::pid_t,
    pub load_config: unsafe extern "C" fn(C, Str) -> bool,
    pub start: unsafe extern "C" fn(C, c_int, Words) -> bool,
    pub startl: unsafe extern "C" fn(C, c_int, ...) -> bool,
    pub stop: unsafe extern "C" fn(C) -> bool,
    pub want_daemonize: unsafe extern "C" fn(C, bool) -> bool,
    pub want_close_all_fds: unsafe extern "C" fn(C, bool) -> bool,
    pub config_file_name: unsafe extern "C" fn(C) -> *mut c_char,
    pub wait: unsafe extern "C" fn(C, Str, c_int) -> bool,
    pub set_config_item: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub destroy: unsafe extern "C" fn(C) -> bool,
    pub save_config: unsafe extern "C" fn(C, Str) -> bool,
    pub create: unsafe extern "C" fn(C, Str, Str, *mut BdevSpecs, c_int, Words) -> bool,
    pub createl: unsafe extern "C" fn(C, Str, Str, *mut BdevSpecs, c_int, ...) -> bool,
    pub rename: unsafe extern "C" fn(C, Str) -> bool,
    pub reboot: unsafe extern "C" fn(C) -> bool,
    pub shutdown: unsafe extern "C" fn(C, c_int) -> bool,
    pub clear_config: unsafe extern "C" fn(C),
    pub clear_config_item: unsafe extern "C" fn(C, Str) -> bool,
    pub get_config_item: unsafe extern "C" fn(C, Str, Buffer, c_int) -> c_int,
    pub get_running_config_item: unsafe extern "C" fn(C, Str) -> *mut c_char,
    pub get_keys: unsafe extern "C" fn(C, Str, Buffer, c_int) -> c_int,
    pub get_interfaces: unsafe extern "C" fn(C) -> *mut *mut c_char,
    pub get_ips: unsafe extern "C" fn(C, Str, Str, c_int) -> *mut *mut c_char,
    pub get_cgroup_item: unsafe extern "C" fn(C, Str, Buffer, c_int) -> c_int,
    pub set_cgroup_item: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub get_config_path: unsafe extern "C" fn(C) -> *const c_char,
    pub set_config_path: unsafe extern "C" fn(C, Str) -> bool,
    pub clone: unsafe extern "C" fn(C, Str, Str, c_int, Str, Str, u64, Words) -> C,
    pub console_getfd: unsafe extern "C" fn(C, Out<c_int>, Out<c_int>) -> c_int,
    pub console: unsafe extern "C" fn(C, c_int, c_int, c_int, c_int, c_int) -> c_int,
    pub attach: unsafe extern "C" fn(C, AttachFn, *mut c_void, *mut AttachOptions, Out<libc::pid_t>) -> c_int,
    pub attach_run_wait: unsafe extern "C" fn(C, *mut AttachOptions, Str, Words) -> c_int,
    pub attach_run_waitl: unsafe extern "C" fn(C, *mut AttachOptions, Str, Str, ...) -> c_int,
    pub snapshot: unsafe extern "C" fn(C, Str) -> c_int,
    pub snapshot_list: unsafe extern "C" fn(C, Out<*mut Snapshot>) -> c_int,
    pub snapshot_restore: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub snapshot_destroy: unsafe extern "C" fn(C, Str) -> bool,
    pub may_control: unsafe extern "C" fn(C) -> bool,
    pub add_device_node: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub remove_device_node: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub attach_interface: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub detach_interface: unsafe extern "C" fn(C, Str, Str) -> bool,
    pub checkpoint: unsafe extern "C" fn(C, Str, bool, bool) -> bool,
    pub restore: unsafe extern "C" fn(C, Str, bool) -> bool,
    pub destroy_with_snapshots: unsafe extern "C" fn(C) -> bool,
    pub snapshot_destroy_all: unsafe extern "C" fn(C) -> bool,
    pub migrate: unsafe extern "C" fn(C, c_uint, *mut MigrateOpts, c_uint) -> c_int,
    pub console_log: unsafe extern "C" fn(C, *mut ConsoleLog) -> c_int,
    pub reboot2: unsafe extern "C" fn(C, c_int) -> bool,
    pub mount: unsafe extern "C" fn(C, Str, Str, Str, c_ulong, *const c_void, *mut LxcMount) -> c_int,
    pub umount: unsafe extern "C" fn(C, Str, c_ulong, *mut LxcMount) -> c_int,
    pub seccomp_notify_fd: unsafe extern "C" fn(C) -> c_int,
    pub seccomp_notify_fd_active: unsafe extern "C" fn(C) -> c_int,
    pub init_pidfd: unsafe extern "C" fn(C) -> c_int,
    pub devpts_fd: unsafe extern "C" fn(C) -> c_int,
    pub rcv_timeout: c_int,
    pub set_timeout: unsafe extern "C" fn(C, c_int) -> bool,
}

/// `struct lxc_snapshot`.
#[repr(C)]
pub struct Snapshot {
    pub name: *mut c_char,
    pub comment_pathname: *mut c_char,
    pub timestamp: *mut c_char,
    pub lxcpath: *mut c_char,
    pub free: Option<unsafe extern "C" fn(*mut Snapshot)>,
}

/// `struct bdev_specs`; clients of 5.0 end before `rbduser`, which is read for storage of type rbd only.
#[repr(C)]
pub struct BdevSpecs {
    pub fstype: *mut c_char,
    pub fssize: u64,
    pub zfsroot: *mut c_char,
    pub vg: *mut c_char,
    pub lv: *mut c_char,
    pub thinpool: *mut c_char,
    pub dir: *mut c_char,
    pub rbdname: *mut c_char,
    pub rbdpool: *mut c_char,
    pub rbduser: *mut c_char,
}

/// `struct migrate_opts`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MigrateOpts {
    pub directory: *mut c_char,
    pub verbose: bool,
    pub stop: bool,
    pub predump_dir: *mut c_char,
    pub pageserver_address: *mut c_char,
    pub pageserver_port: *mut c_char,
    pub preserves_inodes: bool,
    pub action_script: *mut c_char,
    pub disable_skip_in_flight: bool,
    pub ghost_limit: u64,
    pub features_to_check: u64,
}

/// `struct lxc_console_log`.
#[repr(C)]
pub struct ConsoleLog {
    pub clear: bool,
    pub read: bool,
    pub read_max: *mut u64,
    pub data: *mut c_char,
}

/// `struct lxc_log`.
#[repr(C)]
pub struct LxcLog {
    pub name: *const c_char,
    pub lxcpath: *const c_char,
    pub file: *const c_char,
    pub level: *const c_char,
    pub prefix: *const c_char,
    pub quiet: bool,
}

/// `struct lxc_mount`.
#[repr(C)]
pub struct LxcMount {
    pub version: c_int,
}

/// `lxc_groups_t`.
#[repr(C)]
pub struct Groups {
    pub size: usize,
    pub list: *mut libc::gid_t,
}

/// `lxc_attach_options_t`. It carries no size: what clients of 1.0 to 3.0 do not have (`log_fd` and below) is read only
/// when the flag is set that names it.
#[repr(C)]
pub struct AttachOptions {
    pub attach_flags: c_int,
    pub namespaces: c_int,
    pub personality: c_long,
    pub initial_cwd: *mut c_char,
    pub uid: libc::uid_t,
    pub gid: libc::gid_t,
    pub env_policy: c_int,
    pub extra_env_vars: *mut *mut c_char,
    pub extra_keep_env: *mut *mut c_char,
    pub stdin_fd: c_int,
    pub stdout_fd: c_int,
    pub stderr_fd: c_int,
    pub log_fd: c_int,
    pub lsm_label: *mut c_char,
    pub groups: Groups,
}

/// `lxc_attach_command_t`.
#[repr(C)]
pub struct AttachCommand {
    pub program: *mut c_char,
    pub argv: *mut *mut c_char,
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn sizes_and_offsets_of_the_sheet() {
        assert_eq!(size_of::<LxcContainer>(), 584);
        assert_eq!(offset_of!(LxcContainer, config_path), 72);
        assert_eq!(offset_of!(LxcContainer, is_defined), 80);
        assert_eq!(offset_of!(LxcContainer, clone), 344);
        assert_eq!(offset_of!(LxcContainer, devpts_fd), 560);
        assert_eq!(offset_of!(LxcContainer, set_timeout), 576);
        assert_eq!(size_of::<Snapshot>(), 40);
        assert_eq!(size_of::<BdevSpecs>(), 80);
        assert_eq!(size_of::<MigrateOpts>(), 80);
        assert_eq!(size_of::<ConsoleLog>(), 24);
        assert_eq!(size_of::<LxcLog>(), 48);
        assert_eq!(size_of::<AttachOptions>(), 96);
    }
}
