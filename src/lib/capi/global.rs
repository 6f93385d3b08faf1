//! The functions without a handle: version, states, lxc.conf, the log, what is supported, and the two payloads of attach.

use super::layout::{AttachCommand, LxcLog};
use super::lock::Lock;
use super::{guard, memory};
use crate::base::log::{self, Setup};
use crate::base::{Error, paths};
use crate::config::Config;
use crate::runtime::refuse;
use crate::sys::process::{self, ExecArgs};
use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_void};

/// `lxc_get_version`.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_get_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// A state's name for C.
pub fn state_name(state: crate::ipc::State) -> *const c_char {
    let at = usize::try_from(state.number()).unwrap_or(0);
    STATES.get(at).map_or(c"STOPPED".as_ptr(), |s| s.as_ptr())
}

/// In the order of their numbers.
static STATES: [&std::ffi::CStr; 8] =
    [c"STOPPED", c"STARTING", c"RUNNING", c"STOPPING", c"ABORTING", c"FREEZING", c"FROZEN", c"THAWED"];

/// `lxc_get_wait_states`.
///
/// # Safety
/// Null or room for eight pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_get_wait_states(states: *mut *const c_char) -> c_int {
    if !states.is_null() {
        for (i, state) in STATES.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { states.add(i).write(state.as_ptr()) };
        }
    }
    STATES.len() as c_int
}

/// Values of lxc.conf that C has a pointer to: they stay for ever, so each is kept once.
static GIVEN: Lock<BTreeMap<(String, String), CString>> = Lock::new(BTreeMap::new());

/// `lxc_get_global_config_item`.
///
/// # Safety
/// Null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_get_global_config_item(key: *const c_char) -> *const c_char {
    guard::entry("lxc_get_global_config_item", std::ptr::null(), || {
        // SAFETY: the caller's promise.
        let Some(key) = (unsafe { memory::text(key) }) else {
            guard::set_errno(libc::EINVAL);
            return std::ptr::null();
        };
        let Ok(value) = paths::global(key) else {
            guard::set_errno(libc::EINVAL);
            return std::ptr::null();
        };
        guard::set_errno(0);
        let Some(value) = value else { return std::ptr::null() };
        let Ok(text) = CString::new(value.as_str()) else { return std::ptr::null() };
        // A CString's bytes do not move with it.
        GIVEN.with(BTreeMap::new, |given| given.entry((key.to_string(), value)).or_insert(text).as_ptr())
    })
}

/// `lxc_log_init`.
///
/// # Safety
/// Null, or a structure whose strings are null or C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_log_init(how: *mut LxcLog) -> c_int {
    guard::entry("lxc_log_init", -libc::EINVAL, || {
        if how.is_null() {
            return -libc::EINVAL;
        }
        // A log that is open stays as it is.
        if log::file().is_some() {
            return 0;
        }
        // SAFETY: the caller's promise.
        let setup = unsafe {
            let how = &*how;
            let lxcpath = super::handle::store(memory::path(how.lxcpath));
            Setup {
                prog: memory::text(how.prefix).unwrap_or("lxc").to_string(),
                name: memory::text(how.name).unwrap_or_default().to_string(),
                lxcpath,
                file: memory::path(how.file),
                level: memory::text(how.level).map(str::to_string),
                quiet: how.quiet,
                default_level: None,
                default_file: true,
            }
        };
        let named = setup.file.is_some();
        match log::init(&setup) {
            Err(e) if named => {
                guard::told(&e);
                -1
            }
            _ => 0,
        }
    })
}

/// `lxc_log_close`.
#[unsafe(no_mangle)]
pub extern "C" fn lxc_log_close() {
    guard::entry("lxc_log_close", (), log::close);
}

/// `lxc_config_item_is_supported`.
///
/// # Safety
/// Null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_config_item_is_supported(key: *const c_char) -> bool {
    guard::entry("lxc_config_item_is_supported", false, || {
        // SAFETY: the caller's promise.
        unsafe { memory::text(key) }.is_some_and(Config::is_supported)
    })
}

