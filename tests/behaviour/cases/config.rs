//! lxc-config, lxc-checkconfig, and what a container's config file may hold.

use crate::case::Cases;

pub fn add(c: &mut Cases) {
    tool(c);
    checkconfig(c);
    syntax(c);
}

fn tool(c: &mut Cases) {
    c.add("config.list", |t| {
        t.sh("lxc-config -l").ok().err("").out(
            "lxc.default_config\nlxc.lxcpath\nlxc.bdev.lvm.vg\nlxc.bdev.lvm.thin_pool\nlxc.bdev.zfs.root\nlxc.cgroup.use\nlxc.cgroup.pattern\n",
        );
    })
    .covers("config -l");

    c.add("config.usage", |t| {
        for arg in ["", "-h", "--help", "''"] {
            // Ours may add lines below the original's two.
            t.sh(&format!("lxc-config {arg}"))
                .ok()
                .err("")
                .out_has("Usage: lxc-config -l: list all available configuration items\n       lxc-config item: print configuration item\n");
        }
    })
    .covers("config -h --help");

    c.add("config.values", |t| {
        for (key, value) in [
            ("lxc.lxcpath", "/var/lib/lxc"),
            ("lxc.default_config", "/etc/lxc/default.conf"),
            ("lxc.bdev.lvm.vg", "lxc"),
            ("lxc.bdev.lvm.thin_pool", "lxc"),
            ("lxc.bdev.zfs.root", "lxc"),
            ("lxc.cgroup.use", "lxc.cgroup.use is not set."),
            ("lxc.cgroup.pattern", "lxc.cgroup.pattern is not set."),
        ] {
            t.sh(&format!("lxc-config {key}")).ok().err("").out(&format!("{value}\n"));
        }
    });

    c.add("config.unknown", |t| {
        t.sh("lxc-config nope").code(1).err("").out("Unknown configuration item: nope\n");
        t.sh("lxc-config lxc.nope").code(1).out("Unknown configuration item: lxc.nope\n");
    });

    c.add("config.no_prefix_match", |t| {
        for key in ["lxc.", "lxc.bdev", "l", "lxc.lxcpat"] {
            t.sh(&format!("lxc-config {key}")).code(1).out(&format!("Unknown configuration item: {key}\n"));
        }
    })
    .differs("config-prefix-match");

    c.add("config.lxc_conf", |t| {
        t.write("/etc/lxc/lxc.conf", "# comment\nlxc.bdev.lvm.vg = first\nlxc.bdev.lvm.vg = second\n  lxc.cgroup.use = @all\nlxc.bdev.zfs.root=tank/x\n");
        t.sh("lxc-config lxc.bdev.lvm.vg").ok().out("first\n");
        t.sh("lxc-config lxc.cgroup.use").ok().out("@all\n");
        t.sh("lxc-config lxc.bdev.zfs.root").ok().out("tank/x\n");
    });

    c.add("config.as_user", |t| {
        t.sh("chmod 755 /root /tmp; mkdir -p /tmp/home; chown 65534:65534 /tmp/home");
        let o = t.sh("HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups lxc-config lxc.lxcpath");
        o.ok().out("/tmp/home/.local/share/lxc\n");
        t.sh("HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups lxc-config lxc.default_config")
            .ok()
            .out("/tmp/home/.config/lxc/default.conf\n");
    });
}

