//! Hooks: order, environment, both argument versions, failures.

use super::keys::client;
use crate::case::{Cases, Need};

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

    clones(c);

    c.add("hook.shipped_clonehostname_exists", |t| {
        let hooks = t.prefix.join("share/lxc/hooks/clonehostname");
        t.exists(&hooks);
    });
}

/// Writes down what a hook of a copy or a removal sees, and leaves a file in the rootfs.
const WITNESS: &str = "exec >> /tmp/seen\n\
    echo \"args: $*\"\n\
    echo \"$LXC_NAME of $LXC_SRC_NAME, $LXC_CONFIG_FILE\"\n\
    echo \"$LXC_ROOTFS_PATH at $LXC_ROOTFS_MOUNT\"\n\
    echo \"type $LXC_HOOK_TYPE section $LXC_HOOK_SECTION, $FOO, $(pwd)\"\n\
    test $(readlink /proc/self/ns/mnt) = $(cat /tmp/host) && echo \"the host's mounts\"\n\
    ls $LXC_ROOTFS_MOUNT | grep -E '^(sbin|from-)'\n\
    touch $LXC_ROOTFS_MOUNT/from-$LXC_NAME\n";

fn clones(c: &mut Cases) {
    let prepare = |t: &mut crate::ctx::T, lines: &str| {
        client(t);
        t.script("/tmp/hook", WITNESS);
        t.sh("readlink /proc/self/ns/mnt > /tmp/host && mkdir /tmp/at").ok();
        t.mk("c1", &format!("lxc.hook.clone = /tmp/hook\nlxc.rootfs.mount = /tmp/at\n{lines}"));
    };

    c.add("hook.clone_sees_a_directory", move |t| {
        prepare(t, "");
        t.sh("cd /tmp && FOO=1 LXC_ROOTFS_PATH=x /tmp/client /var/lib/lxc c1 clone c2 0 more 'and more'").ok();
        assert_eq!(
            t.read("/tmp/seen"),
            "args: c2 lxc clone more and more\n\
             c2 of c1, /var/lib/lxc/c2/config\n\
             dir:/var/lib/lxc/c2/rootfs at /var/lib/lxc/c2/rootfs\n\
             type  section , 1, /tmp\nsbin\n"
        );
        t.exists(t.rootfs("c2").join("from-c2"));
        t.gone(t.rootfs("c1").join("from-c2"));
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.hook.clone");

    // Each hook of a copy finds the mounts that the one before it has made, and nobody else does.
    c.add("hook.clone_sees_layers", move |t| {
        t.script("/tmp/first", "mount -t tmpfs none /mnt && touch /mnt/from-first\n");
        t.script("/tmp/last", "ls /mnt | grep from- >> /tmp/seen\n");
        prepare(t, "lxc.hook.version = 1\nlxc.hook.clone = /tmp/first\nlxc.hook.clone = /tmp/last");
        t.sh("cd /tmp && /tmp/client /var/lib/lxc c1 clone c2 4 more").ok();
        let seen = |args: &str, new: &str, old: &str, files: &str| {
            format!(
                "args: {args}\n{new} of {old}, /var/lib/lxc/{new}/config\n\
                 overlay:/var/lib/lxc/c1/rootfs:/var/lib/lxc/{new}/overlay/delta at /tmp/at\n\
                 type clone section lxc, , /tmp\n{files}sbin\nfrom-first\n"
            )
        };
        assert_eq!(t.read("/tmp/seen"), seen("more", "c2", "c1", ""));
        t.exists("/var/lib/lxc/c2/overlay/delta/from-c2");
        t.gone(t.rootfs("c1").join("from-c2"));
        t.gone("/mnt/from-first");
        // A copy of a copy has the layer's files.
        t.sh("rm /tmp/seen; cd /tmp && /tmp/client /var/lib/lxc c2 clone c3 4").ok();
        assert_eq!(t.read("/tmp/seen"), seen("", "c3", "c2", "from-c2\n"));
        t.exists("/var/lib/lxc/c3/overlay/delta/from-c3");
        t.gone("/var/lib/lxc/c2/overlay/delta/from-c3");
        t.sh("ls /tmp/at").out("");
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.hook.clone lxc.hook.version");

    // Nothing is mounted for these.
    c.add("hook.destroy_sees", move |t| {
        prepare(t, "lxc.hook.destroy = /tmp/hook");
        t.sh("/tmp/client /var/lib/lxc c1 clone c2 4 && rm /tmp/seen").ok();
        let seen = |name: &str, path: &str| {
            format!(
                "args: {name} lxc destroy\n{name} of , /var/lib/lxc/{name}/config\n{path} at /tmp/at\n\
                 type  section , , /\nthe host's mounts\n"
            )
        };
        t.sh("cd / && /tmp/client /var/lib/lxc c2 destroy").ok();
        assert_eq!(t.read("/tmp/seen"), seen("c2", "/var/lib/lxc/c1/rootfs:/var/lib/lxc/c2/overlay/delta"));
        t.sh("rm /tmp/seen /tmp/at/from-c2; cd / && lxc-destroy -n c1").ok();
        assert_eq!(t.read("/tmp/seen"), seen("c1", "/var/lib/lxc/c1/rootfs"));
        t.exists("/tmp/at/from-c1");
        t.gone("/var/lib/lxc/c1");
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.hook.destroy lxc.rootfs.mount");

    // A copy that its hook refuses is removed as any container is.
    c.add("hook.clone_that_fails_is_undone", move |t| {
        prepare(t, "lxc.hook.clone = /tmp/no\nlxc.hook.destroy = /tmp/undo");
        t.script("/tmp/no", "exit 3\n");
        t.script("/tmp/undo", "echo \"$1 $3\" > /tmp/undone\n");
        for flags in [0, 4] {
            t.sh(&format!("/tmp/client /var/lib/lxc c1 clone c2 {flags}")).code(1);
            assert_eq!(t.read("/tmp/undone"), "c2 destroy\n");
            t.gone("/var/lib/lxc/c2");
            t.sh("rm /tmp/undone").ok();
        }
    })
    .needs(&[Need::Compiler, Need::Headers])
    .keys("lxc.hook.clone lxc.hook.destroy");
}
