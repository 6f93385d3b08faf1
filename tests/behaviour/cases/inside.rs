//! What a container sees: namespaces, ids, mounts, devices, capabilities, limits, seccomp, kernel settings.

use crate::case::{Cases, Need};
use crate::ctx::T;

pub fn add(c: &mut Cases) {
    namespaces(c);
    ids(c);
    mounts(c);
    devices(c);
    security(c);
    process(c);
}

const NS: [&str; 8] = ["user", "mnt", "pid", "uts", "ipc", "net", "cgroup", "time"];

/// Which of the kinds differ from the host's.
fn own(t: &mut T, name: &str) -> Vec<&'static str> {
    let init = t.init_pid(name);
    let link = |p: &str, ns: &str| std::fs::read_link(format!("/proc/{p}/ns/{ns}")).ok();
    NS.iter().copied().filter(|ns| link(&init.to_string(), ns) != link("self", ns)).collect()
}

fn namespaces(c: &mut Cases) {
    for (id, lines, keys, want) in [
        ("default", "", "", &["mnt", "pid", "uts", "ipc", "net", "cgroup"][..]),
        ("net_none", "lxc.net.0.type = none", "lxc.net.[i].type", &["mnt", "pid", "uts", "ipc", "cgroup"]),
        ("clone", "lxc.namespace.clone = mnt pid uts", "lxc.namespace.clone", &["mnt", "pid", "uts"]),
        ("keep", "lxc.namespace.keep = user net time ipc", "lxc.namespace.keep", &["mnt", "pid", "uts", "cgroup"]),
        (
            "time",
            "lxc.time.offset.boot = 1h",
            "lxc.time.offset.boot",
            &["mnt", "pid", "uts", "ipc", "net", "cgroup", "time"],
        ),
    ] {
        c.add(format!("namespace.{id}"), move |t| {
            let lines = if lines.contains("clone") || lines.contains("keep") {
                format!("{lines}\nlxc.uts.name = c1\nlxc.mount.auto =\nlxc.mount.auto = proc:rw")
            } else {
                lines.to_string()
            };
            t.run("c1", &lines);
            assert_eq!(own(t, "c1"), want);
        })
        .keys(keys);
    }

    c.add("namespace.share_key", |t| {
        t.run("a", "");
        t.run("b", "lxc.namespace.share.net = a\nlxc.namespace.share.ipc = a");
        let (a, b) = (t.init_pid("a"), t.init_pid("b"));
        for ns in ["net", "ipc"] {
            assert_eq!(
                std::fs::read_link(format!("/proc/{a}/ns/{ns}")).ok(),
                std::fs::read_link(format!("/proc/{b}/ns/{ns}")).ok()
            );
        }
        t.sh("lxc-stop -k -n b").ok();
        assert_eq!(t.state("a"), "RUNNING");
    })
    .keys("lxc.namespace.share.*");

    c.add("namespace.share_by_path", |t| {
        t.sh("ip netns add shared").ok();
        t.run("b", "lxc.namespace.share.net = /run/netns/shared");
        let b = t.init_pid("b");
        t.sh(&format!("[ $(stat -Lc %i /proc/{b}/ns/net) = $(stat -Lc %i /run/netns/shared) ]")).ok();
        t.sh("lxc-stop -k -n b").ok();
        t.sh("ip netns del shared; umount /run/netns; rmdir /run/netns; rm -rf /run/mount");
    });

    c.add("namespace.hostname", |t| {
        t.run("c1", "lxc.uts.name = other-name");
        assert_eq!(t.inside("c1", "hostname"), "other-name");
        t.sh("hostname").ok().out("sandbox\n");
    })
    .keys("lxc.uts.name");

    c.add("namespace.no_uts_name", |t| {
        t.mk_bare(crate::ctx::STORE, "c1", "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit");
        t.start("c1");
        assert_eq!(t.inside("c1", "hostname"), "sandbox");
    });

    c.add("namespace.time_offset", |t| {
        t.run("c1", "lxc.time.offset.boot = 1h\nlxc.time.offset.monotonic = 2h");
        let up: f64 = t.inside("c1", "cut -d' ' -f1 /proc/uptime").parse().unwrap_or(0.0);
        let host: f64 = t.read("/proc/uptime").split(' ').next().unwrap_or("").parse().unwrap_or(0.0);
        assert!((up - host - 3600.0).abs() < 60.0, "{up} {host}");
        let offsets = t.inside("c1", "tr -s ' ' < /proc/1/timens_offsets");
        assert_eq!(offsets, "monotonic 7200 0\nboottime 3600 0");
    })
    .keys("lxc.time.offset.boot lxc.time.offset.monotonic");

    c.add("namespace.cgroup_root_is_the_payload", |t| {
        t.run("c1", "");
        let o = t.inside("c1", "cat /proc/1/cgroup");
        for line in o.lines() {
            assert!(line.ends_with(":/"), "{o}");
        }
    });
}

