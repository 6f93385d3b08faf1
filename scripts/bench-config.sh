#!/usr/bin/env bash
# bench-config.sh: instructions to load a config of 10,000 lines, ours against the library of the distribution's LXC, counted
# by callgrind. The cost of an empty config is taken off both; fails above the ratio 0.5.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
[ -e /usr/include/lxc/lxccontainer.h ] || die 'the headers of the distribution are missing: apt-get install lxc-dev'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/store"

cat > "$work/load.c" << 'END'
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
# One program, two libraries: the interface is the same.
"$CARGO" rustc -q --release --lib --crate-type cdylib
mkdir "$work/lib"
cp target/release/liblxc.so "$work/lib/liblxc.so.1"
gcc -O2 -o "$work/reference" "$work/load.c" -llxc
gcc -O2 -I include -o "$work/ours" "$work/load.c" "$work/lib/liblxc.so.1" -Wl,-rpath,"$work/lib"

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
# Files of one kind of line, for the eye only.
for i in $(seq 10000); do echo "lxc.cgroup2.memory.max = $((i % 20))M"; done > "$work/cgroup2.conf"
for i in $(seq 10000); do echo "lxc.apparmor.profile = p$((i % 20))"; done > "$work/apparmor.conf"

count() { # count PROGRAM...: instructions
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 > "$work/out" |
        sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}
of() { # of WHO FILE PROGRAM...: the cost of the lines alone
    local who=$1 file=$work/$2.conf big small
    shift 2
    "$@" "$file" > "$work/out" || die "$who does not load the config"
    big=$(count "$@" "$file")
    small=$(count "$@" "$work/small.conf")
    echo $((big - small))
}
for file in cgroup2 apparmor big; do
    reference=$(of reference "$file" "$work/reference" "$work/store")
    ours=$(of ours "$file" "$work/ours" "$work/store")
    awk -v f="$file" -v o="$ours" -v r="$reference" 'BEGIN {
        printf "10,000 lines (%s): ours %d, reference %d instructions, ratio %.3f\n", f, o, r, o / r
        exit f == "big" && o / r > 0.5
    }'
done
