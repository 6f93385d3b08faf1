/*
 * Members that change or show a running container from outside, seen from inside: mounts that are put in, terminals, the
 * console's buffer, each option of attach, the seccomp listener. Every line is compared with what LXC itself does.
 * Arguments: STORE ROOTFS.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <lxc/lxccontainer.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static struct lxc_container *c;
static char rootfs[512];
/* Where LXC makes the mounts before it moves them inside: shared with the container. */
#define SHARED "/tmp/lxc-abi-shared"
#define CONSOLE "/tmp/lxc-abi-console"

static struct lxc_mount v1 = { .version = LXC_MOUNT_API_V1 };

static void put(const char *file, const char *text, int mode)
{
	char path[700];
	int fd;

	snprintf(path, sizeof path, "%s%s", file[0] == '@' ? rootfs : "", file[0] == '@' ? file + 1 : file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("cannot write %s\n", path);
	close(fd);
}

static bool until(const char *file)
{
	char path[700];

	snprintf(path, sizeof path, "%s%s", rootfs, file);
	for (int i = 0; i < 1000; i++, usleep(20000))
		if (!access(path, F_OK))
			return true;
	printf("%s never came\n", file);
	return false;
}

/* Reads until `want` is there or the end; `all` keeps everything. */
static bool expect(int fd, const char *want, char *all, size_t size)
{
	size_t have = strlen(all);

	for (int i = 0; i < 200 && !strstr(all, want); i++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(fd, all + have, size - have - 1);
		if (n <= 0)
			break;
		have += n;
		all[have] = 0;
	}
	return strstr(all, want) != NULL;
}

/* Runs a line inside with these options; its output and its status. */
static void run(const char *what, lxc_attach_options_t *o, const char *line)
{
	const char *const argv[] = { "sh", "-c", line, NULL };
	char text[4096] = "";
	size_t have = 0;
	int p[2], status;
	ssize_t n;

	if (pipe2(p, O_CLOEXEC))
		return;
	o->stdout_fd = p[1];
	o->stderr_fd = p[1];
	status = c->attach_run_wait(c, o, "/bin/sh", argv);
	close(p[1]);
	while (have < sizeof text - 1 && (n = read(p[0], text + have, sizeof text - 1 - have)) > 0)
		have += n;
	close(p[0]);
	for (char *s = text; *s; s++)
		if (*s == '\n')
			*s = '|';
	printf("%s: %d %s\n", what, status, text);
}

static lxc_attach_options_t fresh(void)
{
	lxc_attach_options_t o = LXC_ATTACH_OPTIONS_DEFAULT;
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	o.stdin_fd = null;
	o.initial_cwd = "/";
	return o;
}

static void shows(const char *what, const char *line)
{
	lxc_attach_options_t o = fresh();

	run(what, &o, line);
}

static void mounts(void)
{
	char from[] = "/tmp/lxc-abi-XXXXXX", path[600];
	const char *const look = "grep -E ' /(mnt|put|tmp/[a-z]+) ' /proc/mounts | cut -d' ' -f2-4 | sed 's/,relatime//;s/,inode[^ ]*//;s/,huge[^ ]*//'; ls /mnt /put";

	if (!mkdtemp(from))
		return;
	snprintf(path, sizeof path, "%s/file", from);
	put(path, "from outside\n", 0644);
	printf("mount bind = %d\n", c->mount(c, from, "/mnt", NULL, MS_BIND, NULL, &v1));
	shows("bind", "cat /mnt/file");
	printf("umount = %d\n", c->umount(c, "/mnt", 0, &v1));
	shows("umounted", "ls /mnt");
	printf("mount of a new directory = %d\n", c->mount(c, from, "/put", NULL, MS_BIND, NULL, &v1));
	shows("new directory", "cat /put/file");
	printf("umount detach = %d\n", c->umount(c, "/put", MNT_DETACH, &v1));
	printf("mount of a file = %d\n", c->mount(c, path, "/mnt/file", NULL, MS_BIND, NULL, &v1));
	shows("file", "cat /mnt/file; echo more >> /mnt/file");
	printf("umount of a file = %d\n", c->umount(c, "/mnt/file", 0, &v1));
	printf("mount read-only = %d\n", c->mount(c, from, "/mnt", NULL, MS_BIND | MS_RDONLY, NULL, &v1));
	shows("read-only", "touch /mnt/new 2>&1; cat /mnt/file");
	printf("umount = %d\n", c->umount(c, "/mnt", 0, &v1));
	printf("mount tmpfs = %d\n", c->mount(c, NULL, "/mnt", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=700", &v1));
	shows("tmpfs", look);
	printf("mount over it = %d\n", c->mount(c, from, "/mnt", NULL, MS_BIND, NULL, &v1));
	shows("over", "cat /mnt/file");
	printf("umount = %d\n", c->umount(c, "/mnt", 0, &v1));
	printf("umount = %d\n", c->umount(c, "/mnt", 0, &v1));
	shows("none left", look);
	printf("umount of nothing < 0 or 1 = %d\n", c->umount(c, "/mnt", 0, &v1) != 0);
	printf("mount of nothing < 0 = %d\n", c->mount(c, "/no/such", "/mnt", NULL, MS_BIND, NULL, &v1) < 0);
	printf("mount of no type < 0 = %d\n", c->mount(c, "none", "/mnt", "nosuchfs", 0, NULL, &v1) < 0);
	printf("mount without a target = %d\n", c->mount(c, from, NULL, NULL, MS_BIND, NULL, &v1));
	printf("mount without a version = %d\n", c->mount(c, from, "/mnt", NULL, MS_BIND, NULL, NULL));
	printf("umount without a version = %d\n", c->umount(c, "/mnt", 0, NULL));
	/* The way there goes through a link of the container's. */
	shows("link", "ln -s /mnt /link");
	printf("mount through a link = %d\n", c->mount(c, from, "/link/deep", NULL, MS_BIND, NULL, &v1) == 0);
	shows("through a link", "cat /mnt/deep/file");
	c->umount(c, "/mnt/deep", 0, &v1);
	unlink(path);
	/* The original's read-only mount takes it. */
	snprintf(path, sizeof path, "%s/new", from);
	unlink(path);
	rmdir(from);
}

static void terminals(void)
{
	char all[4096] = "";
	int tty, ptx, hold, other, status;
	pid_t pid;

	for (int want = 0; want < 3; want++) {
		tty = want;
		ptx = -1;
		hold = c->console_getfd(c, &tty, &ptx);
		printf("console_getfd %d = %d tty %d\n", want, hold >= 0, tty);
		if (hold < 0)
			continue;
		all[0] = 0;
		if (write(ptx, "ping\r", 5) != 5)
			printf("no write\n");
		printf("heard %d\n", expect(ptx, "heard ping", all, sizeof all));
		if (want) {
			tty = want;
			printf("busy %d\n", c->console_getfd(c, &tty, &other));
			tty = -1;
			other = c->console_getfd(c, &tty, &status);
			printf("the free one is %d\n", tty);
			close(other);
			close(status);
		}
		close(ptx);
		close(hold);
	}
	for (int want = -1; want < 3; want++) {
		struct termios t, before;

		pid = forkpty(&ptx, NULL, NULL, NULL);
		if (pid == 0) {
			int r;

			tcgetattr(0, &before);
			r = c->console(c, want, 0, 1, 2, 1);
			tcgetattr(0, &t);
			dprintf(1, "back %d, modes %d\n", r, t.c_lflag == before.c_lflag && t.c_iflag == before.c_iflag);
			_exit(r == 0 ? 0 : 1);
		}
		all[0] = 0;
		printf("console %d:", want);
		printf(" connected %d", expect(ptx, "to enter Ctrl+a itself", all, sizeof all));
		/* LXC shows that before it changes the modes, and then throws away what was typed. */
		for (int i = 0; i < 2000 && tcgetattr(ptx, &t) == 0 && t.c_lflag & ICANON; i++)
			usleep(10000);
		if (write(ptx, "hello\r", 6) != 6)
			printf(" no write");
		printf(" heard %d", expect(ptx, "heard hello", all, sizeof all));
		if (write(ptx, "\1q", 2) != 2)
			printf(" no write");
		printf(" left %d", expect(ptx, "back 0, modes 1", all, sizeof all));
		waitpid(pid, &status, 0);
		printf(" status %d\n", status);
		close(ptx);
	}
}

static void logged(const char *what, bool read, bool clear, uint64_t max)
{
	struct lxc_console_log log = { .read = read, .clear = clear, .read_max = &max };
	int r = c->console_log(c, &log);

	printf("%s = %d, %d bytes", what, r, read && r == 0 ? (int)max : -1);
	if (read && r == 0 && log.data) {
		printf(" ");
		for (uint64_t i = 0; i < max; i++)
			putchar(log.data[i] == '\n' ? '|' : log.data[i] == '\r' ? ' ' : log.data[i]);
		free(log.data);
	}
	printf("\n");
}

/* A line from inside to the console, seen in the buffer. */
static void say(const char *line)
{
	char cmd[200];
	lxc_attach_options_t o = fresh();
	const char *const argv[] = { "sh", "-c", cmd, NULL };

	snprintf(cmd, sizeof cmd, "echo %s > /dev/console", line);
	c->attach_run_wait(c, &o, "/bin/sh", argv);
	/* What is in the log file is in the buffer. */
	for (int i = 0; i < 1000; i++, usleep(20000)) {
		char text[8192];
		int fd = open(CONSOLE, O_RDONLY);
		ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

		close(fd);
		text[n < 0 ? 0 : n] = 0;
		snprintf(cmd, sizeof cmd, "%s\r\n", line);
		if (strstr(text, cmd))
			return;
	}
	printf("%s was never logged\n", line);
}

static void buffer(void)
{
	logged("console_log nothing", false, false, 0);
	logged("console_log clear", false, true, 0);
	logged("console_log empty", true, false, 0);
	say("one two");
	logged("console_log read", true, false, 0);
	say("three");
	logged("console_log some", true, false, 4);
	logged("console_log read and clear", true, true, 0);
	logged("console_log after", true, false, 0);
	say("four");
	logged("console_log clear only", false, true, 0);
	logged("console_log after that", true, false, 0);
}

static int calls(void *payload)
{
	return personality(0xffffffff) == PER_LINUX32 ? 32 : *(int *)payload;
}

static void options(void)
{
	char *set[] = { "GIVEN=1", "TWO=a b", NULL }, *keep[] = { "KEPT", "MISSING", NULL };
	gid_t groups[] = { 7, 1000 };
	lxc_attach_options_t o;
	int status, nine = 9;
	pid_t pid;

	setenv("KEPT", "kept", 1);
	setenv("LOST", "lost", 1);
	o = fresh();
	run("defaults", &o, "id -u; id -g; id -G; pwd; hostname; readlink /proc/self/fd/0; echo $KEPT $LOST $GIVEN $container");
	o = fresh();
	o.env_policy = LXC_ATTACH_CLEAR_ENV;
	o.extra_env_vars = set;
	o.extra_keep_env = keep;
	run("environment cleared", &o, "echo $KEPT.$LOST.$GIVEN.$TWO.$container.$MISSING");
	o = fresh();
	o.extra_env_vars = set;
	run("kept environment", &o, "echo $KEPT.$LOST.$GIVEN.$TWO");
	o = fresh();
	o.uid = 1000;
	o.gid = 1000;
	run("ids", &o, "id -u; id -g; id -G");
	o = fresh();
	o.attach_flags |= LXC_ATTACH_SETGROUPS;
	o.groups.size = 2;
	o.groups.list = groups;
	run("groups", &o, "id -G");
	o = fresh();
	o.groups.size = 2;
	o.groups.list = groups;
	run("groups without the flag", &o, "id -G");
	o = fresh();
	o.initial_cwd = "/tmp";
	run("directory", &o, "pwd");
	o = fresh();
	o.initial_cwd = "/no/such";
	run("no such directory", &o, "pwd");
	o = fresh();
	o.personality = PER_LINUX32;
	run("personality", &o, "uname -m");
	o = fresh();
	o.personality = PER_LINUX32;
	o.attach_flags &= ~LXC_ATTACH_SET_PERSONALITY;
	run("personality without the flag", &o, "uname -m");
	o = fresh();
	run("capabilities", &o, "grep CapBnd /proc/self/status");
	o = fresh();
	o.attach_flags &= ~LXC_ATTACH_DROP_CAPABILITIES;
	run("capabilities not dropped", &o, "a=$(grep CapBnd /proc/self/status); b=$(grep CapBnd /proc/1/status); [ \"$a\" = \"$b\" ]; echo $?");
	o = fresh();
	run("groups of processes", &o, "cut -d: -f3 /proc/self/cgroup | grep -c '^/$'; cut -d: -f3 /proc/self/cgroup | grep -v '^/$' | head -1");
	o = fresh();
	o.attach_flags &= ~LXC_ATTACH_MOVE_TO_CGROUP;
	run("groups not entered", &o, "a=$(grep pids: /proc/self/cgroup); b=$(grep pids: /proc/1/cgroup); [ \"$a\" = \"$b\" ]; echo $?");
	o = fresh();
	run("no_new_privs unset", &o, "grep NoNewPrivs /proc/self/status");
	o = fresh();
	o.attach_flags |= LXC_ATTACH_NO_NEW_PRIVS;
	run("no_new_privs", &o, "grep NoNewPrivs /proc/self/status");
	o = fresh();
	o.namespaces = CLONE_NEWUTS;
	run("one namespace", &o, "hostname; [ -e /ready ]; echo $?");
	o = fresh();
	o.namespaces = CLONE_NEWPID | CLONE_NEWNET;
	o.attach_flags |= LXC_ATTACH_REMOUNT_PROC_SYS;
	run("new proc and sys", &o, "cat /proc/1/comm; ls /sys/class/net; [ -e /ready ]; echo $?");
	o = fresh();
	o.namespaces = CLONE_NEWPID | CLONE_NEWNET;
	run("old proc and sys", &o, "[ $(cat /proc/1/comm) = shinit ]; echo $?");
	o = fresh();
	o.attach_flags |= LXC_ATTACH_LSM_LABEL;
	o.lsm_label = "nosuch";
	run("label", &o, "echo ran");
	o = fresh();
	o.attach_flags |= LXC_ATTACH_LSM_NOW;
	run("label now", &o, "echo ran");
	o = fresh();
	o.personality = PER_LINUX32;
	if (c->attach(c, calls, &nine, &o, &pid) == 0 && waitpid(pid, &status, 0) == pid)
		printf("function = %d\n", WEXITSTATUS(status));
}

static void terminal(void)
{
	char all[4096] = "", log[200] = "";
	int ptx, status, fd = open("/tmp/lxc-abi-terminal", O_RDWR | O_CREAT | O_TRUNC, 0600);
	pid_t pid = forkpty(&ptx, NULL, NULL, NULL);
	ssize_t n;

	if (pid == 0) {
		lxc_attach_options_t o = LXC_ATTACH_OPTIONS_DEFAULT;
		const char *const argv[] = { "sh", "-c", "tty; stty size; read l; echo got $l", NULL };
		struct winsize w = { .ws_row = 33, .ws_col = 77 };

		ioctl(0, TIOCSWINSZ, &w);
		o.attach_flags |= LXC_ATTACH_TERMINAL;
		o.log_fd = fd;
		status = c->attach_run_wait(c, &o, "/bin/sh", argv);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
	}
	printf("terminal: named %d", expect(ptx, "/dev/pts/", all, sizeof all));
	printf(" sized %d", expect(ptx, "33 77", all, sizeof all));
	if (write(ptx, "word\r", 5) != 5)
		printf(" no write");
	printf(" answers %d", expect(ptx, "got word", all, sizeof all));
	waitpid(pid, &status, 0);
	n = pread(fd, log, sizeof log - 1, 0);
	printf(" status %d logged %d\n", status, n > 0 && strstr(log, "33 77") && strstr(log, "got word"));
	close(ptx);
	close(fd);
	unlink("/tmp/lxc-abi-terminal");
}

static void listener(void)
{
	struct seccomp_notif q;
	struct seccomp_notif_resp a;
	char path[600], text[200];
	ssize_t n;
	int fd;

	printf("seccomp_notify_fd = %d\n", c->seccomp_notify_fd(c));
	fd = c->seccomp_notify_fd_active(c);
	printf("seccomp_notify_fd_active = %d\n", fd < 0 ? fd : 0);
	if (fd < 0)
		return;
	printf("close-on-exec %d\n", fcntl(fd, F_GETFD) & FD_CLOEXEC);
	put("@/go", "", 0644);
	memset(&q, 0, sizeof q);
	memset(&a, 0, sizeof a);
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &q))
		printf("no notification\n");
	a.id = q.id;
	a.error = -EDQUOT;
	printf("answered %d\n", ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &a));
	close(fd);
	snprintf(path, sizeof path, "%s/said", rootfs);
	if (!until("/said"))
		return;
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof text - 1);
	close(fd);
	printf("the caller: %.*s", n > 0 ? (int)n : 0, text);
}

