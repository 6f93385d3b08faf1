/*
 * Calls every member on a container in each of its conditions and prints what comes back, a line a call:
 *     CONDITION member arguments = result [errno]
 * Runs on any liblxc.so.1; errno is shown after a failure only. Arguments: STORE ROOTFS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *when;
static const char *store, *rootfs;
static bool is_7; /* set_timeout is there */

static void line(const char *call, long result, bool failed)
{
	int e = errno;

	printf("%s %s = %ld", when, call, result);
	if (failed)
		printf(" %s", e ? strerrorname_np(e) : "0");
	printf("\n");
	fflush(stdout);
	errno = 0;
}

static void text(const char *call, const char *got)
{
	printf("%s %s = %s\n", when, call, got ? got : "NULL");
	fflush(stdout);
	errno = 0;
}

#define BOOL(what, call) do { errno = 0; bool r_ = c->call; line(what, r_, !r_); } while (0)
/* A number below 0 is a failure and shown; others are shown as they are. */
#define NUMBER(what, call) do { errno = 0; long r_ = c->call; line(what, r_, r_ < 0); } while (0)
/* A number that differs from run to run. */
#define SOME(what, call) do { errno = 0; long r_ = c->call; line(what, r_ > 0 ? 1 : r_, r_ < 0); } while (0)
#define FD(what, call) do { errno = 0; int r_ = c->call; line(what, r_ >= 0 ? 1 : r_, r_ < 0); if (r_ >= 0) close(r_); } while (0)

static void free_names(int n, char **names)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static void list(const char *what, char **all)
{
	int n = 0;

	if (!all) {
		text(what, "NULL");
		return;
	}
	printf("%s %s =", when, what);
	for (; all[n]; n++) {
		printf(" %s", all[n]);
		free(all[n]);
	}
	printf("\n");
	free(all);
}

static int inside(void *payload)
{
	return *(int *)payload;
}

static void queries(struct lxc_container *c)
{
	char buf[4096];
	char *got;

	BOOL("is_defined", is_defined(c));
	text("state", c->state(c));
	BOOL("is_running", is_running(c));
	BOOL("may_control", may_control(c));
	SOME("init_pid", init_pid(c));
	FD("init_pidfd", init_pidfd(c));
	FD("devpts_fd", devpts_fd(c));
	NUMBER("seccomp_notify_fd", seccomp_notify_fd(c));
	NUMBER("seccomp_notify_fd_active", seccomp_notify_fd_active(c));
	text("get_config_path", strcmp(c->get_config_path(c), store) ? "other" : "store");
	got = c->config_file_name(c);
	text("config_file_name", got ? got + strlen(store) : NULL);
	free(got);
	got = c->get_running_config_item(c, "lxc.uts.name");
	text("get_running_config_item lxc.uts.name", got);
	free(got);
	got = c->get_running_config_item(c, "lxc.nonsense");
	text("get_running_config_item lxc.nonsense", got);
	free(got);
	memset(buf, 0, sizeof buf);
	SOME("get_cgroup_item pids.max", get_cgroup_item(c, "pids.max", buf, sizeof buf));
	NUMBER("get_cgroup_item pids.nonsense", get_cgroup_item(c, "pids.nonsense", buf, sizeof buf));
	list("get_interfaces", c->get_interfaces(c));
	list("get_ips", c->get_ips(c, NULL, NULL, 0));
	list("get_ips lo inet", c->get_ips(c, "lo", "inet", 0));
	if (is_7) {
		BOOL("set_timeout 0", set_timeout(c, 0));
		BOOL("set_timeout 5", set_timeout(c, 5));
		BOOL("set_timeout -1", set_timeout(c, -1));
	}
}

