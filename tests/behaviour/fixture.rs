//! The tiny root filesystem that the containers of the tests run: one static busybox, links to it,
//! an init that answers the halt signal at once, and busybox's own init for the tests that need it.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Names linked to busybox below /bin.
const APPLETS: &[&str] = &[
    "[", "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dmesg", "echo", "env", "false", "find", "getty",
    "grep", "head", "hostname", "id", "ifconfig", "init", "ip", "kill", "ln", "ls", "mkdir", "mknod", "mount", "mv",
    "nc", "ping", "poweroff", "printf", "ps", "pwd", "readlink", "reboot", "halt", "rm", "route", "sed", "sh", "sleep",
    "sort", "stat", "stty", "tail", "test", "touch", "tr", "true", "tty", "umount", "uname", "unshare", "wc", "who",
    "xargs", "usleep", "setsid", "seq", "mkfifo", "sysctl",
];

/// An init that tells when its traps are set (/ready), ends on SIGPWR, counts boots, reboots on SIGINT.
/// `exit` of PID 1 is a stop for LXC; `reboot -f` is the system call that LXC takes as a reboot.
const SHINIT: &str = r#"#!/bin/sh
trap 'exit 0' PWR
trap 'reboot -f' INT
trap 'echo usr1 >> /signals' USR1
trap 'echo usr2 >> /signals' USR2
trap 'echo term >> /signals' TERM
trap 'echo winch >> /signals' WINCH
trap 'echo hup >> /signals' HUP
echo boot >> /boots
[ -x /on-boot ] && . /on-boot
echo $$ > /ready
while :; do sleep 3600 & wait $!; done
"#;

/// An init that is deaf to everything but SIGKILL.
const DEAF: &str = "#!/bin/sh\ntrap '' PWR INT TERM USR1 USR2 HUP\necho $$ > /ready\nwhile :; do sleep 3600; done\n";

/// No network set-up of any kind: a container must never touch a host that it shares its network with.
const INITTAB: &str = "::sysinit:/bin/touch /ready\n::respawn:/bin/sleep 3600\n::ctrlaltdel:/bin/reboot\n";

/// Build the tree once per run.
pub fn build(root: &Path, busybox: &Path) -> io::Result<()> {
    for d in ["bin", "sbin", "dev", "proc", "sys", "etc", "root", "tmp", "run", "mnt", "var", "usr", "lib"] {
        fs::create_dir_all(root.join(d))?;
    }
    fs::copy(busybox, root.join("bin/busybox"))?;
    fs::set_permissions(root.join("bin/busybox"), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for a in APPLETS {
        symlink("busybox", root.join("bin").join(a))?;
    }
    symlink("/bin/busybox", root.join("sbin/init"))?;
    for (name, text, mode) in [
        ("sbin/shinit", SHINIT, 0o755),
        ("sbin/deafinit", DEAF, 0o755),
        ("etc/inittab", INITTAB, 0o644),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n", 0o644),
        ("etc/group", "root:x:0:\nuser:x:1000:\n", 0o644),
    ] {
        fs::write(root.join(name), text)?;
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// Copy a tree (directories, files, links); owner stays the caller.
pub fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (src, dst) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&src, &dst)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&src)?, &dst)?;
        } else {
            fs::copy(&src, &dst)?;
        }
    }
    Ok(())
}
