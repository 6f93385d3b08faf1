//! lxc-destroy.

use crate::case::Cases;

pub fn add(c: &mut Cases) {
    c.add("destroy.stopped", |t| {
        t.mk("c1", "");
        t.sh("lxc-destroy -n c1").ok().silent();
        t.gone("/var/lib/lxc/c1");
        t.sh("lxc-ls -1").ok().silent();
    });

    c.add("destroy.running_is_refused", |t| {
        t.run("c1", "");
        t.sh("lxc-destroy -n c1").code(1).out("").err_has("c1 is running");
        assert_eq!(t.state("c1"), "RUNNING");
        t.exists("/var/lib/lxc/c1/rootfs/bin/busybox");
    });

    for opt in ["-f", "--force"] {
        c.add(format!("destroy.force{opt}"), move |t| {
            t.run("c1", "");
            t.sh(&format!("lxc-destroy {opt} -n c1")).ok().silent();
            t.gone("/var/lib/lxc/c1");
            t.until("the monitor is gone", |t| t.monitor_pid("c1").is_none());
        })
        .covers("destroy -f --force");
    }

    c.add("destroy.frozen_forced", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-destroy -f -n c1").ok();
        t.gone("/var/lib/lxc/c1");
    });

    c.add("destroy.symlinks_are_not_followed", |t| {
        let r = t.mk("c1", "");
        t.write("/tmp/canary/file", "alive");
        std::os::unix::fs::symlink("/tmp/canary", r.join("mnt/link")).unwrap_or_else(|e| panic!("{e}"));
        t.sh("lxc-destroy -n c1").ok();
        assert_eq!(t.read("/tmp/canary/file"), "alive");
    });

    c.add("destroy.mounts_are_not_entered", |t| {
        let r = t.mk("c1", "");
        // The same file system on both sides: the device number says nothing.
        t.write("/var/lib/lxc/canary/file", "alive");
        t.sh(&format!("mkdir {0}/bound && mount --bind /var/lib/lxc/canary {0}/bound", r.display())).ok();
        t.sh("lxc-destroy -n c1").code(1).err_has("bound").err_has("umount");
        assert_eq!(t.read("/var/lib/lxc/canary/file"), "alive");
        t.sh(&format!("umount {}/bound", r.display())).ok();
        t.sh("lxc-destroy -n c1").ok();
        t.gone("/var/lib/lxc/c1");
        t.sh("rm -r /var/lib/lxc/canary").ok();
    })
    .differs("destroy-enters-no-mount");

    c.add("destroy.deep_trees_go", |t| {
        t.mk("c1", "");
        // A container may nest as deep as it likes: nothing of ours may end by that.
        let deep =
            "i=0; d=$(printf 'd/%.0s' $(seq 50)); while [ $i -lt 60 ]; do mkdir -p $d && cd $d; i=$((i+1)); done";
        t.sh(&format!("cd /var/lib/lxc/c1/rootfs && {deep}")).ok();
        t.sh("ulimit -n 256; lxc-destroy -n c1").ok().silent();
        t.gone("/var/lib/lxc/c1");
    })
    .differs("destroy-deep-trees");

    c.add("destroy.unmanaged_rootfs_stays", |t| {
        t.mk("c1", "lxc.rootfs.managed = 0");
        let o = t.sh("lxc-destroy -n c1");
        o.no_crash();
        t.exists("/var/lib/lxc/c1/rootfs/bin/busybox");
    })
    .keys("lxc.rootfs.managed");

    c.add("destroy.rootfs_elsewhere", |t| {
        t.mk("c0", "");
        t.sh("mv /var/lib/lxc/c0/rootfs /tmp/elsewhere && rm -r /var/lib/lxc/c0");
        t.write("/var/lib/lxc/c1/config", "lxc.rootfs.path = dir:/tmp/elsewhere\nlxc.net.0.type = empty\n");
        t.sh("lxc-destroy -n c1").ok();
        t.gone("/var/lib/lxc/c1");
        t.gone("/tmp/elsewhere");
    });

    c.add("destroy.hook_runs", |t| {
        t.script("/tmp/hook", "echo \"$LXC_NAME $1 $2 $3\" > /tmp/destroyed\n");
        t.mk("c1", "lxc.hook.destroy = /tmp/hook");
        t.sh("lxc-destroy -n c1").ok();
        assert_eq!(t.read("/tmp/destroyed"), "c1 c1 lxc destroy\n");
        t.gone("/var/lib/lxc/c1");
    })
    .keys("lxc.hook.destroy");

    c.add("destroy.failing_hook_stops_it", |t| {
        t.mk("c1", "lxc.hook.destroy = /bin/false");
        t.sh("lxc-destroy -n c1").code(1);
        t.exists("/var/lib/lxc/c1/config");
    });

    c.add("destroy.snapshots_option_without_snapshots", |t| {
        t.mk("c1", "");
        t.sh("lxc-destroy -s -n c1").ok();
        t.gone("/var/lib/lxc/c1");
        t.mk("c1", "");
        t.sh("lxc-destroy --snapshots -n c1").ok();
        t.gone("/var/lib/lxc/c1");
    })
    .covers("destroy -s --snapshots");

    c.add("destroy.has_snapshots", |t| {
        t.mk("c1", "");
        t.write("/var/lib/lxc/c1/snaps/snap0/config", "");
        t.sh("lxc-destroy -n c1").code(1).err_has("c1 has snapshots");
        t.exists("/var/lib/lxc/c1/rootfs/bin/busybox");
    });

    c.add("destroy.directory_without_config", |t| {
        t.write("/var/lib/lxc/c1/other", "x");
        t.sh("lxc-destroy -n c1").code(1).err_has("Container is not defined");
        t.exists("/var/lib/lxc/c1/other");
    });

    c.add("destroy.broken_config_of_a_stopped_container", |t| {
        t.mk("c1", "lxc.bogus = 1");
        t.sh("lxc-destroy -n c1").ok();
        t.gone("/var/lib/lxc/c1");
    })
    .differs("broken-config-does-not-lock-the-owner-out");
}
