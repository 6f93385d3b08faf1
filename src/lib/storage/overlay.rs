//! Rootfs type `overlay`: `LOWER[:LOWER…]:UPPER`. Makes the upper and the work directory, renders the mount's source.
#![forbid(unsafe_code)]

use crate::base::facts::Facts;
use crate::base::op::{Source, cstring};
use crate::base::owned_dir;
use crate::base::{Error, Result};
use std::path::{Path, PathBuf};

/// The parts of an overlay path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Lower directories, topmost first.
    pub lower: Vec<String>,
    /// The upper directory.
    pub upper: String,
    /// The work directory: `work` beside the upper one, on whose file system it must be.
    pub work: String,
}

/// Splits the path at each `:` that is followed by a slash.
///
/// # Errors
/// Fewer than two parts, or a relative first one.
pub fn split(path: &str) -> Result<Parts> {
    let bad = || {
        Error::os(libc::EINVAL, format!("lxc.rootfs.path = overlay:{path}: wanted overlay:/LOWER[:/LOWER…]:/UPPER"))
            .stage("rootfs")
    };
    let mut parts: Vec<String> = Vec::new();
    for part in path.split(":/") {
        parts.push(if parts.is_empty() { part.to_string() } else { format!("/{part}") });
    }
    let upper = parts.pop().ok_or_else(bad)?;
    let parent = Path::new(&upper).parent().ok_or_else(bad)?;
    if parts.is_empty() || parts.iter().any(|p| !p.starts_with('/') || p.len() < 2) {
        return Err(bad());
    }
    let work = parent.join("work").to_string_lossy().into_owned();
    Ok(Parts { lower: parts, upper, work })
}

/// A path as overlay's option parser wants it (kernel: Documentation/filesystems/overlayfs.rst): backslash before its own
/// separators.
fn escape(path: &str) -> String {
    path.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
}

/// Makes a missing directory for the container's root.
fn make(dir: &Path, facts: &Facts) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let err = |e: &std::io::Error| Error::io(e, format!("make overlay directory {}", dir.display())).stage("rootfs");
    // Below the container's own directory its root may have put links; elsewhere only the last name is ours.
    let own = facts.lxcpath.join(&facts.name);
    let (top, below) = match (dir.strip_prefix(&own), dir.parent(), dir.file_name()) {
        (Ok(below), _, _) if !facts.name.is_empty() => (own.as_path(), below),
        (_, Some(parent), Some(name)) => (parent, Path::new(name)),
        _ => return Err(err(&std::io::Error::from_raw_os_error(libc::EINVAL))),
    };
    std::fs::create_dir_all(top).and_then(|()| owned_dir::make(top, below, facts.host_root())).map_err(|e| err(&e))
}

/// Makes what is missing and gives the mount's source. `data` is appended to overlay's own options.
///
/// # Errors
/// A faulty path, a missing lower directory, no room for the others.
pub fn source(path: &str, data: &str, facts: &Facts) -> Result<Source> {
    let parts = split(path)?;
    for lower in &parts.lower {
        std::fs::metadata(lower).map_err(|e| {
            Error::io(&e, format!("lxc.rootfs.path = overlay:{path}: lower directory {lower}"))
                .stage("rootfs")
                .hint("the container that this one was copied from must stay where it was")
        })?;
    }
    make(Path::new(&parts.upper), facts)?;
    make(&PathBuf::from(&parts.work), facts)?;
    let lower = parts.lower.iter().map(|p| escape(p)).collect::<Vec<_>>().join(":");
    let mut options = format!("upperdir={},lowerdir={lower},workdir={}", escape(&parts.upper), escape(&parts.work));
    if !data.is_empty() {
        options.push(',');
        options.push_str(data);
    }
    let name = parts.lower.first().map_or("overlay", String::as_str);
    Ok(Source::Fs { fstype: c"overlay".into(), name: cstring(name)?, data: Some(cstring(options)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path() {
        let p = split("/a:/b:/c/delta0").expect("splits");
        assert_eq!(
            (p.lower, p.upper.as_str(), p.work.as_str()),
            (vec!["/a".into(), "/b".into()], "/c/delta0", "/c/work")
        );
        for bad in ["/a", "a:/b", "", "/:/b", "/a:/b:"] {
            assert_eq!(split(bad).is_err(), bad != "/a:/b:", "{bad}");
        }
    }

    #[test]
    fn missing_directories_are_made_and_options_appended() {
        let dir = std::env::temp_dir().join(format!("lxc-overlay-{}", std::process::id()));
        let path = format!("/etc:{}/up/delta", dir.display());
        let s = source(&path, "volatile", &Facts::default()).expect("renders");
        let Source::Fs { data: Some(data), name, .. } = s else { panic!("{s:?}") };
        let up = dir.join("up");
        assert_eq!(
            data.to_string_lossy(),
            format!("upperdir={0}/delta,lowerdir=/etc,workdir={0}/work,volatile", up.display())
        );
        assert_eq!(name.to_string_lossy(), "/etc");
        assert!(up.join("delta").is_dir() && up.join("work").is_dir());
        std::fs::remove_dir_all(&dir).expect("removed");
        assert!(source("/no/such:/tmp/x/y", "", &Facts::default()).is_err());
    }

    #[test]
    fn separators_in_names_are_escaped() {
        assert_eq!(escape("/a:b,c\\d"), "/a\\:b\\,c\\\\d");
    }
}