fn checkconfig(c: &mut Cases) {
    c.add("checkconfig.sections", |t| {
        let o = t.sh("lxc-checkconfig");
        o.ok().err("");
        let mut at = 0;
        for part in [
            if t.reference { "LXC version 5.0.2\n" } else { "LXC version 7.0.0\n" },
            "--- Namespaces ---\n",
            "Namespaces: enabled\n",
            "Utsname namespace: enabled\n",
            "Ipc namespace: enabled\n",
            "Pid namespace: enabled\n",
            "User namespace: enabled\n",
            "Network namespace: enabled\n",
            "--- Control groups ---\n",
            "Cgroups: enabled\n",
            "Cgroup namespace: enabled\n",
            "Cgroup v1 mount points: \n",
            "Cgroup v2 mount points: \n",
            "--- Misc ---\n",
            "Veth pair device: enabled",
            "Macvlan: ",
            "Vlan: ",
            "Bridges: enabled",
            "Advanced netfilter: ",
            "CONFIG_IP_NF_TARGET_MASQUERADE: ",
            "CONFIG_IP6_NF_TARGET_MASQUERADE: ",
            "CONFIG_NETFILTER_XT_TARGET_CHECKSUM: ",
            "CONFIG_NETFILTER_XT_MATCH_COMMENT: ",
            "FUSE (for use with lxcfs): ",
            "--- Checkpoint/Restore ---\n",
            "checkpoint restore: ",
            "CONFIG_FHANDLE: ",
            "CONFIG_NETLINK_DIAG: ",
            "File capabilities: ",
        ] {
            match o.out[at..].find(part) {
                Some(i) => at += i + part.len(),
                None => o.fail(&format!("{part:?} missing after byte {at}")),
            }
        }
        o.out_lacks("\x1b[");
        t.sh("lxc-checkconfig --bogus args").ok();
    })
    .covers("checkconfig");

    c.add("checkconfig.namespace_limits", |t| {
        let n = t.read("/proc/sys/user/max_pid_namespaces").trim().to_string();
        let o = t.sh("lxc-checkconfig");
        o.ok().out_has("Namespace limits:\n").out_has(&format!("  pid: {n}\n"));
    })
    .since("7.0");

    c.add("checkconfig.other_config", |t| {
        t.write("/tmp/kconfig", "CONFIG_NAMESPACES=y\nCONFIG_UTS_NS=y\n# CONFIG_IPC_NS is not set\nCONFIG_PID_NS=m\n");
        let o = t.sh("CONFIG=/tmp/kconfig lxc-checkconfig");
        o.ok()
            .out_has("Namespaces: enabled\n")
            .out_has("Utsname namespace: enabled\n")
            .out_has("Ipc namespace: required\n")
            .out_has("User namespace: missing\n");
    });

    c.add("checkconfig.no_config", |t| {
        let o = t.sh("CONFIG=/no/such lxc-checkconfig");
        // /proc/config.gz is taken when the named one does not exist
        o.no_crash().out_has("Kernel configuration not found at /no/such; searching...");
    });

    c.add("checkconfig.colours_on_a_terminal", |t| {
        let mut p = t.pty("lxc-checkconfig");
        assert_eq!(p.end(), 0);
        assert!(p.text.contains("enabled"), "{}", p.text);
    });
}

/// A config line set and how `lxc-info -c` shows it.
fn shows(c: &mut Cases, name: &str, lines: &'static str, key: &'static str, value: &'static str) {
    c.add(format!("syntax.{name}"), move |t| {
        t.mk("c1", lines);
        t.sh(&format!("lxc-info -n c1 -H -c {key}")).ok().err("").out(&format!("{value}\n"));
    });
}

