//! Hostile input: names, root filesystems full of symlinks, the command socket.

use crate::case::Cases;
use crate::ctx::T;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

pub fn add(c: &mut Cases) {
    names(c);
    links(c);
    socket(c);
}

fn names(c: &mut Cases) {
    for (id, name) in [
        ("dot_dot", ".."),
        ("slash", "a/b"),
        ("up", "../esc"),
        ("dot", "."),
        ("newline", "a\nb"),
        ("escape", "a\x1b[31mb"),
        ("tab", "a\tb"),
        ("absolute", "/etc"),
    ] {
        c.add(format!("name.refused.{id}"), move |t| {
            t.sh("mkdir -p /tmp/st/store").ok();
            let before = t.sh("find /tmp/st /etc/lxc | sort").out;
            for tool in ["create -t none", "start", "destroy", "info", "stop", "attach", "freeze", "execute"] {
                let tail = if tool == "execute" || tool == "attach" { "-- true" } else { "" };
                t.write("/tmp/name", name);
                let o = t
                    .sh(&format!("n=$(cat /tmp/name; echo x); lxc-{tool} -P /tmp/st/store --name=\"${{n%x}}\" {tail}"));
                o.check(o.code != 0, "refused").no_crash();
                o.check(!o.err.contains('\x1b'), "no control character of the name reaches the terminal");
            }
            assert_eq!(t.sh("find /tmp/st /etc/lxc | sort").out, before, "nothing was made or removed");
        })
        .differs("names-are-checked");
    }

    c.add("name.too_long", |t| {
        let n = "n".repeat(256);
        for tool in ["create -t none", "start", "info"] {
            let o = t.sh(&format!("lxc-{tool} -n {n}"));
            o.check(o.code != 0, "refused").no_crash();
        }
        t.sh("ls /var/lib/lxc").out("");
    });

    c.add("name.odd_but_good", |t| {
        for n in ["a b", "cli:colon", "cli*star", "q'uote", "cli%d", "-x", "ünï"] {
            t.write("/tmp/name", n);
            t.sh("lxc-create --name=\"$(cat /tmp/name)\" -t none").ok().silent();
            t.sh("lxc-info --name=\"$(cat /tmp/name)\" -sH").ok().out("STOPPED\n");
            t.sh("lxc-ls -1").ok().out(&format!("{n}\n"));
            t.sh("lxc-destroy --name=\"$(cat /tmp/name)\"").ok().silent();
            t.sh("ls -A /var/lib/lxc").out("");
        }
    });

    c.add("name.of_200_bytes_works", |t| {
        let n = "n".repeat(200);
        t.mk_bare(
            crate::ctx::STORE,
            &n,
            "lxc.net.0.type = empty\nlxc.init.cmd = /sbin/shinit\nlxc.mount.auto = proc sys\nlxc.uts.name = short",
        );
        t.sh(&format!("lxc-start -n {n}")).ok();
        t.sh(&format!("lxc-info -n {n} -sH")).ok().out("RUNNING\n");
        t.sh("lxc-ls -1 --active").ok().out(&format!("{n}\n"));
        t.sh(&format!("lxc-attach -n {n} -- hostname")).ok().out("short\n");
        t.sh(&format!("lxc-stop -k -n {n}")).ok();
    });

    c.add("name.percent_is_no_format", |t| {
        t.mk("%s%n%d", "");
        let o = t.sh("lxc-start -n %s%n%d");
        o.no_crash();
        t.sh("lxc-stop -k -n %s%n%d");
        t.sh("lxc-freeze -n %n%s").code(1).no_crash();
    });
}

/// Make the canary and start a container whose tree holds the given links; whatever the start comes
/// to, the canary must be as it was and no mount may have landed in it.
fn with_links(t: &mut T, links: &[(&str, &str)], lines: &str, remove: &[&str]) {
    t.sh("mkdir -p /tmp/canary/sub; echo alive > /tmp/canary/file; chmod 640 /tmp/canary/file").ok();
    let look =
        "cd /tmp/canary && find . -printf '%p %m %u %g %y %s\\n' | sort; cat file; grep -c canary /proc/self/mountinfo";
    let before = t.sh(look).out;
    let r = t.mk("c1", lines);
    for d in remove {
        let _ = std::fs::remove_dir_all(r.join(d));
    }
    for (at, to) in links {
        let at = r.join(at);
        let _ = std::fs::create_dir_all(at.parent().unwrap_or(&r));
        symlink(to, &at).unwrap_or_else(|e| panic!("{}: {e}", at.display()));
    }
    let o = t.sh("lxc-start -n c1");
    o.no_crash();
    if o.code == 0 {
        t.sh("lxc-attach -n c1 -- true").no_crash();
        t.sh("lxc-stop -k -n c1").no_crash();
    }
    assert_eq!(t.sh(look).out, before, "the canary has changed");
    t.sh("lxc-destroy -n c1").ok();
    assert_eq!(t.sh(look).out, before, "the canary has changed");
}