const IDMAP: &str = "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n";

fn ids(c: &mut Cases) {
    c.add("idmap.full", |t| {
        t.mk("c1", IDMAP);
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        assert_eq!(own(t, "c1"), ["user", "mnt", "pid", "uts", "ipc", "net", "cgroup"]);
        let init = t.init_pid("c1");
        t.sh(&format!("stat -c %u:%g /proc/{init}")).out("100000:100000\n");
        assert_eq!(t.inside("c1", "tr -s ' ' < /proc/self/uid_map"), " 0 100000 65536");
        assert_eq!(t.inside("c1", "id -u; id -g; touch /made"), "0\n0");
        t.sh("stat -c %u:%g /var/lib/lxc/c1/rootfs/made").out("100000:100000\n");
        assert_eq!(t.inside("c1", "stat -c '%t:%T %F' /dev/null"), "1:3 character special file");
    })
    .keys("lxc.idmap");

    c.add("idmap.two_ranges", |t| {
        t.write("/etc/subuid", "root:100000:200000\n");
        t.write("/etc/subgid", "root:100000:200000\n");
        t.mk("c1", "lxc.idmap = u 0 100000 1000\nlxc.idmap = u 1000 200000 10\nlxc.idmap = g 0 100000 1000\nlxc.idmap = g 1000 200000 10\n");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        t.sh("lxc-attach -n c1 -u 1000 -g 1000 -- sh -c 'touch /tmp/mine'").ok();
        t.sh("stat -c %u:%g /var/lib/lxc/c1/rootfs/tmp/mine").out("200000:200000\n");
    });

    c.add("idmap.not_granted", |t| {
        t.write("/etc/subuid", "root:1000000:65536\n");
        t.write("/etc/subgid", "root:1000000:65536\n");
        t.mk("c1", IDMAP);
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("idmap.cgroup_is_delegated", |t| {
        t.mk("c1", IDMAP);
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        let dir = t.payload("freezer", "c1");
        t.sh(&format!("stat -c '%a %g' {}", dir.display())).out("775 100000\n");
        t.sh(&format!("stat -c '%a' {}/cgroup.procs", dir.display())).out("664\n");
    });

    c.add("idmap.init_ids", |t| {
        t.run("c1", "lxc.init.uid = 0\nlxc.init.gid = 1000\nlxc.init.groups = 5,6");
        let init = t.init_pid("c1");
        t.sh(&format!("grep -E '^(Uid|Gid|Groups)' /proc/{init}/status"))
            .out("Uid:\t0\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\nGroups:\t5 6 \n");
    })
    .keys("lxc.init.gid lxc.init.groups");
}

fn mounts(c: &mut Cases) {
    // what | lines | a shell line inside | what it prints
    for (id, lines, probe, want) in [
        (
            "proc_mixed",
            "",
            "for m in /proc /proc/sys /proc/sys/net; do grep \" $m \" /proc/mounts | cut -d' ' -f4 | cut -d, -f1; done",
            "rw\nro\nrw",
        ),
        (
            "proc_rw",
            "lxc.mount.auto = proc:rw",
            "grep -c ' /proc/sys ' /proc/mounts; touch /proc/sys/kernel/domainname && echo w",
            "0\nw",
        ),
        (
            "proc_sysrq",
            "",
            "[ -e /proc/sysrq-trigger ] || echo Read-only; (echo x > /proc/sysrq-trigger) 2>&1 | grep -o 'Read-only'; true",
            "Read-only",
        ),
        (
            "sys_mixed",
            "",
            "grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1; grep ' /sys/devices/virtual/net ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1",
            "ro\nrw",
        ),
        (
            "sys_ro",
            "lxc.mount.auto = sys:ro",
            "grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1; grep -c virtual/net /proc/mounts",
            "ro\n0",
        ),
        ("sys_rw", "lxc.mount.auto = sys:rw", "grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1", "rw"),
    ] {
        c.add(format!("mount.auto_{id}"), move |t| {
            t.run("c1", lines);
            let o = t.sh(&format!("lxc-attach -n c1 -- sh -c '{}'", probe.replace('\'', "'\\''")));
            o.check(o.out.trim_end() == want, &format!("{want:?} wanted"));
        });
    }

    c.add("mount.auto_none", |t| {
        t.mk_bare(crate::ctx::STORE, "c1", "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit");
        t.start("c1");
        t.sh("lxc-attach -n c1 -- ls /proc /sys").ok().out("/proc:\n\n/sys:\n");
    });

    c.add("mount.auto_cgroup_with_namespace_is_left_to_the_container", |t| {
        t.run("c1", "lxc.mount.auto = cgroup:mixed");
        assert_eq!(t.inside("c1", "grep -c cgroup /proc/mounts; true"), "0");
    })
    .needs(&[Need::CgroupV1]);

    for (id, word, mode) in [
        ("mixed", "cgroup:mixed:force", ""),
        ("ro", "cgroup:ro:force", "ro"),
        ("rw", "cgroup:rw:force", "rw"),
        ("full", "cgroup-full:rw:force", "rw"),
    ] {
        c.add(format!("mount.auto_cgroup_force_{id}"), move |t| {
            t.run("c1", &format!("lxc.mount.auto = {word}"));
            let m = t.inside("c1", "grep -E ' cgroup2? ' /proc/mounts");
            let n = crate::sandbox::hierarchies().len();
            assert!(m.lines().count() >= n, "one mount per hierarchy: {m}");
            if !mode.is_empty() {
                let f = m.lines().find(|l| l.contains("freezer") || l.contains("cgroup2")).unwrap_or("");
                assert!(f.split(' ').nth(3).unwrap_or("").starts_with(mode), "{m}");
            }
        });
    }

    c.add("mount.auto_cgroup2_word", |t| {
        t.run("c1", "lxc.mount.auto = cgroup2");
        let m = t.inside("c1", "grep cgroup2 /proc/mounts");
        assert!(m.contains("/sys/fs/cgroup "), "{m}");
    })
    .needs(&[Need::CgroupV2]);

    c.add("mount.auto_shmounts", |t| {
        t.sh("mkdir -p /tmp/shared").ok();
        t.run("c1", "lxc.mount.auto = shmounts:/tmp/shared:/shm");
        t.write("/tmp/shared/file", "x");
        assert_eq!(t.inside("c1", "cat /shm/file"), "x");
    })
    .keys("lxc.mount.auto");

    c.add("mount.entry_kinds", |t| {
        t.write("/tmp/dir/file", "in dir\n");
        t.write("/tmp/plain", "in file\n");
        let r = t.mk(
            "c1",
            "lxc.mount.entry = /tmp/dir mnt none bind,ro 0 0\n\
             lxc.mount.entry = /tmp/dir new/deep/dir none bind,create=dir 0 0\n\
             lxc.mount.entry = /tmp/plain new/file none bind,create=file 0 0\n\
             lxc.mount.entry = tmpfs tmp tmpfs size=1m,mode=700,nosuid 0 0\n\
             lxc.mount.entry = /no/such opt none bind,optional 0 0\n\
             lxc.mount.entry = etc var none bind,relative 0 0\n",
        );
        t.start("c1");
        assert_eq!(t.inside("c1", "cat /mnt/file /new/deep/dir/file /new/file"), "in dir\nin dir\nin file");
        t.sh("lxc-attach -n c1 -- touch /mnt/x").code(1).err_has("Read-only");
        assert_eq!(t.inside("c1", "stat -c %a /tmp; grep ' /tmp ' /proc/mounts | grep -o nosuid"), "700\nnosuid");
        assert_eq!(t.inside("c1", "cat /var/passwd | head -1"), "root:x:0:0:root:/root:/bin/sh");
        t.sh("lxc-stop -k -n c1").ok();
        t.exists(r.join("new/deep/dir"));
        t.gone(r.join("new/deep/dir/file"));
        t.sh(&format!("stat -c '%a %s' {}/new/file", r.display())).out("0 0\n");
    })
    .keys("lxc.mount.entry");

    c.add("mount.entry_absolute_target", |t| {
        t.write("/tmp/dir/file", "x");
        t.run("c1", "lxc.mount.entry = /tmp/dir /var/lib/lxc/c1/rootfs/mnt none bind 0 0\nlxc.mount.entry = /tmp/dir /elsewhere none bind 0 0");
        assert_eq!(t.inside("c1", "cat /mnt/file; ls -d /elsewhere 2>/dev/null; true"), "x");
        t.gone("/elsewhere");
    });

    c.add("mount.entry_missing_source_fails", |t| {
        t.mk("c1", "lxc.mount.entry = /no/such mnt none bind 0 0");
        t.sh("lxc-start -n c1").code(1);
        t.mk("c2", "lxc.mount.entry = /tmp no/such/target none bind 0 0");
        t.sh("lxc-start -n c2").code(1);
    });

    c.add("mount.entry_recursive_and_propagation", |t| {
        t.sh("mkdir -p /tmp/a/b && mount -t tmpfs inner /tmp/a/b && touch /tmp/a/b/deep").ok();
        t.before = crate::snapshot::take();
        t.run(
            "c1",
            "lxc.mount.entry = /tmp/a mnt none rbind,rslave 0 0\nlxc.mount.entry = /tmp/a srv none bind,create=dir 0 0",
        );
        assert_eq!(t.inside("c1", "ls /mnt/b; ls /srv/b"), "deep");
    });

    c.add("mount.entry_idmap", |t| {
        t.sh("mkdir -p /tmp/data; echo x > /tmp/data/f").ok();
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\nlxc.mount.entry = /tmp/data mnt none bind,idmap=container 0 0");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        assert_eq!(t.inside("c1", "stat -c %u:%g /mnt/f"), "0:0");
    })
    .needs(&[Need::IdmappedTmpfs]);

    c.add("mount.fstab", |t| {
        t.write("/tmp/dir/file", "x\n");
        t.write("/tmp/fstab", "# comment\n\n/tmp/dir mnt none bind 0 0\ntmpfs tmp tmpfs size=1m 0 0\n");
        t.run("c1", "lxc.mount.fstab = /tmp/fstab");
        assert_eq!(t.inside("c1", "cat /mnt/file; grep -c ' /tmp tmpfs' /proc/mounts"), "x\n1");
    })
    .keys("lxc.mount.fstab");

    c.add("mount.fstab_missing", |t| {
        t.mk("c1", "lxc.mount.fstab = /no/such/fstab");
        t.sh("lxc-start -n c1").code(1);
    });

    c.add("mount.rootfs_options_ro", |t| {
        let r = t.mk("c1", "lxc.rootfs.options = ro");
        t.script(r.join("sbin/shinit"), "trap 'exit 0' PWR\nwhile :; do sleep 1000 & wait $!; done\n");
        t.sh("lxc-start -n c1").ok();
        t.sh("lxc-attach -n c1 -- touch /x").code(1).err_has("Read-only");
    })
    .keys("lxc.rootfs.options");

    c.add("mount.rootfs_idmap", |t| {
        t.mk("c1", &format!("{IDMAP}lxc.rootfs.options = idmap=container"));
        t.start("c1");
        assert_eq!(t.inside("c1", "stat -c %u:%g /bin/busybox; touch /made"), "0:0");
        t.sh("stat -c %u:%g /var/lib/lxc/c1/rootfs/made").out("0:0\n");
    })
    .needs(&[Need::IdmappedTmpfs]);

    c.add("mount.host_is_not_visible", |t| {
        t.run("c1", "");
        let roots = t.inside("c1", "cut -d' ' -f5 /proc/self/mountinfo | sort -u | tr '\\n' ' '");
        assert!(!roots.contains("/var/lib") && !roots.contains("/run"), "{roots}");
        t.sh("lxc-attach -n c1 -- ls /var/lib/lxc").code(1);
    });

    c.add("mount.inside_does_not_leak_out", |t| {
        t.run("c1", "");
        t.inside("c1", "mount -t tmpfs secret /mnt");
        assert!(!t.read("/proc/self/mountinfo").contains("secret"));
    });

    c.add("mount.shipped_rootfs_mount_is_used", |t| {
        t.run("c1", "");
        assert!(!t.read("/proc/self/mountinfo").contains("lxc/rootfs"), "nothing is mounted there on the host");
    });

    c.add("mount.rootfs_below_a_symlink", |t| {
        t.mk("c1", "");
        t.sh("ln -s /var/lib/lxc /tmp/link && sed -i 's,^lxc.rootfs.path.*,lxc.rootfs.path = /tmp/link/c1/rootfs,' /var/lib/lxc/c1/config").ok();
        t.start("c1");
        assert_eq!(t.inside("c1", "hostname"), "c1");
    })
    .keys("lxc.rootfs.path");

    c.add("mount.rootfs_mount_key", |t| {
        t.sh("mkdir -p /tmp/here").ok();
        t.run("c1", "lxc.rootfs.mount = /tmp/here");
        assert_eq!(t.inside("c1", "hostname"), "c1");
        t.mk("c2", "lxc.rootfs.mount = /no/such/dir");
        t.sh("lxc-start -n c2").code(1);
    })
    .keys("lxc.rootfs.mount")
    .needs(&[Need::NoApparmor]);
}

fn devices(c: &mut Cases) {
    c.add("dev.nodes", |t| {
        t.run("c1", "");
        assert_eq!(
            t.inside("c1", "cd /dev; for n in full null random tty urandom zero; do stat -c '%n %t:%T %a' $n; done"),
            "full 1:7 666\nnull 1:3 666\nrandom 1:8 666\ntty 5:0 666\nurandom 1:9 666\nzero 1:5 666"
        );
        assert_eq!(
            t.inside("c1", "cd /dev; for l in fd stdin stdout stderr; do readlink $l; done"),
            "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2"
        );
    });

    c.add("dev.listing", |t| {
        t.run("c1", "");
        assert_eq!(
            t.inside("c1", "ls /dev | tr '\\n' ' '"),
            "console fd full null pts random stderr stdin stdout tty urandom zero"
        );
        t.run("c2", "lxc.pty.max = 4\nlxc.tty.max = 1");
        assert_eq!(
            t.inside("c2", "ls /dev | tr '\\n' ' '"),
            "console fd full null ptmx pts random stderr stdin stdout tty tty1 urandom zero"
        );
    });

    c.add("dev.pts_directory", |t| {
        t.run("c1", "");
        assert_eq!(t.inside("c1", "stat -c '%a' /dev/pts"), "755");
    })
    .differs("dev-pts-directory");

    c.add("dev.tmpfs", |t| {
        t.run("c1", "lxc.autodev.tmpfs.size = 1000000");
        let m = t.inside("c1", "grep ' /dev tmpfs' /proc/mounts");
        assert!(m.contains("mode=755") && (m.contains("size=976k") || m.contains("size=980k")), "{m}");
        t.run("c2", "");
        let m = t.inside("c2", "grep ' /dev tmpfs' /proc/mounts");
        assert!(m.contains("size=492k") || m.contains("size=488k"), "{m}");
    })
    .keys("lxc.autodev.tmpfs.size");

    c.add("dev.autodev_off", |t| {
        let r = t.mk("c1", "lxc.autodev = 0");
        t.sh(&format!("mknod -m 666 {}/dev/null c 1 3", r.display())).ok();
        t.start("c1");
        assert_eq!(t.inside("c1", "grep -c ' /dev tmpfs' /proc/mounts; ls /dev/zero 2>/dev/null; true"), "0");
    })
    .keys("lxc.autodev");

    c.add("dev.devpts", |t| {
        t.run("c1", "lxc.pty.max = 8\nlxc.tty.max = 2");
        let m = t.inside("c1", "grep ' /dev/pts devpts' /proc/mounts");
        for o in ["gid=5", "mode=620", "ptmxmode=666", "max=10", "nosuid", "noexec"] {
            assert!(m.contains(o), "{o} in {m}");
        }
        assert_eq!(t.inside("c1", "stat -c '%t:%T %a' /dev/ptmx"), "5:2 666");
    })
    .keys("lxc.pty.max lxc.tty.max");

    c.add("dev.boot_id_is_masked", |t| {
        t.run("c1", "");
        let host = t.read("/proc/sys/kernel/random/boot_id");
        let inside = t.inside("c1", "cat /proc/sys/kernel/random/boot_id");
        assert_ne!(inside, host.trim());
        assert_eq!(inside.len(), 36);
        assert_eq!(t.inside("c1", "cat /proc/sys/kernel/random/boot_id"), inside, "it stays for the container's life");
    });

    c.add("dev.console_node", |t| {
        t.run("c1", "");
        assert_eq!(t.inside("c1", "stat -c '%F %a' /dev/console"), "character special file 620");
    });
}

fn security(c: &mut Cases) {
    c.add("caps.drop", |t| {
        t.run("c1", "lxc.cap.drop = sys_time sys_module 22");
        let bnd = t
            .inside("c1", "grep CapBnd /proc/1/status")
            .split_whitespace()
            .last()
            .map(|h| u64::from_str_radix(h, 16).unwrap_or(0))
            .unwrap_or(0);
        let host = t
            .sh("grep CapBnd /proc/self/status")
            .out
            .split_whitespace()
            .last()
            .map(|h| u64::from_str_radix(h, 16).unwrap_or(0))
            .unwrap_or(0);
        assert_eq!(bnd, host & !(1 << 25) & !(1 << 16) & !(1 << 22));
    })
    .keys("lxc.cap.drop");

    c.add("caps.keep", |t| {
        t.mk("c1", "lxc.cap.keep = kill sys_admin setpcap dac_override chown fowner sys_chroot setuid setgid");
        t.start("c1");
        let bnd = t
            .inside("c1", "grep CapBnd /proc/1/status")
            .split_whitespace()
            .last()
            .map(|h| u64::from_str_radix(h, 16).unwrap_or(0))
            .unwrap_or(0);
        assert_eq!(bnd, 1 << 5 | 1 << 21 | 1 << 8 | 1 << 1 | 1 << 0 | 1 << 3 | 1 << 18 | 1 << 7 | 1 << 6);
    })
    .keys("lxc.cap.keep");

    c.add("caps.keep_none", |t| {
        t.mk("c1", "lxc.cap.keep = none");
        t.start("c1");
        let o = t.sh("lxc-attach -n c1 -- grep CapBnd /proc/1/status");
        o.ok().out("CapBnd:\t0000000000000000\n");
    });

    c.add("caps.unknown_is_refused", |t| {
        t.mk("c1", "lxc.cap.drop = flying");
        t.sh("lxc-info -n c1 -s").code(1).err_has("Failed to load config");
    });

    c.add("seccomp.v2_denylist", |t| {
        t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir errno 13\nmkdirat errno 13\nno_such_syscall errno 1\n");
        t.run("c1", "lxc.seccomp.profile = /tmp/pol");
        assert_eq!(t.inside("c1", "grep Seccomp: /proc/1/status"), "Seccomp:\t2");
        t.sh("lxc-attach -n c1 -- mkdir /tmp/x").code(1).err_has("Permission denied");
        t.sh("lxc-attach -n c1 -- touch /tmp/x").ok();
    })
    .keys("lxc.seccomp.profile")
    .needs(&[Need::Seccomp]);

    c.add("seccomp.kill_and_arguments", |t| {
        t.write("/tmp/pol", "2\nblacklist\n[all]\nsethostname kill\nkill errno 5 [1,10,SCMP_CMP_EQ]\n");
        t.run("c1", "lxc.seccomp.profile = /tmp/pol");
        t.sh("lxc-attach -n c1 -- hostname new").code(159);
        t.sh("lxc-attach -n c1 -- sh -c 'kill -10 1; echo $?'").out("1\n");
        t.sh("lxc-attach -n c1 -- sh -c 'kill -12 1; echo $?'").out("0\n");
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .needs(&[Need::Seccomp]);

    c.add("seccomp.allowlist", |t| {
        t.write("/tmp/pol", "2\nallowlist errno 38\n[all]\n");
        t.mk("c1", "lxc.seccomp.profile = /tmp/pol");
        // nothing is allowed: init cannot even exec
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .needs(&[Need::Seccomp]);

    for (id, text) in [
        ("version_3", "3\ndenylist\n[all]\nmkdir\n"),
        ("unknown_style", "2\nbogus\n[all]\nmkdir\n"),
        ("unknown_action", "2\ndenylist\n[all]\nmkdir explode\n"),
        ("unknown_section", "2\ndenylist\n[z80]\nmkdir\n"),
        ("empty", ""),
    ] {
        c.add(format!("seccomp.refused.{id}"), move |t| {
            t.write("/tmp/pol", text);
            t.mk("c1", "lxc.seccomp.profile = /tmp/pol");
            t.sh("lxc-start -n c1").code(1);
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .needs(&[Need::Seccomp]);
    }

    c.add("seccomp.missing_file", |t| {
        t.mk("c1", "lxc.seccomp.profile = /no/such/policy");
        t.sh("lxc-start -n c1").code(1);
    })
    .needs(&[Need::Seccomp]);

    c.add("seccomp.cache_follows_the_file", |t| {
        t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir errno 13\n");
        t.run("c1", "lxc.seccomp.profile = /tmp/pol");
        t.sh("lxc-attach -n c1 -- mkdir /tmp/x").code(1);
        t.sh("lxc-stop -k -n c1").ok();
        t.write("/tmp/pol", "2\ndenylist\n[all]\nrmdir errno 13\n");
        t.start("c1");
        t.sh("lxc-attach -n c1 -- mkdir /tmp/x").ok();
    })
    .needs(&[Need::Seccomp]);

    c.add("seccomp.cache_is_private", |t| {
        t.write("/tmp/pol", "2\ndenylist\n[all]\nmkdir errno 13\n");
        t.run("c1", "lxc.seccomp.profile = /tmp/pol");
        t.sh("stat -c '%a %u' /run/lxc/seccomp").ok().out("700 0\n");
    })
    .differs("seccomp-cache")
    .needs(&[Need::Seccomp]);

    c.add("apparmor.every_value_is_accepted_without_it", |t| {
        for v in ["generated", "unconfined", "unchanged", "lxc-container-default-cgns", "nosuch"] {
            t.run(
                "c1",
                &format!(
                    "lxc.apparmor.profile = {v}\nlxc.apparmor.allow_nesting = 1\nlxc.apparmor.allow_incomplete = 1"
                ),
            );
            t.sh("lxc-stop -k -n c1 && rm -r /var/lib/lxc/c1").ok();
        }
    })
    .keys("lxc.apparmor.profile lxc.apparmor.allow_nesting lxc.apparmor.allow_incomplete")
    .needs(&[Need::NoApparmor]);

    c.add("apparmor.unconfined", |t| {
        t.run("c1", "lxc.apparmor.profile = unconfined");
        assert!(t.inside("c1", "cat /proc/1/attr/current").starts_with("unconfined"));
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.default_profile", |t| {
        t.mk("c1", "lxc.apparmor.profile = lxc-container-default-cgns");
        t.start("c1");
        assert!(t.inside("c1", "cat /proc/1/attr/current").starts_with("lxc-container-default-cgns"));
    })
    .keys("lxc.apparmor.profile")
    .needs(&[Need::Apparmor]);

    c.add("apparmor.unknown_profile_is_refused", |t| {
        t.mk("c1", "lxc.apparmor.profile = no-such-profile");
        t.sh("lxc-start -n c1").code(1);
    })
    .needs(&[Need::Apparmor]);
}

fn process(c: &mut Cases) {
    c.add("process.environment", |t| {
        let o = "FOO=from-host lxc-start -n c1";
        t.mk("c1", "lxc.environment = A=1\nlxc.environment = FOO");
        t.sh(o).ok();
        t.ready("c1");
        // the variable must be set for whoever reads the file again
        t.sh("sed -i '/= FOO/d' /var/lib/lxc/c1/config").ok();
        assert_eq!(
            t.inside("c1", "tr '\\0' '\\n' < /proc/1/environ | grep -v container_ttys | sort"),
            "A=1\nFOO=from-host\ncontainer=lxc"
        );
    })
    .keys("lxc.environment");

    c.add("process.environment_runtime_and_hooks", |t| {
        let r = t.mk("c1", "lxc.environment.runtime = R=1\nlxc.environment.hooks = H=1\nlxc.hook.start = /hook");
        t.script(r.join("hook"), "env > /henv\n");
        t.start("c1");
        let hook = t.read(r.join("henv"));
        assert!(hook.contains("H=1\n") && !hook.contains("R=1\n"), "{hook}");
        let init = t.inside("c1", "tr '\\0' '\\n' < /proc/1/environ");
        assert!(init.contains("R=1") && !init.contains("H=1"), "{init}");
    })
    .keys("lxc.environment.runtime lxc.environment.hooks")
    .since("7.0");

    c.add("process.init_cmd_words", |t| {
        let r = t.mk("c1", "lxc.init.cmd = /sbin/rec  one two=2 #three");
        t.script(r.join("sbin/rec"), "for a; do echo \"[$a]\" >> /said; done\ntouch /ready; exec sleep 1000\n");
        t.start("c1");
        assert_eq!(t.read(r.join("said")), "[one]\n[two=2]\n[#three]\n");
    })
    .keys("lxc.init.cmd");

    c.add("process.init_cmd_quotes", |t| {
        let r = t.mk("c1", "lxc.init.cmd = /sbin/rec -c 'touch x; y' \"a b\" c");
        t.script(r.join("sbin/rec"), "for a; do echo \"[$a]\" >> /said; done\ntouch /ready; exec sleep 1000\n");
        t.start("c1");
        assert_eq!(t.read(r.join("said")), "[-c]\n['touch]\n[x;]\n[y']\n[\"a]\n[b\"]\n[c]\n");
    });

    c.add("process.init_cwd", |t| {
        t.run("c1", "lxc.init.cwd = /mnt");
        assert_eq!(t.inside("c1", "readlink /proc/1/cwd"), "/mnt");
        t.run("c2", "");
        assert_eq!(t.inside("c2", "readlink /proc/1/cwd"), "/");
    })
    .keys("lxc.init.cwd");

    c.add("process.init_cwd_is_made", |t| {
        t.run("c1", "lxc.init.cwd = /made/by/start");
        assert_eq!(t.inside("c1", "readlink /proc/1/cwd"), "/made/by/start");
    })
    .since("7.0");

    c.add("process.prlimit", |t| {
        t.run("c1", "lxc.prlimit.nofile = 100:200\nlxc.prlimit.core = 0\nlxc.prlimit.nproc = 1000");
        let l = t.inside("c1", "cat /proc/1/limits");
        let row = |n: &str| {
            l.lines()
                .find(|r| r.starts_with(n))
                .map(|r| r.split_whitespace().collect::<Vec<_>>().join(" "))
                .unwrap_or_default()
        };
        assert!(row("Max open files").contains("100 200"), "{l}");
        assert!(row("Max core file size").contains("0 0"), "{l}");
        assert!(row("Max processes").contains("1000 1000"), "{l}");
    })
    .keys("lxc.prlimit.*");

    c.add("process.prlimit_unknown", |t| {
        t.mk("c1", "lxc.prlimit.bogus = 1");
        t.sh("lxc-start -n c1").code(1);
    });

    c.add("process.sysctl", |t| {
        t.run("c1", "lxc.sysctl.net.ipv4.ip_forward = 1\nlxc.sysctl.kernel.msgmax = 4096\nlxc.mount.auto = proc:rw");
        assert_eq!(t.inside("c1", "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax"), "1\n4096");
        assert_ne!(t.read("/proc/sys/kernel/msgmax"), "4096\n");
    })
    .keys("lxc.sysctl.*");

    c.add("process.proc_files", |t| {
        t.run("c1", "lxc.proc.oom_score_adj = 123");
        assert_eq!(t.inside("c1", "cat /proc/1/oom_score_adj"), "123");
    })
    .keys("lxc.proc.*");

    c.add("process.no_new_privs_off_by_default", |t| {
        t.run("c1", "");
        assert_eq!(t.inside("c1", "grep NoNewPrivs /proc/1/status"), "NoNewPrivs:\t0");
    });

    c.add("process.pid_1_and_session", |t| {
        t.run("c1", "");
        assert_eq!(t.inside("c1", "cut -d' ' -f1,4,5,6 /proc/1/stat"), "1 0 1 1");
        assert_eq!(t.inside("c1", "grep -E '^SigBlk' /proc/1/status"), "SigBlk:\t0000000000000000");
    });

    c.add("process.fds_of_init", |t| {
        let r = t.mk("c1", "lxc.init.cmd = /sbin/fds");
        t.script(
            r.join("sbin/fds"),
            "ls -l /proc/self/fd | grep -o ' [0-9]* -> .*' | grep -v '/fds' > /fds; touch /ready; exec sleep 1000\n",
        );
        t.start("c1");
        let fds = t.read(r.join("fds"));
        let open: Vec<&str> = fds
            .lines()
            .filter_map(|l| l.split_whitespace().next())
            .filter(|n| n.parse::<u32>().is_ok_and(|n| n > 2))
            .collect();
        // ls has its own directory fd (3) and the script's fd (10 or so)
        assert!(open.len() <= 2, "{fds}");
    });
}
