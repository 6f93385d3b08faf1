/* What only the C API does: `client STORE NAME console-log` or `client STORE NAME clone NEW [FLAGS [ARGUMENT…]]`,
 * `client STORE NAME destroy`. */
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct lxc_container *c = argc > 3 ? lxc_container_new(argv[2], argv[1]) : NULL;

	if (!c)
		return 2;
	if (!strcmp(argv[3], "console-log")) {
		struct lxc_console_log log = { 0 };
		uint64_t most = 0;

		log.read = true;
		log.read_max = &most;
		if (c->console_log(c, &log) < 0)
			return 1;
		fwrite(log.data, 1, most, stdout);
		return 0;
	}
	if (!strcmp(argv[3], "clone") && argc > 4)
		return c->clone(c, argv[4], NULL, argc > 5 ? atoi(argv[5]) : 0, NULL, NULL, 0, argc > 6 ? argv + 6 : NULL) ? 0 : 1;
	if (!strcmp(argv[3], "destroy"))
		return c->destroy(c) ? 0 : 1;
	return 2;
}
