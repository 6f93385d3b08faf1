//! Networks: empty, none, veth.

use crate::case::{Cases, Need};

pub fn add(c: &mut Cases) {
    c.add("net.no_device_means_a_namespace_with_lo_down", |t| {
        t.mk_bare(crate::ctx::STORE, "c1", "lxc.init.cmd = /sbin/shinit\nlxc.mount.auto = proc sys");
        t.start("c1");
        assert_eq!(
            t.inside("c1", "ls /sys/class/net; cat /sys/class/net/lo/operstate; ip -o link | grep -c UP; true"),
            "lo\ndown\n0"
        );
    });

    c.add("net.empty_up", |t| {
        t.run("c1", "lxc.net.0.flags = up");
        assert_eq!(t.inside("c1", "ip -o link | grep -c LOOPBACK,UP"), "1");
    });

    c.add("net.empty_without_up", |t| {
        t.run("c1", "");
        assert_eq!(t.inside("c1", "ip -o link | grep -c LOOPBACK,UP; true"), "0");
    });

    c.add("net.none_shares_the_host", |t| {
        t.sh("ip link add visible type dummy || ip link add visible type bridge").ok();
        t.before = crate::snapshot::take();
        t.run("c1", "lxc.net.0.type = none");
        assert!(t.inside("c1", "cat /proc/net/dev").contains("visible"));
    });

    c.add("net.veth_on_a_bridge", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.run(
            "c1",
            "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\nlxc.net.0.name = eth5\nlxc.net.0.veth.pair = vethC1\n\
             lxc.net.0.hwaddr = 00:16:3e:11:22:33\nlxc.net.0.mtu = 1400\nlxc.net.0.ipv4.address = 10.9.0.2/24\nlxc.net.0.ipv4.gateway = 10.9.0.1\n\
             lxc.net.0.ipv6.address = fd99::2/64\n",
        );
        t.exists("/sys/class/net/br0/brif/vethC1");
        t.sh("cat /sys/class/net/vethC1/operstate /sys/class/net/vethC1/mtu").ok().out_has("1400\n");
        let l = t.inside("c1", "ip addr show eth5");
        for w in ["mtu 1400", "00:16:3e:11:22:33", "inet 10.9.0.2/24", "inet6 fd99::2/64", "UP"] {
            assert!(l.contains(w), "{w} in {l}");
        }
        assert!(t.inside("c1", "ip route").contains("default via 10.9.0.1 dev eth5"));
        t.inside("c1", "ping -c 1 -W 5 10.9.0.1");
        // the host end's address begins with fe, so that the bridge keeps its own
        assert!(t.read("/sys/class/net/vethC1/address").starts_with("fe:"));
        t.sh("lxc-stop -k -n c1").ok();
        t.gone("/sys/class/net/vethC1");
    })
    .keys("lxc.net.[i].type lxc.net.[i].link lxc.net.[i].flags lxc.net.[i].name lxc.net.[i].veth.pair lxc.net.[i].hwaddr lxc.net.[i].mtu lxc.net.[i].ipv4.address lxc.net.[i].ipv4.gateway lxc.net.[i].ipv6.address")
    .needs(&[Need::Bridge]);

    c.add("net.veth_random_names", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up");
        let o = t.sh("ls /sys/class/net/br0/brif");
        o.ok().check(o.line().starts_with("veth") && o.line().len() == 10, "vethXXXXXX");
        assert_eq!(t.inside("c1", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo");
        t.sh("lxc-info -n c1").ok().out_has(&format!("Link:           {}\n", o.line()));
    })
    .needs(&[Need::Bridge]);

    c.add("net.veth_without_link", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.veth.pair = lonely");
        t.exists("/sys/class/net/lonely");
        assert!(t.inside("c1", "ip -o link").contains("eth0"));
    });

    c.add("net.two_devices_and_numbering", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.run(
            "c1",
            "lxc.net.2.type = veth\nlxc.net.2.link = br0\nlxc.net.5.type = veth\nlxc.net.5.link = br0\nlxc.net.5.name = eth0\nlxc.net.7.type = veth\nlxc.net.7.link = br0",
        );
        assert_eq!(t.inside("c1", "ls /sys/class/net | tr '\\n' ' '"), "eth0 eth1 eth2 lo");
    })
    .needs(&[Need::Bridge]);

    c.add("net.hwaddr_template", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.hwaddr = 00:16:3e:xx:xx:xx\nlxc.net.0.flags = up");
        let mac = t.inside("c1", "cat /sys/class/net/eth0/address");
        assert!(mac.starts_with("00:16:3e:") && !mac.contains('x') && mac.len() == 17, "{mac}");
    });

    c.add("net.gateway_auto", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.7/24\nlxc.net.0.ipv4.gateway = auto");
        assert!(t.inside("c1", "ip route").contains("default via 10.9.0.1 "));
    })
    .needs(&[Need::Bridge]);

    c.add("net.gateway_dev", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.7/24\nlxc.net.0.ipv4.gateway = dev\nlxc.net.0.ipv6.address = fd99::7/64\nlxc.net.0.ipv6.gateway = dev");
        assert!(t.inside("c1", "ip route").contains("default dev eth0"));
        assert!(t.inside("c1", "ip -6 route").contains("default dev eth0"));
    })
    .keys("lxc.net.[i].ipv6.gateway");

    c.add("net.gateway_outside_the_subnet", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.7/24\nlxc.net.0.ipv4.gateway = 192.168.77.1");
        let r = t.inside("c1", "ip route");
        assert!(r.contains("default via 192.168.77.1 ") && r.contains("192.168.77.1 dev eth0"), "{r}");
    });

    c.add("net.gateway_without_address_is_refused", |t| {
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.gateway = 10.9.0.1");
        t.sh("lxc-start -n c1").code(1);
        t.mk("c2", "lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.9.0.7/24\nlxc.net.0.ipv4.gateway = 10.9.0.1");
        t.sh("lxc-start -n c2").code(1);
    });

    c.add("net.broadcast", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.7/24 10.9.0.99");
        assert!(t.inside("c1", "ip addr show eth0").contains("brd 10.9.0.99"));
    });

    c.add("net.broadcast_is_computed", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.7/24");
        assert!(t.inside("c1", "ip addr show eth0").contains("brd 10.9.0.255"));
    })
    .since("7.0");

    c.add("net.scripts_version_0", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.script("/tmp/up", "echo \"$@\" > /tmp/up.args; env | sort > /tmp/up.env\n");
        t.script("/tmp/down", "echo \"$@\" > /tmp/down.args; env | sort > /tmp/down.env\n");
        t.run(
            "c1",
            "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = vethC1\nlxc.net.0.flags = up\nlxc.net.0.script.up = /tmp/up\nlxc.net.0.script.down = /tmp/down",
        );
        assert_eq!(t.read("/tmp/up.args"), "c1 net up veth br0 vethC1\n");
        t.sh("lxc-stop -n c1").ok();
        t.until("script.down ran", |t| !t.read("/tmp/down.args").is_empty());
        assert_eq!(t.read("/tmp/down.args"), "c1 net down veth br0 vethC1\n");
        assert!(t.read("/tmp/up.env").contains("LXC_NAME=c1\n"));
    })
    .keys("lxc.net.[i].script.up lxc.net.[i].script.down")
    .needs(&[Need::Bridge]);

    c.add("net.scripts_version_1", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.script("/tmp/up", "echo \"$@\" > /tmp/up.args; env | sort > /tmp/up.env\n");
        t.run("c1", "lxc.hook.version = 1\nlxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = vethC1\nlxc.net.0.script.up = /tmp/up");
        let env = t.read("/tmp/up.env");
        for w in ["LXC_HOOK_SECTION=net\n", "LXC_HOOK_TYPE=up\n", "LXC_NET_TYPE=veth\n", "LXC_NET_PARENT=br0\n", "LXC_NET_PEER=vethC1\n"] {
            assert!(env.contains(w), "{w:?} in {env}");
        }
        assert_eq!(t.read("/tmp/up.args"), "veth br0 vethC1\n");
    })
    .needs(&[Need::Bridge]);

    c.add("net.script_for_empty", |t| {
        t.script("/tmp/up", "echo \"$@\" > /tmp/up.args\n");
        t.run("c1", "lxc.net.0.script.up = /tmp/up");
        assert_eq!(t.read("/tmp/up.args"), "c1 net up empty\n");
    });

    c.add("net.failing_script_aborts", |t| {
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.script.up = /bin/false");
        t.sh("lxc-start -n c1").code(1);
        assert_eq!(t.state("c1"), "STOPPED");
    });

    c.add("net.missing_bridge", |t| {
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.link = nobr0\nlxc.net.0.flags = up");
        t.sh("lxc-start -n c1").code(1);
        assert!(!t.read("/proc/self/net/dev").contains("veth"), "no half pair stays");
    });

    c.add("net.pair_name_taken", |t| {
        t.bridge("vethC1", "10.9.0.1/24");
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.veth.pair = vethC1");
        t.sh("lxc-start -n c1").code(1);
        t.exists("/sys/class/net/vethC1");
    });

    c.add("net.bad_mtu", |t| {
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.mtu = abc");
        t.sh("lxc-start -n c1").code(1);
    });

    c.add("net.bad_hwaddr", |t| {
        t.mk("c1", "lxc.net.0.type = veth\nlxc.net.0.hwaddr = zz");
        t.sh("lxc-start -n c1").code(1);
    });

    c.add("net.veth_queues", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.veth.pair = vq\nlxc.net.0.veth.n_rxqueues = 2\nlxc.net.0.veth.n_txqueues = 3");
        t.sh("ls /sys/class/net/vq/queues | tr '\\n' ' '").ok().out("rx-0 rx-1 rx-2 tx-0 tx-1 ");
        assert_eq!(t.inside("c1", "ls /sys/class/net/eth0/queues | tr '\\n' ' '"), "rx-0 rx-1 tx-0 tx-1 tx-2");
    })
    .keys("lxc.net.[i].veth.n_rxqueues lxc.net.[i].veth.n_txqueues");

    c.add("net.veth_route", |t| {
        t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.veth.pair = vr\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.55.0.2/32\nlxc.net.0.veth.ipv4.route = 10.66.0.0/16");
        let r = t.sh("ip route").out;
        assert!(r.contains("10.66.0.0/16 dev vr"), "{r}");
    })
    .keys("lxc.net.[i].veth.ipv4.route");

    c.add("net.reboot_makes_them_again", |t| {
        t.bridge("br0", "10.9.0.1/24");
        let r = t.run("c1", "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.veth.pair = vethC1\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.2/24");
        t.sh("lxc-stop -r -n c1").ok();
        t.until("second boot", |t| t.read(r.join("boots")) == "boot\nboot\n");
        t.exists("/sys/class/net/br0/brif/vethC1");
        assert!(t.inside("c1", "ip addr show eth0").contains("10.9.0.2/24"));
    })
    .needs(&[Need::Bridge]);

    c.add("net.idmapped", |t| {
        t.bridge("br0", "10.9.0.1/24");
        t.mk("c1", "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\nlxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags = up\nlxc.net.0.ipv4.address = 10.9.0.2/24");
        t.sh("chown -Rh 100000:100000 /var/lib/lxc/c1/rootfs").ok();
        t.start("c1");
        assert!(t.inside("c1", "ip addr show eth0").contains("10.9.0.2/24"));
    })
    .needs(&[Need::Bridge]);
}