const UP: &str = "../../../../../../../../../../../tmp/canary";

fn links(c: &mut Cases) {
    for (id, to) in [("absolute", "/tmp/canary"), ("relative", UP)] {
        for at in ["proc", "sys", "dev"] {
            c.add(format!("symlink.{at}_{id}"), move |t| {
                with_links(t, &[(at, to)], "lxc.tty.max = 2\nlxc.pty.max = 8", &[at]);
            });
        }
        c.add(format!("symlink.dev_pts_{id}"), move |t| {
            with_links(t, &[("dev/pts", to)], "lxc.autodev = 0\nlxc.pty.max = 8\nlxc.tty.max = 2", &["dev/pts"]);
        });
        c.add(format!("symlink.dev_console_{id}"), move |t| {
            let file = if to == UP { "../../../../../../../../../../../tmp/canary/file" } else { "/tmp/canary/file" };
            with_links(
                t,
                &[("dev/console", file), ("dev/ptmx", file), ("dev/null", file), ("dev/tty1", file), ("dev/fd", file)],
                "lxc.autodev = 0\nlxc.pty.max = 8\nlxc.tty.max = 2",
                &[],
            );
        });
        c.add(format!("symlink.mount_target_{id}"), move |t| {
            with_links(t, &[("mnt", to)], "lxc.mount.entry = tmpfs mnt tmpfs size=1m 0 0", &["mnt"]);
        });
        c.add(format!("symlink.mount_target_parent_{id}"), move |t| {
            with_links(t, &[("mnt", to)], "lxc.mount.entry = tmpfs mnt/new/dir tmpfs size=1m,create=dir 0 0\nlxc.mount.entry = /etc/passwd mnt/newfile none bind,create=file,optional 0 0", &["mnt"]);
        })
        .differs("symlinks-stay-in-the-rootfs");
        c.add(format!("symlink.relative_source_{id}"), move |t| {
            with_links(t, &[("src", to)], "lxc.mount.entry = src mnt none bind,relative,optional 0 0", &["src"]);
        });
        c.add(format!("symlink.tty_dir_{id}"), move |t| {
            with_links(
                t,
                &[("dev/lxc", to)],
                "lxc.autodev = 0\nlxc.tty.dir = lxc\nlxc.tty.max = 2\nlxc.pty.max = 8",
                &[],
            );
        });
        c.add(format!("symlink.init_cwd_{id}"), move |t| {
            with_links(t, &[("cwd", to)], "lxc.init.cwd = /cwd/new", &[]);
        });
    }

    c.add("symlink.passwd_shell_lookup", |t| {
        let r = t.run("c1", "");
        std::fs::remove_file(r.join("etc/passwd")).unwrap_or_default();
        symlink("/proc/1/root/etc/passwd", r.join("etc/passwd")).unwrap_or_else(|e| panic!("{e}"));
        t.sh_in("lxc-attach -n c1", "echo in\n").no_crash().out("in\n");
    });

    c.add("hostile.passwd_line", |t| {
        let r = t.run("c1", "");
        t.write(r.join("etc/passwd"), &format!("root:x:0:0:{}:/root:/bin/sh\n", "A".repeat(100_000)));
        t.sh_in("lxc-attach -n c1", "echo in\n").no_crash().out("in\n");
        t.write(r.join("etc/passwd"), "root:::::::\n:::\n\0\0\0");
        t.sh_in("lxc-attach -n c1", "echo in\n").no_crash().out("in\n");
    });

    c.add("hostile.hostname_inside", |t| {
        t.run("c1", "");
        t.inside("c1", "hostname \"$(printf 'a\\033[31mb')\"");
        let o = t.sh("lxc-ls -f; lxc-info -n c1");
        o.check(!o.out.contains('\x1b'), "nothing of the container's choosing is printed");
    });

    c.add("hostile.proc_1_cannot_be_hidden", |t| {
        t.run("c1", "");
        t.inside("c1", "mount -t tmpfs none /proc");
        t.sh("lxc-info -n c1 -sH").ok().out("RUNNING\n");
        t.sh("lxc-stop -k -n c1").ok();
    });
}

fn connect(name: &str) -> Option<UnixStream> {
    let addr = SocketAddr::from_abstract_name(format!("/var/lib/lxc/{name}/command")).ok()?;
    let s = UnixStream::connect_addr(&addr).ok()?;
    s.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    Some(s)
}

fn head(cmd: i32, len: i32, data: u64) -> Vec<u8> {
    let mut v = Vec::new();
    v.extend(cmd.to_ne_bytes());
    v.extend(len.to_ne_bytes());
    v.extend(data.to_ne_bytes());
    v
}

