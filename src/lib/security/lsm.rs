//! Labels of the kernel's security modules: which one init gets, decided on the host; the child writes it below
//! /proc/self/attr. Nothing is loaded into the kernel here, and a container is never unconfined in silence.
#![forbid(unsafe_code)]

use super::Conf;
use crate::base::facts::Facts;
use crate::base::ids::Ns;
use crate::base::{Error, Result};
use std::ffi::{CStr, CString};
use std::path::Path;

/// What the child writes, once, to the first of the files that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Names below /proc/self/attr, in order.
    pub files: &'static [&'static CStr],
    /// The bytes.
    pub text: Vec<u8>,
    /// The label, for messages.
    pub name: String,
}

/// The labels of one start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// Takes effect at once (AppArmor) or at exec (SELinux).
    pub process: Option<Label>,
    /// Of the session keyring, written before it is made (SELinux).
    pub keyring: Option<Label>,
}

const APPARMOR_FILES: &[&CStr] = &[c"apparmor/current", c"current"];

/// Where distributions keep the profiles `lxc-container-default*`.
const SHIPPED: &str = "/etc/apparmor.d/lxc-containers";

/// What helps against a profile that is not loaded, whichever it is.
const WITHOUT: &str = "or set lxc.apparmor.profile to a loaded profile, or to unconfined to go without";

/// Where a kernel's modules show; another place for tests.
struct Kernel<'a> {
    root: &'a str,
}

impl Kernel<'_> {
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(format!("{}{path}", self.root)).ok()
    }
    fn has(&self, path: &str) -> bool {
        Path::new(&format!("{}{path}", self.root)).exists()
    }
    fn apparmor(&self) -> bool {
        self.read("/sys/module/apparmor/parameters/enabled").is_some_and(|t| t.starts_with('Y'))
    }
    fn selinux(&self) -> bool {
        self.has("/sys/fs/selinux/enforce")
    }
}

/// The labels by the settings and the running kernel.
///
/// # Errors
/// A profile that is not loaded; a kernel whose AppArmor cannot confine mounts, unless `lxc.apparmor.allow_incomplete`.
pub fn labels(conf: &Conf, facts: &Facts) -> Result<Labels> {
    decide(&Kernel { root: "" }, conf, facts)
}

fn decide(kernel: &Kernel<'_>, conf: &Conf, facts: &Facts) -> Result<Labels> {
    let mut labels = Labels::default();
    if kernel.selinux() {
        selinux(conf, &mut labels)?;
    } else if let Some(context) = conf.selinux_context.as_ref().or(conf.selinux_keyring.as_ref()) {
        crate::log_info!("The kernel has no SELinux: the context {context} is not set");
    }
    if kernel.apparmor() {
        labels.process = apparmor(kernel, conf, facts)?.or(labels.process);
    } else if let Some(profile) = &conf.apparmor_profile {
        crate::log_info!("The kernel has no AppArmor: lxc.apparmor.profile = {profile} has no effect");
    }
    Ok(labels)
}

fn selinux(conf: &Conf, labels: &mut Labels) -> Result<()> {
    let label = |files, name: &str| -> Result<Label> {
        let text =
            CString::new(name).map_err(|_| Error::new("a SELinux context holds a zero byte").stage("security"))?;
        Ok(Label { files, text: text.into_bytes_with_nul(), name: name.to_string() })
    };
    if let Some(context) = conf.selinux_context.as_deref().filter(|c| *c != "unconfined_t") {
        labels.process = Some(label(&[c"exec"], context)?);
    }
    if let Some(context) = conf.selinux_keyring.as_deref().or(conf.selinux_context.as_deref()) {
        labels.keyring = Some(label(&[c"keycreate"], context)?);
    }
    Ok(())
}

