//! lxc-execute.

use crate::case::Cases;
use nix::sys::signal::Signal;

pub fn add(c: &mut Cases) {
    c.add("execute.exit_codes", |t| {
        t.mk("c1", "");
        for (cmd, code) in [("true", 0), ("sh -c 'exit 5'", 5), ("sh -c 'kill -9 $$'", 137), ("/no/such", 255)] {
            t.sh(&format!("lxc-execute -n c1 -- {cmd}")).code(code);
        }
        assert_eq!(t.state("c1"), "STOPPED");
    })
    .covers("execute -n");

    c.add("execute.streams_are_inherited", |t| {
        t.mk("c1", "");
        t.sh("lxc-execute -n c1 -- sh -c 'echo out; echo err >&2; tty'").code(1).out("out\nnot a tty\n").err("err\n");
        t.sh_in("lxc-execute -n c1 -- cat", "through\n").ok().out("through\n");
    });

    c.add("execute.pid_1_is_a_small_init", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-execute -n c1 -- sh -c 'echo $$; tr \"\\0\" \" \" < /proc/1/cmdline; echo; hostname'");
        o.ok().out("2\ninit \nc1\n");
    });

    c.add("execute.reaps_orphans", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-execute -n c1 -- sh -c '(sh -c \"sleep 0.1 &\") ; sleep 0.4; ps -o stat,comm'");
        o.ok().out_lacks("Z ");
    });

    c.add("execute.environment", |t| {
        t.mk("c1", "lxc.environment = MINE=yes");
        let o = t.sh("FOO=bar lxc-execute -n c1 -- env");
        o.ok().out("MINE=yes\ncontainer=lxc\n");
    });

    for opt in ["-f ", "--rcfile="] {
        c.add(format!("execute.rcfile{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.sh("mv /var/lib/lxc/c1/config /tmp/rc");
            t.sh(&format!("lxc-execute -n c9 {opt}/tmp/rc -- hostname")).ok().out("c1\n");
            t.gone("/var/lib/lxc/c9/config");
        })
        .covers("execute -f --rcfile");
    }

    for opt in ["-s ", "--define="] {
        c.add(format!("execute.define{}", opt.trim()), move |t| {
            t.mk("c1", "");
            t.sh(&format!("lxc-execute -n c1 {opt}lxc.uts.name=zed -- hostname")).ok().out("zed\n");
        })
        .covers("execute -s --define");
    }

    c.add("execute.bad_define_is_ignored", |t| {
        t.mk("c1", "");
        t.sh("lxc-execute -n c1 -s bogus -- sh -c 'exit 6'").code(6);
        t.sh("lxc-execute -n c1 -s x.y=1 -- sh -c 'exit 6'").code(6);
    });

    c.add("execute.uid_gid", |t| {
        t.mk("c1", "");
        t.sh("lxc-execute -n c1 -u 1000 -g 1000 -- id").ok().out_has("uid=1000(user) gid=1000(user)");
        t.sh("lxc-execute -n c1 --uid=1000 --gid=1000 -- id -u").ok().out("1000\n");
    })
    .covers("execute -u --uid -g --gid");

    for opt in ["-d", "--daemon"] {
        c.add(format!("execute.daemon{opt}"), move |t| {
            let r = t.mk("c1", "");
            t.sh(&format!("lxc-execute {opt} -n c1 -- sh -c 'touch /ready; sleep 1000'")).ok().silent();
            t.ready("c1");
            assert_eq!(t.state("c1"), "RUNNING");
            assert!(r.join("ready").exists());
            t.sh("lxc-stop -k -n c1").ok();
        })
        .covers("execute -d --daemon");
    }

    for ns in ["net", "ipc", "uts", "pid"] {
        c.add(format!("execute.share_{ns}"), move |t| {
            t.run("a", "");
            t.mk("b", "");
            let a = t.init_pid("a");
            let theirs =
                std::fs::read_link(format!("/proc/{a}/ns/{ns}")).map(|p| p.display().to_string()).unwrap_or_default();
            let o = t.sh(&format!("lxc-execute -n b --share-{ns}=a -- readlink /proc/self/ns/{ns}"));
            o.out_has(&theirs);
            assert_eq!(t.state("a"), "RUNNING");
        })
        .covers("execute --share-net --share-ipc --share-uts --share-pid");
    }

    c.add("execute.sigterm", |t| {
        let r = t.mk("c1", "");
        let mut bg = t.spawn(
            "exec lxc-execute -n c1 -- sh -c 'trap \"exit 9\" TERM; touch /ready; while :; do usleep 20000; done'",
        );
        t.ready("c1");
        bg.signal(Signal::SIGTERM);
        bg.wait(10).code(9);
        assert!(r.exists());
    });

    c.add("execute.sigterm_default", |t| {
        t.mk("c1", "");
        let mut bg = t.spawn("exec lxc-execute -n c1 -- sh -c 'touch /ready; exec sleep 1000'");
        t.ready("c1");
        t.until("sleep runs", |t| t.sh("pgrep -x sleep").code == 0);
        bg.signal(Signal::SIGTERM);
        bg.wait(10).code(143);
    });

    c.add("execute.cmd_from_config", |t| {
        t.mk("c1", "lxc.execute.cmd = sh -c 'exit 6'");
        t.sh("lxc-execute -n c1").code(6);
    })
    .keys("lxc.execute.cmd");

    c.add("execute.no_command", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-execute -n c1");
        o.code(1).out("").err_has("lxc-execute: ");
    })
    .differs("execute-without-a-command");

    c.add("execute.no_config", |t| {
        t.sh("lxc-execute -n nope -- true")
            .code(1)
            .err_has("Executing a container with no configuration file may crash the host");
    });

    c.add("execute.already_running", |t| {
        t.run("c1", "");
        let o = t.sh("lxc-execute -n c1 -- true");
        o.code(1).err_has("already running");
        assert_eq!(t.state("c1"), "RUNNING");
    });

    c.add("execute.tty", |t| {
        t.mk("c1", "lxc.pty.max = 8");
        let mut p = t.pty("lxc-execute -n c1 -- sh -c 'tty; read x; echo got=$x; exit 6'");
        p.expect("/dev/");
        p.send("hello\r");
        p.expect("got=hello");
        assert_eq!(p.end(), 6);
    });

    c.add("execute.init_cwd_and_hooks", |t| {
        t.script("/tmp/hook", "echo $3 >> /tmp/order\n");
        t.mk("c1", "lxc.init.cwd = /mnt\nlxc.hook.pre-start = /tmp/hook\nlxc.hook.post-stop = /tmp/hook");
        t.sh("lxc-execute -n c1 -- pwd").ok().out("/mnt\n");
        assert_eq!(t.read("/tmp/order"), "pre-start\npost-stop\n");
    });

    c.add("execute.quiet_failure", |t| {
        t.mk("c1", "lxc.hook.pre-start = /bin/false");
        t.sh("lxc-execute -n c1 -- true").code(1);
        t.sh("lxc-execute -q -n c1 -- true").code(1).silent();
    })
    .covers("execute -q --quiet");
}
