/*
 * What management daemons rely on though no header says it; found by running LXD. Runs on any liblxc.so.1.
 * Arguments: STORE ROOTFS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static int bad;

static void expect(bool ok, const char *what)
{
	if (!ok) {
		printf("not so: %s (errno %d)\n", what, errno);
		bad++;
	}
}

/* A config written elsewhere makes the container's directory, and with an id map it belongs to the container's root. */
static void saved_elsewhere(const char *store)
{
	char dir[512], file[512];
	struct stat st;
	struct lxc_container *c = lxc_container_new("saved", store);

	snprintf(dir, sizeof dir, "%s/saved", store);
	snprintf(file, sizeof file, "%s/elsewhere", store);
	c->set_config_item(c, "lxc.uts.name", "x");
	expect(c->save_config(c, file), "saved without an id map");
	expect(stat(dir, &st) == 0 && st.st_uid == 0 && (st.st_mode & 07777) == 0770, "directory of root, 0770");
	expect(chmod(dir, 0100) == 0, "chmod");
	c->set_config_item(c, "lxc.idmap", "u 0 100000 65536");
	c->set_config_item(c, "lxc.idmap", "g 0 200000 65536");
	expect(c->save_config(c, file), "saved with an id map");
	expect(stat(dir, &st) == 0 && st.st_uid == 100000 && st.st_gid == 200000, "directory of the container's root");
	expect((st.st_mode & 07777) == 0100, "with the mode that it had");
	expect(!c->is_defined(c), "no config of its own");
	lxc_container_put(c);
	rmdir(dir);
}

/* A container that sleeps and takes mounts, by a shared mount at `shared`, which is filled in. */
static void takes_mounts(struct lxc_container *c, const char *store, const char *rootfs, char shared[512])
{
	char text[1200];

	snprintf(shared, 512, "%s/shared", store);
	mkdir(shared, 0711);
	expect(mount("none", shared, "tmpfs", 0, NULL) == 0 && mount(NULL, shared, NULL, MS_SHARED, NULL) == 0, "shared");
	snprintf(text, sizeof text, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", text);
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.init.cmd", "/bin/sleep 1000");
	c->set_config_item(c, "lxc.autodev", "1");
	snprintf(text, sizeof text, "shmounts:%s:/dev/.mounts", shared);
	c->set_config_item(c, "lxc.mount.auto", text);
}

/* mount and umount do not look at struct lxc_mount: LXD sends zeros. */
static void injected(const char *store, const char *rootfs)
{
	char text[1200], shared[512];
	struct lxc_mount zeros = { 0 }, first = { .version = LXC_MOUNT_API_V1 };
	struct lxc_mount *all[] = { &zeros, &first, NULL };
	struct lxc_container *c = lxc_container_new("injected", store);

	takes_mounts(c, store, rootfs, shared);
	expect(c->startl(c, 0, NULL), "start");
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof text, "%d", i);
		expect(c->mount(c, "/etc", "/mnt", "none", MS_BIND, NULL, all[i]) == 0, text);
		expect(c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c", "test -e /mnt/passwd", NULL) == 0, "mounted");
		expect(c->umount(c, "/mnt", MNT_DETACH, all[i]) == 0, "unmounted");
	}
	expect(c->stop(c), "stop");
	umount2(shared, MNT_DETACH);
	lxc_container_put(c);
}

/*
 * LXD puts devices below /dev of unprivileged containers: a file system of the container's own user namespace, which takes
 * no new file of a user that is not mapped there.
 */
