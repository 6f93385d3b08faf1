//! lxc-attach.

use crate::case::Cases;
use nix::sys::signal::Signal;

pub fn add(c: &mut Cases) {
    status(c);
    environment(c);
    terminals(c);
    rest(c);
}

fn status(c: &mut Cases) {
    c.add("attach.exit_codes", |t| {
        t.run("c1", "");
        for (cmd, code) in [
            ("true", 0),
            ("false", 1),
            ("sh -c 'exit 7'", 7),
            ("sh -c 'exit 255'", 255),
            ("sh -c 'kill -9 $$'", 137),
            ("sh -c 'kill -15 $$'", 143),
            ("sh -c 'kill -1 $$'", 129),
            ("/nonexistent", 127),
            ("/etc/passwd", 126),
        ] {
            t.sh(&format!("lxc-attach -n c1 -- {cmd}")).code(code);
        }
    })
    .covers("attach -n");

    c.add("attach.streams", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -n c1 -- sh -c 'echo out; echo err >&2'").ok().out("out\n").err("err\n");
        t.sh_in("lxc-attach -n c1 -- cat", "through\n").ok().out("through\n");
        t.sh("lxc-attach -n c1 -- cat /dev/null").ok().silent();
        t.sh("lxc-attach -n c1 -- sh -c 'head -c 300000 /dev/zero' | wc -c").ok().out("300000\n");
    });

    c.add("attach.shell_from_stdin", |t| {
        t.run("c1", "");
        t.sh_in("lxc-attach -n c1", "exit 3\n").code(3);
        t.sh_in("lxc-attach -n c1", "echo $0; hostname\n").ok().out_has("c1\n");
    });

    c.add("attach.not_running", |t| {
        t.mk("c1", "");
        let o = t.sh("lxc-attach -n c1 -- true");
        o.code(1).out("").err_has("Failed to get init pid");
        t.sh("lxc-attach -q -n c1 -- true").code(1).silent();
    })
    .covers("attach -q --quiet");

    c.add("attach.sigterm_reaches_the_command", |t| {
        let r = t.run("c1", "");
        for (sig, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
            std::fs::remove_file(r.join("up")).unwrap_or_default();
            let mut bg = t.spawn("exec lxc-attach -n c1 -- sh -c 'echo $$ > /up; exec sleep 1234'");
            let up = r.join("up");
            t.until("the command runs", |t| t.inside("c1", "ps").contains("sleep 1234") && up.exists());
            bg.signal(sig);
            bg.wait(10).code(code);
            t.until("the command is dead", |t| !t.inside("c1", "ps").contains("sleep 1234"));
        }
    })
    .differs("attach-passes-signals-on");

    c.add("attach.sigint_without_terminal_is_ignored", |t| {
        let r = t.run("c1", "");
        let mut bg =
            t.spawn("exec lxc-attach -n c1 -- sh -c 'echo > /up; while [ ! -e /go ]; do usleep 20000; done; exit 4'");
        let up = r.join("up");
        t.until("the command runs", |_| up.exists());
        bg.signal(Signal::SIGINT);
        t.write(r.join("go"), "");
        bg.wait(10).code(4);
    });

    c.add("attach.frozen_waits", |t| {
        t.run("c1", "");
        t.sh("lxc-freeze -n c1").ok();
        let mut bg = t.spawn("exec lxc-attach -n c1 -- echo done");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(bg.running(), "it waits for the thaw");
        t.sh("lxc-unfreeze -n c1").ok();
        bg.wait(10).ok().out("done\n");
    });
}

