#!/usr/bin/env bash
# bench-config.sh: instructions to load a config of 10,000 lines, ours against the library of the distribution's LXC, counted
# by callgrind. The cost of an empty config is taken off both; fails above the ratio 0.5.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -e /usr/include/lxc/lxccontainer.h ] || die 'the headers of the distribution are missing: apt-get install lxc-dev'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/store"

cat > "$work/reference.c" << 'END'
#include <lxc/lxccontainer.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct lxc_container *c = argc > 2 ? lxc_container_new("bench", argv[1]) : NULL;

	if (!c || !c->load_config(c, argv[2]))
		return 1;
	lxc_container_put(c);
	return 0;
}
END
gcc -O2 -o "$work/reference" "$work/reference.c" -llxc
"$CARGO" build -q --release --example load_config
cp target/release/examples/load_config "$work/ours"

# Eleven kinds of lines in turn, their values counted through.
awk 'BEGIN {
    for (i = 0; i < 10000; i++) {
        n = i % 20
        if (i == 0) print "lxc.net.0.type = veth"
        else if (i % 11 == 0) print "lxc.hook.pre-start = /srv/hook" n
        else if (i % 11 == 1) print "lxc.net.0.ipv4.address = 10.0." n ".1/24"
        else if (i % 11 == 2) print "lxc.start.order = " n
        else if (i % 11 == 3) print "lxc.uts.name = web" n
        else if (i % 11 == 4) print "lxc.environment = V" n "=" n
        else if (i % 11 == 5) print "lxc.group = g" n
        else if (i % 11 == 6) print "lxc.tty.max = " n
        else if (i % 11 == 7) print "lxc.cgroup2.memory.max = " n "M"
        else if (i % 11 == 8) print "lxc.mount.entry = /srv/" n " mnt/" n " none bind 0 0"
        else if (i % 11 == 9) print "lxc.signal.halt = SIGRTMIN+" (n % 5)
        else print "lxc.sysctl.net.ipv4.k" n " = 1"
    }
}' > "$work/big.conf"
echo '# nothing' > "$work/small.conf"

count() { # count PROGRAM...: instructions
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 > "$work/out" |
        sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}
of() { # of WHO PROGRAM...: the cost of the lines alone
    local who=$1 big small
    shift
    "$@" "$work/big.conf" > "$work/out" || die "$who does not load the config"
    big=$(count "$@" "$work/big.conf")
    small=$(count "$@" "$work/small.conf")
    echo $((big - small))
}
reference=$(of reference "$work/reference" "$work/store")
ours=$(of ours "$work/ours")
awk -v o="$ours" -v r="$reference" 'BEGIN {
    printf "10,000 lines: ours %d, reference %d instructions, ratio %.3f\n", o, r, o / r
    exit o / r > 0.5
}'
