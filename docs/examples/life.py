#!/usr/bin/python3
"""The life of a container with python3-lxc: defined, started, entered, frozen, stopped.

    ./life.py STORE ROOTFS

STORE is a directory for containers, ROOTFS a directory with a root file system that has /bin/sh.
"""
import sys

import lxc

store, rootfs = sys.argv[1:3]
c = lxc.Container("example", config_path=store)
for key, value in (
    ("lxc.rootfs.path", "dir:" + rootfs),
    ("lxc.rootfs.managed", "0"),  # destroy() leaves ROOTFS alone
    ("lxc.init.cmd", "/bin/sleep 1000"),
):
    c.set_config_item(key, value)
c.network.add("empty")
c.save_config()
if not c.start():
    sys.exit("it does not start")
print(c.name, "is", c.state, "- its init is process", c.init_pid, "here", flush=True)
try:
    # Programs of the container, and functions of this program inside of it.
    status = c.attach_wait(lxc.attach_run_command, ["sh", "-c", "echo hello from inside"])
    status |= c.attach_wait(lambda: print("a function inside", flush=True) or 0)
    if not c.freeze() or c.state != "FROZEN" or not c.unfreeze():
        status = 1
finally:
    c.stop()
sys.exit(status)
