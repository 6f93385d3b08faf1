//! lxc-info.

use crate::case::{Cases, Need};

pub fn add(c: &mut Cases) {
    c.add("info.stopped", |t| {
        t.mk("c1", "");
        t.sh("lxc-info -n c1").ok().err("").out("Name:           c1\nState:          STOPPED\n");
        t.sh("lxc-info -n c1 -p").ok().silent();
        t.sh("lxc-info -n c1 -i").ok().silent();
        t.sh("lxc-info -n c1 -pH").ok().silent();
    });

    c.add("info.running_all", |t| {
        t.run("c1", "");
        let pid = t.init_pid("c1");
        let o = t.sh("lxc-info -n c1");
        o.ok().err("");
        let lines: Vec<&str> = o.out.lines().collect();
        assert_eq!(
            lines[..3],
            ["Name:           c1", "State:          RUNNING", &format!("PID:            {pid}")][..]
        );
    });

    c.add("info.running_statistics", |t| {
        t.run("c1", "");
        let o = t.sh("lxc-info -n c1 -S");
        o.ok();
        let labels: Vec<&str> = o.out.lines().map(|l| l.split(':').next().unwrap_or("")).collect();
        assert_eq!(labels, ["CPU use", "BlkIO use", "Memory use", "KMem use"]);
        o.out_has(" seconds\n").out_has(" bytes\n").out_has(" KiB\n");
        let o = t.sh("lxc-info -n c1 --stats --no-humanize");
        o.ok().out_lacks("KiB").out_lacks("seconds").out_lacks(" bytes");
        for line in o.out.lines() {
            o.check(line[16..].parse::<u64>().is_ok(), "bare numbers");
        }
    })
    .needs(&[Need::CgroupV1])
    .covers("info -S --stats -H --no-humanize");

    c.add("info.selectors", |t| {
        t.run("c1", "");
        let pid = t.init_pid("c1");
        t.sh("lxc-info -n c1 -s").ok().out("State:          RUNNING\n");
        t.sh("lxc-info -n c1 --state").ok().out("State:          RUNNING\n");
        t.sh("lxc-info -n c1 -p").ok().out(&format!("PID:            {pid}\n"));
        t.sh("lxc-info -n c1 --pid").ok().out(&format!("PID:            {pid}\n"));
        t.sh("lxc-info -n c1 -ps").ok().out(&format!("State:          RUNNING\nPID:            {pid}\n"));
        t.sh("lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-info -n c1 -pH").ok().out(&format!("{pid}\n"));
        t.sh("lxc-info -n c1 -spH").ok().out(&format!("State:          RUNNING\nPID:            {pid}\n"));
    })
    .covers("info -s --state -p --pid -H");

    c.add("info.config", |t| {
        t.mk("c1", "lxc.cap.drop = sys_time sys_boot\nlxc.tty.max = 4");
        t.sh("lxc-info -n c1 -c lxc.uts.name").ok().out("lxc.uts.name = c1\n");
        t.sh("lxc-info -n c1 --config=lxc.tty.max -c lxc.uts.name").ok().out("lxc.tty.max = 4\nlxc.uts.name = c1\n");
        t.sh("lxc-info -n c1 -c lxc.net").ok().out("lxc.net = empty\n\n");
        t.sh("lxc-info -n c1 -c lxc.cap.drop").ok().out("lxc.cap.drop = sys_time\nsys_boot\n\n");
        t.sh("lxc-info -n c1 -c lxc.group").ok().out("lxc.group =\n");
        t.sh("lxc-info -n c1 -c nosuch").ok().err_has("nosuch invalid");
        t.sh("lxc-info -n c1 -H -c lxc.uts.name").ok().out("c1\n");
        t.sh("lxc-info -n c1 -H -c lxc.group").ok().out("\n");
        t.sh("lxc-info -n c1 -H -c lxc.uts.name -c lxc.tty.max").ok().out("lxc.uts.name = c1\nlxc.tty.max = 4\n");
    })
    .covers("info -c --config");

    c.add("info.config_keys", |t| {
        t.mk(
            "c1",
            "lxc.arch = i686\nlxc.signal.halt = SIGRTMIN+3\nlxc.autodev = 0\nlxc.mount.auto = cgroup:ro\nlxc.mount.entry = a b none bind 0 0\nlxc.group = x y\nlxc.log.level = 3\nlxc.pty.max = 0x10\nlxc.prlimit.nofile = 5:6\nlxc.environment = A=b\nlxc.hook.start = /x\n",
        );
        for (key, value) in [
            ("lxc.arch", "i686"),
            ("lxc.signal.halt", "37"),
            ("lxc.autodev", "0"),
            ("lxc.mount.auto", "proc:mixed sys:mixed cgroup:ro"),
            ("lxc.log.level", "NOTICE"),
            ("lxc.pty.max", "16"),
            ("lxc.prlimit.nofile", "5:6"),
            ("lxc.net.0.type", "empty"),
            ("lxc.rootfs.path", "/var/lib/lxc/c1/rootfs"),
            ("lxc.rootfs.managed", "1"),
            ("lxc.mount.entry", "a b none bind 0 0\n"),
            ("lxc.group", "x\ny\n"),
            ("lxc.environment", "A=b\n"),
            ("lxc.hook.start", "/x\n"),
        ] {
            t.sh(&format!("lxc-info -n c1 -c {key} -H")).ok().err("").out(&format!("{value}\n"));
        }
    });

    c.add("info.cap_keep_is_not_cap_drop", |t| {
        t.mk("c1", "lxc.cap.drop = sys_time sys_boot");
        t.sh("lxc-info -n c1 -c lxc.cap.keep").ok().out("lxc.cap.keep =\n");
    })
    .since("7.0");

    c.add("info.missing", |t| {
        t.sh("lxc-info -n nope").code(1).out("").err_has("nope doesn't exist");
        t.sh("lxc-info -n nope -s").code(1).out("");
    });

    for opt in ["-i", "--ips"] {
        c.add(format!("info.ips{opt}"), move |t| {
            t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.veth.pair = vethInfo\nlxc.net.0.ipv4.address = 10.77.0.2/24\nlxc.net.0.ipv6.address = fd77::2/64");
            t.until("both addresses", |t| t.sh("lxc-info -n c1 -iH").out == "10.77.0.2\nfd77::2\n");
            t.sh(&format!("lxc-info -n c1 {opt}")).ok().out("IP:             10.77.0.2\nIP:             fd77::2\n");
            let o = t.sh("lxc-info -n c1 -S");
            o.ok().out_has("Link:           vethInfo\n TX bytes:      ").out_has(" RX bytes:      ").out_has(" Total bytes:   ");
        })
        .covers("info -i --ips");
    }

    c.add("info.broken_config_stopped", |t| {
        t.mk("c1", "lxc.bogus = 1");
        let o = t.sh("lxc-info -n c1 -s");
        o.code(1).err_has("Failed to load config for c1").err_has("Failure to retrieve information on /var/lib/lxc:c1");
    });

    c.add("info.broken_config_running", |t| {
        t.run("c1", "");
        let pid = t.init_pid("c1");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-info -n c1 -pH").ok().out(&format!("{pid}\n"));
    })
    .differs("broken-config-does-not-lock-the-owner-out");

    c.add("info.directory_moved_away", |t| {
        t.run("c1", "");
        t.sh("mv /var/lib/lxc/c1 /var/lib/lxc/c2");
        t.sh("lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-info -n c2 -sH").ok().out("STOPPED\n");
        t.sh("lxc-stop -k -n c1").ok();
    });

    c.add("info.config_file_moved_away", |t| {
        t.run("c1", "");
        t.sh("mv /var/lib/lxc/c1/config /tmp/");
        t.sh("lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-info -n c1 -c lxc.uts.name").ok().err_has("lxc.uts.name invalid");
        t.sh("lxc-attach -n c1 -- true").ok();
        t.sh("lxc-stop -n c1 -k").ok();
    });

    c.add("info.frozen", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        t.sh("lxc-info -n c1 -s").ok().out("State:          FROZEN\n");
    });

    c.add("info.quiet_and_rcfile", |t| {
        t.mk("c1", "");
        t.write("/tmp/rc", "lxc.tty.max = 9\n");
        t.sh("lxc-info -q --rcfile=/tmp/rc -n c1 -H -c lxc.tty.max").ok().out("9\n");
    })
    .covers("info --rcfile -q --quiet");
}