fn syntax(c: &mut Cases) {
    shows(c, "blanks_around", "\t lxc.tty.max\t =  5 \t", "lxc.tty.max", "5");
    shows(c, "no_blanks", "lxc.tty.max=5", "lxc.tty.max", "5");
    shows(c, "last_scalar_wins", "lxc.tty.max = 5\nlxc.tty.max = 6", "lxc.tty.max", "6");
    shows(c, "carriage_returns", "lxc.tty.max = 5\r\nlxc.pty.max = 7\r", "lxc.tty.max", "5");
    shows(c, "quotes_go", "lxc.uts.name = \"quoted\"", "lxc.uts.name", "quoted");
    shows(c, "single_quotes_go", "lxc.uts.name = 'quoted'", "lxc.uts.name", "quoted");
    shows(c, "half_a_quote_stays", "lxc.uts.name = \"quoted", "lxc.uts.name", "\"quoted");
    shows(c, "hash_in_a_value", "lxc.uts.name = a#b", "lxc.uts.name", "a#b");
    shows(c, "equals_in_a_value", "lxc.environment = A=b=c", "lxc.environment", "A=b=c\n");
    shows(c, "comments", "# lxc.bogus = 1\n   # x\nlxc.tty.max = 5", "lxc.tty.max", "5");
    shows(
        c,
        "foreign_lines_are_ignored",
        "garbage\n[section]\nfoo = bar\nLXC.x = 1\nlxcfoo = 1\nlxc.tty.max = 5",
        "lxc.tty.max",
        "5",
    );
    shows(c, "hex_and_octal", "lxc.tty.max = 0x10\nlxc.pty.max = 010", "lxc.pty.max", "8");
    shows(c, "empty_resets", "lxc.tty.max = 5\nlxc.tty.max =", "lxc.tty.max", "0");
    shows(c, "list_appends", "lxc.group = a\nlxc.group = b c", "lxc.group", "a\nb\nc\n");
    shows(c, "list_empties", "lxc.group = a\nlxc.group =\nlxc.group = z", "lxc.group", "z\n");
    shows(c, "path_is_collapsed", "lxc.console.path = /a//b/", "lxc.console.path", "/a/b");
    shows(c, "signal_by_name", "lxc.signal.halt = sigusr1", "lxc.signal.halt", "10");
    shows(c, "signal_realtime", "lxc.signal.halt = SIGRTMAX-1", "lxc.signal.halt", "63");
    shows(c, "idmap_joined", "lxc.idmap = u 0 1 2\nlxc.idmap = g 3 4 5", "lxc.idmap", "u 0 1 2\ng 3 4 5");
    shows(c, "buffer_rounds_up", "lxc.console.buffer.size = 5000", "lxc.console.buffer.size", "8192");
    shows(
        c,
        "type_wipes_the_device",
        "lxc.net.0.type = veth\nlxc.net.0.link = br9\nlxc.net.0.type = veth",
        "lxc.net.0.link",
        "",
    );
    shows(c, "net_order", "lxc.net.3.type = veth\nlxc.net.1.type = macvlan", "lxc.net", "empty\nmacvlan\nveth\n");
    shows(
        c,
        "ipv4_default_prefix",
        "lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.7.0.1/24",
        "lxc.net.0.ipv4.address",
        "10.7.0.1/24",
    );
    shows(c, "prlimit_pair", "lxc.prlimit.nofile = 10 : unlimited", "lxc.prlimit.nofile", "10:unlimited");
    shows(
        c,
        "mount_auto_merges",
        "lxc.mount.auto = cgroup-full:rw\nlxc.mount.auto = proc:rw",
        "lxc.mount.auto",
        "proc:rw sys:mixed cgroup-full:rw",
    );
    shows(c, "namespaces_in_order", "lxc.namespace.clone = net user PID", "lxc.namespace.clone", "user\npid\nnet\n");
    shows(c, "log_level_word", "lxc.log.level = debug", "lxc.log.level", "DEBUG");
    shows(
        c,
        "cgroup_list",
        "lxc.cgroup.devices.allow = a\nlxc.cgroup.devices.allow = c 1:3 rwm",
        "lxc.cgroup.devices.allow",
        "a\nc 1:3 rwm\n",
    );

    for (id, line) in [
        ("unknown_key", "lxc.bogus = 1"),
        ("no_equals", "lxc.uts.name"),
        ("not_a_number", "lxc.tty.max = x"),
        ("number_with_tail", "lxc.tty.max = 5x"),
        ("boolean_out_of_range", "lxc.start.auto = 7"),
        ("missing_include", "lxc.include = /no/such/file"),
        ("signal_without_sig", "lxc.signal.halt = PWR"),
        ("bad_idmap", "lxc.idmap = u 0 1"),
        ("bad_namespace", "lxc.namespace.clone = bogus"),
        ("clone_and_keep", "lxc.namespace.clone = net\nlxc.namespace.keep = pid"),
        ("bad_cap", "lxc.cap.drop = CAP_CHOWN"),
        ("drop_and_keep", "lxc.cap.drop = chown\nlxc.cap.keep = kill"),
        ("bad_mount_auto", "lxc.mount.auto = bogus"),
        ("bad_arch", "lxc.arch = bogus"),
        ("bad_prefix", "lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.0.1/33"),
        ("bad_net_type", "lxc.net.0.type = bogus"),
        ("bad_net_subkey", "lxc.net.0.bogus = 1"),
        ("net_without_index", "lxc.net = veth"),
        (
            "utsname_too_long",
            "lxc.uts.name = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        ("missing_environment", "lxc.environment = NOT_SET_ANYWHERE"),
        ("log_level", "lxc.log.level = 9"),
        ("cgroup_dir_absolute_up", "lxc.cgroup.dir = ../x"),
    ] {
        c.add(format!("syntax.refused.{id}"), move |t| {
            t.mk("c1", line);
            let o = t.sh("lxc-info -n c1 -s");
            o.code(1).out("").err_has("Failed to load config for c1");
            t.sh("lxc-start -n c1").code(1);
            // The plain list of ours reads no config: see ls.broken_config.
            let o = t.sh(if t.reference { "lxc-ls -1" } else { "lxc-ls -f" });
            o.ok().out("").err_has("Failed to load config for c1");
        });
    }

    c.add("syntax.legacy_keys_load", |t| {
        t.mk("c1", "lxc.utsname = old\nlxc.network.type = empty\nlxc.network.flags = up\nlxc.tty = 2");
        t.start("c1");
        assert_eq!(t.inside("c1", "hostname"), "old");
        assert_eq!(t.sh("lxc-info -n c1 -H -c lxc.net.0.type").ok().line(), "empty");
        assert_eq!(t.sh("lxc-info -n c1 -H -c lxc.tty.max").ok().line(), "2");
    })
    .differs("legacy-keys");

    c.add("syntax.refused.names_file_line_and_key", |t| {
        t.mk("c1", "lxc.uts.nam = x");
        let o = t.sh("lxc-start -n c1");
        // file, line, column; the bad key and the nearest valid one
        o.code(1).err_has("/var/lib/lxc/c1/config:6:1").err_has("lxc.uts.nam").err_has("lxc.uts.name");
    })
    .differs("config-errors-name-the-place");

    c.add("syntax.include_file", |t| {
        t.write("/tmp/inc.conf", "lxc.tty.max = 9\n");
        t.mk("c1", "lxc.include = /tmp/inc.conf");
        t.sh("lxc-info -n c1 -H -c lxc.tty.max").ok().out("9\n");
    });

    c.add("syntax.include_directory", |t| {
        t.write("/tmp/inc/a.conf", "lxc.tty.max = 9\n");
        t.write("/tmp/inc/.h.conf", "lxc.pty.max = 11\n");
        t.write("/tmp/inc/readme", "lxc.bogus = 1\n");
        t.write("/tmp/inc/.conf", "lxc.bogus = 1\n");
        t.mk("c1", "lxc.include = /tmp/inc\nlxc.include = /no/such/dir/");
        t.sh("lxc-info -n c1 -H -c lxc.tty.max").ok().out("9\n");
        t.sh("lxc-info -n c1 -H -c lxc.pty.max").ok().out("11\n");
    });

    c.add("syntax.include_broken_reports_both", |t| {
        t.write("/tmp/inc.conf", "lxc.bogus = 9\n");
        t.mk("c1", "lxc.include = /tmp/inc.conf");
        let o = t.sh("lxc-start -n c1");
        o.code(1).err_has("lxc.bogus").err_has("/tmp/inc.conf");
    });

    c.add("syntax.include_loop_ends", |t| {
        t.write("/tmp/a.conf", "lxc.include = /tmp/b.conf\n");
        t.write("/tmp/b.conf", "lxc.include = /tmp/a.conf\n");
        t.mk("c1", "lxc.include = /tmp/a.conf");
        let o = t.sh("lxc-info -n c1 -s");
        o.code(1).no_crash();
    })
    .differs("include-loops-end");

    c.add("syntax.unreadable_config", |t| {
        // root reads everything: a directory in its place is unreadable for all
        t.mk("c1", "");
        t.sh("mv /var/lib/lxc/c1/config /var/lib/lxc/c1/config.was; mkdir /var/lib/lxc/c1/config");
        t.sh("lxc-info -n c1 -s").no_crash();
        t.sh("lxc-start -n c1").code(1).no_crash();
        t.sh("lxc-ls -1").no_crash();
    });

    c.add("syntax.unreadable_config_as_user", |t| {
        t.sh("mkdir -p /tmp/home; chmod 755 /root; chmod 777 /tmp/home");
        t.write("/tmp/home/.local/share/lxc/c1/config", "lxc.net.0.type = empty\n");
        t.sh("chmod 000 /tmp/home/.local/share/lxc/c1/config");
        let o = t.sh("HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups lxc-start -n c1");
        o.code(1);
        o.no_crash();
    });

    c.add("syntax.debians_shipped_files_load", |t| {
        t.mk("c1", "lxc.include = $P/share/lxc/config/debian.common.conf");
        let prefix = t.prefix.display().to_string();
        t.sh(&format!("sed -i 's,\\$P,{prefix},' /var/lib/lxc/c1/config")).ok();
        t.sh("lxc-info -n c1 -H -c lxc.tty.max").ok().out("4\n");
        t.sh("lxc-info -n c1 -H -c lxc.cap.drop")
            .ok()
            .out("mac_admin\nmac_override\nsys_time\nsys_module\nsys_rawio\n\n");
        t.start("c1");
        assert_eq!(t.inside("c1", "ls /dev/tty1"), "/dev/tty1");
        t.sh("lxc-attach -n c1 -- sh -c 'grep Seccomp: /proc/1/status'").ok().out("Seccomp:\t2\n");
    })
    .keys("lxc.include lxc.tty.max");

    c.add("syntax.debians_own_common_conf_loads_unchanged", |t| {
        t.mk("c1", "lxc.include = /usr/share/lxc/config/common.conf");
        t.start("c1");
        assert_eq!(t.inside("c1", "readlink /dev/tty1"), "lxc/tty1");
        let allow = t.sh("lxc-info -n c1 -H -c lxc.cgroup.devices.allow");
        allow.ok().out_has("c 1:3 rwm\n");
    })
    .needs(&[crate::case::Need::Both]);

    c.add("syntax.full_disk_keeps_the_old_config", |t| {
        // lxc-create saves the template's additions: on a full disk the container is not half there
        t.sh("mkdir -p /tmp/small && mount -t tmpfs -o size=64k tmpfs /tmp/small").ok();
        t.before.clone_from(&crate::snapshot::take());
        t.script("/tmp/tpl", "dd if=/dev/zero of=/tmp/small/fill bs=1k 2>/dev/null; exit 0\n");
        let o = t.sh("lxc-create -P /tmp/small -n c1 -t /tmp/tpl");
        o.no_crash();
        if o.code == 0 {
            let o = t.sh("lxc-info -P /tmp/small -n c1 -s");
            o.ok().out("State:          STOPPED\n");
        } else {
            t.gone("/tmp/small/c1");
        }
    })
    .differs("full-disk-while-saving");
}
