/* icount CMD...: what bench.sh's own `tm` prints (wall_us cpu_us exit kilo_instructions), on a machine whose clock counts
   instructions (QEMU's -icount shift=0: one is one nanosecond, the kernel's included). The fourth figure is the time that
   all tasks have run meanwhile, by /proc/schedstat (Documentation/scheduler/sched-stats.rst): nothing else may be at work. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long long used(void)
{
	char text[4096] = "", *line;
	unsigned long long v[7] = {0};
	int fd = open("/proc/schedstat", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) {
		perror("/proc/schedstat");
		_exit(125);
	}
	close(fd);
	line = strstr(text, "cpu0 ");
	if (line)
		sscanf(line + 5, "%llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6);
	return v[6];
}

int main(int argc, char **argv)
{
	struct timespec begin, end, pause = {0, 30000000};
	int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned long long before, after;
	struct rusage usage;
	pid_t pid;

	if (argc < 2)
		return 2;
	dup2(null, 0);
	/* What the command before has left to others is to be over. */
	do {
		before = used();
		nanosleep(&pause, 0);
		after = used();
	} while (after - before > 60000);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	before = used();
	pid = vfork();
	if (!pid) {
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	wait4(pid, &status, 0, &usage);
	clock_gettime(CLOCK_MONOTONIC, &end);
	after = used();
	printf("%.0f %ld %d %llu\n", (end.tv_sec - begin.tv_sec) * 1e6 + (end.tv_nsec - begin.tv_nsec) / 1e3,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000L + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), (after - before) / 1000);
	return 0;
}
