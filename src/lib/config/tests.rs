//! Whole-table tests: every row, whatever feature owns it.
#![forbid(unsafe_code)]

use super::table::{LISTED, LISTED_BELOW, SECTIONS, Section, find, find_device, rows};
use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

/// A directory of the test's own, removed at its end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("lxc-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn loaded(text: &str) -> Config {
    let mut config = Config::new();
    config.load_str(text, "test").unwrap_or_else(|e| panic!("{text:?}: {e}"));
    config
}

/// A config in which the sample of `row` can be set: a network key needs a device of its type.
fn ready(row: &Row) -> Config {
    let mut config = Config::new();
    let kind = match row.name().strip_prefix("lxc.net.[i].") {
        Some(sub) => ["veth", "macvlan", "ipvlan", "vlan"]
            .into_iter()
            .find(|k| sub.starts_with(&format!("{k}.")))
            .unwrap_or("veth"),
        None => return config,
    };
    config.set("lxc.net.0.type", kind).unwrap();
    config
}

use crate::keys::Row;

#[test]
fn names_are_unique_sorted_and_found() {
    let mut seen = std::collections::BTreeSet::new();
    for section in SECTIONS {
        let names: Vec<_> = (0..section.len()).map(|i| section.row(i as u8).name()).collect();
        assert!(names.is_sorted(), "{section:?}: {names:?}");
        for row in (0..section.len()).map(|i| section.row(i as u8)) {
            for name in row.names.split(' ') {
                assert!(seen.insert(name), "{name} twice");
            }
            let name = row.sample_name();
            match section {
                Section::Device => {
                    let sub = name.strip_prefix("lxc.net.0.").unwrap();
                    assert_eq!(section.row(find_device(sub).unwrap()).name(), row.name());
                }
                _ => {
                    let found = find(&name).unwrap();
                    assert_eq!((found.section, found.row().name(), found.legacy), (section, row.name(), false));
                    assert_eq!(found.name(), name);
                }
            }
        }
    }
}

#[test]
fn every_row_is_documented() {
    for (_, row) in rows() {
        let info = row.info();
        let name = row.name();
        assert!(!info.since.is_empty() && !info.good.is_empty(), "{name}: {info:?}");
        assert!(info.doc.len() > 20 && info.doc.contains('`'), "{name}: {}", info.doc);
        assert!(info.doc.contains(" = ") || info.doc.contains(" =`"), "{name} has no example");
        assert!(row.prefix().is_none() || !info.sub.is_empty(), "{name} has no sample for its star");
        assert!(row.kind.describe().len() > 2);
    }
}