fn environment(c: &mut Cases) {
    c.add("attach.keeps_env_by_default", |t| {
        t.run("c1", "");
        for opt in ["", "--keep-env"] {
            let o = t.sh(&format!("FOO=bar lxc-attach {opt} -n c1 -- env"));
            o.ok().out_has("FOO=bar\n").out_has("container=lxc\n").out_has("HOME=/root\n").out_has("TERM=xterm\n");
        }
    })
    .covers("attach --keep-env");

    c.add("attach.clear_env", |t| {
        t.run("c1", "");
        let o = t.sh("FOO=bar lxc-attach --clear-env -n c1 -- env | sort");
        o.ok().out("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\ncontainer=lxc\n");
        // the last of the two policies wins
        t.sh("FOO=bar lxc-attach --clear-env --keep-env -n c1 -- env").ok().out_has("FOO=bar\n");
        t.sh("FOO=bar lxc-attach --keep-env --clear-env -n c1 -- env").ok().out_lacks("FOO=bar\n");
    })
    .covers("attach --clear-env --keep-env");

    c.add("attach.keep_var", |t| {
        t.run("c1", "");
        let o = t.sh(
            "FOO=bar BAR=foo X=y lxc-attach --clear-env --keep-var FOO --keep-var=BAR --keep-var NONE -n c1 -- env",
        );
        o.ok().out_has("FOO=bar\n").out_has("BAR=foo\n").out_lacks("X=y").out_lacks("NONE");
    })
    .covers("attach --keep-var");

    c.add("attach.set_var", |t| {
        t.run("c1", "");
        let o = t.sh("lxc-attach --clear-env -v A=1 --set-var=B=2=3 -v C= -n c1 -- env");
        o.ok().out_has("A=1\n").out_has("B=2=3\n").out_has("C=\n");
        // a bare name unsets
        t.sh("FOO=bar lxc-attach -v FOO -n c1 -- env").ok().out_lacks("FOO=");
    })
    .covers("attach -v --set-var");

    c.add("attach.config_environment", |t| {
        t.run("c1", "lxc.environment = MINE=yes\n");
        t.sh("lxc-attach -n c1 --clear-env -- env").ok().out_has("MINE=yes\n");
        t.sh("lxc-attach -n c1 --clear-env -v MINE=no -- env").ok().out_has("MINE=no\n");
    });

    c.add("attach.cwd", |t| {
        t.run("c1", "");
        t.sh("cd /mnt && lxc-attach -n c1 -- pwd").ok().out("/mnt\n");
        t.sh("mkdir /tmp/only-host && cd /tmp/only-host && lxc-attach -n c1 -- pwd").ok().out("/\n");
    });
}

fn terminals(c: &mut Cases) {
    c.add("attach.pty", |t| {
        t.run("c1", "lxc.pty.max = 16");
        let mut p = t.pty("lxc-attach -n c1 -- sh -c 'tty; stty size; read x; echo got=$x; exit 6'");
        p.expect("24 80");
        p.send("hello\r");
        p.expect("got=hello");
        assert_eq!(p.end(), 6);
        assert!(p.text.contains("/dev/pts/") || p.text.contains("/dev/"), "{}", p.text);
    });

    c.add("attach.pty_interrupt_goes_to_the_command", |t| {
        let r = t.run("c1", "lxc.pty.max = 16");
        let mut p = t.pty("lxc-attach -n c1 -- sh -c 'echo > /up; echo run; exec sleep 1000'");
        p.expect("run");
        let up = r.join("up");
        t.until("up", |_| up.exists());
        t.until("sleep", |t| t.inside("c1", "ps").contains("sleep 1000"));
        p.send("\x03");
        assert_eq!(p.end(), 130);
    });

    c.add("attach.no_terminal_inside_without_one_outside", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -n c1 -- tty").code(1).out("not a tty\n");
    });

    c.add("attach.one_tty_suffices", |t| {
        t.run("c1", "lxc.pty.max = 16");
        let mut p =
            t.pty("lxc-attach -n c1 -- sh -c 'test -t 0 && echo in; test -t 1 && echo out >&2; exit 0' </dev/null");
        assert_eq!(p.end(), 0);
        assert!(!p.text.contains("in\r") && p.text.contains("out"), "{}", p.text);
    });

    for opt in ["-L ", "--pty-log="] {
        c.add(format!("attach.pty_log{}", opt.trim()), move |t| {
            t.run("c1", "lxc.pty.max = 16");
            let mut p = t.pty(&format!("lxc-attach {opt}/tmp/log -n c1 -- echo logged"));
            assert_eq!(p.end(), 0);
            t.until("the log has it", |t| t.read("/tmp/log").contains("logged"));
            t.sh("stat -c %a /tmp/log").out(if t.reference { "600\n" } else { "640\n" });
            // appended, not replaced
            let mut p = t.pty(&format!("lxc-attach {opt}/tmp/log -n c1 -- echo twice"));
            assert_eq!(p.end(), 0);
            t.until("both", |t| t.read("/tmp/log").contains("logged") && t.read("/tmp/log").contains("twice"));
        })
        .covers("attach -L --pty-log");
    }

    c.add("attach.pty_log_without_terminal_is_empty", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -L /tmp/log -n c1 -- echo x").ok().out("x\n");
        assert_eq!(t.read("/tmp/log"), "");
    });
}

