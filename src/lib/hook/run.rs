//! How a hook is called: its shell command, its arguments and its environment, for both versions of `lxc.hook.version`.
//! Runs nothing: hooks on the host are run by `base::spawn`, those inside by the child.
#![forbid(unsafe_code)]

use super::conf::{Conf, When};
use crate::base::Result;
use crate::base::op::cstring;
use std::ffi::CString;

/// What a hook's arguments and environment are made of.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The container.
    pub name: &'a str,
    /// `lxc` or `net`.
    pub section: &'a str,
    /// `pre-start`, …; of a network script `up` or `down`.
    pub kind: &'a str,
    /// Further arguments: namespaces of a stop hook (version 0 only), type and names of a network script, those of a copy.
    pub extra: &'a [String],
}

/// One rendered hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The command as the config has it.
    pub command: String,
    /// `/bin/sh -c …`.
    pub argv: Vec<CString>,
    /// `NAME=value` …
    pub envp: Vec<CString>,
}

/// Renders one command of `lxc.hook.*` or `lxc.net.N.script.*`.
///
/// # Errors
/// A NUL byte in the command, the arguments or the environment.
pub fn render(version: u32, command: &str, call: &Call, env: &[String]) -> Result<Rendered> {
    let mut line = format!("exec {command}");
    let fixed = if version == 0 { vec![call.name, call.section, call.kind] } else { Vec::new() };
    // Network scripts keep the device's names as arguments in both versions, clone hooks what the caller gives them.
    let keeps = version == 0 || call.section == "net" || call.kind == "clone";
    let extra = if keeps { call.extra } else { &[] };
    for word in fixed.into_iter().chain(extra.iter().map(String::as_str)) {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    let argv = vec![cstring("/bin/sh")?, cstring("-c")?, cstring(line)?];
    let mut all: Vec<String> = env.to_vec();
    if version != 0 {
        set(&mut all, "LXC_HOOK_TYPE", call.kind);
        set(&mut all, "LXC_HOOK_SECTION", call.section);
    }
    let envp = all.into_iter().map(cstring).collect::<Result<Vec<_>>>()?;
    Ok(Rendered { command: command.to_string(), argv, envp })
}

/// A word as the shell takes it unchanged: names of containers and devices may hold blanks and worse.
fn quoted(word: &str) -> std::borrow::Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''")).into()
    }
}

/// Renders all commands of one stage, in order.
///
/// # Errors
/// As [`render`].
pub fn render_all(conf: &Conf, when: When, name: &str, extra: &[String], env: &[String]) -> Result<Vec<Rendered>> {
    let call = Call { name, section: "lxc", kind: when.name(), extra };
    let Some(commands) = conf.hooks.get(when as usize) else { return Ok(Vec::new()) };
    commands.iter().map(|c| render(conf.version, c, &call, env)).collect()
}

/// Bits for [`crate::base::facts::Facts::hooks`]: which stages have commands.
pub fn stages(conf: &Conf) -> u16 {
    let mut bits = 0;
    for (i, commands) in conf.hooks.iter().enumerate() {
        if !commands.is_empty() {
            bits |= 1 << i;
        }
    }
    bits
}

/// Sets a variable in a list of `NAME=value`: an earlier one of the same name is replaced where it stands.
pub fn set(env: &mut Vec<String>, name: &str, value: &str) {
    let line = format!("{name}={value}");
    let same = |e: &String| e.strip_prefix(name).is_some_and(|r| r.starts_with('='));
    match env.iter_mut().find(|e| same(e)) {
        Some(old) => *old = line,
        None => env.push(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call<'static> {
        Call { name: "c1", section: "lxc", kind: "pre-start", extra: &[] }
    }

    #[test]
    fn version_0_has_arguments_and_no_variables_of_its_own() {
        let r = render(0, "/h a", &call(), &["A=1".into()]).unwrap();
        assert_eq!(r.argv[2].to_str(), Ok("exec /h a c1 lxc pre-start"));
        assert_eq!(r.envp, [c"A=1".to_owned()]);
    }

    #[test]
    fn arguments_are_quoted_for_the_shell() {
        let call = Call { name: "a b;$(id)'", ..call() };
        let r = render(0, "/h", &call, &[]).unwrap();
        assert_eq!(r.argv[2].to_str(), Ok("exec /h 'a b;$(id)'\\''' lxc pre-start"));
    }

    #[test]
    fn version_1_has_variables_and_no_arguments() {
        let r = render(1, "/h", &call(), &[]).unwrap();
        assert_eq!(r.argv[2].to_str(), Ok("exec /h"));
        assert_eq!(r.envp, [c"LXC_HOOK_TYPE=pre-start".to_owned(), c"LXC_HOOK_SECTION=lxc".to_owned()]);
    }

    #[test]
    fn a_variable_is_replaced_by_its_whole_name() {
        let mut env = vec!["AB=1".to_string(), "A=1".to_string()];
        set(&mut env, "A", "2");
        set(&mut env, "B", "3");
        assert_eq!(env, ["AB=1", "A=2", "B=3"]);
    }
}
