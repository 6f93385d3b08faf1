#!/bin/sh
# client.sh PROGRAM STORE: runs a client's program (client.lua, or what client.go was built to) with a rootfs and a template of
# its own.
set -eu
program=$1 store=$2 rootfs=$2/lua/rootfs
mkdir -p "$rootfs"
for dir in bin sbin dev proc sys etc tmp root run; do mkdir -p "$rootfs/$dir"; done
cp /bin/busybox "$rootfs/bin/busybox"
for tool in sh sleep true false cat ls id hostname rm; do ln -sf busybox "$rootfs/bin/$tool"; done
cat > "$rootfs/sbin/shinit" << 'INIT'
#!/bin/sh
export PATH=/bin
trap 'exit 0' PWR TERM
trap 'busybox reboot -f' INT
echo ready > /run/ready
while :; do sleep 1000 & wait $!; done
INIT
chmod 755 "$rootfs/sbin/shinit"
mkdir -p "$store/bin"
cp "$program" "$store/bin/client"
cat > "$store/bin/client.template" << 'TEMPLATE'
#!/bin/sh
for word; do case $word in --rootfs=*) mkdir -p "${word#*=}/etc"; echo made > "${word#*=}/etc/x" ;; esac; done
TEMPLATE
chmod 755 "$store/bin/client.template"
case $program in
    *.lua) exec lua5.2 "$program" "$store" "$rootfs" ;;
    *) exec "$store/bin/client" "$store" "$rootfs" ;;
esac
