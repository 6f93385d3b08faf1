//! Hooks: order, environment, both argument versions, failures.

use crate::case::Cases;

const HOOKS: [&str; 9] =
    ["pre-start", "pre-mount", "mount", "autodev", "start-host", "start", "stop", "post-stop", "clone"];

/// Lines that hang /tmp/hook (or /hook inside) on every point.
fn all() -> String {
    HOOKS.iter().map(|h| format!("lxc.hook.{h} = {}\n", if *h == "start" { "/hook" } else { "/tmp/hook" })).collect()
}

/// Set up a recorder; inside the container it writes to /order of the rootfs.
fn recorder(t: &mut crate::ctx::T, lines: &str) -> std::path::PathBuf {
    let r = t.mk("c1", lines);
    t.script("/tmp/hook", "h=$3; [ -n \"$h\" ] || h=$LXC_HOOK_TYPE\necho \"$@\" > \"/tmp/args.$h\"\nenv | sort > \"/tmp/env.$h\"\necho \"$h\" >> /tmp/order\nexit 0\n");
    t.script(r.join("hook"), "h=$3; [ -n \"$h\" ] || h=$LXC_HOOK_TYPE\necho \"$@\" > \"/args.$h\"\nenv | sort > \"/env.$h\"\necho \"$h\" >> /order\n");
    t.sh(": > /tmp/order; chmod 666 /tmp/order").ok();
    r
}

