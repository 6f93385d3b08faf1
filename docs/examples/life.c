/*
 * The life of a container: defined, started, entered, stopped, destroyed.
 *
 *     cc life.c $(pkg-config --cflags --libs lxc) -o life && ./life STORE ROOTFS
 *
 * STORE is a directory for containers, ROOTFS a directory with a root file system that has /bin/sh.
 */
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs inside; its result is the exit status of the attached process. */
static int inside(void *payload)
{
	char text[128];
	int n = snprintf(text, sizeof text, "%s, pid %d there\n", (const char *)payload, getpid());

	return write(1, text, n) == n ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *const command[] = { "sh", "-c", "echo hello from inside", NULL };
	struct lxc_container *c;
	char path[4096];
	int status = 1;
	pid_t pid;

	if (argc != 3) {
		fprintf(stderr, "usage: %s STORE ROOTFS\n", argv[0]);
		return 1;
	}
	c = lxc_container_new("example", argv[1]);
	if (!c)
		return 1;
	snprintf(path, sizeof path, "dir:%s", argv[2]);
	if (!c->set_config_item(c, "lxc.rootfs.path", path) ||
	    !c->set_config_item(c, "lxc.rootfs.managed", "0") || /* destroy() leaves ROOTFS alone */
	    !c->set_config_item(c, "lxc.net.0.type", "empty") ||
	    !c->set_config_item(c, "lxc.init.cmd", "/bin/sleep 1000") || !c->save_config(c, NULL)) {
		fprintf(stderr, "the configuration is refused\n");
		goto out;
	}
	if (!c->start(c, 0, NULL)) {
		fprintf(stderr, "it does not start: ask for a log by lxc_log_init()\n");
		goto out;
	}
	printf("%s is %s, its init is process %d here\n", c->name, c->state(c), c->init_pid(c));
	fflush(stdout);

	/* A program, waited for; the result is a wait status. */
	status = c->attach_run_wait(c, NULL, "/bin/sh", command);
	if (status == 0 && c->attach(c, inside, "a function", NULL, &pid) == 0)
		waitpid(pid, &status, 0);
	c->stop(c);
out:
	lxc_container_put(c);
	return status != 0;
}
