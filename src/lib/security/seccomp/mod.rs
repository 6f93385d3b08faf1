//! Seccomp: a policy file to the program that the child loads. Loading it is `sys`'s, deciding notifications the runtime's.
#![forbid(unsafe_code)]

mod cache;
mod compile;
pub mod parse;

use crate::base::{Context, Result};

/// SECCOMP_FILTER_FLAG_NEW_LISTENER (seccomp(2)): the load answers a descriptor for notifications.
pub const NEW_LISTENER: u32 = 8;

/// A program to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// An array of struct sock_filter, as bytes.
    pub bpf: Vec<u8>,
    /// Flags for seccomp(2).
    pub flags: u32,
}

/// The program of a policy file, from the cache if it was compiled before.
///
/// # Errors
/// An unreadable file; an error in it, with line and column; a policy that libseccomp refuses.
pub fn program(path: &str) -> Result<Program> {
    let text = std::fs::read(path).ctx(|| format!("lxc.seccomp.profile = {path}")).map_err(|e| {
        let e = e.stage("seccomp");
        if e.errno == libc::ENOENT {
            e.hint("mend lxc.seccomp.profile, or clear it with: lxc.seccomp.profile =")
        } else {
            e
        }
    })?;
    let key = cache::Key::new(&text, &compile::library_version(), &compile::arch_names());
    if let Some(found) = key.as_ref().and_then(cache::Key::load) {
        return Ok(found);
    }
    let made = of_text(path, &text)?;
    if let Some(key) = key {
        key.store(&made);
    }
    Ok(made)
}

/// The rules of a policy whose system call no architecture of this machine has, each with its place: they do nothing.
pub fn unknown_calls(file: &str, policy: &parse::Policy) -> Vec<String> {
    let unknown = |rule: &&parse::Rule| match &rule.call {
        parse::Call::Name(name) => name != "reject_force_umount" && !compile::is_known(name),
        parse::Call::Number(_) => false,
    };
    let name = |rule: &parse::Rule| match &rule.call {
        parse::Call::Name(name) => name.clone(),
        parse::Call::Number(n) => n.to_string(),
    };
    let here = policy.rules.iter().filter(unknown);
    here.map(|r| {
        format!("{file}:{}:1: {} is no system call that libseccomp knows: the rule does nothing", r.line, name(r))
    })
    .collect()
}

/// The same by the policy's text, past the cache.
///
/// # Errors
/// As [`program`].
pub fn of_text(path: &str, text: &[u8]) -> Result<Program> {
    let policy = parse::parse(path, text)?;
    for w in &policy.warnings {
        crate::log_warn!("{w}");
    }
    let asks = policy.rules.iter().any(|r| r.action == parse::Action::Notify);
    let bpf = compile::compile(path, &policy)?;
    Ok(Program { bpf, flags: if asks { NEW_LISTENER } else { 0 } })
}
