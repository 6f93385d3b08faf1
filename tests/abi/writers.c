/*
 * Processes that save one config at once, and lxc-update-config beside them: at any moment the file is whole, and one
 * writer's. Arguments: STORE ROOTFS LXC-UPDATE-CONFIG ROUNDS.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES 150

static char config[512];
static int rounds;

static const char first[] = "# kept\nlxc.utsname = one\n";
static const char updated[] = "# kept\nlxc.uts.name = one\n";

static int writer(const char *store, char who)
{
	char value[64];

	for (int round = 0; round < rounds; round++) {
		struct lxc_container *c = lxc_container_new("w", store);

		if (!c || !c->clear_config_item(c, "lxc.environment"))
			return 1;
		for (int i = 0; i < LINES; i++) {
			snprintf(value, sizeof value, "WRITER=%c", who);
			if (!c->set_config_item(c, "lxc.environment", value))
				return 2;
		}
		if (!c->save_config(c, NULL))
			return 3;
		lxc_container_put(c);
	}
	return 0;
}

static int updater(const char *tool)
{
	for (int round = 0; round < rounds; round++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			execl(tool, tool, "-c", config, (char *)NULL);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			return 4;
	}
	return 0;
}

/* The file's text; NULL when it cannot be read. */
static char *text_of(const char *path)
{
	static char text[65536];
	FILE *f = fopen(path, "r");
	size_t n;

	if (!f)
		return NULL;
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	return text;
}

/* Whether a text is a whole config of one writer, or that of the beginning. */
static int whole(const char *text)
{
	const char *rest;
	char line[64];

	if (!text)
		return 0;
	if (strncmp(text, first, strlen(first)) == 0)
		rest = text + strlen(first);
	else if (strncmp(text, updated, strlen(updated)) == 0)
		rest = text + strlen(updated);
	else
		return 0;
	if (!*rest)
		return 1;
	/* All lines are like the first of them. */
	if (sscanf(rest, "%63[^\n]", line) != 1)
		return 0;
	strcat(line, "\n");
	for (int i = 0; i < LINES; i++, rest += strlen(line))
		if (strncmp(rest, line, strlen(line)) != 0)
			return 0;
	return !*rest && (strstr(line, "WRITER=A") || strstr(line, "WRITER=B"));
}

int main(int argc, char **argv)
{
	int left = 3, failures = 0, reads = 0, status;
	char dir[400];
	FILE *f;

	if (argc != 5)
		return 2;
	rounds = atoi(argv[4]);
	snprintf(dir, sizeof dir, "%s/w", argv[1]);
	snprintf(config, sizeof config, "%s/config", dir);
	if (mkdir(dir, 0755) < 0 || !(f = fopen(config, "w")) || fputs(first, f) < 0 || fclose(f) != 0)
		return 2;
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(i == 2 ? updater(argv[3]) : writer(argv[1], "AB"[i]));
	}
	while (left > 0) {
		char *text = text_of(config);

		reads++;
		if (!whole(text)) {
			fprintf(stderr, "not whole: %s\n", text ? text : "(no file)");
			failures++;
			break;
		}
		while (left > 0 && waitpid(-1, &status, WNOHANG) > 0) {
			left--;
			if (status != 0) {
				fprintf(stderr, "a writer ended with %d\n", WEXITSTATUS(status));
				failures++;
			}
		}
	}
	while (left-- > 0)
		waitpid(-1, &status, 0);
	printf("%d reads\n", reads);
	return failures != 0;
}
