/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The C interface of LXC. The order of members is the ABI; it is LXC 7.0's and serves programs built for 1.0 to 7.0.
 *
 * Rules that hold everywhere: a NULL container is answered by failure, never by a crash; failure is false, NULL or a
 * negative number; nothing is printed unless a log was asked for; what is handed out and not const is the caller's and is
 * freed with free(). See lxc-api(7).
 */

#ifndef __LXC_CONTAINER_H
#define __LXC_CONTAINER_H

#include <malloc.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <lxc/attach_options.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of clone(). */
#define LXC_CLONE_KEEPNAME        (1 << 0) /* keep the host name */
#define LXC_CLONE_KEEPMACADDR     (1 << 1) /* keep the hardware addresses */
#define LXC_CLONE_SNAPSHOT        (1 << 2) /* a snapshot of the storage in place of a copy */
#define LXC_CLONE_KEEPBDEVTYPE    (1 << 3) /* the same kind of storage */
#define LXC_CLONE_MAYBE_SNAPSHOT  (1 << 4) /* a snapshot where the storage can, else a copy */
#define LXC_CLONE_MAXFLAGS        (1 << 5)
#define LXC_CLONE_ALLOW_RUNNING   (1 << 6) /* although the original runs */

/* Flags of create(). */
#define LXC_CREATE_QUIET          (1 << 0) /* the template's output goes nowhere */
#define LXC_CREATE_MAXFLAGS       (1 << 1)

/* The version of mount() and umount(). */
#define LXC_MOUNT_API_V1 1

struct bdev_specs;
struct lxc_snapshot;
struct lxc_lock;
struct migrate_opts;
struct lxc_console_log;

struct lxc_mount {
	int version; /* LXC_MOUNT_API_V1 */
};

/* A container that may or may not exist. Made by lxc_container_new() only. */
struct lxc_container {
	char *name;
	char *configfile;          /* its config file */
	char *pidfile;             /* written at start when set: malloc'ed, freed by the library */
	struct lxc_lock *slock;    /* library's own */
	struct lxc_lock *privlock; /* library's own */
	int numthreads;            /* references held */
	struct lxc_conf *lxc_conf; /* library's own; NULL while nothing is configured */
	char *error_string;
	int error_num; /* after start(): the wait status of init, 1 when it never ran */
	bool daemonize; /* start() returns once it runs; true at first */
	char *config_path; /* the store */

