//! What init is: its command line and its environment. Renders only.
#![forbid(unsafe_code)]

use super::conf::Conf;
use crate::base::op::cstring;
use crate::base::{Error, Result};
use std::ffi::CString;

/// Splits `lxc.init.cmd`: at spaces only. LXC 5.0.2 (run) and 7.0 know no quotes, no escapes and no tabs here.
pub fn split(command: &str) -> Vec<&str> {
    command.split(' ').filter(|w| !w.is_empty()).collect()
}

/// Splits `lxc.execute.cmd` as LXC 5.0.2 does (run): at blanks; a word that begins with a quote goes up to the next one of its
/// kind, which are both taken away; one without an end is dropped. Quotes elsewhere are text, there are no escapes.
pub fn split_quoted(command: &str) -> Vec<&str> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut words = Vec::new();
    let mut rest = command.trim_start_matches(blank);
    while let Some(first) = rest.chars().next() {
        let end = if first == '"' || first == '\'' {
            let inside = rest.get(1..).unwrap_or_default();
            let Some(end) = inside.find(first) else { break };
            words.push(inside.get(..end).unwrap_or_default());
            end + 2
        } else {
            let end = rest.find(blank).unwrap_or(rest.len());
            words.push(rest.get(..end).unwrap_or_default());
            end
        };
        rest = rest.get(end..).unwrap_or_default().trim_start_matches(blank);
    }
    words
}

/// Init's arguments: what the caller gave, else the config's command, else /sbin/init; for lxc-execute there is no default.
///
/// # Errors
/// lxc-execute without a command.
pub fn argv(conf: &Conf, given: &[CString], useinit: bool) -> Result<Vec<CString>> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let words = if useinit {
        split_quoted(conf.execute_cmd.as_deref().unwrap_or_default())
    } else {
        split(conf.init_cmd.as_deref().unwrap_or_default())
    };
    if words.is_empty() && useinit {
        return Err(Error::new("no command given").hint("name it after --, or set lxc.execute.cmd"));
    }
    if words.is_empty() {
        return Ok(vec![c"/sbin/init".to_owned()]);
    }
    words.into_iter().map(cstring).collect()
}

/// Init's environment: lxc.environment, lxc.environment.runtime, `container=lxc`, and container_ttys when there are ttys.
/// Nothing of the caller's.
///
/// # Errors
/// A NUL byte.
pub fn init_env(conf: &Conf, ttys: &str) -> Result<Vec<CString>> {
    let mut env = conf.environment.clone();
    merge(&mut env, &conf.environment_runtime);
    merge(&mut env, &["container=lxc".to_string()]);
    if !ttys.is_empty() {
        merge(&mut env, &[format!("container_ttys={ttys}")]);
    }
    env.into_iter().map(cstring).collect()
}

/// The environment of hooks that run inside the container's namespaces: `base`, lxc.environment, lxc.environment.hooks.
pub fn inner_hook_env(conf: &Conf, base: &[String]) -> Vec<String> {
    let mut env = base.to_vec();
    merge(&mut env, &conf.environment);
    merge(&mut env, &conf.environment_hooks);
    env
}

/// Adds `NAME=value` lines, a later one replacing an earlier of the same name.
pub fn merge(env: &mut Vec<String>, more: &[String]) {
    for line in more {
        let name = line.split('=').next().unwrap_or_default();
        let same = |e: &String| e.strip_prefix(name).is_some_and(|r| r.starts_with('='));
        match env.iter_mut().find(|e| same(e)) {
            Some(old) => old.clone_from(line),
            None => env.push(line.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_knows_spaces_only() {
        assert_eq!(split("/bin/a  -c \"b  c\" "), ["/bin/a", "-c", "\"b", "c\""]);
        assert_eq!(split("/bin/a b\tc"), ["/bin/a", "b\tc"]);
    }

    #[test]
    fn the_command_of_lxc_execute_knows_quotes() {
        assert_eq!(split_quoted(" /b  \"a  b\" c\td "), ["/b", "a  b", "c", "d"]);
        assert_eq!(split_quoted("/b a\"b c\"d 'x y' '' \"it's\""), ["/b", "a\"b", "c\"d", "x y", "", "it's"]);
        assert_eq!(split_quoted("/b \"a\\\"b\""), ["/b", "a\\", "b\""]);
        assert_eq!(split_quoted("/b \"a"), ["/b"]);
        assert!(split_quoted(" ").is_empty());
    }

    #[test]
    fn argv_prefers_the_caller_then_the_config() {
        let conf = Conf { init_cmd: Some("/i x".into()), execute_cmd: Some("/e".into()), ..Conf::default() };
        assert_eq!(argv(&conf, &[c"/g".to_owned()], false).unwrap(), [c"/g".to_owned()]);
        assert_eq!(argv(&conf, &[], false).unwrap(), [c"/i".to_owned(), c"x".to_owned()]);
        assert_eq!(argv(&conf, &[], true).unwrap(), [c"/e".to_owned()]);
        assert_eq!(argv(&Conf::default(), &[], false).unwrap(), [c"/sbin/init".to_owned()]);
        assert!(argv(&Conf::default(), &[], true).is_err());
    }

    #[test]
    fn environment_of_init() {
        let conf = Conf {
            environment: vec!["FOO=bar".into(), "container=x".into()],
            environment_runtime: vec!["FOO=baz".into(), "R=1".into()],
            environment_hooks: vec!["H=1".into()],
            ..Conf::default()
        };
        let env = init_env(&conf, "pts/1 pts/2").unwrap();
        let env: Vec<_> = env.iter().map(|e| e.to_str().unwrap()).collect();
        assert_eq!(env, ["FOO=baz", "container=lxc", "R=1", "container_ttys=pts/1 pts/2"]);
        assert_eq!(inner_hook_env(&conf, &["A=1".into()]), ["A=1", "FOO=bar", "container=x", "H=1"]);
    }
}