fn apparmor(kernel: &Kernel<'_>, conf: &Conf, facts: &Facts) -> Result<Option<Label>> {
    let fallback = if facts.new_ns.has(Ns::Cgroup) { "lxc-container-default-cgns" } else { "lxc-container-default" };
    // What stands in for a name that the config does not give is explained, also where it is refused.
    let mut because = "";
    let profile = match conf.apparmor_profile.as_deref() {
        Some("unchanged") => return Ok(None),
        Some("unconfined") if current(kernel).is_none_or(|l| l == "unconfined") => return Ok(None),
        Some("generated") => {
            because = "lxc.apparmor.profile = generated: profiles are not generated yet";
            fallback
        }
        None | Some("") => {
            because = "lxc.apparmor.profile is not set";
            fallback
        }
        Some(named) => named,
    };
    if !because.is_empty() {
        crate::log_warn!("{because}, {fallback} is used");
    }
    if profile.contains(['\n', '\0']) {
        return Err(Error::os(libc::EINVAL, "lxc.apparmor.profile is no profile's name").stage("security"));
    }
    if profile != "unconfined" {
        complete(kernel, conf)?;
        loaded(kernel, profile, because)?;
    }
    let text = format!("changeprofile {profile}").into_bytes();
    Ok(Some(Label { files: APPARMOR_FILES, text, name: profile.to_string() }))
}

/// The caller's own label, without its mode.
fn current(kernel: &Kernel<'_>) -> Option<String> {
    let text = kernel.read("/proc/self/attr/apparmor/current").or_else(|| kernel.read("/proc/self/attr/current"))?;
    let text = text.trim_end_matches(['\n', '\0']);
    Some(text.rsplit_once(" (").map_or(text, |(name, _)| name).to_string())
}

/// A kernel whose AppArmor does not mediate mounts leaves a hole that the profiles count on being closed.
fn complete(kernel: &Kernel<'_>, conf: &Conf) -> Result<()> {
    if kernel.has("/sys/kernel/security/apparmor/features/mount") || conf.apparmor_allow_incomplete {
        return Ok(());
    }
    if !kernel.has("/sys/kernel/security/apparmor") {
        // Nothing to judge by: the write of the label decides.
        return Ok(());
    }
    Err(Error::os(
        libc::EINVAL,
        "this kernel's AppArmor does not mediate mounts: the container would be confined in part only",
    )
    .stage("security")
    .hint("lxc.apparmor.allow_incomplete = 1 starts it all the same"))
}

