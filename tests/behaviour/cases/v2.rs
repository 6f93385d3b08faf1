//! Pure cgroup v2: limits, delegation, devices, freezer, attach, numbers, what is left. And AppArmor, which comes with the
//! same kernels. Run by `make check-vm`.

use crate::case::{Cases, Need};
use crate::ctx::T;
use nix::sys::signal::Signal;

const V2: &[Need] = &[Need::CgroupV2];
const IDMAP: &str = "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n";

/// A file of the container's limited group.
fn file(t: &T, name: &str, file: &str) -> String {
    t.read(t.payload("memory", name).join(file)).trim_end().to_string()
}

pub fn add(c: &mut Cases) {
    limits(c);
    translated(c);
    delegation(c);
    devices(c);
    freezer(c);
    attach(c);
    numbers(c);
    mounts(c);
    leftovers(c);
    apparmor(c);
    apparmor_default(c);
}

fn limits(c: &mut Cases) {
    c.add("v2.limits_of_every_controller", |t| {
        t.run(
            "c1",
            "lxc.cgroup2.memory.max = 64M\nlxc.cgroup2.memory.high = 48M\nlxc.cgroup2.memory.low = 1M\n\
             lxc.cgroup2.memory.swap.max = 0\nlxc.cgroup2.pids.max = 50\nlxc.cgroup2.cpu.max = 50000 100000\n\
             lxc.cgroup2.cpu.weight = 20\nlxc.cgroup2.cpuset.cpus = 0\nlxc.cgroup2.cpuset.mems = 0\n\
             lxc.cgroup2.io.weight = 50\n",
        );
        for (name, want) in [
            ("memory.max", "67108864"),
            ("memory.high", "50331648"),
            ("memory.low", "1048576"),
            ("memory.swap.max", "0"),
            ("pids.max", "50"),
            ("cpu.max", "50000 100000"),
            ("cpu.weight", "20"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("io.weight", "default 50"),
        ] {
            assert_eq!(file(t, "c1", name), want, "{name}");
        }
        let init = t.init_pid("c1");
        assert!(t.read(format!("/proc/{init}/status")).contains("Cpus_allowed_list:\t0\n"));
    })
    .needs(V2);

    c.add("v2.limits_in_order", |t| {
        t.run("c1", "lxc.cgroup2.pids.max = 5\nlxc.cgroup2.pids.max = 60");
        assert_eq!(file(t, "c1", "pids.max"), "60");
    })
    .needs(V2);

    c.add("v2.limits_bind", |t| {
        t.run("c1", "lxc.cgroup2.pids.max = 8\nlxc.cgroup2.memory.max = 16M\nlxc.cgroup2.memory.swap.max = 0");
        t.sh("lxc-attach -n c1 -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done'").err_has("can't fork");
        t.sh("lxc-attach -n c1 -- dd if=/dev/zero of=/dev/null bs=64M count=1").code(137);
        let events = file(t, "c1", "memory.events");
        assert!(events.lines().any(|l| l.starts_with("oom_kill ") && l != "oom_kill 0"), "{events}");
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .needs(V2);

    for (id, key, value, part) in [
        ("unknown_file", "memory.no_such_file", "1", "memory.no_such_file"),
        ("no_controller", "bogus.max", "1", "bogus"),
        ("bad_value", "memory.max", "abc", "memory.max"),
        ("no_such_cpu", "cpuset.cpus", "4000", "cpuset.cpus"),
    ] {
        c.add(format!("v2.limit_refused_{id}"), move |t| {
            t.mk("c1", &format!("lxc.cgroup2.{key} = {value}"));
            let o = t.sh("lxc-start -n c1");
            o.code(1);
            let first = o.err.lines().next().unwrap_or("");
            o.check(first.contains(part), "the first line names the limit");
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .needs(V2)
        .differs("start-first-line");
    }

    c.add("v2.two_containers_do_not_mix", |t| {
        t.run("c1", "lxc.cgroup2.pids.max = 40");
        t.run("c2", "lxc.cgroup2.pids.max = 50");
        assert_eq!((file(t, "c1", "pids.max"), file(t, "c2", "pids.max")), ("40".into(), "50".into()));
        t.sh("lxc-stop -k -n c1").ok();
        t.exists(t.payload("memory", "c2"));
        assert_eq!(t.state("c2"), "RUNNING");
    })
    .needs(V2);
}

fn translated(c: &mut Cases) {
    c.add("v2.version_1_keys_are_translated", |t| {
        t.mk(
            "c1",
            "lxc.cgroup.memory.limit_in_bytes = 64M\nlxc.cgroup.memory.memsw.limit_in_bytes = 96M\n\
             lxc.cgroup.cpu.shares = 512\nlxc.cgroup.cpu.cfs_quota_us = 20000\nlxc.cgroup.cpu.cfs_period_us = 50000\n\
             lxc.cgroup.cpuset.cpus = 0\nlxc.cgroup.pids.max = 33\nlxc.cgroup.blkio.weight = 250\n",
        );
        t.start_with("c1", "-l INFO -o /tmp/log");
        for (name, want) in [
            ("memory.max", "67108864"),
            ("memory.swap.max", "33554432"),
            ("cpu.weight", "50"),
            ("cpu.max", "20000 50000"),
            ("cpuset.cpus", "0"),
            ("pids.max", "33"),
            ("io.weight", "default 50"),
        ] {
            assert_eq!(file(t, "c1", name), want, "{name}");
        }
        let log = t.read("/tmp/log");
        assert!(log.contains("lxc.cgroup.memory.limit_in_bytes = 64M is set as memory.max = 64M"), "{log}");
    })
    .needs(V2)
    .differs("cgroup-keys-are-translated");

    c.add("v2.own_words_win_over_translated_ones", |t| {
        t.run("c1", "lxc.cgroup2.memory.max = 32M\nlxc.cgroup.memory.limit_in_bytes = 64M\nlxc.cgroup.pids.max = 20");
        assert_eq!((file(t, "c1", "memory.max"), file(t, "c1", "pids.max")), ("33554432".into(), "20".into()));
    })
    .needs(V2)
    .differs("cgroup-keys-are-translated");

    c.add("v2.what_has_no_counterpart_is_a_warning", |t| {
        t.mk("c1", "lxc.cgroup.memory.swappiness = 10\nlxc.cgroup.net_cls.classid = 1");
        t.start_with("c1", "-l WARN -o /tmp/log");
        let log = t.read("/tmp/log");
        assert!(log.contains("lxc.cgroup.memory.swappiness") && log.contains("lxc.cgroup.net_cls.classid"), "{log}");
    })
    .needs(V2);

    c.add("v2.version_1_device_rules_are_translated", |t| {
        t.run(
            "c1",
            "lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = c 1:3 rwm\nlxc.cgroup.devices.allow = /dev/zero r",
        );
        t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/null'").ok();
        t.sh("lxc-attach -n c1 -- head -c 1 /dev/zero").ok();
        t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/zero'").code(1).err_has("Operation not permitted");
        t.sh("lxc-attach -n c1 -- head -c 1 /dev/urandom").code(1).err_has("Operation not permitted");
    })
    .needs(V2)
    .differs("cgroup-keys-are-translated");
}

fn delegation(c: &mut Cases) {
    c.add("v2.controllers_reach_the_container", |t| {
        t.run("c1", "lxc.mount.auto = cgroup:rw");
        let all = t.read("/sys/fs/cgroup/cgroup.controllers");
        for controller in ["cpu", "cpuset", "io", "memory", "pids"] {
            assert!(all.split_whitespace().any(|c| c == controller), "{all}");
        }
        assert_eq!(file(t, "c1", "cgroup.controllers"), all.trim_end());
        assert_eq!(file(t, "c1", "cgroup.subtree_control"), "", "the container's own business");
        assert_eq!(t.inside("c1", "cat /sys/fs/cgroup/cgroup.controllers"), all.trim_end());
    })
    .needs(V2);

    c.add("v2.inner_group_has_the_controllers", |t| {
        t.run(
            "c1",
            "lxc.cgroup.dir.monitor = m1\nlxc.cgroup.dir.container = p1\nlxc.cgroup.dir.container.inner = in\n\
             lxc.cgroup2.memory.max = 64M",
        );
        assert_eq!(t.read("/sys/fs/cgroup/p1/memory.max"), "67108864\n");
        assert_eq!(t.read("/sys/fs/cgroup/p1/in/memory.max"), "max\n");
        assert!(t.read("/sys/fs/cgroup/p1/in/cgroup.controllers").contains("memory"));
        let init = t.init_pid("c1");
        assert_eq!(t.read(format!("/proc/{init}/cgroup")), "0::/p1/in\n");
        t.sh("lxc-attach -n c1 -- true").ok();
        t.sh("lxc-stop -k -n c1").ok();
        t.gone("/sys/fs/cgroup/p1");
        t.until("the monitor's group is gone", |t| t.sh("find /sys/fs/cgroup -name m1").out.is_empty());
    })
    .needs(V2)
    .differs("no-cgroups-left");

    // What a service with Delegate=yes does: alone in its group, it must leave before that can hand controllers on.
    c.add("v2.relative_in_a_group_of_its_own", |t| {
        t.mk(
            "c1",
            "lxc.cgroup.relative = 1\nlxc.cgroup2.memory.max = 64M\nlxc.cgroup2.pids.max = 30\n\
             lxc.cgroup.dir.monitor = m1\nlxc.cgroup.dir.container = p/q\nlxc.cgroup.dir.container.inner = in",
        );
        t.sh("echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control && mkdir /sys/fs/cgroup/own").ok();
        let mut fg = t.spawn("echo 0 > /sys/fs/cgroup/own/cgroup.procs && exec lxc-start -F -n c1");
        t.ready("c1");
        assert_eq!(t.read("/sys/fs/cgroup/own/p/q/memory.max"), "67108864\n");
        assert_eq!(t.read("/sys/fs/cgroup/own/p/q/pids.max"), "30\n");
        assert_eq!(t.read("/sys/fs/cgroup/own/p/q/in/memory.max"), "max\n");
        let init = t.init_pid("c1");
        assert_eq!(t.read(format!("/proc/{init}/cgroup")), "0::/own/p/q/in\n");
        t.sh("lxc-stop -k -n c1").ok();
        fg.wait(20);
        t.sh("find /sys/fs/cgroup/own -mindepth 1 -type d").ok().out("");
        t.sh("rmdir /sys/fs/cgroup/own").ok();
    })
    .needs(V2)
    .differs("no-cgroups-left");

    // The root of an id-mapped container makes groups, moves into them, hands controllers on: what systemd does. The limits
    // above it are not its to change.
    c.add("v2.idmapped_root_uses_its_delegation", |t| {
        let r = t.mk("c1", &format!("{IDMAP}lxc.mount.auto = cgroup:rw\nlxc.cgroup2.pids.max = 100"));
        t.write(
            r.join("on-boot"),
            "cd /sys/fs/cgroup && mkdir init.scope && echo $$ > init.scope/cgroup.procs &&\n\
             echo '+pids +memory' > cgroup.subtree_control && mkdir a && echo 10 > a/pids.max && echo fine > /result\n\
             echo 200 > pids.max\ncd /\n",
        );
        t.sh(&format!("chmod 755 {0}/on-boot; chown -Rh 100000:100000 {0}", r.display())).ok();
        t.start("c1");
        assert_eq!(t.read(r.join("result")), "fine\n");
        assert_eq!((file(t, "c1", "a/pids.max"), file(t, "c1", "pids.max")), ("10".into(), "100".into()));
        // Its group hands controllers on, and so refuses processes: lxc-attach has a leaf of its own.
        assert_eq!(t.inside("c1", "cat /proc/self/cgroup"), "0::/.lxc");
        let dir = t.payload("memory", "c1");
        t.sh(&format!("stat -c '%u:%g %a' {0} {0}/cgroup.subtree_control {0}/pids.max", dir.display()))
            .out("0:100000 775\n0:100000 664\n0:0 644\n");
        t.sh("lxc-stop -n c1").ok();
        t.gone(dir);
    })
    .needs(V2);
}

fn devices(c: &mut Cases) {
    c.add("v2.shipped_device_rules", |t| {
        let include = t.prefix.join("share/lxc/config/common.conf").display().to_string();
        t.run("c1", &format!("lxc.include = {include}"));
        t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/null && head -c 1 /dev/urandom > /dev/zero'").ok();
        t.sh("lxc-attach -n c1 -- sh -c 'mknod /tmp/k c 1 2 && head -c 1 /tmp/k'")
            .code(1)
            .err_has("Operation not permitted");
        t.sh("lxc-attach -n c1 -- sh -c 'mknod /tmp/d b 254 0 && head -c 1 /tmp/d'")
            .code(1)
            .err_has("Operation not permitted");
    })
    .needs(V2);

    c.add("v2.bad_device_rule_is_named", |t| {
        t.mk("c1", "lxc.cgroup2.devices.allow = c 1:x rwm");
        t.sh("lxc-start -n c1").code(1).err_has("c 1:x rwm");
    })
    .needs(V2)
    .differs("start-first-line");

    c.add("v2.device_rules_survive_a_reboot", |t| {
        t.run("c1", "lxc.cgroup2.devices.deny = a\nlxc.cgroup2.devices.allow = c 1:3 rwm\nlxc.cgroup2.pids.max = 77");
        let before = t.init_pid("c1");
        let _ = std::fs::remove_file(t.rootfs("c1").join("ready"));
        t.sh("lxc-stop -r -n c1").ok();
        t.until("another init", |t| t.sh("lxc-info -n c1 -pH").out.trim() != before.to_string());
        t.ready("c1");
        t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/null'").ok();
        t.sh("lxc-attach -n c1 -- head -c 1 /dev/zero").code(1);
        assert_eq!(file(t, "c1", "pids.max"), "77");
    })
    .needs(V2);
}

fn freezer(c: &mut Cases) {
    c.add("v2.freeze_and_thaw", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok().silent();
        assert_eq!(t.state("c1"), "FROZEN");
        assert_eq!(file(t, "c1", "cgroup.freeze"), "1");
        assert!(file(t, "c1", "cgroup.events").contains("frozen 1"));
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-wait -n c1 -s FROZEN -t 5").ok();
        t.sh("lxc-unfreeze -n c1").ok().silent();
        assert_eq!(t.state("c1"), "RUNNING");
        assert!(file(t, "c1", "cgroup.events").contains("frozen 0"));
        assert_eq!(t.inside("c1", "echo alive"), "alive");
    })
    .needs(V2);

    c.add("v2.frozen_container_is_stopped", |t| {
        for stop in ["lxc-stop -n c1 -k", "lxc-stop -n c1 -t 10"] {
            t.run("c1", "");
            t.sh("lxc-freeze -n c1").ok();
            t.sh(stop).ok();
            assert_eq!(t.state("c1"), "STOPPED");
            t.gone(t.payload("memory", "c1"));
            t.sh("rm -r /var/lib/lxc/c1").ok();
        }
    })
    .needs(V2);

    c.add("v2.monitor_killed_while_frozen", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        let (m, init) = (t.monitor_pid("c1").unwrap_or(0), t.init_pid("c1"));
        t.kill(m, Signal::SIGKILL);
        t.until("init died with its monitor", |t| t.read(format!("/proc/{init}/stat")).is_empty());
        assert_eq!(t.state("c1"), "STOPPED");
        t.start("c1");
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .needs(V2);
}

fn attach(c: &mut Cases) {
    c.add("v2.attach_enters_a_leaf_below_the_limits", |t| {
        t.run("c1", "lxc.cgroup2.pids.max = 30");
        assert_eq!(t.inside("c1", "cat /proc/self/cgroup"), "0::/.lxc");
        let bg = t.spawn("exec lxc-attach -n c1 -- sleep 100");
        t.until("it sits in the leaf", |t| !file(t, "c1", ".lxc/cgroup.procs").is_empty());
        assert!(file(t, "c1", ".lxc/cgroup.controllers").is_empty(), "nothing is handed on for it");
        t.kill(bg.pid(), Signal::SIGTERM);
        t.sh("lxc-stop -k -n c1").ok();
        t.gone(t.payload("memory", "c1"));
    })
    .needs(V2);

    // What a container can make of the leaf must not keep its owner out.
    c.add("v2.attach_passes_a_leaf_that_refuses", |t| {
        let r = t.mk("c1", "lxc.mount.auto = cgroup:rw");
        t.script(
            r.join("on-boot"),
            "cd /sys/fs/cgroup && mkdir init.scope .lxc && echo 1 > init.scope/cgroup.procs &&\n\
             echo +pids > cgroup.subtree_control && mkdir .lxc/x && echo +pids > .lxc/cgroup.subtree_control &&\n\
             echo fine > /result\ncd /\n",
        );
        t.start("c1");
        assert_eq!(t.read(r.join("result")), "fine\n");
        assert_eq!(t.inside("c1", "cat /proc/self/cgroup"), "0::/.lxc-1");
    })
    .needs(V2);

    c.add("v2.attach_beside_threaded_groups", |t| {
        let r = t.mk("c1", "lxc.mount.auto = cgroup:rw");
        t.script(
            r.join("on-boot"),
            "cd /sys/fs/cgroup && mkdir .lxc && echo threaded > .lxc/cgroup.type && echo fine > /result\ncd /\n",
        );
        t.start("c1");
        assert_eq!(t.read(r.join("result")), "fine\n");
        assert_eq!(t.inside("c1", "cat /proc/self/cgroup"), "0::/");
    })
    .needs(V2);
}

fn numbers(c: &mut Cases) {
    c.add("v2.info_statistics", |t| {
        let r = t.mk("c1", "lxc.mount.entry = tmpfs tmp tmpfs size=16m 0 0");
        t.start("c1");
        t.inside(
            "c1",
            "dd if=/dev/zero of=/tmp/f bs=1M count=8 2> /dev/null; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done",
        );
        let _ = r;
        let o = t.sh("lxc-info -n c1 -S");
        let labels: Vec<&str> = o.ok().out.lines().map(|l| l.split(':').next().unwrap_or("")).collect();
        assert_eq!(labels, ["CPU use", "BlkIO use", "Memory use", "KMem use"]);
        let o = t.sh("lxc-info -n c1 -SH");
        let n: Vec<u64> = o.ok().out.lines().filter_map(|l| l.get(16..)?.parse().ok()).collect();
        let [cpu, _, memory, kmem] = n[..] else { o.fail("four numbers") };
        let used: u64 =
            file(t, "c1", "cpu.stat").lines().find_map(|l| l.strip_prefix("usage_usec ")?.parse().ok()).unwrap_or(0);
        o.check(cpu > 0 && cpu <= used * 1000, "CPU time is cpu.stat's, in nanoseconds");
        o.check((8 << 20..32 << 20).contains(&memory), "the file in tmpfs counts as memory");
        o.check(kmem > 0, "kernel memory");
    })
    .needs(V2)
    .differs("numbers-on-cgroup2");

    c.add("v2.ls_ram", |t| {
        t.mk("c1", "lxc.mount.entry = tmpfs tmp tmpfs size=16m 0 0");
        t.start("c1");
        t.inside("c1", "dd if=/dev/zero of=/tmp/f bs=1M count=8 2> /dev/null");
        let o = t.sh("lxc-ls -f -F NAME,STATE,RAM,SWAP");
        let row: Vec<&str> = o.ok().out.lines().nth(1).unwrap_or("").split_whitespace().collect();
        let ram: f32 = row.get(2).and_then(|r| r.strip_suffix("MB")?.parse().ok()).unwrap_or(0.0);
        o.check(row[..2] == ["c1", "RUNNING"] && (8.0..32.0).contains(&ram), "8 MiB and a little");
    })
    .needs(V2)
    .differs("numbers-on-cgroup2");
}

fn mounts(c: &mut Cases) {
    for (word, options) in [
        ("cgroup", "rw"),
        ("cgroup:mixed", "rw"),
        ("cgroup:ro", "ro"),
        ("cgroup-full:rw", "rw"),
        ("cgroup2:ro", "ro"),
        ("cgroup2", "rw"),
    ] {
        c.add(format!("v2.mount_auto_{}", word.replace([':', '-'], "_")), move |t| {
            t.run("c1", &format!("lxc.mount.auto = {word}"));
            let m = t.inside("c1", "grep -E ' /sys/fs/cgroup' /proc/mounts");
            let f: Vec<&str> = m.split(' ').collect();
            assert!(m.lines().count() == 1 && f[1] == "/sys/fs/cgroup" && f[2] == "cgroup2", "{m}");
            for o in [options, "nosuid", "nodev", "noexec", "relatime"] {
                assert!(f[3].split(',').any(|x| x == o), "{o} in {m}");
            }
            assert_eq!(t.inside("c1", "cat /sys/fs/cgroup/cgroup.procs | head -1"), "1", "its own group is the top");
        })
        .needs(V2);
    }

    c.add("v2.mount_auto_without_a_namespace_is_refused", |t| {
        t.mk("c1", "lxc.mount.auto = cgroup:rw\nlxc.namespace.keep = cgroup");
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .needs(V2);
}

fn leftovers(c: &mut Cases) {
    c.add("v2.groups_of_a_killed_monitor_are_taken_over", |t| {
        t.run("c1", "lxc.mount.auto = cgroup:rw");
        t.inside("c1", "mkdir -p /sys/fs/cgroup/a/b");
        let (m, init) = (t.monitor_pid("c1").unwrap_or(0), t.init_pid("c1"));
        t.kill(m, Signal::SIGKILL);
        t.until("init died with its monitor", |t| t.read(format!("/proc/{init}/stat")).is_empty());
        assert_eq!(t.state("c1"), "STOPPED");
        t.start("c1");
        let init = t.init_pid("c1");
        assert_eq!(t.read(format!("/proc/{init}/cgroup")), "0::/lxc.payload.c1\n");
        t.gone(t.payload("memory", "c1").join("a"));
        t.sh("lxc-stop -n c1").ok();
        t.until("no group", |t| t.sh("find /sys/fs/cgroup -name 'lxc.*'").out.is_empty());
    })
    .needs(V2)
    .differs("no-cgroups-left");

    c.add("v2.rounds_leave_nothing", |t| {
        t.mk("c1", "lxc.cgroup2.memory.max = 64M");
        for _ in 0..t.rounds(10) {
            t.start("c1");
            t.sh("lxc-attach -n c1 -- true").ok();
            t.sh("lxc-stop -k -n c1").ok();
        }
        t.sh("lxc-destroy -n c1").ok();
        t.until("no group", |t| t.sh("find /sys/fs/cgroup -name 'lxc.*'").out.is_empty());
    })
    .needs(V2)
    .differs("no-cgroups-left")
    .limit(200);
}

/// The label of init and of what lxc-attach starts.
#[track_caller]
fn labelled(t: &mut T, name: &str, want: &str) {
    let init = t.init_pid(name);
    assert_eq!(t.read(format!("/proc/{init}/attr/current")).trim_end(), want, "init");
    assert_eq!(t.inside(name, "cat /proc/self/attr/current"), want, "lxc-attach");
}

fn apparmor(c: &mut Cases) {
    c.add("apparmor.named_profile_confines_init_and_attach", |t| {
        let r = t.mk("c1", "lxc.apparmor.profile = lxc-test-named");
        t.write(r.join("etc/forbidden"), "secret\n");
        t.start("c1");
        labelled(t, "c1", "lxc-test-named (enforce)");
        t.sh("lxc-attach -n c1 -- cat /etc/forbidden").code(1).err_has("Permission denied");
        // -e LSM leaves the label out, and only that.
        t.sh("lxc-attach -n c1 -e -- cat /proc/self/attr/current").ok().out("unconfined\n");
        t.sh("lxc-attach -n c1 -e -- cat /etc/forbidden").ok().out("secret\n");
    })
    .needs(&[Need::Apparmor])
    .covers("attach -e");

    c.add("apparmor.unchanged_is_the_callers", |t| {
        t.run("c1", "lxc.apparmor.profile = unchanged");
        labelled(t, "c1", "unconfined");
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.execute_is_confined", |t| {
        t.mk("c1", "lxc.apparmor.profile = lxc-test-named");
        t.sh("lxc-execute -n c1 -- cat /proc/self/attr/current").ok().out("lxc-test-named (enforce)\n");
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.with_no_new_privs", |t| {
        t.run("c1", "lxc.apparmor.profile = lxc-test-named\nlxc.no_new_privs = 1");
        labelled(t, "c1", "lxc-test-named (enforce)");
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.idmapped_container_is_confined", |t| {
        let r = t.mk("c1", &format!("{IDMAP}lxc.apparmor.profile = lxc-test-named"));
        t.sh(&format!("chown -Rh 100000:100000 {}", r.display())).ok();
        t.start("c1");
        labelled(t, "c1", "lxc-test-named (enforce)");
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.reboot_keeps_the_profile", |t| {
        t.run("c1", "lxc.apparmor.profile = lxc-test-named");
        let before = t.init_pid("c1");
        let _ = std::fs::remove_file(t.rootfs("c1").join("ready"));
        t.sh("lxc-stop -r -n c1").ok();
        t.until("another init", |t| t.sh("lxc-info -n c1 -pH").out.trim() != before.to_string());
        t.ready("c1");
        labelled(t, "c1", "lxc-test-named (enforce)");
    })
    .needs(&[Need::Apparmor]);

    c.add("apparmor.profile_that_is_not_loaded_is_named", |t| {
        t.mk("c1", "lxc.apparmor.profile = no-such-profile");
        let o = t.sh("lxc-start -n c1");
        o.code(1);
        o.check(o.err.lines().next().unwrap_or("").contains("no-such-profile"), "the first line names the profile");
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .needs(&[Need::Apparmor])
    .differs("start-first-line");
}

/// A container whose config says nothing of AppArmor, or what is not built yet.
fn apparmor_default(c: &mut Cases) {
    const BASE: &str = "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit\nlxc.mount.auto = proc:mixed sys:mixed\n";
    for (id, line) in [("unset", ""), ("generated", "lxc.apparmor.profile = generated\n")] {
        c.add(format!("apparmor.{id}_is_the_default_profile_with_one_warning"), move |t| {
            t.mk("c1", "");
            t.write("/var/lib/lxc/c1/config", &format!("lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\n{BASE}{line}"));
            t.start_with("c1", "-l WARN -o /tmp/log");
            labelled(t, "c1", "lxc-container-default-cgns (enforce)");
            let log = t.read("/tmp/log");
            let warned: Vec<&str> = log.lines().filter(|l| l.contains("lxc-container-default-cgns")).collect();
            assert!(warned.len() == 1 && warned[0].contains(" WARN "), "{log}");
            t.sh("lxc-attach -n c1 -- sh -c 'echo h > /proc/sysrq-trigger'").code(1);
        })
        .needs(&[Need::Apparmor])
        .differs("apparmor-profiles-are-not-generated");

        // Without a cgroup namespace the profile has another name, which is not loaded on the test machine.
        c.add(format!("apparmor.{id}_never_runs_unconfined"), move |t| {
            t.mk("c1", "");
            t.write(
                "/var/lib/lxc/c1/config",
                &format!("lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\n{BASE}{line}lxc.namespace.keep = cgroup\n"),
            );
            let o = t.sh("lxc-start -n c1");
            o.code(1).err_has("lxc-container-default is not loaded");
            // Who never heard of the profile learns where it comes from, and how to go without.
            for part in ["lxc.apparmor.profile", "liblxc-common", "/etc/apparmor.d/lxc-containers", "unconfined"] {
                o.err_has(part);
            }
            assert_eq!(t.state("c1"), "STOPPED");
        })
        .needs(&[Need::Apparmor])
        .differs("apparmor-profiles-are-not-generated");
    }
}
