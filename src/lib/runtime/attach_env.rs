//! What an attached command is and sees: its environment, the places it may lie in, a user's login shell. Reads the
//! container's passwd file as what it is: hostile input.
#![forbid(unsafe_code)]

use crate::base::op::cstring;
use crate::base::{Error, Result};
use crate::sys::process::ExecArgs;
use std::ffi::{CStr, CString, OsString};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;

/// PATH of a cleared environment (lxc-attach(1), --clear-env).
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where execvp(3) looks without a PATH.
const LIBC_PATH: &[u8] = b"/bin:/usr/bin";
/// More of a passwd file is not read.
const PASSWD_MAX: u64 = 4 << 20;

/// `NAME=value` lines, a later one replacing an earlier of the same name.
#[derive(Debug, Default)]
pub struct Env(Vec<Vec<u8>>);

/// The name of a `NAME=value` line.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|c| *c == b'=').next().unwrap_or_default()
}

impl Env {
    /// Sets a variable; a bare name removes it.
    pub fn set(&mut self, line: &[u8]) {
        let name = name_of(line);
        let at = self.0.iter().position(|l| name_of(l) == name);
        match (at, line.len() > name.len()) {
            (Some(at), true) => {
                if let Some(old) = self.0.get_mut(at) {
                    *old = line.to_vec();
                }
            }
            (Some(at), false) => drop(self.0.remove(at)),
            (None, true) => self.0.push(line.to_vec()),
            (None, false) => {}
        }
    }

    /// A variable's value.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|l| name_of(l) == name).and_then(|l| l.get(name.len() + 1..))
    }

    /// As execve(2) takes it.
    ///
    /// # Errors
    /// NUL in a variable.
    pub fn render(&self) -> Result<Vec<CString>> {
        self.0.iter().map(|l| cstring(l.as_slice())).collect()
    }
}

/// The environment of an attached command: the caller's or a bare one, `container=lxc`, the container's own variables,
/// the extra ones.
pub fn environment(
    caller: impl Iterator<Item = (OsString, OsString)>,
    clear: bool,
    keep: &[CString],
    container: &str,
    extra: &[CString],
) -> Env {
    let mut env = Env::default();
    if clear {
        env.set(&[b"PATH=", DEFAULT_PATH].concat());
    }
    for (name, value) in caller {
        if !clear || keep.iter().any(|k| k.as_bytes() == name.as_bytes()) {
            let mut line = name.into_vec();
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
            // The caller's environment has no name twice: no search.
            if clear { env.set(&line) } else { env.0.push(line) }
        }
    }
    env.set(b"container=lxc");
    for line in container.lines().filter(|l| l.contains('=')) {
        env.set(line.as_bytes());
    }
    for line in extra {
        env.set(line.as_bytes());
    }
    env
}

/// A command with every place where it may lie, rendered for a child that cannot search.
#[derive(Debug)]
pub struct Command {
    /// The name, for messages.
    pub name: CString,
    /// Paths to try, in order, each with its arguments; several that differ in arguments only for shells.
    pub tries: Vec<(CString, usize)>,
    /// Argument lists that `tries` refers to.
    pub args: Vec<ExecArgs>,
    /// `/bin/sh PATH ARGS…` for a file without a known format, as execvp(3) does; one for each of `tries`.
    pub scripts: Vec<ExecArgs>,
}

impl Command {
    /// A command line, looked up on the PATH of its own environment when its name has no slash.
    ///
    /// # Errors
    /// An empty command line; NUL in a path.
    pub fn new(argv: &[CString], env: &Env) -> Result<Self> {
        let Some((name, rest)) = argv.split_first() else {
            return Err(Error::os(libc::EINVAL, "an empty command"));
        };
        let envp = env.render()?;
        let bytes = name.as_bytes();
        let mut paths = Vec::new();
        if bytes.contains(&b'/') || bytes.is_empty() {
            paths.push(name.clone());
        } else {
            for dir in env.get(b"PATH").unwrap_or(LIBC_PATH).split(|c| *c == b':') {
                let dir: &[u8] = if dir.is_empty() { b"." } else { dir };
                paths.push(cstring([dir, b"/", bytes].concat())?);
            }
        }
        let script = |path: &CString| {
            let argv: Vec<_> = [c"/bin/sh".to_owned(), path.clone()].into_iter().chain(rest.iter().cloned()).collect();
            ExecArgs::new(&argv, &envp)
        };
        let scripts = paths.iter().map(script).collect();
        let tries = paths.into_iter().map(|p| (p, 0)).collect();
        Ok(Self { name: name.clone(), tries, args: vec![ExecArgs::new(argv, &envp)], scripts })
    }

