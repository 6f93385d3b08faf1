/* The three variadic members with 0 to 12 arguments. Arguments: STORE ROOTFS TEMPLATE. */
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "words.h"

static int bad;
static struct lxc_container *c;

static void expect(const char *what, int n, const char *file)
{
	char got[512] = "", want[512] = "";
	FILE *f = fopen(file, "r");

	for (int i = 1; i <= n; i++)
		sprintf(want + strlen(want), "%sa%d", i == 1 ? "" : " ", i);
	if (f) {
		if (fgets(got, sizeof got, f))
			got[strcspn(got, "\n")] = 0;
		fclose(f);
	}
	unlink(file);
	if (strcmp(got, want)) {
		printf("%s with %d: got '%s'\n", what, n, got);
		bad++;
	}
}

static char created[512], started[512], attached[512];

#define CREATE(n, ...) do { \
	struct lxc_container *x = lxc_container_new("variadic-x", store); \
	if (!x->createl(x, template, NULL, NULL, LXC_CREATE_QUIET, ##__VA_ARGS__, NULL)) { printf("createl %d failed\n", n); bad++; } \
	expect("createl", n, created); \
	x->destroy(x); \
	lxc_container_put(x); } while (0)
#define START(n, ...) do { \
	if (!c->startl(c, 0, "/bin/sh", "/say", "/started", ##__VA_ARGS__, NULL) || !c->wait(c, "STOPPED", 30)) { \
		printf("startl %d failed\n", n); bad++; } \
	expect("startl", n, started); } while (0)
#define ATTACH(n, ...) do { \
	int r = c->attach_run_waitl(c, NULL, "/bin/sh", "sh", "/say", "/attached", ##__VA_ARGS__, NULL); \
	if (r != 0) { printf("attach_run_waitl %d: %d\n", n, r); bad++; } \
	expect("attach_run_waitl", n, attached); } while (0)
#define ALL(act) do { act(0); act(1, W1); act(2, W2); act(3, W3); act(4, W4); act(5, W5); act(6, W6); act(7, W7); \
	act(8, W8); act(9, W9); act(10, W10); act(11, W11); act(12, W12); } while (0)

int main(int argc, char **argv)
{
	const char *store = argv[1], *rootfs = argv[2], *template = argv[3];
	char path[512];
	FILE *f;

	if (argc != 4)
		return 2;
	snprintf(created, sizeof created, "%s/created", rootfs);
	snprintf(started, sizeof started, "%s/started", rootfs);
	snprintf(attached, sizeof attached, "%s/attached", rootfs);
	snprintf(path, sizeof path, "%s/say", rootfs);
	f = fopen(path, "w");
	fprintf(f, "f=$1; shift; echo \"$*\" > \"$f\"\n");
	fclose(f);
	c = lxc_container_new("variadic", store);
	snprintf(path, sizeof path, "dir:%s", rootfs);
	c->set_config_item(c, "lxc.rootfs.path", path);
	c->set_config_item(c, "lxc.net.0.type", "empty");
	ALL(CREATE);
	ALL(START);
	if (!c->startl(c, 0, "/bin/sleep", "1000", NULL)) {
		printf("start failed\n");
		bad++;
	}
	ALL(ATTACH);
	c->stop(c);
	lxc_container_put(c);
	printf("%d wrong\n", bad);
	return bad != 0;
}
