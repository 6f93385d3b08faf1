//! lxc.conf(5) looked through whole: what in it counts for nothing, or hardly means what it says. The reading of a value
//! is `base::paths`'; this agrees with it.
#![forbid(unsafe_code)]

use crate::base::fault::{Fault, Faults, Line};
use crate::base::paths::GLOBAL_KEYS;
use crate::keys::near;

/// The faults of an lxc.conf.
pub fn check(text: &[u8]) -> Vec<Fault> {
    let mut faults = Faults::new();
    let mut seen: Vec<(&str, usize)> = Vec::new();
    faults.lines(text, |faults, line| {
        let body = line.text.trim_start_matches([' ', '\t']);
        if body.trim().is_empty() || line.text.starts_with('#') || body.starts_with('#') {
            return;
        }
        let Some((name, value)) = body.split_once('=') else {
            let what = format!("\"{}\" is no line of the form key = value", crate::keys::value::cut(body.trim(), 80));
            faults.warn(line, body.get(body.len()..).unwrap_or_default(), what, None);
            return;
        };
        let name = name.trim_end_matches([' ', '\t']);
        if !GLOBAL_KEYS.contains(&name) {
            let hint = near::nearest(name, GLOBAL_KEYS.into_iter()).map(|n| format!("did you mean {n}?"));
            let hint = hint.or_else(|| {
                super::table::find(name).map(|_| "this is a key of a container's config, not of lxc.conf".to_string())
            });
            faults.warn(line, body, format!("unknown key {}", crate::keys::value::cut(name, 80)), hint);
            return;
        }
        if let Some((_, first)) = seen.iter().find(|(n, _)| *n == name) {
            let what = format!("{name} counts for nothing here: line {first} came first");
            faults.warn(line, body, what, Some("remove one of the two lines".into()));
            return;
        }
        if look_at(faults, line, name, value.trim_start_matches([' ', '\t'])) {
            seen.push((name, line.number));
        }
    });
    faults.all
}

/// Looks at a value; whether the line counts.
fn look_at(faults: &mut Faults, line: Line<'_>, name: &str, value: &str) -> bool {
    if value.is_empty() {
        faults.warn(line, value, format!("{name} has no value: the line counts for nothing"), None);
        return false;
    }
    let end = value.trim_end_matches([' ', '\t', '\r']);
    if end.len() < value.len() {
        let part = value.get(end.len()..).unwrap_or_default();
        let what = if part.contains('\r') { "the carriage return" } else { "the blank at the end" };
        faults.warn(line, part, format!("{what} is part of the value"), Some("remove it".into()));
    }
    if end.len() > 1 && end.starts_with(['"', '\'']) && end.ends_with(['"', '\'']) {
        faults.warn(line, value, "the quotes are part of the value", Some("remove them".into()));
    } else if matches!(name, "lxc.lxcpath" | "lxc.default_config") && !value.starts_with('/') {
        let what = format!("{name} = {end}: not an absolute path");
        faults.warn(line, value, what, Some("begin it with /".into()));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<String> {
        check(text.as_bytes()).iter().map(|f| f.error("/c").to_string()).collect()
    }

    #[test]
    fn good_files_are_silent() {
        assert_eq!(all("# x\nlxc.lxcpath = /srv\n  lxc.cgroup.use=@all\n\nlxc.bdev.zfs.root = tank/lxc\n"), [""; 0]);
    }

    #[test]
    fn faults_have_places() {
        assert!(all("lxc.lxcpaht = /srv")[0].starts_with("/c:1:1: unknown key lxc.lxcpaht"));
        assert_eq!(check(b"lxc.lxcpaht = /srv")[0].hint.as_deref(), Some("did you mean lxc.lxcpath?"));
        assert!(check(b"lxc.uts.name = a")[0].hint.as_deref().is_some_and(|h| h.contains("container's config")));
        assert!(all("lxc.lxcpath = /a\n lxc.lxcpath = /b")[0].starts_with("/c:2:2: lxc.lxcpath counts for nothing"));
        assert!(all("lxc.lxcpath = /a ")[0].starts_with("/c:1:17: the blank"));
        assert!(all("lxc.lxcpath = /a\r\n")[0].contains("carriage return"));
        assert!(all("lxc.lxcpath = \"/a\"")[0].contains("quotes"));
        assert!(all("lxc.lxcpath = a")[0].starts_with("/c:1:15: lxc.lxcpath = a: not an absolute"));
        assert!(all("lxc.lxcpath =")[0].contains("no value"));
        assert!(all("lxc.lxcpath")[0].starts_with("/c:1:12: "));
    }

    /// Why rust-ini does not read lxc.conf (docs/differences.md): its best setting against the reader that agrees with LXC.
    #[test]
    fn rust_ini_reads_other_values() {
        let option = || ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
        let theirs = |text: &str| {
            let read = ini::Ini::load_from_str_opt(text, option()).ok()?;
            read.general_section().get("lxc.lxcpath").map(str::to_string)
        };
        let ours = |text: &str| crate::base::paths::global_in("lxc.lxcpath", text.as_bytes(), true).ok().flatten();
        assert_eq!(theirs("lxc.lxcpath = /a\n"), ours("lxc.lxcpath = /a\n"));
        for text in [
            "lxc.lxcpath = /a\\\nlxc.cgroup.use = x\n", // a backslash is no continuation
            "lxc.lxcpath : /a\n",                       // only = separates
            "lxc.nothing\nlxc.lxcpath = /a\n",          // a line without = is passed over
            "lxc.lxcpath = /a \n",                      // a blank at the end counts
        ] {
            assert_ne!(theirs(text), ours(text), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// A file without complaints is read as it looks: every pair of it is what `lxc-config` prints.
        #[test]
        fn no_complaint_means_it_is_read(
            key in prop::sample::select(GLOBAL_KEYS.to_vec()), value in "[a-z/@%n.]{1,12}", blank in "[ \t]{0,2}",
        ) {
            let text = format!("{blank}{key}{blank}={blank}{value}\n");
            if check(text.as_bytes()).is_empty() {
                let value = if key == "lxc.lxcpath" && value.len() > 1 { value.trim_end_matches('/') } else { &value };
                let got = crate::base::paths::global_in(key, text.as_bytes(), true);
                prop_assert_eq!(got, Ok(Some(value.to_string())));
            }
        }

        #[test]
        fn no_input_panics(text in prop::collection::vec(any::<u8>(), 0..120), tidy in "[lxc.pathu=# \t\n/\"]{0,80}") {
            check(&text);
            check(tidy.as_bytes());
            let _ = crate::base::paths::global_in("lxc.lxcpath", &text, true);
        }
    }
}