    /// The login shell of a user, else /bin/sh.
    ///
    /// # Errors
    /// NUL in the environment.
    pub fn shell(uid: u32, env: &Env) -> Result<Self> {
        let own = login_shell(uid);
        let envp = env.render()?;
        let mut tries = Vec::new();
        let mut args = Vec::new();
        for path in own.into_iter().chain([c"/bin/sh".to_owned()]) {
            tries.push((path.clone(), args.len()));
            args.push(ExecArgs::new(&[path], &envp));
        }
        let name = tries.first().map_or_else(CString::default, |t| t.0.clone());
        Ok(Self { name, tries, args, scripts: Vec::new() })
    }

    /// The name of the program.
    pub fn name(&self) -> &CStr {
        &self.name
    }
}

/// The shell of a user in the passwd file of the root that the caller is in.
pub fn login_shell(uid: u32) -> Option<CString> {
    // Without O_NONBLOCK a fifo in that place would hold us for ever.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open("/etc/passwd").ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(PASSWD_MAX).read_to_end(&mut text).ok()?;
    shell_in(&text, uid)
}

/// The seventh field of the first line of that user (passwd(5)), when it is an absolute path.
fn shell_in(passwd: &[u8], uid: u32) -> Option<CString> {
    passwd.split(|c| *c == b'\n').find_map(|line| {
        let mut fields = line.split(|c| *c == b':');
        let id = fields.nth(2)?;
        let id: u32 = std::str::from_utf8(id).ok()?.parse().ok()?;
        let shell = fields.nth(3)?;
        (id == uid && shell.starts_with(b"/")).then(|| CString::new(shell).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> std::vec::IntoIter<(OsString, OsString)> {
        [("HOME", "/h"), ("PATH", "/p:"), ("TERM", "x")].map(|(a, b)| (a.into(), b.into())).to_vec().into_iter()
    }

    fn shown(env: &Env) -> Vec<String> {
        env.0.iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect()
    }

    #[test]
    fn kept_and_cleared_environments() {
        let keep = environment(caller(), false, &[], "FOO=a b\nbad\n", &[c"TERM".into(), c"HOME=/x".into()]);
        assert_eq!(shown(&keep), ["HOME=/x", "PATH=/p:", "container=lxc", "FOO=a b"]);
        let clear = environment(caller(), true, &[c"HOME".into()], "", &[c"A=b".into()]);
        let path = format!("PATH={}", String::from_utf8_lossy(DEFAULT_PATH));
        assert_eq!(shown(&clear), [path.as_str(), "HOME=/h", "container=lxc", "A=b"]);
        let kept = environment(caller(), true, &[c"PATH".into()], "", &[]);
        assert_eq!(shown(&kept), ["PATH=/p:", "container=lxc"]);
    }

    #[test]
    fn a_name_is_searched_on_its_own_path() {
        let env = environment(caller(), false, &[], "", &[]);
        let c = Command::new(&[c"ls".into(), c"-l".into()], &env).expect("renders");
        assert_eq!(c.tries, [(c"/p/ls".to_owned(), 0), (c"./ls".to_owned(), 0)]);
        assert_eq!(c.scripts.len(), 2);
        let c = Command::new(&[c"/bin/ls".into()], &env).expect("renders");
        assert_eq!(c.tries.len(), 1);
        assert!(Command::new(&[], &env).is_err());
        let bare = Command::new(&[c"ls".into()], &Env::default()).expect("renders");
        assert_eq!(bare.tries, [(c"/bin/ls".to_owned(), 0), (c"/usr/bin/ls".to_owned(), 0)]);
    }

    #[test]
    fn shells_of_a_passwd_file() {
        let text = b"bad\nroot:x:0:0:root:/root:/bin/bash\nx:x:7:7::/:relative\ny:x:7:7::/:/bin/y\nz:x:8:8::/:\n";
        assert_eq!(shell_in(text, 0).as_deref(), Some(c"/bin/bash"));
        assert_eq!(shell_in(text, 7).as_deref(), Some(c"/bin/y"));
        assert_eq!(shell_in(text, 8), None);
        assert_eq!(shell_in(b"\xff\xff:::", 0), None);
    }

    #[test]
    fn a_shell_falls_back_to_sh() {
        let c = Command::shell(4_000_000_000, &Env::default()).expect("renders");
        assert_eq!(c.tries, [(c"/bin/sh".to_owned(), 0)]);
    }
}
