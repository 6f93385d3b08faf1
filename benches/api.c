/*
 * The calls that management daemons make by the hundred, counted: run under valgrind --tool=callgrind, on one library and
 * on another. Arguments: STORE NAME CALL COUNT; the container NAME runs. `none` makes no calls: what the rest costs.
 */
#include <lxc/lxccontainer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct lxc_container *c;
	char buf[1024];
	int n, ok = 1;

	if (argc != 5)
		return 2;
	c = lxc_container_new(argv[2], argv[1]);
	n = atoi(argv[4]);
	for (int i = 0; c && i < n; i++) {
		if (!strcmp(argv[3], "state"))
			ok &= !strcmp(c->state(c), "RUNNING");
		else if (!strcmp(argv[3], "is_running"))
			ok &= c->is_running(c);
		else if (!strcmp(argv[3], "init_pid"))
			ok &= c->init_pid(c) > 0;
		else if (!strcmp(argv[3], "get_cgroup_item"))
			ok &= c->get_cgroup_item(c, "memory.usage_in_bytes", buf, sizeof buf) > 0;
		else if (!strcmp(argv[3], "set_config_item"))
			ok &= c->set_config_item(c, "lxc.uts.name", "guest");
		else if (!strcmp(argv[3], "get_config_item"))
			ok &= c->get_config_item(c, "lxc.uts.name", buf, sizeof buf) > 0;
	}
	lxc_container_put(c);
	return !c || !ok;
}
