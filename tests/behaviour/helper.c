/* What the cases of keys.rs ask the kernel that no shell can: one static program, `helper WORD ...`. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "session-keyring")) { /* keyctl(2): KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING */
		printf("%ld\n", syscall(SYS_keyctl, 0, -3, 0));
		return 0;
	}
	if (!strcmp(word, "core-cookie") && argc > 2) { /* prctl(2): PR_SCHED_CORE, PR_SCHED_CORE_GET, a thread */
		unsigned long cookie = 0;

		if (prctl(62, 0, atoi(argv[2]), 0, &cookie))
			printf("%s\n", strerror(errno));
		else
			printf("%lu\n", cookie);
		return 0;
	}
	if (!strcmp(word, "confined") && argc > 2) { /* runs a command behind a filter that allows everything */
		struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
		struct sock_fprog filter = { 1, all };

		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
			return 1;
		execvp(argv[2], argv + 2);
	}
	return 2;
}
