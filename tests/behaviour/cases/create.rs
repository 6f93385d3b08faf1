//! lxc-create and its contract with templates.

use crate::case::{Cases, Need};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;

fn mode(path: &str) -> u32 {
    std::fs::symlink_metadata(path).map(|m| m.permissions().mode() & 0o7777).unwrap_or(0)
}

/// A template that records how it was called.
const RECORDER: &str = r#"
{ for a in "$@"; do echo "arg=$a"; done; echo "cwd=$PWD"; echo "umask=$(umask)"; env | grep '^LXC_' | sort; } > /tmp/record
for a in "$@"; do case $a in --rootfs=*) mkdir -p "${a#--rootfs=}/etc"; echo hi > "${a#--rootfs=}/etc/hello";; --path=*) echo "lxc.uts.name = fromtpl" >> "${a#--path=}/config";; esac; done
exit 0
"#;

pub fn add(c: &mut Cases) {
    c.add("create.none", |t| {
        t.sh("lxc-create -n c1 -t none").ok().silent();
        assert_eq!(t.read("/var/lib/lxc/c1/config"), "lxc.net.0.type = empty\n");
        assert_eq!(mode("/var/lib/lxc/c1"), 0o770);
        assert_eq!(mode("/var/lib/lxc/c1/config"), 0o640);
        t.gone("/var/lib/lxc/c1/partial");
        t.gone("/var/lib/lxc/c1/rootfs");
        t.sh("lxc-ls -1").ok().out("c1\n");
        t.sh("lxc-info -n c1").ok().out("Name:           c1\nState:          STOPPED\n");
        t.sh("lxc-destroy -n c1").ok().silent();
    })
    .covers("create -t --template -n; destroy -n");

    c.add("create.config_option", |t| {
        t.write("/tmp/cfg", "# mine\nlxc.uts.name = zed\nlxc.net.0.type = empty\n");
        t.sh("lxc-create -n c1 -t none -f /tmp/cfg").ok().silent();
        assert_eq!(t.read("/var/lib/lxc/c1/config"), "# mine\nlxc.uts.name = zed\nlxc.net.0.type = empty\n");
        t.sh("lxc-create --name=c2 --template=none --config=/tmp/cfg").ok().silent();
        assert_eq!(t.read("/var/lib/lxc/c2/config"), t.read("/var/lib/lxc/c1/config"));
    })
    .covers("create -f --config --template");

    c.add("create.exists", |t| {
        t.sh("lxc-create -n c1 -t none").ok();
        t.sh("lxc-create -n c1 -t none").code(1).err_has("Container already exists");
        t.sh("lxc-create -q -n c1 -t none").code(1).silent();
        t.exists("/var/lib/lxc/c1/config");
    });

    c.add("create.no_template", |t| {
        let o = t.sh("lxc-create -n c1");
        o.code(1)
            .err_has("A template must be specified")
            .err_has("Use \"none\" if you really want a container without a rootfs");
        t.gone("/var/lib/lxc/c1");
    });

    c.add("create.missing_template", |t| {
        let o = t.sh("lxc-create -n c1 -t nosuch");
        o.code(1).err_has("nosuch").err_has("Failed to create container c1");
        t.gone("/var/lib/lxc/c1");
        t.sh("lxc-create -n c1 -t /no/such/template").code(1);
        t.gone("/var/lib/lxc/c1");
    });

    c.add("create.template_contract", |t| {
        t.script("/tmp/tpl", RECORDER);
        t.sh("cd /mnt && lxc-create -n c1 -t /tmp/tpl -- --extra 'a b'").ok();
        let rec = t.read("/tmp/record");
        assert_eq!(
            rec,
            "arg=--path=/var/lib/lxc/c1\narg=--name=c1\narg=--rootfs=/var/lib/lxc/c1/rootfs\narg=--extra\narg=a b\ncwd=/mnt\numask=0022\n"
        );
        assert_eq!(t.read("/var/lib/lxc/c1/rootfs/etc/hello"), "hi\n");
        let cfg = t.read("/var/lib/lxc/c1/config");
        assert!(cfg.contains("lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\n"), "{cfg}");
        assert!(cfg.contains("lxc.uts.name = fromtpl\n"), "{cfg}");
        assert!(cfg.starts_with("# Template used to create this container: /tmp/tpl\n# Parameters passed to the template: --extra a b\n"), "{cfg}");
        assert!(cfg.contains("# For additional config options, please look at lxc.container.conf(5)\n\n# Uncomment the following line to support nesting containers:\n#lxc.include = "), "{cfg}");
        assert!(cfg.contains("# (Be aware this has security implications)\n\n"), "{cfg}");
        t.gone("/var/lib/lxc/c1/partial");
    });

    c.add("create.header_without_parameters", |t| {
        t.script("/tmp/tpl", "exit 0\n");
        t.sh("lxc-create -n c1 -t /tmp/tpl").ok();
        let cfg = t.read("/var/lib/lxc/c1/config");
        assert!(cfg.contains("# Parameters passed to the template:\n"), "{cfg}");
    });

    c.add("create.header_has_checksum", |t| {
        t.script("/tmp/tpl", "exit 0\n");
        let sum = t.sh("sha1sum < /tmp/tpl").out.split(' ').next().unwrap_or("").to_string();
        t.sh("lxc-create -n c1 -t /tmp/tpl").ok();
        let cfg = t.read("/var/lib/lxc/c1/config");
        assert!(cfg.contains(&format!("# Template script checksum (SHA-1): {sum}\n")), "{cfg}");
    })
    .since("7.0");

    c.add("create.template_fails", |t| {
        t.script("/tmp/tpl", "mkdir -p \"$(echo $3 | sed s/--rootfs=//)/half\"; echo told >&2; exit 3\n");
        let o = t.sh("lxc-create -n c1 -t /tmp/tpl");
        o.code(1).err_has("told\n").err_has("Failed to create container c1");
        t.gone("/var/lib/lxc/c1");
        t.sh("lxc-ls -1").ok().silent();
        // and the name is free again
        t.sh("lxc-create -n c1 -t none").ok();
    });

    c.add("create.template_killed", |t| {
        t.script("/tmp/tpl", "kill -9 $$\n");
        t.sh("lxc-create -n c1 -t /tmp/tpl").code(1);
        t.gone("/var/lib/lxc/c1");
    });

    c.add("create.quiet_template", |t| {
        t.script("/tmp/tpl", "echo loud; echo louder >&2; exit 0\n");
        t.sh("lxc-create -q -n c1 -t /tmp/tpl").ok().silent();
        t.sh("lxc-create -n c2 -t /tmp/tpl").ok().out("loud\n").err_has("louder\n");
    })
    .covers("create -q --quiet");

    c.add("create.dir_option", |t| {
        t.script("/tmp/tpl", RECORDER);
        t.sh("lxc-create -n c1 -t /tmp/tpl --dir=/tmp/where/root").ok();
        assert_eq!(t.read("/tmp/where/root/etc/hello"), "hi\n");
        assert!(t.read("/var/lib/lxc/c1/config").contains("lxc.rootfs.path = dir:/tmp/where/root\n"));
        t.sh("lxc-create -n c2 -t /tmp/tpl --dir rel/ative").code(1).err_has("--dir should use absolute path");
        t.gone("/var/lib/lxc/c2");
    })
    .covers("create --dir -t");

    c.add("create.bdev_dir_none", |t| {
        t.script("/tmp/tpl", RECORDER);
        for (i, b) in ["-B dir", "--bdev=dir", "-B none", "--bdev none"].iter().enumerate() {
            t.sh(&format!("lxc-create -n b{i} -t /tmp/tpl {b}")).ok();
            assert!(
                t.read(format!("/var/lib/lxc/b{i}/config"))
                    .contains(&format!("lxc.rootfs.path = dir:/var/lib/lxc/b{i}/rootfs\n"))
            );
        }
    })
    .covers("create -B --bdev");

    c.add("create.bdev_bad", |t| {
        t.sh("lxc-create -n c1 -t none -B bogus").code(1).err_has("bogus is not a valid backing storage type");
        t.gone("/var/lib/lxc/c1");
    });

    c.add("create.bdev_options_need_their_backend", |t| {
        for (opts, text) in [
            ("--lvname x", "--lvname, --vgname and --thinpool are only valid with -B lvm"),
            ("--vgname x", "--lvname, --vgname and --thinpool are only valid with -B lvm"),
            ("--thinpool x", "--lvname, --vgname and --thinpool are only valid with -B lvm"),
            ("--fstype ext4", "Filesystem type and size are only valid with block devices"),
            ("--fssize 1G", "Filesystem type and size are only valid with block devices"),
            ("--zfsroot x", "zfsroot is only valid with -B zfs"),
            ("--rbdname x", "--rbdname and --rbdpool are only valid with -B rbd"),
            ("--rbdpool x", "--rbdname and --rbdpool are only valid with -B rbd"),
            ("-0 x", "--lvname, --vgname and --thinpool are only valid with -B lvm"),
            ("-5 x", "zfsroot is only valid with -B zfs"),
        ] {
            t.sh(&format!("lxc-create -n c1 -t none {opts}")).code(1).out("").err_has(text);
            t.gone("/var/lib/lxc/c1");
        }
    })
    .covers("create --lvname --vgname --thinpool --fstype --fssize --zfsroot --rbdname --rbdpool");

    c.add("create.backends_not_built_yet", |t| {
        for b in ["zfs", "lvm", "rbd", "btrfs", "overlay", "overlayfs", "loop", "nbd"] {
            let o = t.sh(&format!("lxc-create -n c1 -t none -B {b}"));
            o.code(1).out("").err_has("lxc-create: ").err_has("not built yet");
            t.gone("/var/lib/lxc/c1");
        }
        t.sh("lxc-create -n c1 -t none -B rbd --rbduser me").code(1).err_has("not built yet");
    })
    .differs("create-backends")
    .covers("create --rbduser -B");

    c.add("create.config_missing", |t| {
        let o = t.sh("lxc-create -n c1 -t none -f /no/such");
        o.ok().err_has("/no/such");
        t.exists("/var/lib/lxc/c1/config");
        assert_eq!(t.read("/var/lib/lxc/c1/config"), "");
        t.sh("lxc-destroy -n c1").ok();
    });

    c.add("create.store_is_tried_first", |t| {
        t.sh("chmod 700 /etc/lxc; mkdir -p /tmp/home; chmod 755 /var/lib/lxc").ok();
        let user = "HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups";
        let o = t.sh(&format!("{user} lxc-create -P /var/lib/lxc -n c1 -t none"));
        let first = o.err.lines().next().unwrap_or("").to_string();
        o.code(1).out("").err_lacks("default.conf").err_has("Failed to create container c1");
        o.check(first.contains("/var/lib/lxc") && first.contains("Permission denied"), "the first line is the cause");
        o.err_has("run it as root, or with -P");
        t.sh("chmod 755 /etc/lxc").ok();
        t.gone("/var/lib/lxc/c1");
    })
    .differs("create-tries-the-store-first");

    c.add("create.unreadable_config_is_named_once", |t| {
        t.sh("chmod 755 /root; mkdir -p /tmp/home; chmod 777 /tmp/home; mkdir /tmp/shut; touch /tmp/shut/d; chmod 700 /tmp/shut").ok();
        let user = "HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups";
        let o = t.sh(&format!("{user} lxc-create -P /tmp/home/s -n c1 -t none -f /tmp/shut/d"));
        let line = o.err.lines().find(|l| l.contains("/tmp/shut/d")).unwrap_or("").to_string();
        o.check(line.matches("/tmp/shut/d").count() == 1 && line.contains("Permission denied"), "named once, and why");
    });

    c.add("create.config_with_a_bad_key", |t| {
        t.write("/tmp/cfg", "lxc.net.0.type = empty\nlxc.bogus = 1\n");
        t.sh("lxc-create -n c1 -t none -f /tmp/cfg").ok().err_has("lxc.bogus");
        t.exists("/var/lib/lxc/c1");
        // the container can be removed all the same
        t.sh("lxc-destroy -n c1").ok();
        t.gone("/var/lib/lxc/c1");
    })
    .differs("broken-config-does-not-lock-the-owner-out");

    c.add("create.template_help", |t| {
        t.script("/tmp/tpl", "case \" $* \" in *' -h '*|*' --help '*) echo template help; exit 0;; esac; exit 1\n");
        let o = t.sh("lxc-create -t /tmp/tpl -h");
        o.ok().out_has("template help").err_has("Usage: lxc-create ");
        let o = t.sh("lxc-create -h -t /tmp/tpl");
        o.ok().out("").err_has("Usage: lxc-create ");
        t.gone("/var/lib/lxc/c1");
    })
    .covers("create -h --help");

    c.add("create.store_is_made", |t| {
        t.sh("lxc-create -P /tmp/new/store -n c1 -t none").ok().silent();
        assert_eq!(mode("/tmp/new/store"), 0o755);
        t.sh("lxc-ls -P /tmp/new/store -1").ok().out("c1\n");
    })
    .covers("create -P --lxcpath");

    c.add("create.busybox_template", |t| {
        let o = t.sh_within("lxc-create -n c1 -t busybox", 60);
        o.ok();
        let cfg = t.read("/var/lib/lxc/c1/config");
        for line in [
            "lxc.rootfs.path = dir:/var/lib/lxc/c1/rootfs\n",
            "lxc.signal.halt = SIGUSR1\n",
            "lxc.signal.reboot = SIGTERM\n",
            "lxc.tty.max = 5\n",
            "lxc.pty.max = 1\n",
            "lxc.cap.drop = sys_module mac_admin mac_override sys_time\n",
            "lxc.mount.auto = cgroup:mixed proc:mixed sys:ro\n",
        ] {
            assert!(cfg.contains(line), "{line:?} missing in {cfg}");
        }
        assert_eq!(t.sh("lxc-info -n c1 -c lxc.uts.name -H").line(), "c1");
        t.exists("/var/lib/lxc/c1/rootfs/sbin/init");
        t.sh("lxc-start -n c1").ok().silent();
        t.sh("lxc-wait -n c1 -s RUNNING -t 10").ok();
        t.sh("lxc-attach -n c1 -- ps").ok().out_has("init");
        t.sh("lxc-attach -n c1 -- hostname").ok().out("c1\n");
        t.sh("lxc-stop -n c1 -k").ok();
        t.sh("lxc-destroy -n c1").ok().silent();
        t.gone("/var/lib/lxc/c1");
    })
    .covers("create -t");

    c.add("create.busybox_template_option", |t| {
        let o = t.sh("lxc-create -n c1 -t busybox -- --busybox-path=/bin/busybox");
        o.ok();
        t.exists("/var/lib/lxc/c1/rootfs/bin/sh");
        let o = t.sh("lxc-create -n c2 -t busybox -- --busybox-path=/no/such");
        o.code(1);
        t.gone("/var/lib/lxc/c2");
    });

    c.add("create.busybox_idmapped", |t| {
        t.write("/tmp/cfg", "lxc.net.0.type = empty\nlxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n");
        t.sh("chmod 755 /var/lib/lxc");
        t.sh("lxc-create -n c1 -t busybox -f /tmp/cfg").ok();
        let o = t.sh("stat -c %u:%g /var/lib/lxc/c1/rootfs/bin");
        o.out("100000:100000\n");
        t.sh("lxc-start -n c1").ok();
        t.sh("lxc-attach -n c1 -- id -u").ok().out("0\n");
        t.sh("lxc-stop -k -n c1").ok();
        t.sh("lxc-destroy -n c1").ok();
        t.gone("/var/lib/lxc/c1");
    });

    c.add("create.idmapped_template_arguments", |t| {
        t.script("/tmp/tpl", "for a in \"$@\"; do echo \"$a\"; done > /tmp/args\n");
        t.sh("touch /tmp/args; chmod 666 /tmp/args; chmod 755 /tmp/tpl");
        t.write("/tmp/cfg", "lxc.net.0.type = empty\nlxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n");
        t.sh("lxc-create -n c1 -t /tmp/tpl -f /tmp/cfg -- x").ok();
        let args = t.read("/tmp/args");
        assert!(
            args.starts_with("--path=/var/lib/lxc/c1\n--name=c1\n--rootfs=/var/lib/lxc/c1/rootfs\nx\n--mapped-uid\n"),
            "{args}"
        );
        assert!(args.contains("\n--mapped-gid\n"), "{args}");
    });

    for sig in [Signal::SIGINT, Signal::SIGTERM] {
        c.add(format!("create.interrupted_by_{sig}"), move |t| {
            t.script("/tmp/tpl", "touch /tmp/started; exec sleep 1000\n");
            let mut bg = t.spawn("exec lxc-create -n c1 -t /tmp/tpl");
            t.until("the template runs", |_| std::path::Path::new("/tmp/started").exists());
            bg.signal(sig);
            let o = bg.wait(10);
            o.check(o.code != 0, "an interrupted create fails");
            // nothing is left: no directory, no template
            t.until("the directory is removed", |_| !std::path::Path::new("/var/lib/lxc/c1").exists());
            t.until("the template is dead", |t| !t.sh("pgrep -x sleep").out.contains(char::is_numeric));
            t.sh("lxc-create -n c1 -t none").ok();
        })
        .differs("interrupted-create-cleans-up");
    }

    c.add("create.two_at_once", |t| {
        t.script(
            "/tmp/tpl",
            "touch /tmp/s.$$; n=0; while [ ! -e /tmp/go ] && [ $n -lt 500 ]; do sleep 0.02; n=$((n+1)); done; exit 0\n",
        );
        let mut first = t.spawn("exec lxc-create -n c1 -t /tmp/tpl");
        t.until("the first template runs", |t| t.sh("ls /tmp").out.contains("s."));
        let o = t.sh("lxc-create -n c1 -t none");
        o.code(1).err_has("Container already exists");
        let o = t.sh("lxc-start -n c1");
        o.code(1);
        t.write("/tmp/go", "");
        first.wait(10).ok();
        t.exists("/var/lib/lxc/c1/config");
        t.gone("/var/lib/lxc/c1/partial");
    });

    c.add("create.debian_template", |t| {
        let online = t.online();
        let cache = std::env::var("LXCB_REPO").unwrap_or_default() + "/target/test-cache";
        t.sh_within(
            &format!("mkdir -p {cache}; LXC_CACHE_PATH={cache} {online} lxc-create -n deb -t debian -- -r bookworm"),
            900,
        )
        .ok();
        crate::cases::systemd::boots(t, "deb");
        t.sh("lxc-destroy -n deb").ok();
        t.gone("/var/lib/lxc/deb");
    })
    .needs(&[Need::Registry])
    .limit(1200);
}
