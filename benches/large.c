/*
 * What a start costs a caller that holds much memory: two processes take turns, a small one and one with 1 GiB of touched
 * small pages, and each starts and stops a container of its own. Arguments: STORE ROOTFS ROUNDS. Prints both medians in
 * milliseconds and their ratio.
 */
#define _GNU_SOURCE
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HELD (1UL << 30)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* For each byte that it reads one start, whose milliseconds it writes. */
static void serve(const char *store, const char *rootfs, const char *name, size_t held, int from, int to)
{
	struct lxc_container *c;
	char text[1100], byte;
	void *memory;

	if (held) {
		memory = mmap(NULL, held, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			_exit(1);
		madvise(memory, held, MADV_NOHUGEPAGE);
		memset(memory, 1, held);
	}
	c = lxc_container_new(name, store);
	if (!c)
		_exit(1);
	snprintf(text, sizeof text, "dir:%s", rootfs);
	if (!c->set_config_item(c, "lxc.rootfs.path", text) || !c->set_config_item(c, "lxc.net.0.type", "empty") ||
	    !c->set_config_item(c, "lxc.init.cmd", "/bin/busybox sleep 100000"))
		_exit(1);
	while (read(from, &byte, 1) == 1) {
		double t = now();
		bool started = c->start(c, 0, NULL);

		t = now() - t;
		if (!started || !c->stop(c) || !c->wait(c, "STOPPED", 30) || write(to, &t, sizeof t) != sizeof t)
			_exit(1);
	}
	_exit(0);
}

static int upwards(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

int main(int argc, char **argv)
{
	static const char *const names[2] = { "bench-small", "bench-large" };
	int ask[2][2], tell[2][2], rounds, bad = 0;
	double *times[2], median[2];

	if (argc != 4 || (rounds = atoi(argv[3])) < 1)
		return 2;
	for (int i = 0; i < 2; i++) {
		times[i] = calloc(rounds, sizeof(double));
		if (!times[i] || pipe(ask[i]) || pipe(tell[i]))
			return 2;
		if (fork() == 0) {
			close(ask[i][1]);
			if (i)
				close(ask[0][1]);
			serve(argv[1], argv[2], names[i], i ? HELD : 0, ask[i][0], tell[i][1]);
		}
		close(ask[i][0]);
		close(tell[i][1]);
	}
	/* The first of each is not counted; who begins changes. */
	for (int round = -1; round < rounds && !bad; round++)
		for (int turn = 0; turn < 2; turn++) {
			int i = (turn + round + 1) % 2;
			double t;

			if (write(ask[i][1], "x", 1) != 1 || read(tell[i][0], &t, sizeof t) != sizeof t)
				bad = 1;
			else if (round >= 0)
				times[i][round] = t;
		}
	for (int i = 0; i < 2; i++) {
		close(ask[i][1]);
		qsort(times[i], rounds, sizeof(double), upwards);
		median[i] = (times[i][(rounds - 1) / 2] + times[i][rounds / 2]) / 2;
	}
	while (wait(NULL) > 0)
		;
	if (bad) {
		fprintf(stderr, "a start failed\n");
		return 1;
	}
	printf("%.2f %.2f %.2f\n", median[0], median[1], median[1] / median[0]);
	return 0;
}