/// Whether the profile is in the kernel's list. Stacks and other namespaces are left to the kernel to judge.
fn loaded(kernel: &Kernel<'_>, profile: &str, because: &str) -> Result<()> {
    let Some(list) = kernel.read("/sys/kernel/security/apparmor/profiles") else {
        crate::log_debug!("The list of loaded AppArmor profiles cannot be read");
        return Ok(());
    };
    let known = list.lines().any(|l| l.rsplit_once(" (").map_or(l, |(name, _)| name) == profile);
    if known || profile.contains("//&") || profile.starts_with(':') {
        return Ok(());
    }
    let default = profile.starts_with("lxc-container-default");
    let what = match because {
        "" => format!("the AppArmor profile {profile} is not loaded"),
        _ => format!("{because}, and the AppArmor profile {profile} is not loaded"),
    };
    Err(Error::os(libc::ENOENT, what).stage("security").hint(match (default, kernel.has(SHIPPED)) {
        (true, true) => format!("apparmor_parser -r {SHIPPED} loads it; {WITHOUT}"),
        (true, false) => format!("the package liblxc-common brings it, in {SHIPPED}; {WITHOUT}"),
        (false, _) => {
            format!("apparmor_parser -r FILE loads the file below /etc/apparmor.d that defines it; {WITHOUT}")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Fake(String);

    impl Fake {
        fn new(name: &str, files: &[(&str, &str)]) -> Fake {
            let root = std::env::temp_dir().join(format!("lxctest-lsm-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Fake(root.display().to_string())
        }
        fn decide(&self, conf: &Conf) -> Result<Labels> {
            let mut facts = Facts::default();
            facts.new_ns.add(Ns::Cgroup);
            decide(&Kernel { root: &self.0 }, conf, &facts)
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    const ON: (&str, &str) = ("sys/module/apparmor/parameters/enabled", "Y\n");
    const LIST: &str = "sys/kernel/security/apparmor/profiles";
    const MOUNT: (&str, &str) = ("sys/kernel/security/apparmor/features/mount/mask", "mount umount\n");

    fn profile(name: &str) -> Conf {
        Conf { apparmor_profile: Some(name.into()), ..Conf::default() }
    }

    #[test]
    fn without_the_module() {
        let k = Fake::new("none", &[]);
        for c in [Conf::default(), profile("generated"), profile("no such"), profile("unconfined")] {
            assert_eq!(k.decide(&c).unwrap(), Labels::default());
        }
        assert_eq!(
            k.decide(&Conf { selinux_context: Some("a:b:c".into()), ..Conf::default() }).unwrap(),
            Labels::default()
        );
    }

    #[test]
    fn apparmor_profiles() {
        let own = ("proc/self/attr/current", "unconfined\n");
        let k = Fake::new("aa", &[ON, MOUNT, own, (LIST, "lxc-container-default-cgns (enforce)\nmy one (complain)\n")]);
        let set = |c: &Conf| k.decide(c).unwrap().process.map(|l| String::from_utf8(l.text).unwrap());
        assert_eq!(set(&profile("unchanged")), None);
        assert_eq!(set(&profile("unconfined")), None);
        assert_eq!(set(&profile("my one")).as_deref(), Some("changeprofile my one"));
        assert_eq!(set(&Conf::default()).as_deref(), Some("changeprofile lxc-container-default-cgns"));
        assert_eq!(set(&profile("generated")).as_deref(), Some("changeprofile lxc-container-default-cgns"));
        let e = k.decide(&profile("my")).unwrap_err();
        assert_eq!(e.what, "the AppArmor profile my is not loaded");
        assert!(e.hint.unwrap().contains("apparmor_parser -r FILE"));
        assert!(k.decide(&profile("a\nb")).is_err());
    }

    #[test]
    fn refusals() {
        let confined = ("proc/self/attr/apparmor/current", "outer (enforce)\n");
        let k = Fake::new("refuse", &[ON, confined, (LIST, "p (enforce)\n")]);
        assert!(k.decide(&profile("p")).unwrap_err().what.contains("does not mediate mounts"));
        let c = Conf { apparmor_allow_incomplete: true, ..profile("p") };
        assert_eq!(k.decide(&c).unwrap().process.unwrap().name, "p");
        assert!(
            k.decide(&Conf { apparmor_allow_incomplete: true, ..Conf::default() })
                .unwrap_err()
                .what
                .contains("default-cgns")
        );
        // Unconfined is asked for, and the caller is confined: it is said to the kernel, not skipped.
        assert_eq!(k.decide(&profile("unconfined")).unwrap().process.unwrap().text, b"changeprofile unconfined");
    }

    /// Without a profile in the config and without the distribution's: who reads the refusal knows where both come from.
    #[test]
    fn refusal_of_the_default() {
        let k = Fake::new("default", &[ON, MOUNT, (LIST, "man_groff (enforce)\n")]);
        let e = k.decide(&Conf::default()).unwrap_err();
        assert_eq!(
            e.what,
            "lxc.apparmor.profile is not set, and the AppArmor profile lxc-container-default-cgns is not loaded"
        );
        let hint = e.hint.unwrap();
        assert!(
            hint.contains("package liblxc-common") && hint.contains(SHIPPED) && hint.contains("to unconfined"),
            "{hint}"
        );
        let e = k.decide(&profile("generated")).unwrap_err();
        assert!(
            e.what.starts_with("lxc.apparmor.profile = generated: profiles are not generated yet, and"),
            "{}",
            e.what
        );
        let k = Fake::new("shipped", &[ON, MOUNT, (LIST, ""), (&SHIPPED[1..], "#include <lxc>\n")]);
        let hint = k.decide(&Conf::default()).unwrap_err().hint.unwrap();
        assert!(hint.starts_with("apparmor_parser -r /etc/apparmor.d/lxc-containers loads it"), "{hint}");
    }

    #[test]
    fn selinux_labels() {
        let k = Fake::new("se", &[("sys/fs/selinux/enforce", "1")]);
        let l = k.decide(&Conf { selinux_context: Some("a:b:c".into()), ..Conf::default() }).unwrap();
        assert_eq!(l.process.unwrap().text, b"a:b:c\0");
        assert_eq!(l.keyring.unwrap().name, "a:b:c");
    }
}
