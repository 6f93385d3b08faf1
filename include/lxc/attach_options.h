/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a process enters a running container: options of lxc_container.attach() and its kin. */

#ifndef __LXC_ATTACH_OPTIONS_H
#define __LXC_ATTACH_OPTIONS_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What happens to the caller's environment. */
typedef enum lxc_attach_env_policy_t {
	LXC_ATTACH_KEEP_ENV = 0,  /* it is kept */
	LXC_ATTACH_CLEAR_ENV = 1, /* it is cleared, but for PATH, container= and the variables named */
} lxc_attach_env_policy_t;

enum {
	/* On by default. */
	LXC_ATTACH_MOVE_TO_CGROUP = 0x00000001,    /* join the container's control groups */
	LXC_ATTACH_DROP_CAPABILITIES = 0x00000002, /* keep what the container's init may have */
	LXC_ATTACH_SET_PERSONALITY = 0x00000004,   /* the container's or the given execution domain */
	LXC_ATTACH_LSM_EXEC = 0x00000008,          /* take the security label at exec */

	/* Off by default. */
	LXC_ATTACH_REMOUNT_PROC_SYS = 0x00010000, /* fresh /proc and /sys in a mount namespace of its own */
	LXC_ATTACH_LSM_NOW = 0x00020000,          /* take the security label at once */
	LXC_ATTACH_NO_NEW_PRIVS = 0x00040000,     /* PR_SET_NO_NEW_PRIVS */
	LXC_ATTACH_TERMINAL = 0x00080000,         /* a terminal of its own, see log_fd */
	LXC_ATTACH_LSM_LABEL = 0x00100000,        /* the label of lsm_label in place of the container's */
	LXC_ATTACH_SETGROUPS = 0x00200000,        /* the groups of groups */

	LXC_ATTACH_DEFAULT = 0x0000FFFF,
};

/* All that concerns the security label. */
#define LXC_ATTACH_LSM (LXC_ATTACH_LSM_EXEC | LXC_ATTACH_LSM_NOW | LXC_ATTACH_LSM_LABEL)

/* Personality: the one of the container's configuration. */
#define LXC_ATTACH_DETECT_PERSONALITY ~0L

/* Runs inside; what it returns is the exit status of the attached process. */
typedef int (*lxc_attach_exec_t)(void *payload);

typedef struct lxc_groups_t {
	size_t size; /* how many */
	gid_t *list; /* ids as the container has them */
} lxc_groups_t;

typedef struct lxc_attach_options_t {
	int attach_flags;  /* LXC_ATTACH_* above */
	int namespaces;    /* CLONE_NEW* to join; -1: all that the container has */
	long personality;  /* LXC_ATTACH_DETECT_PERSONALITY, or what personality(2) takes */
	char *initial_cwd; /* working directory inside; NULL: the caller's if it exists there, else / */
	uid_t uid;         /* (uid_t)-1: the container's root, or the caller's own id without a user namespace */
	gid_t gid;         /* the same for the group */
	lxc_attach_env_policy_t env_policy;
	char **extra_env_vars; /* NAME=value to set, ended by NULL; NULL: none */
	char **extra_keep_env; /* names to keep when the environment is cleared; NULL: none */
	int stdin_fd;
	int stdout_fd;
	int stderr_fd;
	int log_fd;          /* read only with LXC_ATTACH_TERMINAL: where the terminal's output is copied to */
	char *lsm_label;     /* read only with LXC_ATTACH_LSM_LABEL */
	lxc_groups_t groups; /* read only with LXC_ATTACH_SETGROUPS */
} lxc_attach_options_t;

/* What attach() takes for NULL. */
#define LXC_ATTACH_OPTIONS_DEFAULT                              \
	{                                                       \
		/* .attach_flags   = */ LXC_ATTACH_DEFAULT,     \
		/* .namespaces     = */ -1,                     \
		/* .personality    = */ LXC_ATTACH_DETECT_PERSONALITY, \
		/* .initial_cwd    = */ NULL,                   \
		/* .uid            = */ (uid_t)-1,              \
		/* .gid            = */ (gid_t)-1,              \
		/* .env_policy     = */ LXC_ATTACH_KEEP_ENV,    \
		/* .extra_env_vars = */ NULL,                   \
		/* .extra_keep_env = */ NULL,                   \
		/* .stdin_fd       = */ 0,                      \
		/* .stdout_fd      = */ 1,                      \
		/* .stderr_fd      = */ 2,                      \
		/* .log_fd         = */ -9 /* EBADF */,         \
		/* .lsm_label      = */ NULL,                   \
		/* .groups         = */ { 0, NULL },            \
	}

/* The payload of lxc_attach_run_command(). */
typedef struct lxc_attach_command_t {
	char *program; /* looked up on PATH */
	char **argv;   /* ended by NULL; argv[0] included */
} lxc_attach_command_t;

/* Runs a command: payload is a lxc_attach_command_t. Returns only when it cannot: 127 not found, 126 not executable. */
extern int lxc_attach_run_command(void *payload);

/* Runs the login shell of the present user, /bin/sh when that is not known. Returns -1 when nothing runs. */
extern int lxc_attach_run_shell(void *payload);

#ifdef __cplusplus
}
#endif

#endif
