/*
 * What a library must not do to its caller: end it, print, leave signal handlers, descriptors, locks or a changed mask.
 * Arguments: STORE ROOTFS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int bad;
#define EXPECT(ok, what) do { if (!(ok)) { fprintf(out, "not so: %s (errno %d)\n", what, errno); bad++; } } while (0)

static FILE *out;

static void *asks(void *arg)
{
	struct lxc_container *c = arg;

	for (int i = 0; i < 20000; i++)
		c->set_config_item(c, "lxc.uts.name", "x");
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static double start_and_stop(struct lxc_container *c)
{
	double best = 1e9;

	for (int i = 0; i < 10; i++) {
		double t = now();

		EXPECT(c->start(c, 0, NULL), "start");
		t = now() - t;
		if (t < best)
			best = t;
		EXPECT(c->stop(c), "stop");
	}
	return best;
}

static bool mentions(const char *file, const char *word)
{
	static char buf[1 << 20];
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, buf, sizeof buf);

	close(fd);
	return n > 0 && memmem(buf, n, word, strlen(word));
}

/* The monitor of a running container: the parent of its init. */
static int monitor_of(pid_t init)
{
	char path[64], line[256];
	int ppid = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", init);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "PPid: %d", &ppid);
	if (f)
		fclose(f);
	return ppid;
}

int main(int argc, char **argv)
{
	const char *store = argv[1], *rootfs = argv[2];
	int quiet[2], secret, status;
	struct sigaction before[65], after;
	sigset_t mask, mask_after;
	struct lxc_container *c;
	char path[512], buf[4096];
	pthread_t t;
	pid_t pid;
	double small, large;
	char *memory;

	if (argc != 3)
		return 2;
	out = fdopen(dup(1), "w");
	setvbuf(out, NULL, _IOLBF, 0);
	/* Whatever the library prints lands in a pipe. */
	if (pipe2(quiet, O_CLOEXEC | O_NONBLOCK))
		return 2;
	dup2(quiet[1], 1);
	dup2(quiet[1], 2);
	for (int s = 1; s < 65; s++)
		sigaction(s, NULL, &before[s]);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	secret = open("/etc/hostname", O_RDONLY | O_CLOEXEC);

	c = lxc_container_new("behave", store);
	snprintf(path, sizeof path, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", path);
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.init.cmd", "/bin/sleep 1000");
	setenv("LXC_ABI_MARK", "kept", 1);

	/* A panic inside of a call is a failure of that call. */
	setenv("LXC_TEST_PANIC", "is_running", 1);
	errno = 0;
	bool panicked = !c->is_running(c) && errno == EFAULT;
	unsetenv("LXC_TEST_PANIC");
	c->set_config_item(c, "lxc.nonsense", "1");
	c->start(NULL, 0, NULL);

	/* Threads, a fork among them: the child can use the handle although a thread was changing it. */
	pthread_create(&t, NULL, asks, c);
	for (int i = 0; i < 20; i++) {
		pid = fork();
		if (pid == 0) {
			alarm(20);
			_exit(c->set_config_item(c, "lxc.tty.max", "1") && !c->is_running(c) ? 0 : 1);
		}
		EXPECT(waitpid(pid, &status, 0) == pid && status == 0, "a forked child uses the handle");
	}
	small = start_and_stop(c);
	pthread_join(t, NULL);

	/* A busy machine is late: the best of several counts. */
	for (int i = 0; i < 5; i++) {
		small = start_and_stop(c);
		memory = malloc(1 << 30);
		memset(memory, 1, 1 << 30);
		large = start_and_stop(c);
		if (i == 4 || large < small * 1.2)
			break;
		free(memory);
	}
	fprintf(out, "start %.1f ms, from 1 GiB %.1f ms\n", small * 1000, large * 1000);
	EXPECT(large < small * 1.2, "a start from a large process costs at most 1.2 of one from a small");

	/* The monitor: nothing of ours but the environment. */
	EXPECT(c->start(c, 0, NULL), "start");
	int monitor = monitor_of(c->init_pid(c));
	snprintf(path, sizeof path, "/proc/%d/environ", monitor);
	EXPECT(mentions(path, "LXC_ABI_MARK=kept"), "the monitor has the caller's environment");
	snprintf(path, sizeof path, "/proc/%d/statm", monitor);
	FILE *f = fopen(path, "r");
	long size = 0, rss = 0;
	if (!f || fscanf(f, "%ld %ld", &size, &rss) != 2)
		bad++;
	fclose(f);
	EXPECT(size * 4 < 512 * 1024, "the monitor has not the caller's memory");
	for (int i = 0; i < 64; i++) {
		char target[256];
		ssize_t n;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", monitor, i);
		n = readlink(path, target, sizeof target - 1);
		if (n > 0) {
			target[n] = 0;
			EXPECT(strcmp(target, "/etc/hostname"), "the monitor has none of the caller's descriptors");
		}
	}
	/* Every descriptor that is handed out closes on exec. */
	int fd = c->init_pidfd(c), tty = -1, ptx = -1;
	EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC, "init_pidfd closes on exec");
	close(fd);
	c->set_config_item(c, "lxc.tty.max", "1");
	fd = c->console_getfd(c, &tty, &ptx);
	EXPECT(fd < 0 || (fcntl(fd, F_GETFD) & fcntl(ptx, F_GETFD) & FD_CLOEXEC), "console_getfd closes on exec");
	close(fd);
	close(ptx);
	EXPECT(c->stop(c), "stop");

	EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "no child is left");
	for (int s = 1; s < 65; s++) {
		if (sigaction(s, NULL, &after) == 0)
			EXPECT(after.sa_handler == before[s].sa_handler, "signal handlers are as before");
	}
	sigprocmask(SIG_BLOCK, NULL, &mask_after);
	EXPECT(memcmp(&mask, &mask_after, 8) == 0, "the signal mask is as before");
	EXPECT(fcntl(secret, F_GETFD) == FD_CLOEXEC, "the caller's descriptor is as before");
	lxc_container_put(c);
	fflush(NULL);
	errno = 0;
	ssize_t n = read(quiet[0], buf, sizeof buf - 1);
	EXPECT(n <= 0, "nothing is printed");
	if (n > 0) {
		buf[n] = 0;
		fprintf(out, "printed: %s\n", buf);
	}
	if (getenv("LXC_ABI_DEBUG_BUILD"))
		EXPECT(panicked, "a panic is a failure of its call");
	free(memory);
	fprintf(out, "%d wrong\n", bad);
	return bad != 0;
}