#[test]
fn samples_go_round() {
    for (_, row) in rows() {
        let (name, info) = (row.sample_name(), row.info());
        for good in info.good.iter().filter(|g| **g != "-") {
            let mut config = ready(row);
            config.set(&name, good).unwrap_or_else(|e| panic!("{name} = {good}: {e}"));
            let value = config.get(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
            let hidden = name == "lxc.mount.auto" && (good.contains("force") || good.contains("shmounts"));
            assert!(hidden || !value.is_empty() || *good == "none", "{name} = {good} is lost");
            let text = config.text().into_owned();
            let again = loaded(&text);
            assert_eq!(again.get(&name), Ok(value), "{name} = {good}");
            assert_eq!(again.text(), text);
            // The whole of a prefix shows it too.
            config.clear(&name).unwrap();
            assert!(!config.text().lines().any(|l| l.starts_with(&format!("{name} ="))), "{name}: {}", config.text());
        }
        for bad in &info.bad {
            let mut config = ready(row);
            let before = (config.get(&name), config.text().into_owned());
            assert!(config.set(&name, bad).is_err(), "{name} = {bad}");
            assert_eq!((config.get(&name), config.text().into_owned()), before, "{name} = {bad} leaves a trace");
        }
    }
}

#[test]
fn old_names_load_and_mean_the_new_ones() {
    for (_, row) in rows().filter(|(s, _)| *s != Section::Device && *s != Section::Network) {
        let info = row.info();
        for old in row.legacy() {
            let old = old.replace('*', info.sub);
            let good = info.good[0];
            let config = loaded(&format!("{old} = {good}\n"));
            let modern = loaded(&format!("{} = {good}\n", row.sample_name()));
            assert_eq!(config.get(&row.sample_name()), modern.get(&row.sample_name()), "{old}");
            assert_eq!(config.get(&old), modern.get(&row.sample_name()), "{old}");
            assert_eq!(config.notes().len(), 1, "{old}");
            assert_eq!(config.text(), format!("{old} = {good}\n"));
            let mut cleared = config.clone();
            cleared.clear(&row.sample_name()).unwrap();
            assert_eq!(cleared.text(), "", "{old}");
        }
    }
}

#[test]
fn the_whole_list_of_upstream_is_there() {
    // Debian's 5.0.2 lists 84 names in 1445 bytes; ours are those and the two environment keys of 7.0.
    let list = Config::new().keys(None).unwrap();
    assert_eq!(list.lines().count(), 86);
    assert_eq!(list.len(), 1445 + "lxc.environment.runtime\nlxc.environment.hooks\n".len());
    for name in LISTED.split(' ') {
        assert!(find(name).is_some(), "{name}");
        assert!(Config::is_supported(name));
    }
    for (_, row) in rows() {
        let name = row.name().trim_end_matches(".*");
        let listed = LISTED.split(' ').any(|n| n == name);
        assert!(listed || name.contains("[i]") || name == "lxc.namespace.share", "{name} is not listed");
    }
    assert_eq!(LISTED_BELOW.len(), 15);
    assert_eq!(rows().filter(|(s, _)| *s == Section::Device).count(), 25);
    assert_eq!(Config::new().keys(Some("lxc.log")), Err(-22));
    assert_eq!(Config::new().keys(Some("lxc.cap")).as_deref(), Ok("drop\nkeep\n"));
}

#[test]
fn unindexed_networks_of_old_configs() {
    let text = "lxc.network.type = veth\nlxc.network.link = lxcbr0\nlxc.network.ipv4 = 10.0.3.5/24\n\
                lxc.network.type = macvlan\nlxc.network.link = eth0\nlxc.network.macvlan.mode = bridge\n\
                lxc.net.7.type = empty\nlxc.network.type = phys\n";
    let mut config = loaded(text);
    assert_eq!(config.get("lxc.net").unwrap(), "veth\nmacvlan\nempty\nphys\n");
    assert_eq!(config.get("lxc.net.0.ipv4.address").unwrap(), "10.0.3.5/24");
    assert_eq!(config.get("lxc.net.1.macvlan.mode").unwrap(), "bridge");
    assert_eq!(config.get("lxc.net.8.type").unwrap(), "phys");
    config.clear("lxc.net.0.link").unwrap();
    assert_eq!(config.text(), text.replace("lxc.network.link = lxcbr0\n", ""));
    config.clear("lxc.net.1").unwrap();
    assert_eq!(
        config.text(),
        "lxc.network.type = veth\nlxc.network.ipv4 = 10.0.3.5/24\nlxc.net.7.type = empty\nlxc.network.type = phys\n"
    );
    config.clear("lxc.net.8").unwrap();
    assert!(!config.text().contains("phys") && config.text().contains("veth"));
    config.set("lxc.network", "").unwrap();
    assert_eq!(config.text(), "");
    assert!(Config::new().load_str("lxc.network.link = x\n", "t").is_err());
    let indexed = loaded("lxc.network.3.type = veth\nlxc.network.3.ipv4 = 10.0.0.1/8\n");
    assert_eq!(indexed.get("lxc.net.3.ipv4.address").unwrap(), "10.0.0.1/8");
}

#[test]
fn the_old_storage_type_stands_before_or_after() {
    for text in [
        "lxc.rootfs = /dev/vg/c1\nlxc.rootfs.backend = lvm\n",
        "lxc.rootfs.backend = lvm\nlxc.rootfs = /dev/vg/c1\n",
        "lxc.rootfs.path = lvm:/dev/vg/c1\n",
    ] {
        let config = loaded(text);
        assert_eq!(config.storage.backend.as_deref(), Some("lvm"), "{text}");
        assert_eq!(config.get("lxc.rootfs.path").as_deref(), Ok("/dev/vg/c1"));
        assert_eq!(config.text(), text);
    }
    assert_eq!(loaded("lxc.rootfs = overlayfs:/a:/b\n").storage.backend.as_deref(), Some("overlayfs"));
}

#[test]
fn clearing_one_device_spares_the_tenth() {
    let mut config = loaded("lxc.net.1.type = veth\nlxc.net.10.type = veth\n lxc.net.1.link = a\n");
    config.clear("lxc.net.1").unwrap();
    assert_eq!(config.text(), "lxc.net.10.type = veth\n");
    assert_eq!(config.get("lxc.net").unwrap(), "veth\n");
}

#[test]
fn a_template_mac_is_frozen_where_it_stands() {
    let config = loaded("lxc.net.0.type = veth\r\n  lxc.net.0.hwaddr = '00:16:3e:xx:xx:xx'\n");
    let mac = config.get("lxc.net.0.hwaddr").unwrap();
    assert!(!mac.contains('x') && mac.starts_with("00:16:3e:"));
    assert_eq!(config.text(), format!("lxc.net.0.type = veth\r\n  lxc.net.0.hwaddr = '{mac}'\n"));
    let mut set = Config::new();
    set.set("lxc.net.0.hwaddr", "xx:16:3e:00:00:00").unwrap();
    assert_eq!(set.text(), format!("lxc.net.0.hwaddr = {}\n", set.get("lxc.net.0.hwaddr").unwrap()));
}

#[test]
fn includes_are_sorted_read_in_place_and_never_loop() {
    let dir = Dir::new("include");
    dir.write("d/20.conf", "lxc.group = b\nlxc.uts.name = twenty\n");
    dir.write("d/10.conf", "lxc.group = a\n");
    dir.write("d/x.txt", "garbage.lxc\nlxc.nonsense = 1\n");
    dir.write("d/.conf", "lxc.nonsense = 1\n");
    let top =
        dir.write("top", &format!("lxc.include = {0}/d\nlxc.group = c\nlxc.include = {0}/none/\n", dir.0.display()));
    let mut config = Config::new();
    config.load_file(&top).unwrap();
    assert_eq!(config.get("lxc.group").unwrap(), "a\nb\nc\n");
    assert_eq!(config.get("lxc.uts.name").unwrap(), "twenty");
    assert_eq!(config.text_bytes(), std::fs::read(&top).unwrap());
    let (a, b) = (dir.0.join("a"), dir.0.join("b"));
    std::fs::write(&a, format!("lxc.include = {}\n", b.display())).unwrap();
    std::fs::write(&b, format!("lxc.group = x\nlxc.include = {}\n", a.display())).unwrap();
    let error = Config::new().load_file(&a).unwrap_err();
    assert!(error.what.contains("b:2:15: ") && error.what.contains("includes itself"), "{error}");
    assert!(Config::new().load_file(&dir.0).is_err());
    assert!(Config::new().load_file(&dir.0.join("missing")).is_err());
}

#[test]
fn errors_say_where_and_what_to_write() {
    for (text, place, hint) in [
        ("\n# x\n lxc.utsnam = a\n", "test:3:2: ", Some("did you mean lxc.uts.name?")),
        ("lxc.start.auto = 2\n", "test:1:18: ", Some("lxc.start.auto takes 0 or 1")),
        (
            "lxc.idmap = u 0 x 1",
            "test:1:17: ",
            Some("lxc.idmap takes for example u 0 100000 65536 or g 0 100000 65536"),
        ),
        ("lxc.cap.drop = chown 'x", "test:1:22: ", Some("lxc.cap.drop takes for example sys_admin chown or 5")),
        ("lxc.arch\n", "test:1:9: ", None),
        ("lxc.net.0.typ = veth\n", "test:1:1: ", Some("did you mean lxc.net.0.type?")),
        ("lxc. = 1\n", "test:1:1: ", None),
    ] {
        let error = Config::new().load_str(text, "test").unwrap_err();
        assert!(error.what.starts_with(place), "{text}: {error}");
        assert_eq!(error.hint.as_deref(), hint, "{text}");
    }
}

#[test]
fn notes_know_their_lines_in_any_text() {
    let ends = ["\n", "\r\n", "\n\n", "\r", "\n  \n"];
    let text: String =
        (0..200).map(|i| format!(" lxc.group = é{i}{}  lxc.utsname = h{i}{}", ends[i % 5], ends[i % 3])).collect();
    let config = loaded(&text);
    let places: Vec<_> = config.notes().iter().map(|n| (n.line, n.column)).collect();
    let expected: Vec<_> =
        text.match_indices("lxc.utsname").map(|(at, _)| crate::keys::syntax::position(text.as_bytes(), at)).collect();
    assert_eq!(places, expected);
    // A long old config takes no longer per line than a short one.
    let many = "lxc.utsname = a\n".repeat(20_000);
    let start = std::time::Instant::now();
    assert_eq!(loaded(&many).notes().last().map(|n| n.line), Some(20_000));
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn a_check_goes_on_to_the_end() {
    let dir = Dir::new("check");
    let file = dir.write(
        "c",
        "lxc.utsname = a\nlxc.nonsense = 1\nlxc.start.auto = x\nlxc.net.0.type = none\nlxc.net.1.type = none\n\
         lxc.cap.drop = chown\nlxc.cap.keep = kill\nlxc.idmap = u 0 1 5\nlxc.idmap = u 3 9 5\n",
    );
    let check::Report { config, problems, .. } = check::file(&file).unwrap();
    assert_eq!(config.get("lxc.uts.name").as_deref(), Ok("a"));
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.severity)).collect();
    use Severity::{Error as E, Info as I, Warning as W};
    assert_eq!(found, [(1, I), (2, E), (3, E), (5, W), (7, E), (9, E)], "{problems:#?}");
}