/// Send a request; the reply's head and payload, or None when the monitor closed.
fn ask(name: &str, cmd: i32, payload: &[u8], inline: u64) -> Option<(i32, u64, Vec<u8>)> {
    let mut s = connect(name)?;
    s.write_all(&head(cmd, payload.len() as i32, inline)).ok()?;
    if !payload.is_empty() {
        s.write_all(payload).ok()?;
    }
    let mut h = [0u8; 16];
    s.read_exact(&mut h).ok()?;
    let int = |i: usize| i32::from_ne_bytes(h[i..i + 4].try_into().unwrap_or_default());
    let data = u64::from_ne_bytes(h[8..16].try_into().unwrap_or_default());
    let len = int(4);
    let mut p = vec![0u8; usize::try_from(len).unwrap_or(0)];
    s.read_exact(&mut p).ok()?;
    Some((int(0), data, p))
}

fn socket(c: &mut Cases) {
    c.add("protocol.queries", |t| {
        t.run("c1", "lxc.tty.max = 2\nlxc.pty.max = 8");
        let init = t.init_pid("c1");
        assert_eq!(ask("c1", 3, b"", 0).map(|r| (r.0, r.1 as u32)), Some((0, 2)), "GET_STATE");
        assert_eq!(ask("c1", 4, b"", 0).map(|r| (r.0, r.1 as i32)), Some((0, init)), "GET_INIT_PID");
        assert_eq!(ask("c1", 5, b"", 0).map(|r| (r.0, r.1 as u32)), Some((0, 0x6e02_0000)), "GET_CLONE_FLAGS");
        assert_eq!(ask("c1", 8, b"", 0).map(|r| (r.0, r.2)), Some((0, b"c1\0".to_vec())), "GET_NAME");
        assert_eq!(ask("c1", 9, b"", 0).map(|r| (r.0, r.2)), Some((0, b"/var/lib/lxc\0".to_vec())), "GET_LXCPATH");
        assert_eq!(
            ask("c1", 7, b"lxc.uts.name\0", 0).map(|r| (r.0, r.2)),
            Some((0, b"c1\0".to_vec())),
            "GET_CONFIG_ITEM"
        );
        assert_eq!(ask("c1", 7, b"lxc.bogus\0", 0).map(|r| r.0), Some(-1), "GET_CONFIG_ITEM unknown");
    });

    c.add("protocol.get_cgroup", |t| {
        t.run("c1", "");
        assert_eq!(ask("c1", 6, b"freezer\0", 0).map(|r| (r.0, r.2)), Some((0, b"/lxc.payload.c1\0".to_vec())));
        assert_eq!(ask("c1", 19, b"memory\0", 0).map(|r| (r.0, r.2)), Some((0, b"/lxc.payload.c1\0".to_vec())));
        assert_eq!(ask("c1", 6, b"bogus\0", 0), None);
    })
    .needs(&[crate::case::Need::CgroupV1]);

    c.add("protocol.unknown_numbers", |t| {
        t.run("c1", "");
        for n in [27, 28, 1000, -1, i32::MAX, i32::MIN] {
            assert_eq!(ask("c1", n, b"", 0).map(|r| r.0), Some(-38), "{n}");
        }
        assert_eq!(t.state("c1"), "RUNNING");
    });

    c.add("protocol.oversized_request", |t| {
        t.run("c1", "");
        for len in [8193, 1 << 20, i32::MAX, -1, i32::MIN] {
            let mut s = connect("c1").unwrap_or_else(|| panic!("connect"));
            s.write_all(&head(7, len, 0)).unwrap_or_default();
            let mut b = [0u8; 16];
            let got = s.read(&mut b).unwrap_or(0);
            // closed, or refused with an error; never served
            assert!(got == 0 || i32::from_ne_bytes(b[..4].try_into().unwrap_or_default()) < 0, "{len}: {got}");
        }
        assert_eq!(t.state("c1"), "RUNNING");
    })
    .differs("half-requests");

    c.add("protocol.garbage", |t| {
        t.run("c1", "");
        let mut x: u32 = 0x1234_5678;
        for _ in 0..200 {
            if let Some(mut s) = connect("c1") {
                let mut junk = Vec::new();
                let n = x % 64;
                for _ in 0..n {
                    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    junk.push((x >> 24) as u8);
                }
                // Never STOP by accident.
                if junk.len() >= 4 && junk[..4] == 2i32.to_ne_bytes() {
                    junk[0] = 99;
                }
                let _ = s.write_all(&junk);
            }
            x = x.wrapping_add(1);
        }
        t.sh_within("lxc-info -n c1 -sH", 5).ok().out("RUNNING\n");
        t.sh("lxc-attach -n c1 -- hostname").ok().out("c1\n");
    });

    c.add("protocol.fifty_half_heads", |t| {
        t.run("c1", "");
        let mut open = Vec::new();
        for i in 0..50usize {
            let mut s = connect("c1").unwrap_or_else(|| panic!("connect {i}"));
            let _ = s.write_all(&head(3, 0, 0)[..i % 16]);
            open.push(s);
        }
        // Less than the monitor's patience with a single one of them.
        t.sh_within("lxc-info -n c1 -sH", 4).ok().out("RUNNING\n");
    })
    .differs("half-requests");

    c.add("protocol.fifty_heads_without_payload", |t| {
        t.run("c1", "");
        let mut open = Vec::new();
        for i in 0..50usize {
            let mut s = connect("c1").unwrap_or_else(|| panic!("connect {i}"));
            let _ = s.write_all(&head([6, 7, 10, 11, 13, 19, 23, 24][i % 8], 8, 0));
            open.push(s);
        }
        // Less than the monitor's patience with a single one of them.
        t.sh_within("lxc-info -n c1 -sH", 4).ok().out("RUNNING\n");
        t.sh("lxc-attach -n c1 -- true").ok();
        t.sh("lxc-stop -k -n c1").ok();
    })
    .differs("half-requests");

    c.add("protocol.stop_has_no_reply", |t| {
        t.run("c1", "");
        let mut s = connect("c1").unwrap_or_else(|| panic!("connect"));
        s.write_all(&head(2, 0, 0)).unwrap_or_else(|e| panic!("{e}"));
        let mut b = [0u8; 16];
        assert_eq!(s.read(&mut b).ok(), Some(0), "end of file and nothing before");
        assert!(connect("c1").is_none(), "the name is free by then");
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("protocol.state_client", |t| {
        t.run("c1", "");
        let mut want = vec![0u8; 32];
        want[6 * 4] = 1; // FROZEN
        let mut s = connect("c1").unwrap_or_else(|| panic!("connect"));
        s.write_all(&head(10, 32, 0)).unwrap_or_else(|e| panic!("{e}"));
        s.write_all(&want).unwrap_or_else(|e| panic!("{e}"));
        let mut h = [0u8; 16];
        s.read_exact(&mut h).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(i32::from_ne_bytes(h[..4].try_into().unwrap_or_default()), 8, "not there yet");
        t.sh("lxc-freeze -n c1").ok();
        let mut m = [0u8; 264];
        s.read_exact(&mut m).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(i32::from_ne_bytes(m[..4].try_into().unwrap_or_default()), 0, "a state message");
        assert_eq!(&m[4..7], b"c1\0");
        assert_eq!(i32::from_ne_bytes(m[260..].try_into().unwrap_or_default()), 6, "FROZEN");
    });

    c.add("protocol.a_stranger_at_the_name", |t| {
        t.mk("c1", "");
        // Abstract names are whoever's who binds them first: this one is a user's, and answers nothing.
        let listen = |name: &str| {
            let addr = SocketAddr::from_abstract_name(format!("/var/lib/lxc/{name}/command"));
            UnixListener::bind_addr(&addr.unwrap_or_else(|e| panic!("{e}"))).unwrap_or_else(|e| panic!("{e}"))
        };
        let euid = |n| nix::unistd::seteuid(nix::unistd::Uid::from_raw(n)).unwrap_or_else(|e| panic!("{e}"));
        euid(65534);
        let strangers = [listen("c1"), listen("a\x1b[31mb")];
        euid(0);
        t.sh("lxc-info -n c1 -sH").ok().out("STOPPED\n");
        t.sh("lxc-attach -n c1 -- touch /tmp/ran").code(1).no_crash();
        t.sh("lxc-freeze -n c1").code(1).no_crash();
        let o = t.sh("lxc-ls -1 --active; lxc-ls -f");
        o.check(!o.out.contains('\x1b'), "nothing of the stranger's choosing is printed");
        drop(strangers);
        t.gone("/tmp/ran");
        t.sh("lxc-start -n c1").ok();
        t.sh("lxc-stop -k -n c1").ok();
    })
    .differs("strangers-do-not-answer");

    c.add("protocol.a_user_is_refused", |t| {
        t.run("c1", "");
        let o =
            t.sh("setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp lxc-info -P /var/lib/lxc -n c1 -s");
        o.code(1).err_has("Insufficent privileges to control c1");
        t.sh("chmod 755 /var/lib/lxc /var/lib/lxc/c1");
        let o =
            t.sh("setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp lxc-stop -P /var/lib/lxc -k -n c1");
        o.check(o.code != 0, "refused");
        assert_eq!(t.state("c1"), "RUNNING");
    });
}