	/* The config file exists. */
	bool (*is_defined)(struct lxc_container *c);
	/* One of lxc_get_wait_states(), never NULL. */
	const char *(*state)(struct lxc_container *c);
	/* In any state but STOPPED. */
	bool (*is_running)(struct lxc_container *c);
	bool (*freeze)(struct lxc_container *c);
	bool (*unfreeze)(struct lxc_container *c);
	/* Process id of init as the caller sees it, -1 when it does not run. */
	pid_t (*init_pid)(struct lxc_container *c);
	/* Adds the items of alt_file, or of its own config file for NULL, to what is configured. */
	bool (*load_config)(struct lxc_container *c, const char *alt_file);
	/* Starts it: with argv, else lxc.init.cmd, else /sbin/init; useinit puts a small init of ours before argv. */
	bool (*start)(struct lxc_container *c, int useinit, char * const argv[]);
	/* The same with the words as arguments, ended by NULL. */
	bool (*startl)(struct lxc_container *c, int useinit, ...);
	/* Kills it and waits. True also when it does not run. */
	bool (*stop)(struct lxc_container *c);
	bool (*want_daemonize)(struct lxc_container *c, bool state);
	bool (*want_close_all_fds)(struct lxc_container *c, bool state);
	/* malloc'ed. */
	char *(*config_file_name)(struct lxc_container *c);
	/* Waits for one of the states, joined by |; timeout in seconds, -1 for ever, 0 not at all. */
	bool (*wait)(struct lxc_container *c, const char *state, int timeout);
	/* As a line of the config file would; an empty value resets. */
	bool (*set_config_item)(struct lxc_container *c, const char *key, const char *value);
	/* Removes it from the disk. Refused while it runs, has snapshots or clones. */
	bool (*destroy)(struct lxc_container *c);
	/* Writes the configuration to alt_file, or to its own file for NULL. */
	bool (*save_config)(struct lxc_container *c, const char *alt_file);
	/* Makes it on disk by template t (a name or a path; NULL: a config file only). */
	bool (*create)(struct lxc_container *c, const char *t, const char *bdevtype,
		       struct bdev_specs *specs, int flags, char *const argv[]);
	/* The same with the template's arguments as arguments, ended by NULL. */
	bool (*createl)(struct lxc_container *c, const char *t, const char *bdevtype,
			struct bdev_specs *specs, int flags, ...);
	/* c keeps the old name. */
	bool (*rename)(struct lxc_container *c, const char *newname);
	/* Asks init to boot again. */
	bool (*reboot)(struct lxc_container *c);
	/* Asks init to halt and waits timeout seconds (-1 for ever, 0 not at all). */
	bool (*shutdown)(struct lxc_container *c, int timeout);
	void (*clear_config)(struct lxc_container *c);
	bool (*clear_config_item)(struct lxc_container *c, const char *key);
	/* The value into retv; returns its length without the NUL, or a negative errno. retv may be NULL. */
	int (*get_config_item)(struct lxc_container *c, const char *key, char *retv, int inlen);
	/* The value that the running container has: malloc'ed, NULL when there is none. */
	char *(*get_running_config_item)(struct lxc_container *c, const char *key);
	/* Names below key, a line each; all names for NULL. Lengths as get_config_item(). */
	int (*get_keys)(struct lxc_container *c, const char *key, char *retv, int inlen);
	/* Network devices inside: an array ended by NULL, it and its strings malloc'ed. */
	char **(*get_interfaces)(struct lxc_container *c);
	/* Addresses inside: of one interface or all (NULL), of "inet", "inet6" or both (NULL), of one scope id. */
	char **(*get_ips)(struct lxc_container *c, const char *interface, const char *family, int scope);
	/* A file of the container's control groups, memory.max for example. Lengths as get_config_item(). */
	int (*get_cgroup_item)(struct lxc_container *c, const char *subsys, char *retv, int inlen);
	bool (*set_cgroup_item)(struct lxc_container *c, const char *subsys, const char *value);
	/* The store; c's own. */
	const char *(*get_config_path)(struct lxc_container *c);
	bool (*set_config_path)(struct lxc_container *c, const char *path);
	/* A copy: newname NULL keeps the name, lxcpath NULL keeps the store. The caller holds one reference of it. */
	struct lxc_container *(*clone)(struct lxc_container *c, const char *newname, const char *lxcpath,
				       int flags, const char *bdevtype, const char *bdevdata,
				       uint64_t newsize, char **hookargs);
	/* A terminal: *ttynum -1 the first free one, 0 the console. Returns a descriptor that holds it; *ptxfd is its end. */
	int (*console_getfd)(struct lxc_container *c, int *ttynum, int *ptxfd);
	/* Talks to a terminal until escape and q: escape 1 is Ctrl-a. */
	int (*console)(struct lxc_container *c, int ttynum, int stdinfd, int stdoutfd, int stderrfd, int escape);
	/* Runs a function inside; *attached_process is a child of the caller, who waits for it. */
	int (*attach)(struct lxc_container *c, lxc_attach_exec_t exec_function, void *exec_payload,
		      lxc_attach_options_t *options, pid_t *attached_process);
	/* Runs a program inside and waits: its wait status. */
	int (*attach_run_wait)(struct lxc_container *c, lxc_attach_options_t *options, const char *program,
			       const char * const argv[]);
	int (*attach_run_waitl)(struct lxc_container *c, lxc_attach_options_t *options, const char *program,
				const char *arg, ...);
	/* A snapshot: its number. commentfile is moved in. */
	int (*snapshot)(struct lxc_container *c, const char *commentfile);
	/* How many; the array is malloc'ed, each entry has free(). */
	int (*snapshot_list)(struct lxc_container *c, struct lxc_snapshot **snapshots);
	/* As a new container, or in place of c for NULL. */
	bool (*snapshot_restore)(struct lxc_container *c, const char *snapname, const char *newname);
	bool (*snapshot_destroy)(struct lxc_container *c, const char *snapname);
	/* The caller may drive it; true also when it does not run. */
	bool (*may_control)(struct lxc_container *c);
	bool (*add_device_node)(struct lxc_container *c, const char *src_path, const char *dest_path);
	bool (*remove_device_node)(struct lxc_container *c, const char *src_path, const char *dest_path);
	bool (*attach_interface)(struct lxc_container *c, const char *dev, const char *dst_dev);
	bool (*detach_interface)(struct lxc_container *c, const char *dev, const char *dst_dev);
	bool (*checkpoint)(struct lxc_container *c, char *directory, bool stop, bool verbose);
	bool (*restore)(struct lxc_container *c, char *directory, bool verbose);
	bool (*destroy_with_snapshots)(struct lxc_container *c);
	bool (*snapshot_destroy_all)(struct lxc_container *c);
	/* By criu: cmd is one of MIGRATE_*; size is sizeof(*opts). 0; -1 when it runs and must not, or the other way
	 * round; 1 when criu failed or is not there; -EINVAL for another cmd. */
	int (*migrate)(struct lxc_container *c, unsigned int cmd, struct migrate_opts *opts, unsigned int size);
	int (*console_log)(struct lxc_container *c, struct lxc_console_log *log);
	/* reboot() that waits for the next RUNNING. */
	bool (*reboot2)(struct lxc_container *c, int timeout);
	/* Mounts inside a running container that has lxc.mount.auto = shmounts. */
	int (*mount)(struct lxc_container *c, const char *source, const char *target,
		     const char *filesystemtype, unsigned long mountflags, const void *data,
		     struct lxc_mount *mnt);
	int (*umount)(struct lxc_container *c, const char *target, unsigned long mountflags, struct lxc_mount *mnt);
	/* The seccomp listener that this process holds; not the caller's. */
	int (*seccomp_notify_fd)(struct lxc_container *c);
	/* The seccomp listener of the running container; the caller's. */
	int (*seccomp_notify_fd_active)(struct lxc_container *c);
	/* A pidfd of init; the caller's. */
	int (*init_pidfd)(struct lxc_container *c);
	/* The container's devpts; the caller's. */
	int (*devpts_fd)(struct lxc_container *c);
	int rcv_timeout; /* seconds, 0 none; see set_timeout() */
	/* How long an answer of the monitor is waited for: seconds above 0, or -1 for ever. */
	bool (*set_timeout)(struct lxc_container *c, int timeout);
};