/// Names of what was added to the interface since 3.0, each only when it works here.
const EXTENSIONS: [&str; 30] = [
    "lxc_log",
    "lxc_config_item_is_supported",
    "console_log",
    "reboot2",
    "mount_injection",
    "cgroup_relative",
    "mount_injection_file",
    "seccomp_allow_nesting",
    "seccomp_notify",
    "network_veth_routes",
    "network_ipvlan",
    "network_l2proxy",
    "network_gateway_device_route",
    "network_phys_macvlan_mtu",
    "network_veth_router",
    "cgroup2_devices",
    "cgroup2",
    "pidfd",
    "seccomp_allow_deny_syntax",
    "devpts_fd",
    "seccomp_notify_fd_active",
    "seccomp_proxy_send_notify_fd",
    "idmapped_mounts",
    "idmapped_mounts_v2",
    "core_scheduling",
    "cgroup2_auto_mounting",
    "cgroup_advanced_isolation",
    "network_bridge_vlan",
    "time_namespace",
    "environment_runtime_hooks",
];

/// Extensions that a setting stands for: while a start refuses the setting, the extension is denied.
const NEEDS: [(&str, &str); 5] = [
    ("network_ipvlan", "lxc.net.[i].type = ipvlan"),
    ("network_l2proxy", "lxc.net.[i].l2proxy = 1"),
    ("network_phys_macvlan_mtu", "lxc.net.[i].type = phys"),
    ("network_veth_router", "lxc.net.[i].veth.mode = router"),
    ("network_bridge_vlan", "lxc.net.[i].veth.vlan.id"),
];

/// Whether the extension is there and does what it says.
fn has_extension(name: &str) -> bool {
    let refused = |setting: &str| refuse::TABLE.iter().any(|r| r.setting == setting);
    EXTENSIONS.contains(&name) && !NEEDS.iter().any(|(n, setting)| *n == name && refused(setting))
}

/// `lxc_has_api_extension`.
///
/// # Safety
/// Null or a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_has_api_extension(extension: *const c_char) -> bool {
    guard::entry("lxc_has_api_extension", false, || {
        if extension.is_null() {
            return true;
        }
        // SAFETY: the caller's promise.
        let name = unsafe { memory::text(extension) }.unwrap_or_default();
        has_extension(name)
    })
}

/// The environment of this process as execve(2) takes it.
fn environment() -> Vec<CString> {
    use std::os::unix::ffi::OsStrExt;
    std::env::vars_os().filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok()).collect()
}

/// execvp(3); what lxc-attach ends with when it fails.
pub fn run(program: &std::ffi::CStr, argv: &[CString]) -> c_int {
    let e = process::execvpe(program, &ExecArgs::new(argv, &environment()));
    crate::log_error!(errno = e, "Failed to exec \"{}\"", program.to_string_lossy());
    match e.raw_os_error() {
        Some(libc::ENOENT) => 127,
        Some(libc::EACCES | libc::ENOEXEC) => 126,
        _ => -1,
    }
}

/// `lxc_attach_run_command`.
///
/// # Safety
/// Null or a `lxc_attach_command_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_attach_run_command(payload: *mut c_void) -> c_int {
    guard::entry("lxc_attach_run_command", -1, || {
        let command = payload.cast::<AttachCommand>();
        // SAFETY: the caller's promise.
        let (program, argv) = unsafe {
            if command.is_null() || (*command).program.is_null() {
                guard::told(&Error::os(libc::EINVAL, "no command to run"));
                return -1;
            }
            let program = std::ffi::CStr::from_ptr((*command).program);
            (program, memory::words((*command).argv.cast_const().cast()))
        };
        run(program, &argv)
    })
}

/// `lxc_attach_run_shell`.
///
/// # Safety
/// The payload is not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_attach_run_shell(_payload: *mut c_void) -> c_int {
    guard::entry("lxc_attach_run_shell", -1, || {
        let shell = crate::runtime::attach_env::login_shell(crate::sys::cred::uid());
        if let Some(shell) = shell {
            run(&shell, std::slice::from_ref(&shell));
        }
        run(c"/bin/sh", &[c"/bin/sh".to_owned()]);
        -1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_what_works() {
        assert!(has_extension("pidfd") && has_extension("mount_injection_file") && !has_extension("nonsense"));
        for (name, setting) in NEEDS {
            assert!(EXTENSIONS.contains(&name));
            assert_eq!(has_extension(name), !refuse::TABLE.iter().any(|r| r.setting == setting), "{name}");
        }
    }

    #[test]
    fn states_by_number() {
        for state in crate::ipc::State::ALL {
            // SAFETY: a static string.
            let name = unsafe { std::ffi::CStr::from_ptr(state_name(state)) };
            assert_eq!(name.to_str(), Ok(state.as_str()));
        }
    }
}