static void settings(struct lxc_container *c)
{
	char buf[8192];

	BOOL("set_config_item lxc.tty.max 2", set_config_item(c, "lxc.tty.max", "2"));
	BOOL("set_config_item lxc.tty.max abc", set_config_item(c, "lxc.tty.max", "abc"));
	BOOL("set_config_item lxc.nonsense 1", set_config_item(c, "lxc.nonsense", "1"));
	NUMBER("get_config_item lxc.tty.max", get_config_item(c, "lxc.tty.max", buf, sizeof buf));
	NUMBER("get_config_item lxc.tty.max NULL", get_config_item(c, "lxc.tty.max", NULL, 0));
	NUMBER("get_config_item lxc.nonsense", get_config_item(c, "lxc.nonsense", buf, sizeof buf));
	NUMBER("get_config_item lxc.net.9.type", get_config_item(c, "lxc.net.9.type", buf, sizeof buf));
	NUMBER("get_config_item lxc.uts.name short", get_config_item(c, "lxc.uts.name", buf, 3));
	BOOL("set_config_item lxc.cap.drop", set_config_item(c, "lxc.cap.drop", "sys_time sys_module"));
	NUMBER("get_config_item lxc.cap.drop", get_config_item(c, "lxc.cap.drop", buf, sizeof buf));
	BOOL("clear_config_item lxc.cap.drop", clear_config_item(c, "lxc.cap.drop"));
	NUMBER("get_config_item lxc.cap.drop", get_config_item(c, "lxc.cap.drop", buf, sizeof buf));
	BOOL("clear_config_item lxc.nonsense", clear_config_item(c, "lxc.nonsense"));
	SOME("get_keys", get_keys(c, NULL, buf, sizeof buf));
	SOME("get_keys lxc.net.0", get_keys(c, "lxc.net.0", buf, sizeof buf));
	NUMBER("get_keys lxc.nonsense", get_keys(c, "lxc.nonsense", buf, sizeof buf));
	BOOL("load_config missing file", load_config(c, "/no/such/file"));
	BOOL("save_config bad place", save_config(c, "/no/such/dir/file"));
	BOOL("want_close_all_fds", want_close_all_fds(c, true));
	BOOL("want_daemonize", want_daemonize(c, true));
	BOOL("set_config_path", set_config_path(c, store));
}

static void acts(struct lxc_container *c)
{
	struct lxc_console_log log = { .read = true };
	struct lxc_mount mnt = { .version = LXC_MOUNT_API_V1 };
	struct migrate_opts opts = { 0 };
	struct lxc_snapshot *snaps = NULL;
	struct { struct migrate_opts o; char more[8]; } later = { .more = { 1 } };
	lxc_attach_options_t o = LXC_ATTACH_OPTIONS_DEFAULT;
	const char *const argv[] = { "sh", "-c", "exit 3", NULL };
	uint64_t max = 0;
	int tty, ptx, seven = 7, status, r;
	pid_t pid = 0;

	log.read_max = &max;
	BOOL("set_cgroup_item pids.max", set_cgroup_item(c, "pids.max", "max"));
	BOOL("set_cgroup_item pids.nonsense", set_cgroup_item(c, "pids.nonsense", "1"));
	tty = -1;
	ptx = -1;
	errno = 0;
	r = c->console_getfd(c, &tty, &ptx);
	line("console_getfd -1", r >= 0 ? tty : r, r < 0);
	if (r >= 0) {
		close(ptx);
		close(r);
	}
	tty = 99;
	NUMBER("console_getfd 99", console_getfd(c, &tty, &ptx));
	NUMBER("console 99", console(c, 99, 0, 1, 2, 1));
	NUMBER("console_log", console_log(c, &log));
	NUMBER("attach_run_wait sh -c 'exit 3'", attach_run_wait(c, &o, "/bin/sh", argv));
	NUMBER("attach_run_wait /no/such", attach_run_wait(c, &o, "/no/such", argv));
	NUMBER("attach_run_waitl true", attach_run_waitl(c, NULL, "/bin/true", "true", NULL));
	errno = 0;
	r = c->attach(c, inside, &seven, NULL, &pid);
	line("attach function", r, r < 0);
	if (r == 0 && waitpid(pid, &status, 0) == pid)
		printf("%s attach status = %d\n", when, WEXITSTATUS(status));
	BOOL("add_device_node /dev/full", add_device_node(c, "/dev/full", NULL));
	BOOL("remove_device_node /dev/full", remove_device_node(c, "/dev/full", NULL));
	BOOL("attach_interface nonexistent", attach_interface(c, "nonexistent0", NULL));
	BOOL("detach_interface nonexistent", detach_interface(c, "nonexistent0", NULL));
	NUMBER("mount", mount(c, "/etc", "/mnt", NULL, 4096, NULL, &mnt));
	NUMBER("umount", umount(c, "/mnt", 0, &mnt));
	mnt.version = 9;
	NUMBER("mount of version 9", mount(c, "/etc", "/mnt", NULL, 4096, NULL, &mnt));
	NUMBER("snapshot_list", snapshot_list(c, &snaps));
	if (c->lxc_conf) /* LXC 5.0 crashes without */
		BOOL("snapshot_restore nosnap", snapshot_restore(c, "nosnap", "other"));
	BOOL("snapshot_destroy nosnap", snapshot_destroy(c, "nosnap"));
	BOOL("snapshot_destroy_all", snapshot_destroy_all(c));
	NUMBER("migrate 99", migrate(c, 99, &opts, sizeof opts));
	NUMBER("migrate larger", migrate(c, MIGRATE_DUMP, &later.o, sizeof later));
	BOOL("wait STOPPED 1", wait(c, "STOPPED", 1));
	BOOL("wait RUNNING|FROZEN 1", wait(c, "RUNNING|FROZEN", 1));
	BOOL("wait nonsense", wait(c, "nonsense", 1));
}