int main(int argc, char **argv)
{
	char path[1400];

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	signal(SIGALRM, SIG_DFL);
	alarm(200);
	put("/tmp/lxc-abi-policy", "2\ndenylist\n[all]\nmkdir notify\n", 0644);
	c = lxc_container_new("guest", argv[1]);
	snprintf(rootfs, sizeof rootfs, "%s/guest/rootfs", argv[1]);
	snprintf(path, sizeof path, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", path);
	c->set_config_item(c, "lxc.uts.name", "guest");
	c->set_config_item(c, "lxc.net.0.type", "empty");
	c->set_config_item(c, "lxc.tty.max", "2");
	c->set_config_item(c, "lxc.pty.max", "16");
	for (const char *const *word = (const char *[]){ "proc", "sys", "shmounts:" SHARED, NULL }; *word; word++)
		printf("lxc.mount.auto = %s: %d\n", *word, c->set_config_item(c, "lxc.mount.auto", *word));
	c->set_config_item(c, "lxc.cap.drop", "sys_time");
	c->set_config_item(c, "lxc.console.buffer.size", "auto");
	c->set_config_item(c, "lxc.console.logfile", CONSOLE);
	c->set_config_item(c, "lxc.apparmor.profile", "unconfined");
	c->set_config_item(c, "lxc.seccomp.profile", "/tmp/lxc-abi-policy");
	c->set_config_item(c, "lxc.init.cmd", "/sbin/shinit");
	if (!c->save_config(c, NULL))
		printf("save_config failed\n");
	snprintf(path, sizeof path, "cp -a %s %s", argv[2], rootfs);
	if (system(path))
		printf("cp failed\n");
	put("@/on-boot",
	    "for n in console tty1 tty2; do (while :; do if read l; then echo \"heard $l\"; fi; done <>/dev/$n >&0 2>&0 &); done\n"
	    "(until [ -e /go ]; do usleep 20000; done; mkdir /d 2> /new; mv /new /said) &\n", 0755);
	if (mkdir(SHARED, 0755) || mount("none", SHARED, "tmpfs", 0, NULL) || mount(NULL, SHARED, NULL, MS_SHARED, NULL))
		printf("no shared directory\n");
	printf("start = %d\n", c->start(c, 0, NULL));
	if (until("/ready"))
		listener();
	printf("stop = %d\n", c->stop(c));
	snprintf(path, sizeof path, "%s/ready", rootfs);
	unlink(path);
	/* A process that is attached would want a proxy. */
	c->clear_config_item(c, "lxc.seccomp.profile");
	printf("start = %d\n", c->start(c, 0, NULL));
	if (until("/ready")) {
		terminal();
		mounts();
		terminals();
		buffer();
		options();
	}
	printf("stop = %d\n", c->stop(c));
	printf("destroy = %d\n", c->destroy(c));
	lxc_container_put(c);
	umount(SHARED);
	rmdir(SHARED);
	unlink("/tmp/lxc-abi-policy");
	unlink(CONSOLE);
	return 0;
}