struct lxc_snapshot {
	char *name;
	char *comment_pathname;
	char *timestamp;
	char *lxcpath; /* where the snapshot lies */
	void (*free)(struct lxc_snapshot *s); /* frees the strings, not s */
};

/* Where a new container's root file system goes. */
struct bdev_specs {
	char *fstype;
	uint64_t fssize; /* bytes */
	struct {
		char *zfsroot;
	} zfs;
	struct {
		char *vg;
		char *lv;
		char *thinpool;
	} lvm;
	char *dir;
	struct {
		char *rbdname;
		char *rbdpool;
		char *rbduser;
	} rbd;
};

/* Commands of migrate(). */
enum {
	MIGRATE_PRE_DUMP,
	MIGRATE_DUMP,
	MIGRATE_RESTORE,
	MIGRATE_FEATURE_CHECK,
};

/* What MIGRATE_FEATURE_CHECK can ask for. */
#define FEATURE_MEM_TRACK  (1ULL << 0)
#define FEATURE_LAZY_PAGES (1ULL << 1)

struct migrate_opts {
	char *directory; /* of the images; a dump makes it */
	bool verbose;
	bool stop;                   /* MIGRATE_DUMP: the container ends with it */
	char *predump_dir;           /* of an earlier pre-dump, relative to directory */
	char *pageserver_address;    /* pages go there, when both are set */
	char *pageserver_port;
	bool preserves_inodes;       /* the file systems are the same on the other side */
	char *action_script;         /* criu(8), --action-script */
	bool disable_skip_in_flight; /* connections that are being made are an error */
	uint64_t ghost_limit;        /* bytes of a deleted file that is saved; 0: criu's own */
	uint64_t features_to_check;  /* FEATURE_*; out: those that criu has */
};

struct lxc_console_log {
	bool clear;
	bool read;
	uint64_t *read_max; /* in: at most so many bytes, 0 all; out: so many came */
	char *data;         /* malloc'ed */
};

struct lxc_log {
	const char *name;
	const char *lxcpath;
	const char *file; /* "none": no file */
	const char *level;
	const char *prefix;
	bool quiet;
};

/* A handle. configpath NULL: the system's store. NULL when the config file does not parse. */
struct lxc_container *lxc_container_new(const char *name, const char *configpath);

/* One reference more: 1; 0 when c is gone. */
int lxc_container_get(struct lxc_container *c);

/* One reference less: 1 when it was the last and c is freed, 0 when others hold it, -1 for NULL. */
int lxc_container_put(struct lxc_container *c);

/* How many states there are; states may be NULL, its strings are the library's. */
int lxc_get_wait_states(const char **states);

/* A value of lxc.conf, the library's; NULL when unset or unknown. */
const char *lxc_get_global_config_item(const char *key);

/* "7.0.0". */
const char *lxc_get_version(void);

/* Containers with a config file below lxcpath: how many. names and cret may be NULL; both are the caller's. */
int list_defined_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

/* Running ones. */
int list_active_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

/* Both. */
int list_all_containers(const char *lxcpath, char ***names, struct lxc_container ***cret);

int lxc_log_init(struct lxc_log *log);
void lxc_log_close(void);

/* The key is one of the table; keys with an index are not in it. */
bool lxc_config_item_is_supported(const char *key);

/* The library has what the extension names, and it works. */
bool lxc_has_api_extension(const char *extension);

#ifdef __cplusplus
}
#endif

#endif
