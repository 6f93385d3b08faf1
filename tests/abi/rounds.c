/*
 * Many lives in one process: ROUNDS of create, start, attach, stop, destroy; what the process holds is measured after a
 * tenth of them and at the end. With THREADS > 0 the lives run in so many threads, STARTS each, and half of the threads
 * share one handle for questions. Arguments: STORE ROOTFS ROUNDS THREADS STARTS.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <lxc/lxccontainer.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *store, *rootfs;
static int starts;
static int failures;
static struct lxc_container *shared;

#define CHECK(ok, what) do { if (!(ok)) { __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED); \
	fprintf(stderr, "%s: %s failed\n", name, what); goto out; } } while (0)

static int inside(void *payload)
{
	return *(int *)payload;
}

static void life(const char *name, bool attach)
{
	struct lxc_container *c = lxc_container_new(name, store);
	char path[512], buf[128];
	int five = 5, status;
	pid_t pid;

	CHECK(c, "lxc_container_new");
	snprintf(path, sizeof path, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", path);
	c->set_config_item(c, "lxc.rootfs.managed", "0");
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.init.cmd", "/bin/sleep 1000");
	CHECK(c->createl(c, NULL, NULL, NULL, 0, NULL), "create");
	CHECK(c->startl(c, 0, NULL), "start");
	CHECK(c->init_pid(c) > 0, "init_pid");
	CHECK(strcmp(c->state(c), "RUNNING") == 0, "state");
	CHECK(c->get_cgroup_item(c, "pids.max", buf, sizeof buf) > 0 || errno == ENOENT, "get_cgroup_item");
	if (attach) {
		CHECK(c->attach(c, inside, &five, NULL, &pid) == 0, "attach");
		CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5, "waitpid");
		CHECK(c->attach_run_waitl(c, NULL, "/bin/true", "true", NULL) == 0, "attach_run_waitl");
	}
	CHECK(c->stop(c), "stop");
	snprintf(path, sizeof path, "%s/%s/config", store, name);
	CHECK(unlink(path) == 0, "config");
	snprintf(path, sizeof path, "%s/%s", store, name);
	CHECK(rmdir(path) == 0, "directory");
out:
	if (c)
		lxc_container_put(c);
}

static int count(const char *dir)
{
	DIR *d = opendir(dir);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

struct held {
	long rss;
	int fds, threads;
};

static struct held measure(void)
{
	struct held h = { 0, count("/proc/self/fd"), count("/proc/self/task") };
	FILE *f = fopen("/proc/self/statm", "r");
	long size;

	malloc_trim(0);
	if (f && fscanf(f, "%ld %ld", &size, &h.rss) == 2)
		h.rss *= 4;
	if (f)
		fclose(f);
	return h;
}

static void *worker(void *arg)
{
	char name[64];
	int me = (int)(long)arg;

	for (int i = 0; i < starts; i++) {
		snprintf(name, sizeof name, "t%d-%d", me, i % 2);
		life(name, i % 8 == 0);
		if (me % 2) {
			char buf[256];

			shared->set_config_item(shared, "lxc.uts.name", name);
			if (shared->get_config_item(shared, "lxc.uts.name", buf, sizeof buf) <= 0 || !shared->state(shared)) {
				fprintf(stderr, "the shared handle fails\n");
				__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
			}
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int rounds, threads;
	struct held early = { 0 }, end;

	if (argc != 6)
		return 2;
	store = argv[1];
	rootfs = argv[2];
	rounds = atoi(argv[3]);
	threads = atoi(argv[4]);
	starts = atoi(argv[5]);
	for (int i = 1; i <= rounds; i++) {
		life("round", true);
		if (i == rounds / 10 || i == 1)
			early = measure();
	}
	end = measure();
	printf("rounds %d failures %d rss %+ld KiB fds %+d threads %+d children %d\n", rounds, failures,
	       end.rss - early.rss, end.fds - early.fds, end.threads - early.threads, waitpid(-1, NULL, WNOHANG) != -1);
	if (end.fds != early.fds || end.threads != early.threads || (rounds >= 1000 && end.rss - early.rss > 256))
		failures++;
	if (threads > 0) {
		pthread_t t[64];

		shared = lxc_container_new("shared", store);
		early = measure();
		for (long i = 0; i < threads && i < 64; i++)
			pthread_create(&t[i], NULL, worker, (void *)i);
		for (int i = 0; i < threads && i < 64; i++)
			pthread_join(t[i], NULL);
		end = measure();
		printf("threads %d starts %d failures %d fds %+d threads %+d children %d\n", threads, starts, failures,
		       end.fds - early.fds, end.threads - early.threads, waitpid(-1, NULL, WNOHANG) != -1);
		if (end.fds != early.fds || end.threads != early.threads)
			failures++;
		lxc_container_put(shared);
	}
	return failures ? 1 : 0;
}