static void injected_mapped(const char *store, const char *rootfs)
{
	char text[1200], shared[512];
	struct stat st;
	struct lxc_mount zeros = { 0 };
	struct lxc_container *c = lxc_container_new("mapped", store);

	takes_mounts(c, store, rootfs, shared);
	c->set_config_item(c, "lxc.idmap", "u 0 100000 65536");
	c->set_config_item(c, "lxc.idmap", "g 0 200000 65536");
	expect(c->startl(c, 0, NULL), "start with an id map");
	expect(c->mount(c, "/etc/passwd", "/dev/file", "none", MS_BIND, NULL, &zeros) == 0, "file below /dev");
	expect(c->mount(c, "/etc", "/dev/deep/dir", "none", MS_BIND, NULL, &zeros) == 0, "directory below /dev");
	expect(c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "-c",
				   "grep -q root: /dev/file && grep -q root: /dev/deep/dir/passwd", NULL) == 0, "mounted below /dev");
	expect(c->umount(c, "/dev/file", 0, &zeros) == 0 && c->umount(c, "/dev/deep/dir", MNT_DETACH, &zeros) == 0,
	       "unmounted below /dev");
	/* The mount points are of the container's root, which can remove them. */
	for (const char *const *of = (const char *[]){ "file", "deep", "deep/dir", NULL }; *of; of++) {
		snprintf(text, sizeof text, "/proc/%d/root/dev/%s", c->init_pid(c), *of);
		expect(stat(text, &st) == 0 && st.st_uid == 100000 && st.st_gid == 200000, text);
	}
	expect(c->stop(c), "stop");
	umount2(shared, MNT_DETACH);
	lxc_container_put(c);
}

/* A start that fails says why in the container's own log, though the caller has opened none. */
static void told(const char *store)
{
	char text[600], log[512];
	struct lxc_container *c = lxc_container_new("told", store);
	FILE *f;
	bool error = false;

	snprintf(log, sizeof log, "%s/told.log", store);
	c->set_config_item(c, "lxc.log.file", log);
	c->set_config_item(c, "lxc.log.level", "warn");
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.rootfs.path", "dir:/no/such/rootfs");
	expect(!c->startl(c, 0, NULL), "a start without a rootfs fails");
	f = fopen(log, "r");
	while (f && fgets(text, sizeof text, f))
		error |= strncmp(text, "lxc told ", 9) == 0 && strstr(text, " ERROR ");
	expect(error, "the log has the error");
	if (f)
		fclose(f);
	lxc_container_put(c);
}

/* What hooks and the log are told of a container that is no file of the store: LXD loads another. */
static void loaded_from(const char *store, const char *rootfs)
{
	char file[512], other[512], log[512], seen[512], text[1200], line[1200];
	struct lxc_container *c = lxc_container_new("loaded", store);
	bool found = false;
	FILE *f;

	snprintf(file, sizeof file, "%s/loaded.conf", store);
	snprintf(other, sizeof other, "%s/other.conf", store);
	snprintf(log, sizeof log, "%s/loaded.log", store);
	snprintf(seen, sizeof seen, "%s/loaded.seen", store);
	f = fopen(file, "w");
	fprintf(f, "lxc.rootfs.path = dir:%s\nlxc.net.0.type = empty\nlxc.init.cmd = /bin/sleep 1000\n", rootfs);
	fprintf(f, "lxc.log.file = %s\nlxc.log.level = trace\n", log);
	fprintf(f, "lxc.hook.pre-start = /bin/sh -c 'echo $LXC_CONFIG_FILE $LD_LIBRARY_PATH > %s'\n", seen);
	fclose(f);
	f = fopen(other, "w");
	fprintf(f, "lxc.uts.name = other\n");
	fclose(f);
	expect(c->load_config(c, file) && c->load_config(c, other), "loaded");
	expect(c->startl(c, 0, NULL), "start");
	expect(c->stop(c), "stop");
	f = fopen(seen, "r");
	expect(f && fgets(line, sizeof line, f), "the hook ran");
	snprintf(text, sizeof text, "%s %s\n", file, getenv("LD_LIBRARY_PATH"));
	expect(!strcmp(line, text), "the hook sees the first file, and the caller's environment");
	if (f)
		fclose(f);
	f = fopen(log, "r");
	while (f && fgets(line, sizeof line, f))
		found |= strncmp(line, "lxc loaded ", 11) == 0 && strstr(line, " NOTICE ");
	expect(found, "the monitor's lines name the container");
	if (f)
		fclose(f);
	lxc_container_put(c);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	saved_elsewhere(argv[1]);
	injected(argv[1], argv[2]);
	injected_mapped(argv[1], argv[2]);
	if (lxc_get_version()[0] >= '6') /* 5.0 opens the file when the container starts only */
		told(argv[1]);
	loaded_from(argv[1], argv[2]);
	printf("%d bad\n", bad);
	return bad != 0;
}
