//! Which containers of a store run: one look at the kernel's list of sockets in place of a connection to each. Knows
//! nothing of stopped ones.
#![forbid(unsafe_code)]

use super::address::is_hashed;
use super::command::Client;
use crate::base::{Context, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON).
const LISTENING: &[u8] = b"00010000";

/// The abstract names (without `@`) of the listening sockets whose name ends by `/command`.
fn command_sockets(table: &[u8]) -> impl Iterator<Item = &[u8]> {
    table.split(|b| *b == b'\n').filter_map(|line| {
        // Num: RefCount Protocol Flags Type St Inode Path; the path may hold anything but a newline.
        let mut rest = line;
        let mut flags: &[u8] = &[];
        for column in 0..7 {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(|b| *b == b' ')?;
            if column == 3 {
                flags = rest.get(..end)?;
            }
            rest = rest.get(end..)?;
        }
        let name = rest.strip_prefix(b" @")?;
        (flags == LISTENING && name.ends_with(b"/command")).then_some(name)
    })
}

/// The container's name in a plain socket name of the store `lxcpath`.
fn plain_name<'a>(socket: &'a [u8], lxcpath: &[u8]) -> Option<&'a str> {
    let name = socket.strip_prefix(lxcpath)?.strip_prefix(b"/")?.strip_suffix(b"/command")?;
    std::str::from_utf8(name).ok().filter(|n| !n.is_empty() && !n.contains('/'))
}

/// A name that can be a container's: any user may bind any socket, and what is listed reaches terminals.
fn is_printable(name: &str) -> bool {
    !name.chars().any(char::is_control)
}

/// The names of the containers of the store `lxcpath` that run (a monitor listens), sorted. Sockets with a hashed name
/// are asked who they are; a name with control characters is nobody's.
///
/// # Errors
/// /proc/net/unix cannot be read.
pub fn active_names(lxcpath: &Path) -> Result<Vec<String>> {
    let table = std::fs::read("/proc/net/unix").ctx(|| "/proc/net/unix".into())?;
    let store = lxcpath.as_os_str().as_bytes();
    let mut names: Vec<String> = Vec::new();
    for socket in command_sockets(&table) {
        if let Some(name) = plain_name(socket, store) {
            names.push(name.to_string());
        } else if is_hashed(socket) {
            let client = Client::at(socket);
            if client.lxcpath().ok().flatten().is_some_and(|p| p.as_bytes() == store)
                && let Ok(Some(name)) = client.name()
            {
                names.push(name);
            }
        }
    }
    names.retain(|n| is_printable(n));
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_store_count() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  1234 @/s/c1/command\n\
            0000000000000000: 00000003 00000000 00000000 0001 03  1235 @/s/c2/command\n\
            0000000000000000: 00000002 00000000 00010000 0001 01  1236 @/s2/c3/command\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 123456 @lxc/0123456789abcdef/command\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 17 /run/x/command\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 18\n";
        let all: Vec<&[u8]> = command_sockets(table).collect();
        assert_eq!(all, [&b"/s/c1/command"[..], b"/s2/c3/command", b"lxc/0123456789abcdef/command"]);
        assert_eq!(plain_name(all[0], b"/s"), Some("c1"));
        assert_eq!(plain_name(all[1], b"/s"), None);
        assert_eq!(plain_name(b"/s/a/b/command", b"/s"), None);
        assert_eq!(plain_name(b"/s//command", b"/s"), None);
        assert!(is_printable("a b") && !is_printable("a\u{1b}[31mb") && !is_printable("a\tb"));
    }
}
