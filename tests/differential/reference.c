/*
 * Asks the installed liblxc (the reference) what it does with configuration keys.
 *
 * Reads one request a line from standard input and answers each with one line on standard output. Arguments are
 * separated by one blank and percent-encoded (so that any byte fits), answers likewise:
 *
 *   new              a fresh handle                      ok | fail
 *   load PATH        load_config                         ok | fail
 *   set KEY VALUE    set_config_item                     ok | fail
 *   clear KEY        clear_config_item                   ok | fail
 *   get KEY          get_config_item                     LENGTH TEXT     (LENGTH negative: -errno)
 *   keys [PREFIX]    get_keys                            LENGTH TEXT
 *   supported KEY    lxc_config_item_is_supported        ok | fail
 *   save PATH        save_config                         ok | fail
 *
 * argv[1] is a store of its own. No container is ever started.
 */
#include <lxc/lxccontainer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void decode(char *s)
{
	char *out = s;
	for (; *s; s++) {
		unsigned int byte;
		if (*s == '%' && sscanf(s + 1, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

static void encode(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c <= ' ' || c == '%' || c > '~')
			printf("%%%02x", c);
		else
			putchar(c);
	}
}

static void answer(bool ok)
{
	puts(ok ? "ok" : "fail");
}

static char text[1 << 16];

static void answer_text(int len)
{
	printf("%d ", len);
	if (len > 0)
		encode(text, strnlen(text, sizeof(text)));
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct lxc_container *c = NULL;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (argc != 2)
		return 2;
	while ((n = getline(&line, &cap, stdin)) > 0) {
		char *op, *key, *value;
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		op = line;
		key = strchr(op, ' ');
		if (key)
			*key++ = '\0';
		value = key ? strchr(key, ' ') : NULL;
		if (value)
			*value++ = '\0';
		if (key)
			decode(key);
		if (value)
			decode(value);
		if (!strcmp(op, "new")) {
			if (c)
				lxc_container_put(c);
			c = lxc_container_new("probe", argv[1]);
			answer(c != NULL);
		} else if (!c || (!key && strcmp(op, "keys"))) {
			puts("bad request");
		} else if (!strcmp(op, "load")) {
			answer(c->load_config(c, key));
		} else if (!strcmp(op, "set")) {
			answer(c->set_config_item(c, key, value ? value : ""));
		} else if (!strcmp(op, "clear")) {
			answer(c->clear_config_item(c, key));
		} else if (!strcmp(op, "get")) {
			memset(text, 0, sizeof(text));
			answer_text(c->get_config_item(c, key, text, sizeof(text)));
		} else if (!strcmp(op, "keys")) {
			memset(text, 0, sizeof(text));
			answer_text(c->get_keys(c, key, text, sizeof(text)));
		} else if (!strcmp(op, "supported")) {
			answer(lxc_config_item_is_supported(key));
		} else if (!strcmp(op, "save")) {
			answer(c->save_config(c, key));
		} else {
			puts("bad request");
		}
		fflush(stdout);
	}
	if (c)
		lxc_container_put(c);
	return 0;
}
