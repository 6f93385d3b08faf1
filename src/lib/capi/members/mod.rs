//! The members of `struct lxc_container`, by topic, and the table that a new handle is filled from.

pub mod attach;
mod config;
mod console;
mod device;
pub mod disk;
pub mod life;
mod migrate;
mod mount;
mod net;
mod query;
mod snapshot;

use super::layout::LxcContainer;
use super::variadic;

/// Defines a member: `h` is the handle, `else` the result for a null handle and for a panic.
macro_rules! member {
    ($(#[$doc:meta])* $name:ident($h:ident), $body:block) => {
        $(#[$doc])*
        pub unsafe extern "C" fn $name(c: *mut $crate::capi::layout::LxcContainer) {
            $crate::capi::guard::entry(stringify!($name), (), || {
                // SAFETY: C passes null or a handle that it holds a reference of.
                let Some($h) = (unsafe { $crate::capi::handle::Handle::of(c) }) else { return };
                $crate::capi::guard::of(stringify!($name), $h, |$h| $body);
            });
        }
    };
    ($(#[$doc:meta])* $name:ident($h:ident $(, $arg:ident: $ty:ty)* $(,)?) -> $ret:ty, else $failed:expr, $body:block) => {
        $(#[$doc])*
        pub unsafe extern "C" fn $name(
            c: *mut $crate::capi::layout::LxcContainer
            $(, $arg: $ty)*
        ) -> $ret {
            $crate::capi::guard::entry(stringify!($name), $failed, || {
                // SAFETY: C passes null or a handle that it holds a reference of.
                let Some($h) = (unsafe { $crate::capi::handle::Handle::of(c) }) else { return $failed };
                $crate::capi::guard::of(stringify!($name), $h, |$h| $body)
            })
        }
    };
}
use member;

/// A structure with every member in place and no data.
pub fn table() -> LxcContainer {
    use std::ptr::null_mut;
    LxcContainer {
        name: null_mut(),
        configfile: null_mut(),
        pidfile: null_mut(),
        slock: null_mut(),
        privlock: null_mut(),
        numthreads: 0,
        lxc_conf: null_mut(),
        error_string: null_mut(),
        error_num: 0,
        daemonize: false,
        config_path: null_mut(),
        is_defined: query::is_defined,
        state: query::state,
        is_running: query::is_running,
        freeze: life::freeze,
        unfreeze: life::unfreeze,
        init_pid: query::init_pid,
        load_config: config::load_config,
        start: life::start,
        startl: variadic::lxc_rs_startl,
        stop: life::stop,
        want_daemonize: life::want_daemonize,
        want_close_all_fds: life::want_close_all_fds,
        config_file_name: config::config_file_name,
        wait: life::wait,
        set_config_item: config::set_config_item,
        destroy: disk::destroy,
        save_config: config::save_config,
        create: disk::create,
        createl: variadic::lxc_rs_createl,
        rename: disk::rename,
        reboot: life::reboot,
        shutdown: life::shutdown,
        clear_config: config::clear_config,
        clear_config_item: config::clear_config_item,
        get_config_item: config::get_config_item,
        get_running_config_item: config::get_running_config_item,
        get_keys: config::get_keys,
        get_interfaces: net::get_interfaces,
        get_ips: net::get_ips,
        get_cgroup_item: query::get_cgroup_item,
        set_cgroup_item: query::set_cgroup_item,
        get_config_path: config::get_config_path,
        set_config_path: config::set_config_path,
        clone: disk::clone,
        console_getfd: console::console_getfd,
        console: console::console,
        attach: attach::attach,
        attach_run_wait: attach::attach_run_wait,
        attach_run_waitl: variadic::lxc_rs_waitl,
        snapshot: snapshot::snapshot,
        snapshot_list: snapshot::snapshot_list,
        snapshot_restore: snapshot::snapshot_restore,
        snapshot_destroy: snapshot::snapshot_destroy,
        may_control: query::may_control,
        add_device_node: device::add_device_node,
        remove_device_node: device::remove_device_node,
        attach_interface: net::attach_interface,
        detach_interface: net::detach_interface,
        checkpoint: migrate::checkpoint,
        restore: migrate::restore,
        destroy_with_snapshots: snapshot::destroy_with_snapshots,
        snapshot_destroy_all: snapshot::snapshot_destroy_all,
        migrate: migrate::migrate,
        console_log: console::console_log,
        reboot2: life::reboot2,
        mount: mount::mount,
        umount: mount::umount,
        seccomp_notify_fd: query::seccomp_notify_fd,
        seccomp_notify_fd_active: query::seccomp_notify_fd_active,
        init_pidfd: query::init_pidfd,
        devpts_fd: query::devpts_fd,
        rcv_timeout: 0,
        set_timeout: query::set_timeout,
    }
}
