//! Cgroups: names, limits, devices, freezer, directories, teardown.

use crate::case::{Cases, Need};

pub fn add(c: &mut Cases) {
    c.add("cgroup.payload_and_monitor_in_every_hierarchy", |t| {
        t.run("c1", "");
        let init = t.init_pid("c1");
        let m = t.monitor_pid("c1").unwrap_or(0);
        let inside = t.read(format!("/proc/{init}/cgroup"));
        let monitor = t.read(format!("/proc/{m}/cgroup"));
        let mounted = crate::sandbox::hierarchies();
        for (text, want) in [(&inside, "/lxc.payload.c1"), (&monitor, "/lxc.monitor.c1")] {
            for h in &mounted {
                let hit = text.lines().any(|l| {
                    let f: Vec<&str> = l.splitn(3, ':').collect();
                    let same =
                        if h.v2 { f[0] == "0" } else { h.what.split(',').any(|w| f[1].split(',').any(|x| x == w)) };
                    same && (f[2] == want || f[2].starts_with(&format!("{want}/")))
                });
                assert!(hit, "{want} is missing for {} in\n{text}", h.dir.display());
            }
        }
    });

    c.add("cgroup.gone_after_stop", |t| {
        t.run("c1", "");
        let dir = t.payload("freezer", "c1");
        t.exists(&dir);
        t.sh("lxc-stop -n c1").ok();
        t.gone(&dir);
        t.sh("find /sys/fs/cgroup -name 'lxc.payload*'").ok().out("");
    });

    c.add("cgroup.nothing_of_the_monitor_stays", |t| {
        for _ in 0..3 {
            t.run("c1", "");
            t.sh("lxc-stop -n c1").ok();
            t.sh("lxc-destroy -n c1").ok();
        }
        t.until("no group", |t| t.sh("find /sys/fs/cgroup -name 'lxc.*'").out.is_empty());
    })
    .differs("no-cgroups-left");

    c.add("cgroup.limits_v1", |t| {
        t.run(
            "c1",
            "lxc.cgroup.memory.limit_in_bytes = 64M\nlxc.cgroup.pids.max = 50\nlxc.cgroup.cpu.shares = 512\nlxc.cgroup.cpuset.cpus = 0\n",
        );
        for (ctrl, file, want) in [
            ("memory", "memory.limit_in_bytes", "67108864\n"),
            ("pids", "pids.max", "50\n"),
            ("cpu", "cpu.shares", "512\n"),
            ("cpuset", "cpuset.cpus", "0\n"),
        ] {
            assert_eq!(t.read(t.payload(ctrl, "c1").join(file)), want, "{file}");
        }
    })
    .keys("lxc.cgroup.*")
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.limits_bind", |t| {
        t.run("c1", "lxc.cgroup.pids.max = 8");
        let o = t.sh("lxc-attach -n c1 -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done'");
        o.err_has("can't fork");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.limits_in_order", |t| {
        t.run("c1", "lxc.cgroup.pids.max = 5\nlxc.cgroup.pids.max = 60");
        assert_eq!(t.read(t.payload("pids", "c1").join("pids.max")), "60\n");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.unknown_file_fails", |t| {
        t.mk("c1", "lxc.cgroup.memory.no_such_file = 1");
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.v2_keys_do_not_stop_a_start_on_hybrid", |t| {
        t.run("c1", "lxc.cgroup2.memory.max = 64M\nlxc.cgroup2.memory.swap.max = 1G");
        assert_eq!(t.inside("c1", "echo x > /dev/null && echo ok"), "ok");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.v2_keys_are_translated_on_hybrid", |t| {
        t.run(
            "c1",
            "lxc.cgroup2.memory.max = 64M\nlxc.cgroup2.pids.max = 50\nlxc.cgroup2.devices.deny = a\n\
             lxc.cgroup2.devices.allow = c 1:3 rwm",
        );
        assert_eq!(t.read(t.payload("memory", "c1").join("memory.limit_in_bytes")), "67108864\n");
        assert_eq!(t.read(t.payload("pids", "c1").join("pids.max")), "50\n");
        assert_eq!(t.inside("c1", "echo x > /dev/null && echo ok"), "ok");
        assert_eq!(t.inside("c1", "echo x 2>&1 > /dev/zero && echo ok || echo no").lines().last(), Some("no"));
    })
    .keys("lxc.cgroup2.*")
    .needs(&[Need::CgroupV1])
    .differs("cgroup-keys-are-translated");

    c.add("cgroup.limits_v2", |t| {
        t.run("c1", "lxc.cgroup2.memory.max = 64M\nlxc.cgroup2.pids.max = 50");
        let dir = t.payload("memory", "c1");
        assert_eq!(t.read(dir.join("memory.max")), "67108864\n");
        assert_eq!(t.read(dir.join("pids.max")), "50\n");
    })
    .keys("lxc.cgroup2.*")
    .needs(&[Need::CgroupV2]);

    for (id, need, key) in [("v1", Need::CgroupV1, "lxc.cgroup.devices"), ("v2", Need::CgroupV2, "lxc.cgroup2.devices")]
    {
        c.add(format!("devices.denied_and_allowed_{id}"), move |t| {
            t.run(
                "c1",
                &format!("{key}.deny = a\n{key}.allow = c 1:3 rwm\n{key}.allow = c 1:5 r\n{key}.allow = c 5:* rwm\n{key}.allow = c 136:* rwm\n{key}.allow = c *:* m"),
            );
            t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/null'").ok();
            t.sh("lxc-attach -n c1 -- head -c 1 /dev/zero").ok();
            t.sh("lxc-attach -n c1 -- sh -c 'echo x > /dev/zero'").err_has("Operation not permitted").check(true, "");
            t.sh("lxc-attach -n c1 -- head -c 1 /dev/urandom").code(1).err_has("Operation not permitted");
            t.sh("lxc-attach -n c1 -- mknod /tmp/k c 1 2").ok();
            t.sh("lxc-attach -n c1 -- head -c 1 /tmp/k").code(1);
        })
        .needs(&[need]);
        c.add(format!("devices.denylist_mode_{id}"), move |t| {
            t.run("c1", &format!("{key}.allow = a\n{key}.deny = c 1:9 rwm"));
            t.sh("lxc-attach -n c1 -- head -c 1 /dev/urandom").code(1);
            t.sh("lxc-attach -n c1 -- head -c 1 /dev/zero").ok();
        })
        .needs(&[need]);
    }

    c.add("devices.v1_list_is_written", |t| {
        t.run(
            "c1",
            "lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = c 1:3 rwm\nlxc.cgroup.devices.allow = /dev/zero r",
        );
        let list = t.read(t.payload("devices", "c1").join("devices.list"));
        assert_eq!(list, "c 1:3 rwm\nc 1:5 r\n");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.dir", |t| {
        t.run("c1", "lxc.cgroup.dir = mine");
        let init = t.init_pid("c1");
        let text = t.read(format!("/proc/{init}/cgroup"));
        for line in text.lines() {
            assert!(line.contains("/mine/lxc.payload.c1"), "{text}");
        }
        t.sh("lxc-stop -k -n c1").ok();
        // the configured parent may stay
        t.sh("find /sys/fs/cgroup -depth -path '*/mine*' -type d -exec rmdir {} \\;");
        let rest = t.sh("find /sys/fs/cgroup -path '*/mine*' -type d").out;
        assert_eq!(rest, "");
    })
    .keys("lxc.cgroup.dir");

    c.add("cgroup.dir_monitor_and_container", |t| {
        t.run("c1", "lxc.cgroup.dir.monitor = m1\nlxc.cgroup.dir.container = p1\nlxc.cgroup.dir.container.inner = in");
        let init = t.init_pid("c1");
        let text = t.read(format!("/proc/{init}/cgroup"));
        for line in text.lines() {
            assert!(line.contains("/p1/in"), "{text}");
        }
        let m = t.monitor_pid("c1").unwrap_or(0);
        assert!(t.read(format!("/proc/{m}/cgroup")).contains("/m1\n"));
        t.sh("lxc-stop -k -n c1").ok();
        t.sh("find /sys/fs/cgroup -depth \\( -name m1 -o -name p1 -o -name in \\) -type d -exec rmdir {} \\;");
    })
    .keys("lxc.cgroup.dir.monitor lxc.cgroup.dir.container lxc.cgroup.dir.container.inner");

    c.add("cgroup.dir_monitor_alone_is_refused", |t| {
        t.mk("c1", "lxc.cgroup.dir.monitor = m1");
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("cgroup.a_busy_name_gets_a_suffix", |t| {
        // somebody else's process sits in the name
        let dirs: Vec<_> = crate::sandbox::hierarchies().into_iter().map(|h| h.dir.join("lxc.payload.c1")).collect();
        for d in &dirs {
            std::fs::create_dir(d).unwrap_or_default();
        }
        let bg = t.spawn("exec sleep 500");
        let pid = bg.pid();
        let squat = dirs
            .iter()
            .find(|d| d.starts_with("/sys/fs/cgroup/freezer") || d.starts_with("/sys/fs/cgroup/lxc.payload.c1"))
            .cloned()
            .unwrap_or_default();
        std::fs::write(squat.join("cgroup.procs"), pid.to_string()).unwrap_or_else(|e| panic!("{e}"));
        t.run("c1", "");
        let init = t.init_pid("c1");
        assert!(t.read(format!("/proc/{init}/cgroup")).contains("/lxc.payload.c1-1"));
        t.sh("lxc-stop -k -n c1").ok();
        t.kill(pid, nix::sys::signal::Signal::SIGKILL);
        t.until("removed", |_| {
            dirs.iter().for_each(|d| drop(std::fs::remove_dir(d)));
            dirs.iter().all(|d| !d.exists())
        });
    });

    c.add("cgroup.sub_groups_of_the_container_are_removed", |t| {
        t.run("c1", "");
        let dir = t.payload("freezer", "c1");
        std::fs::create_dir_all(dir.join("a/b/c")).unwrap_or_else(|e| panic!("{e}"));
        t.sh("lxc-stop -k -n c1").ok();
        t.gone(&dir);
    });

    c.add("cgroup.two_containers_do_not_mix", |t| {
        t.run("c1", "lxc.cgroup.pids.max = 40");
        t.run("c2", "lxc.cgroup.pids.max = 50");
        assert_eq!(t.read(t.payload("pids", "c1").join("pids.max")), "40\n");
        assert_eq!(t.read(t.payload("pids", "c2").join("pids.max")), "50\n");
        t.sh("lxc-stop -k -n c1").ok();
        t.exists(t.payload("pids", "c2"));
        assert_eq!(t.state("c2"), "RUNNING");
    })
    .needs(&[Need::CgroupV1]);

    c.add("cgroup.cpuset_is_initialised", |t| {
        t.run("c1", "");
        let cpus = t.read(t.payload("cpuset", "c1").join("cpuset.cpus"));
        assert_eq!(cpus, t.read("/sys/fs/cgroup/cpuset/cpuset.cpus"));
        let procs = t.read(t.payload("cpuset", "c1").join("cgroup.procs"));
        assert!(procs.lines().any(|p| p == t.init_pid("c1").to_string()));
    })
    .needs(&[Need::CgroupV1]);
}
