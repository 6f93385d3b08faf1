/* Sizes and offsets of every public structure, as clients built against LXC 1.0 to 7.0 have them. Compiling it is the test. */
#include <lxc/lxccontainer.h>
#include <lxc/version.h>
#include <stddef.h>

#define AT(type, member, offset) _Static_assert(offsetof(type, member) == (offset), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

SIZE(struct lxc_container, 584);
AT(struct lxc_container, name, 0);
AT(struct lxc_container, configfile, 8);
AT(struct lxc_container, pidfile, 16);
AT(struct lxc_container, slock, 24);
AT(struct lxc_container, privlock, 32);
AT(struct lxc_container, numthreads, 40);
AT(struct lxc_container, lxc_conf, 48);
AT(struct lxc_container, error_string, 56);
AT(struct lxc_container, error_num, 64);
AT(struct lxc_container, daemonize, 68);
AT(struct lxc_container, config_path, 72);
AT(struct lxc_container, is_defined, 80);
AT(struct lxc_container, state, 88);
AT(struct lxc_container, is_running, 96);
AT(struct lxc_container, freeze, 104);
AT(struct lxc_container, unfreeze, 112);
AT(struct lxc_container, init_pid, 120);
AT(struct lxc_container, load_config, 128);
AT(struct lxc_container, start, 136);
AT(struct lxc_container, startl, 144);
AT(struct lxc_container, stop, 152);
AT(struct lxc_container, want_daemonize, 160);
AT(struct lxc_container, want_close_all_fds, 168);
AT(struct lxc_container, config_file_name, 176);
AT(struct lxc_container, wait, 184);
AT(struct lxc_container, set_config_item, 192);
AT(struct lxc_container, destroy, 200);
AT(struct lxc_container, save_config, 208);
AT(struct lxc_container, create, 216);
AT(struct lxc_container, createl, 224);
AT(struct lxc_container, rename, 232);
AT(struct lxc_container, reboot, 240);
AT(struct lxc_container, shutdown, 248);
AT(struct lxc_container, clear_config, 256);
AT(struct lxc_container, clear_config_item, 264);
AT(struct lxc_container, get_config_item, 272);
AT(struct lxc_container, get_running_config_item, 280);
AT(struct lxc_container, get_keys, 288);
AT(struct lxc_container, get_interfaces, 296);
AT(struct lxc_container, get_ips, 304);
AT(struct lxc_container, get_cgroup_item, 312);
AT(struct lxc_container, set_cgroup_item, 320);
AT(struct lxc_container, get_config_path, 328);
AT(struct lxc_container, set_config_path, 336);
AT(struct lxc_container, clone, 344);
AT(struct lxc_container, console_getfd, 352);
AT(struct lxc_container, console, 360);
AT(struct lxc_container, attach, 368);
AT(struct lxc_container, attach_run_wait, 376);
AT(struct lxc_container, attach_run_waitl, 384);
AT(struct lxc_container, snapshot, 392);
AT(struct lxc_container, snapshot_list, 400);
AT(struct lxc_container, snapshot_restore, 408);
AT(struct lxc_container, snapshot_destroy, 416);
AT(struct lxc_container, may_control, 424);
AT(struct lxc_container, add_device_node, 432);
AT(struct lxc_container, remove_device_node, 440);
AT(struct lxc_container, attach_interface, 448);
AT(struct lxc_container, detach_interface, 456);
AT(struct lxc_container, checkpoint, 464);
AT(struct lxc_container, restore, 472);
AT(struct lxc_container, destroy_with_snapshots, 480);
AT(struct lxc_container, snapshot_destroy_all, 488);
AT(struct lxc_container, migrate, 496);
AT(struct lxc_container, console_log, 504);
AT(struct lxc_container, reboot2, 512);
AT(struct lxc_container, mount, 520);
AT(struct lxc_container, umount, 528);
AT(struct lxc_container, seccomp_notify_fd, 536);
AT(struct lxc_container, seccomp_notify_fd_active, 544);
AT(struct lxc_container, init_pidfd, 552);
AT(struct lxc_container, devpts_fd, 560);
AT(struct lxc_container, rcv_timeout, 568);
AT(struct lxc_container, set_timeout, 576);