pub fn add(c: &mut Cases) {
    c.add("hook.order", |t| {
        let r = recorder(t, &all());
        t.start("c1");
        t.until("start-host ran", |t| t.read("/tmp/order").contains("start-host"));
        assert_eq!(t.read("/tmp/order"), "pre-start\npre-mount\nmount\nautodev\nstart-host\n");
        assert_eq!(t.read(r.join("order")), "start\n");
        t.sh("lxc-stop -n c1").ok();
        t.until("post-stop ran", |t| t.read("/tmp/order").contains("post-stop"));
        assert_eq!(t.read("/tmp/order"), "pre-start\npre-mount\nmount\nautodev\nstart-host\nstop\npost-stop\n");
    })
    .keys("lxc.hook.pre-start lxc.hook.pre-mount lxc.hook.mount lxc.hook.autodev lxc.hook.start-host lxc.hook.start lxc.hook.stop lxc.hook.post-stop");

    c.add("hook.version_0_arguments", |t| {
        let r = recorder(t, &all());
        t.start("c1");
        t.until("start-host ran", |t| t.read("/tmp/order").contains("start-host"));
        t.sh("lxc-stop -n c1").ok();
        t.until("post-stop ran", |t| t.read("/tmp/order").contains("post-stop"));
        for h in ["pre-start", "pre-mount", "mount", "autodev", "start-host", "post-stop"] {
            assert_eq!(t.read(format!("/tmp/args.{h}")), format!("c1 lxc {h}\n"));
        }
        assert_eq!(t.read(r.join("args.start")), "c1 lxc start\n");
        let stop = t.read("/tmp/args.stop");
        let words: Vec<&str> = stop.split_whitespace().collect();
        assert_eq!(words[..3], ["c1", "lxc", "stop"]);
        for ns in ["mnt", "pid", "uts", "ipc", "net", "cgroup"] {
            assert!(words[3..].iter().any(|w| w.starts_with(&format!("{ns}:/proc/"))), "{ns} in {stop}");
        }
    });

    c.add("hook.version_1_arguments", |t| {
        let r = recorder(t, &format!("{}lxc.hook.version = 1\n", all()));
        t.start("c1");
        t.until("start-host ran", |t| t.read("/tmp/order").contains("start-host"));
        t.sh("lxc-stop -n c1").ok();
        t.until("post-stop ran", |t| t.read("/tmp/order").contains("post-stop"));
        for h in ["pre-start", "pre-mount", "mount", "autodev", "start-host", "stop", "post-stop"] {
            assert_eq!(t.read(format!("/tmp/args.{h}")), "\n", "{h} has no arguments");
            let env = t.read(format!("/tmp/env.{h}"));
            assert!(env.contains(&format!("LXC_HOOK_TYPE={h}\n")), "{h}: {env}");
            assert!(env.contains("LXC_HOOK_SECTION=lxc\n"), "{h}: {env}");
            assert!(env.contains("LXC_HOOK_VERSION=1\n"), "{h}: {env}");
        }
        assert!(t.read(r.join("env.start")).contains("LXC_HOOK_TYPE=start\n"));
        let env = t.read("/tmp/env.stop");
        for ns in ["MNT", "PID", "UTS", "IPC", "NET", "CGROUP"] {
            assert!(env.contains(&format!("LXC_{ns}_NS=/proc/")), "{ns} in {env}");
        }
    })
    .keys("lxc.hook.version");

    c.add("hook.environment", |t| {
        let r = recorder(t, &format!("{}lxc.environment = MINE=yes\nlxc.console.logfile = /tmp/con.log\n", all()));
        t.start("c1");
        t.until("start-host ran", |t| t.read("/tmp/order").contains("start-host"));
        t.sh("lxc-stop -n c1").ok();
        t.until("post-stop ran", |t| t.read("/tmp/order").contains("post-stop"));
        let mount = t.sh("lxc-info -n c1 -H -c lxc.rootfs.mount").line().to_string();
        for h in ["pre-start", "pre-mount", "mount", "autodev", "start-host", "stop", "post-stop"] {
            let env = t.read(format!("/tmp/env.{h}"));
            for line in [
                "LXC_NAME=c1",
                "LXC_CONFIG_FILE=/var/lib/lxc/c1/config",
                &format!("LXC_ROOTFS_MOUNT={mount}"),
                "LXC_ROOTFS_PATH=/var/lib/lxc/c1/rootfs",
                "LXC_CGNS_AWARE=1",
                "LXC_HOOK_VERSION=0",
                "LXC_CONSOLE_LOGPATH=/tmp/con.log",
            ] {
                assert!(env.lines().any(|l| l == line), "{h}: {line} in\n{env}");
            }
            assert!(env.contains("LXC_LOG_LEVEL="), "{h}: {env}");
            assert_eq!(env.contains("MINE=yes\n"), ["pre-mount", "mount", "autodev"].contains(&h), "{h}: {env}");
            assert_eq!(env.contains("LXC_PID="), ["start-host", "stop", "post-stop"].contains(&h), "{h}: {env}");
            let target = ["stop", "post-stop"].contains(&h);
            assert_eq!(env.contains("LXC_TARGET=stop\n"), target, "{h}: {env}");
        }
        assert!(t.read(r.join("env.start")).contains("MINE=yes\n"));
    });

    c.add("hook.several_in_order", |t| {
        t.script("/tmp/a", "echo a >> /tmp/order\n");
        t.script("/tmp/b", "echo \"b $1 $2 $3 $4\" >> /tmp/order\n");
        t.mk("c1", "lxc.hook.pre-start = /tmp/a\nlxc.hook.pre-start = /tmp/b with args\nlxc.hook.pre-start = /tmp/a");
        t.start("c1");
        assert_eq!(t.read("/tmp/order"), "a\nb with args c1 lxc\na\n");
    });

    c.add("hook.is_a_shell_command", |t| {
        t.mk("c1", "lxc.hook.pre-start = sh -c 'echo \"$0 $LXC_NAME\" > /tmp/out' zero");
        t.start("c1");
        assert_eq!(t.read("/tmp/out"), "zero c1\n");
    });

    for h in ["pre-start", "pre-mount", "mount", "autodev", "start-host", "start"] {
        c.add(format!("hook.failure_aborts.{h}"), move |t| {
            let r = t.mk(
                "c1",
                &format!(
                    "lxc.hook.{h} = {}\nlxc.hook.post-stop = /tmp/post",
                    if h == "start" { "/hook" } else { "/tmp/hook" }
                ),
            );
            t.script("/tmp/hook", "exit 3\n");
            t.script("/tmp/post", "echo ran > /tmp/post-stop\n");
            t.script(r.join("hook"), "exit 3\n");
            let o = t.sh("lxc-start -n c1");
            o.code(1).err_has("The container failed to start");
            assert_eq!(t.state("c1"), "STOPPED");
        });
    }

    for h in ["stop", "post-stop"] {
        c.add(format!("hook.failure_is_logged.{h}"), move |t| {
            t.script("/tmp/hook", "exit 3\n");
            t.mk("c1", &format!("lxc.hook.{h} = /tmp/hook"));
            t.start("c1");
            t.sh("lxc-stop -n c1").ok();
            assert_eq!(t.state("c1"), "STOPPED");
            t.start("c1");
        });
    }

    c.add("hook.missing_program", |t| {
        t.mk("c1", "lxc.hook.pre-start = /no/such/hook");
        t.sh("lxc-start -n c1").code(1);
        t.mk("c2", "lxc.hook.start = /no/such/hook");
        t.sh("lxc-start -n c2").code(1);
    });

    c.add("hook.output_goes_to_the_log", |t| {
        t.script("/tmp/hook", "echo said by the hook; echo and this >&2; exit 0\n");
        t.mk("c1", "lxc.hook.pre-start = /tmp/hook");
        t.start_with("c1", "-l DEBUG -o /tmp/log");
        let log = t.read("/tmp/log");
        assert!(log.contains("said by the hook"), "{log}");
    });

    c.add("hook.mount_can_fill_the_rootfs", |t| {
        t.script("/tmp/hook", "echo from hook > \"$LXC_ROOTFS_MOUNT/mnt/by-hook\"\n");
        let r = t.run("c1", "lxc.hook.mount = /tmp/hook");
        assert_eq!(t.read(r.join("mnt/by-hook")), "from hook\n");
    });

    c.add("hook.mount_sees_the_containers_namespaces", |t| {
        t.script("/tmp/hook", "readlink /proc/self/ns/mnt /proc/self/ns/net /proc/self/ns/uts /proc/self/ns/pid > /tmp/ns.$3\n");
        t.run("c1", "lxc.hook.mount = /tmp/hook\nlxc.hook.pre-mount = /tmp/hook\nlxc.hook.start-host = /tmp/hook\nlxc.hook.pre-start = /tmp/hook");
        t.until("start-host ran", |t| t.read("/tmp/ns.start-host").lines().count() == 4);
        let host: String = ["mnt", "net", "uts", "pid"].iter().map(|n| std::fs::read_link(format!("/proc/self/ns/{n}")).map(|p| p.display().to_string()).unwrap_or_default() + "\n").collect();
        assert_eq!(t.read("/tmp/ns.pre-start"), host);
        assert_eq!(t.read("/tmp/ns.start-host"), host);
        for h in ["mount", "pre-mount"] {
            let own = t.read(format!("/tmp/ns.{h}"));
            for (a, b) in own.lines().zip(host.lines()).take(3) {
                assert_ne!(a, b, "{h}");
            }
        }
    });

    c.add("hook.autodev_can_make_nodes", |t| {
        t.script("/tmp/hook", "mknod -m 666 \"$LXC_ROOTFS_MOUNT/dev/mine\" c 1 3\n");
        t.run("c1", "lxc.hook.autodev = /tmp/hook");
        assert_eq!(t.inside("c1", "stat -c %t:%T /dev/mine"), "1:3");
    });

    c.add("hook.stop_can_enter_the_namespaces", |t| {
        t.script(
            "/tmp/hook",
            "for a in \"$@\"; do case $a in uts:*) nsenter --uts=${a#uts:} hostname > /tmp/seen;; esac; done\n",
        );
        t.run("c1", "lxc.hook.stop = /tmp/hook");
        t.sh("lxc-stop -n c1").ok();
        assert_eq!(t.read("/tmp/seen"), "c1\n");
    });

    c.add("hook.reboot_target", |t| {
        t.script("/tmp/hook", "echo \"$3 $LXC_TARGET\" >> /tmp/order\n");
        let r =
            t.run("c1", "lxc.hook.stop = /tmp/hook\nlxc.hook.post-stop = /tmp/hook\nlxc.hook.pre-start = /tmp/hook");
        t.sh("lxc-stop -r -n c1").ok();
        t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
        assert_eq!(t.read("/tmp/order"), "pre-start \nstop reboot\npost-stop reboot\npre-start reboot\n");
    });

    c.add("hook.failing_post_stop_cancels_a_reboot", |t| {
        t.script("/tmp/hook", "exit 1\n");
        t.run("c1", "lxc.hook.post-stop = /tmp/hook");
        let init = t.init_pid("c1");
        t.kill(init, nix::sys::signal::Signal::SIGINT);
        t.until("STOPPED", |t| t.state("c1") == "STOPPED");
    });

    c.add("hook.name_with_shell_characters", |t| {
        t.script("/tmp/hook", "echo \"[$1] [$2] [$3] [$LXC_NAME]\" > /tmp/args\n");
        t.write("/tmp/name", "a b;touch /tmp/oops;$(id)'q\"".replace('/', "_").as_str());
        let name = t.read("/tmp/name");
        t.mk_bare(
            crate::ctx::STORE,
            &name,
            "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit\nlxc.hook.pre-start = /tmp/hook",
        );
        t.sh("lxc-start --name=\"$(cat /tmp/name)\"").ok();
        assert_eq!(t.read("/tmp/args"), format!("[{name}] [lxc] [pre-start] [{name}]\n"));
        t.sh("lxc-stop -k --name=\"$(cat /tmp/name)\"").ok();
        t.sh("ls / | grep oops").code(1);
    })
    .differs("hook-arguments-are-quoted");

    c.add("hook.shipped_clonehostname_exists", |t| {
        let hooks = t.prefix.join("share/lxc/hooks/clonehostname");
        t.exists(&hooks);
    });
}