#[test]
fn a_value_must_be_one_line() {
    let mut config = Config::new();
    assert!(config.set("lxc.uts.name", "a\nlxc.group = b").is_err());
    assert_eq!(config.text(), "");
}

#[test]
fn odd_bytes_are_kept_and_never_taken_for_a_value() {
    let mut config = Config::new();
    config.load_bytes(b"# caf\xe9\r\n\r\nlxc.uts.name = a".to_vec(), "test").unwrap();
    config.set("lxc.group", "x").unwrap();
    assert_eq!(config.text_bytes(), b"# caf\xe9\r\n\r\nlxc.uts.name = a\nlxc.group = x\n");
    assert!(Config::new().load_bytes(b"lxc.uts.name = caf\xe9\n".to_vec(), "test").is_err());
    let mut nul = Config::new();
    nul.load_bytes(b"lxc.group = a\n\0lxc.nonsense = 1\n".to_vec(), "test").unwrap();
    assert_eq!(nul.get("lxc.group").as_deref(), Ok("a\n"));
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let names: Vec<String> = rows().flat_map(|(_, r)| [r.sample_name(), r.names.to_string()]).collect();
    let values: Vec<&'static str> = rows().flat_map(|(_, r)| [r.info().good, r.info().bad].concat()).collect();
    prop_oneof![
        (proptest::sample::select(names), proptest::sample::select(values))
            .prop_map(|(k, v)| format!("{k} = {v}").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
        "lxc\\.[a-z.0-9]{0,20} ?= ?.{0,30}".prop_map(String::into_bytes),
        "[ \t]*#.{0,20}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics_and_saving_is_the_identity(
        lines in proptest::collection::vec((any_line(), proptest::sample::select(vec!["\n", "\r\n", "\r", "\n\n", ""])), 0..20)
    ) {
        let bytes: Vec<u8> = lines.into_iter().flat_map(|(l, end)| [l, end.as_bytes().to_vec()].concat()).collect();
        let mut config = Config::new();
        // A template would be filled in, an include would read this machine's files.
        prop_assume!(!bytes.windows(6).any(|w| w == b"hwaddr") && !bytes.windows(7).any(|w| w == b"include"));
        let _ = config.load_bytes(bytes.clone(), "test");
        prop_assert_eq!(config.text_bytes(), &bytes[..]);
        for (_, row) in rows() {
            let _ = config.get(&row.sample_name());
        }
        let _ = check::conflicts(&config);
    }

    #[test]
    fn the_effective_lines_mean_the_same(
        lines in proptest::collection::vec(any_line(), 0..30),
        kinds in proptest::collection::vec(proptest::sample::select(vec!["veth", "vlan", "macvlan", "ipvlan", "empty", "phys"]), 0..3),
    ) {
        let mut config = Config::new();
        for (i, kind) in kinds.iter().enumerate() {
            config.set(&format!("lxc.net.{i}.type"), kind).unwrap();
        }
        for line in lines {
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some((key, value)) = crate::keys::syntax::pair(&text)
                && key != "lxc.include"
            {
                let _ = if value.is_empty() { config.clear(key) } else { config.set(key, value) };
            }
        }
        let lines = config.effective();
        let mut again = Config::new();
        again.load_str(&lines, "effective").unwrap();
        prop_assert_eq!(effective::settings(&again), effective::settings(&config), "{}", lines);
    }

    #[test]
    fn no_set_panics(key in ".{0,30}", value in ".{0,30}", row in 0..112_usize) {
        let mut config = Config::new();
        let _ = config.set(&key, &value);
        let (_, row) = rows().nth(row).unwrap();
        prop_assume!(row.name() != "lxc.include");
        let _ = config.set(&row.sample_name(), &value);
        let _ = config.set(&format!("{}{key}", row.name().trim_end_matches('*')), &value);
        let _ = config.clear(&row.sample_name());
        let _ = config.get(&key);
        let _ = config.keys(Some(&key));
    }
}