fn rest(c: &mut Cases) {
    c.add("attach.joins_all_namespaces", |t| {
        t.run("c1", "");
        let init = t.init_pid("c1");
        for ns in ["mnt", "pid", "uts", "ipc", "net", "cgroup"] {
            let theirs = std::fs::read_link(format!("/proc/{init}/ns/{ns}"))
                .map(|p| p.display().to_string())
                .unwrap_or_default();
            assert_eq!(t.inside("c1", &format!("readlink /proc/self/ns/{ns}")), theirs);
        }
    });

    c.add("attach.lands_in_the_payload_group", |t| {
        t.run("c1", "");
        let o = t.sh("lxc-attach -n c1 -- cat /proc/self/cgroup");
        o.ok().out_lacks("/..");
        let mut bg = t.spawn("exec lxc-attach -n c1 -- sleep 777");
        let procs = t.payload("freezer", "c1");
        t.until("sleep is in the payload group", |t| {
            let list = t.sh(&format!("find {} -name cgroup.procs | xargs cat", procs.display())).out;
            list.lines().any(|p| t.read(format!("/proc/{p}/cmdline")).contains("777"))
        });
        t.sh("lxc-stop -k -n c1").ok();
        bg.wait(10);
    });

    c.add("attach.namespaces_option", |t| {
        t.run("c1", "");
        let init = t.init_pid("c1");
        let theirs = |ns: &str| std::fs::read_link(format!("/proc/{init}/ns/{ns}")).map(|p| p.display().to_string()).unwrap_or_default();
        let mine = |ns: &str| std::fs::read_link(format!("/proc/self/ns/{ns}")).map(|p| p.display().to_string()).unwrap_or_default();
        for (words, joined) in [("NETWORK", vec!["net"]), ("net|uts", vec!["net", "uts"]), ("UTSNAME|IPC", vec!["uts", "ipc"]), ("Net", vec!["net"])] {
            for opt in ["-s ", "--namespaces="] {
                let o = t.sh(&format!("lxc-attach {opt}'{words}' -n c1 -- sh -c 'for n in net uts ipc mnt; do readlink /proc/self/ns/$n; done'"));
                o.ok();
                for (line, ns) in o.out.lines().zip(["net", "uts", "ipc", "mnt"]) {
                    let want = if joined.contains(&ns) { theirs(ns) } else { mine(ns) };
                    o.check(line == want, &format!("{ns} with -s {words}"));
                }
            }
        }
    })
    .covers("attach -s --namespaces");

    c.add("attach.namespaces_bad", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -s bogus -n c1 -- true").code(1).err_has("lxc-attach: could not parse command line");
        t.sh("lxc-attach -s network -n c1 -- true").code(1).err_has("could not parse command line");
    });

    for opt in ["-R", "--remount-sys-proc"] {
        c.add(format!("attach.remount_sys_proc{opt}"), move |t| {
            t.run("c1", "");
            // pid namespace alone: the host's /proc shows the host, a fresh one the container
            let plain = t.sh("lxc-attach -s PID -n c1 -- sh -c 'ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm'");
            plain.ok();
            let fresh = t.sh(&format!("lxc-attach -s PID {opt} -n c1 -- sh -c 'cat /proc/1/cmdline'"));
            fresh.ok().out_has("shinit");
            plain.out_lacks("shinit");
        })
        .covers("attach -R --remount-sys-proc");
    }

    c.add("attach.elevated", |t| {
        t.run("c1", "lxc.cap.drop = sys_time sys_boot\n");
        let caps = |t: &mut crate::ctx::T, opt: &str| {
            t.sh(&format!("lxc-attach {opt} -n c1 -- sh -c 'grep CapBnd /proc/self/status'")).out
        };
        let plain = caps(t, "");
        let all = caps(t, "-e");
        assert_ne!(plain, all, "-e keeps what the config drops");
        assert_eq!(caps(t, "-eCAP"), all);
        assert_eq!(caps(t, "--elevated-privileges"), all);
        assert_eq!(caps(t, "--elevated-privileges='CAP|LSM'"), all);
        assert_eq!(caps(t, "-eCGROUP"), plain);
        assert_eq!(caps(t, "-eLSM"), plain);
        t.sh("lxc-attach -eCGROUP -n c1 -- cat /proc/self/cgroup").ok().out_has("/..");
        t.sh("lxc-attach -eBOGUS -n c1 -- true").code(1);
    })
    .covers("attach -e --elevated-privileges");

    c.add("attach.drops_what_the_config_drops", |t| {
        t.run("c1", "lxc.cap.drop = sys_time sys_boot sys_module\n");
        let bnd = t.inside("c1", "grep CapBnd /proc/self/status");
        assert_eq!(bnd, t.inside("c1", "grep CapBnd /proc/1/status"));
    });

    for opt in ["-a ", "--arch="] {
        c.add(format!("attach.arch{}", opt.trim()), move |t| {
            t.run("c1", "");
            t.sh("lxc-attach -n c1 -- uname -m").ok().out("x86_64\n");
            for arch in ["i686", "x86", "linux32"] {
                t.sh(&format!("lxc-attach {opt}{arch} -n c1 -- uname -m")).ok().out("i686\n");
            }
            t.sh(&format!("lxc-attach {opt}amd64 -n c1 -- uname -m")).ok().out("x86_64\n");
            t.sh(&format!("lxc-attach {opt}bogus -n c1 -- uname -m"))
                .code(1)
                .err_has("lxc-attach: could not parse command line");
        })
        .covers("attach -a --arch");
    }

    c.add("attach.config_arch", |t| {
        t.run("c1", "lxc.arch = i686");
        t.sh("lxc-attach -n c1 -- uname -m").ok().out("i686\n");
        assert_eq!(t.inside("c1", "uname -m"), "i686");
    })
    .keys("lxc.arch");

    c.add("attach.uid_gid", |t| {
        t.run("c1", "");
        t.sh("lxc-attach -u 1000 -g 1000 -n c1 -- id").ok().out_has("uid=1000(user) gid=1000(user)");
        t.sh("lxc-attach --uid=1000 --gid 1000 -n c1 -- id -u").ok().out("1000\n");
        t.sh("lxc-attach -u user -n c1 -- id").code(1);
        t.sh("lxc-attach -n c1 -- id -u").ok().out("0\n");
    })
    .covers("attach -u --uid -g --gid");

    for opt in ["-f ", "--rcfile="] {
        c.add(format!("attach.rcfile{}", opt.trim()), move |t| {
            t.run("c1", "");
            t.sh("cp /var/lib/lxc/c1/config /tmp/rc; echo 'lxc.environment = RC=yes' >> /tmp/rc");
            let o = t.sh(&format!("lxc-attach {opt}/tmp/rc -n c1 -- env"));
            o.ok().out_has("RC=yes\n");
        })
        .covers("attach -f --rcfile");
    }

    for opt in ["-c ", "--context="] {
        c.add(format!("attach.context{}", opt.trim()), move |t| {
            // Without SELinux in the kernel there is nothing to set; the option parses.
            t.run("c1", "");
            let o = t.sh(&format!("lxc-attach {opt}unconfined -n c1 -- echo in"));
            o.no_crash();
            o.check(o.code == 0 || o.code == 1, "parses");
            let o = t.sh(&format!("lxc-attach {opt}unconfined -eLSM -n c1 -- echo in"));
            o.no_crash();
        })
        .covers("attach -c --context");
    }

    c.add("attach.no_new_privs", |t| {
        t.run("c1", "lxc.no_new_privs = 1");
        assert_eq!(t.inside("c1", "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1");
        assert_eq!(t.inside("c1", "grep NoNewPrivs /proc/1/status"), "NoNewPrivs:\t1");
    })
    .keys("lxc.no_new_privs");

    c.add("attach.optional_argument_must_be_glued", |t| {
        t.run("c1", "");
        // the word after -e is the container's name
        t.sh("lxc-attach -e CAP c1 -- true").code(1).err_has("Failed to get init pid");
    });

    c.add("attach.config_broken_while_running", |t| {
        t.run("c1", "");
        t.sh("echo 'lxc.bogus = 1' >> /var/lib/lxc/c1/config");
        t.sh("lxc-attach -n c1 -- hostname").ok().out("c1\n");
    })
    .differs("broken-config-does-not-lock-the-owner-out");

    c.add("attach.idmapped_container", |t| {
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs");
        t.start("c1");
        t.sh("lxc-attach -n c1 -- sh -c 'id -u; cat /proc/self/uid_map'").ok().out_has("100000").out_has("0\n");
        t.sh("lxc-attach -n c1 -- cat /proc/self/setgroups").ok().out("allow\n");
    });
}