static struct lxc_container *fresh(const char *name)
{
	struct lxc_container *c = lxc_container_new(name, store);
	const char *given = rootfs;
	static char own[512];
	char path[600], cmd[1200];

	snprintf(own, sizeof own, "%s/%s/rootfs", store, name);
	rootfs = own;
	snprintf(path, sizeof path, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", path);
	c->set_config_item(c, "lxc.uts.name", "guest");
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.tty.max", "2");
	c->set_config_item(c, "lxc.pty.max", "16");
	c->set_config_item(c, "lxc.mount.auto", "proc sys");
	c->set_config_item(c, "lxc.init.cmd", "/sbin/shinit");
	if (!c->save_config(c, NULL))
		printf("save_config failed\n");
	snprintf(cmd, sizeof cmd, "cp -a %s %s", given, rootfs);
	if (system(cmd))
		printf("cp failed\n");
	return c;
}

static void wait_ready(void)
{
	char path[512];

	snprintf(path, sizeof path, "%s/ready", rootfs);
	for (int i = 0; i < 500 && access(path, F_OK); i++)
		usleep(20000);
}

static void refused(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct lxc_container *c;

		if (setgid(65534) || setuid(65534))
			_exit(9);
		when = "refused";
		c = lxc_container_new("guest", store);
		if (!c) {
			printf("refused lxc_container_new = NULL\n");
			_exit(0);
		}
		queries(c);
		BOOL("freeze", freeze(c));
		BOOL("unfreeze", unfreeze(c));
		BOOL("stop", stop(c));
		BOOL("shutdown 1", shutdown(c, 1));
		BOOL("reboot", reboot(c));
		BOOL("reboot2 1", reboot2(c, 1));
		BOOL("start", start(c, 0, NULL));
		BOOL("destroy", destroy(c));
		acts(c);
		lxc_container_put(c);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
	struct lxc_container *c, *d;
	char path[512];
	FILE *f;
	int n;
	char **names;

	if (argc != 3)
		return 2;
	store = argv[1];
	rootfs = argv[2];
	is_7 = lxc_get_version()[0] >= '6';
	umask(022);

	when = "global";
	line("lxc_get_wait_states", lxc_get_wait_states(NULL), false);
	text("lxc_get_global_config_item lxc.lxcpath", lxc_get_global_config_item("lxc.lxcpath"));
	text("lxc_get_global_config_item lxc.nonsense", lxc_get_global_config_item("lxc.nonsense"));
	line("lxc_config_item_is_supported lxc.uts.name", lxc_config_item_is_supported("lxc.uts.name"), false);
	line("lxc_config_item_is_supported lxc.net.0.type", lxc_config_item_is_supported("lxc.net.0.type"), false);
	line("lxc_has_api_extension mount_injection", lxc_has_api_extension("mount_injection"), false);
	line("lxc_has_api_extension nonsense", lxc_has_api_extension("nonsense"), false);
	line("lxc_container_put NULL", lxc_container_put(NULL), false);
	line("lxc_container_get NULL", lxc_container_get(NULL), false);
	line("lxc_container_new NULL", lxc_container_new(NULL, store) != NULL, false);
	line("list_defined_containers", list_defined_containers(store, NULL, NULL), false);
	line("list_active_containers", list_active_containers(store, NULL, NULL), false);
	line("list_all_containers missing store", list_all_containers("/no/such/store", NULL, NULL), false);

	when = "missing";
	c = lxc_container_new("missing", store);
	queries(c);
	BOOL("clear_config_item lxc.uts.name", clear_config_item(c, "lxc.uts.name"));
	NUMBER("get_config_item lxc.uts.name", get_config_item(c, "lxc.uts.name", NULL, 0));
	BOOL("want_daemonize", want_daemonize(c, true));
	BOOL("start", start(c, 0, NULL));
	line("error_num", c->error_num, false);
	BOOL("stop", stop(c));
	BOOL("shutdown 1", shutdown(c, 1));
	BOOL("reboot", reboot(c));
	BOOL("reboot2 1", reboot2(c, 1));
	BOOL("freeze", freeze(c));
	BOOL("unfreeze", unfreeze(c));
	BOOL("destroy", destroy(c));
	BOOL("destroy_with_snapshots", destroy_with_snapshots(c));
	BOOL("rename other", rename(c, "other"));
	NUMBER("snapshot", snapshot(c, NULL));
	text("clone other", c->clone(c, "other", NULL, 0, NULL, NULL, 0, NULL) ? "a container" : NULL);
	acts(c);
	BOOL("load_config", load_config(c, NULL));
	c->clear_config(c);
	line("lxc_container_get", lxc_container_get(c), false);
	line("lxc_container_put", lxc_container_put(c), false);
	line("lxc_container_put last", lxc_container_put(c), false);

	when = "defined";
	c = fresh("guest");
	queries(c);
	settings(c);
	BOOL("createl no template", createl(c, NULL, NULL, NULL, 0, NULL));
	BOOL("createl unknown template", createl(c, "nonsense", NULL, NULL, LXC_CREATE_QUIET, NULL));
	BOOL("stop", stop(c));
	BOOL("shutdown 1", shutdown(c, 1));
	BOOL("reboot", reboot(c));
	BOOL("reboot2 1", reboot2(c, 1));
	BOOL("freeze", freeze(c));
	BOOL("unfreeze", unfreeze(c));
	acts(c);
	lxc_container_put(c);
	c = lxc_container_new("guest", store);
	d = c->clone(c, "copy", NULL, LXC_CLONE_SNAPSHOT, "overlayfs", NULL, 0, NULL);
	text("clone copy SNAPSHOT", d ? d->name : NULL);
	if (d) {
		BOOL("destroy with a clone", destroy(c));
		errno = 0;
		bool r = d->destroy(d);
		line("destroy of the clone", r, !r);
		lxc_container_put(d);
	}
	lxc_container_put(c);
	c = lxc_container_new("guest", store);

	when = "running";
	BOOL("start", start(c, 0, NULL));
	n = list_active_containers(store, &names, NULL);
	line("list_active_containers", n, false);
	free_names(n, names);
	wait_ready();
	queries(c);
	acts(c);
	BOOL("start", start(c, 0, NULL));
	BOOL("destroy", destroy(c));
	BOOL("rename other", rename(c, "other"));
	NUMBER("snapshot", snapshot(c, NULL));
	text("clone other", c->clone(c, "other", NULL, 0, NULL, NULL, 0, NULL) ? "a container" : NULL);
	BOOL("unfreeze", unfreeze(c));
	refused();

	when = "frozen";
	BOOL("freeze", freeze(c));
	queries(c);
	BOOL("freeze", freeze(c));
	BOOL("wait FROZEN 5", wait(c, "FROZEN", 5));
	BOOL("destroy", destroy(c));
	BOOL("unfreeze", unfreeze(c));
	BOOL("wait RUNNING 5", wait(c, "RUNNING", 5));

	when = "ended";
	snprintf(path, sizeof path, "%s/ready", rootfs);
	unlink(path);
	BOOL("reboot2 10", reboot2(c, 10));
	wait_ready();
	BOOL("is_running", is_running(c));
	BOOL("shutdown 10", shutdown(c, 10));
	text("state", c->state(c));
	BOOL("start", start(c, 0, NULL));
	BOOL("stop", stop(c));
	BOOL("wait STOPPED 5", wait(c, "STOPPED", 5));
	BOOL("destroy", destroy(c));
	BOOL("is_defined", is_defined(c));
	lxc_container_put(c);

	when = "broken";
	snprintf(path, sizeof path, "%s/broken", store);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/broken/config", store);
	f = fopen(path, "w");
	fprintf(f, "lxc.nonsense = 1\n");
	fclose(f);
	line("lxc_container_new", lxc_container_new("broken", store) != NULL, false);
	names = NULL;
	n = list_defined_containers(store, &names, NULL);
	line("list_defined_containers", n, n < 0);
	free_names(n, names);
	struct lxc_container **all = NULL;
	n = list_defined_containers(store, NULL, &all);
	line("list_defined_containers with objects", n, n < 0);
	for (int i = 0; i < n; i++)
		lxc_container_put(all[i]);
	free(all);
	return 0;
}