SIZE(struct lxc_snapshot, 40);
AT(struct lxc_snapshot, name, 0);
AT(struct lxc_snapshot, comment_pathname, 8);
AT(struct lxc_snapshot, timestamp, 16);
AT(struct lxc_snapshot, lxcpath, 24);
AT(struct lxc_snapshot, free, 32);

SIZE(struct bdev_specs, 80);
AT(struct bdev_specs, fstype, 0);
AT(struct bdev_specs, fssize, 8);
AT(struct bdev_specs, zfs.zfsroot, 16);
AT(struct bdev_specs, lvm.vg, 24);
AT(struct bdev_specs, lvm.lv, 32);
AT(struct bdev_specs, lvm.thinpool, 40);
AT(struct bdev_specs, dir, 48);
AT(struct bdev_specs, rbd.rbdname, 56);
AT(struct bdev_specs, rbd.rbdpool, 64);
AT(struct bdev_specs, rbd.rbduser, 72);

SIZE(struct migrate_opts, 80);
AT(struct migrate_opts, directory, 0);
AT(struct migrate_opts, verbose, 8);
AT(struct migrate_opts, stop, 9);
AT(struct migrate_opts, predump_dir, 16);
AT(struct migrate_opts, pageserver_address, 24);
AT(struct migrate_opts, pageserver_port, 32);
AT(struct migrate_opts, preserves_inodes, 40);
AT(struct migrate_opts, action_script, 48);
AT(struct migrate_opts, disable_skip_in_flight, 56);
AT(struct migrate_opts, ghost_limit, 64);
AT(struct migrate_opts, features_to_check, 72);

SIZE(struct lxc_console_log, 24);
AT(struct lxc_console_log, clear, 0);
AT(struct lxc_console_log, read, 1);
AT(struct lxc_console_log, read_max, 8);
AT(struct lxc_console_log, data, 16);

SIZE(struct lxc_log, 48);
AT(struct lxc_log, name, 0);
AT(struct lxc_log, lxcpath, 8);
AT(struct lxc_log, file, 16);
AT(struct lxc_log, level, 24);
AT(struct lxc_log, prefix, 32);
AT(struct lxc_log, quiet, 40);

SIZE(struct lxc_mount, 4);
AT(struct lxc_mount, version, 0);

SIZE(lxc_groups_t, 16);
AT(lxc_groups_t, size, 0);
AT(lxc_groups_t, list, 8);

SIZE(lxc_attach_command_t, 16);
AT(lxc_attach_command_t, program, 0);
AT(lxc_attach_command_t, argv, 8);

SIZE(lxc_attach_options_t, 96);
AT(lxc_attach_options_t, attach_flags, 0);
AT(lxc_attach_options_t, namespaces, 4);
AT(lxc_attach_options_t, personality, 8);
AT(lxc_attach_options_t, initial_cwd, 16);
AT(lxc_attach_options_t, uid, 24);
AT(lxc_attach_options_t, gid, 28);
AT(lxc_attach_options_t, env_policy, 32);
AT(lxc_attach_options_t, extra_env_vars, 40);
AT(lxc_attach_options_t, extra_keep_env, 48);
AT(lxc_attach_options_t, stdin_fd, 56);
AT(lxc_attach_options_t, stdout_fd, 60);
AT(lxc_attach_options_t, stderr_fd, 64);
AT(lxc_attach_options_t, log_fd, 68);
AT(lxc_attach_options_t, lsm_label, 72);
AT(lxc_attach_options_t, groups, 80);

_Static_assert(LXC_CLONE_KEEPNAME == 1 && LXC_CLONE_KEEPMACADDR == 2 && LXC_CLONE_SNAPSHOT == 4, "clone");
_Static_assert(LXC_CLONE_KEEPBDEVTYPE == 8 && LXC_CLONE_MAYBE_SNAPSHOT == 16 && LXC_CLONE_ALLOW_RUNNING == 64, "clone");
_Static_assert(LXC_CREATE_QUIET == 1 && LXC_MOUNT_API_V1 == 1, "create, mount");
_Static_assert(MIGRATE_PRE_DUMP == 0 && MIGRATE_DUMP == 1 && MIGRATE_RESTORE == 2 && MIGRATE_FEATURE_CHECK == 3, "migrate");
_Static_assert(LXC_ATTACH_DEFAULT == 0xffff && LXC_ATTACH_TERMINAL == 0x80000 && LXC_ATTACH_SETGROUPS == 0x200000, "attach");

int main(void)
{
	return 0;
}
