//! Names the library's soname, links the tools' stubs to it, and passes the installation's directories to the code.
use std::env;
use std::path::{Path, PathBuf};

/// The directories that `make` may set, with what a plain `cargo build` takes: those of Debian's LXC, so that a build in the
/// tree manages the system's containers.
const DIRS: [(&str, &str); 7] = [
    ("LXC_BINDIR", "/usr/bin"),
    ("LXC_LIBDIR", "/usr/lib/x86_64-linux-gnu"),
    ("LXC_LIBEXECDIR", "/usr/libexec"),
    ("LXC_DATADIR", "/usr/share"),
    ("LXC_SYSCONFDIR", "/etc"),
    ("LXC_LOCALSTATEDIR", "/var"),
    ("LXC_RUNDIR", "/run"),
];

/// What lies below them (base/paths.rs says what each is for).
const DERIVED: [(&str, &str, &str); 10] = [
    ("LXC_DATADIR", "LXC_TEMPLATEDIR", "/lxc/templates"),
    ("LXC_DATADIR", "LXC_CONFIGDIR", "/lxc/config"),
    ("LXC_DATADIR", "LXC_HOOKDIR", "/lxc/hooks"),
    ("LXC_LIBDIR", "LXC_ROOTFSMOUNT", "/lxc/rootfs"),
    ("LXC_LOCALSTATEDIR", "LXC_LOGDIR", "/log/lxc"),
    ("LXC_LOCALSTATEDIR", "LXC_LXCPATH", "/lib/lxc"),
    ("LXC_SYSCONFDIR", "LXC_GLOBAL_CONF", "/lxc/lxc.conf"),
    ("LXC_SYSCONFDIR", "LXC_DEFAULT_CONF", "/lxc/default.conf"),
    ("LXC_SYSCONFDIR", "LXC_USERNET_CONF", "/lxc/lxc-usernet"),
    ("LXC_RUNDIR", "LXC_USERNIC_DB", "/lxc/nics"),
];

/// The dynamic linker looks here by itself: a stub needs no rpath to it.
const DEFAULT_LIBDIRS: [&str; 6] =
    ["/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for (name, default) in DIRS {
        println!("cargo:rerun-if-env-changed={name}");
        let dir = env::var(name).ok().filter(|d| !d.is_empty()).unwrap_or_else(|| default.to_string());
        let dir = dir.trim_end_matches('/');
        println!("cargo:rustc-env={name}={dir}");
        for (_, derived, below) in DERIVED.iter().filter(|d| d.0 == name) {
            println!("cargo:rustc-env={derived}={dir}{below}");
        }
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblxc.so.1");
    // The unwinder comes from the archive, so that a tool loads the C library's own files and ours, nothing more.
    if let Some(dir) = gcc_dir() {
        println!("cargo:rustc-link-search=native={}", dir.display());
    }
    println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    println!("cargo:rustc-cdylib-link-arg=-Wl,--as-needed");

    // target/PROFILE/build/lxc-HASH/out -> target/PROFILE/deps, where the library lies even under `cargo test`.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let deps = out.ancestors().nth(3).expect("OUT_DIR lies below the profile's directory").join("deps");
    println!("cargo:rerun-if-env-changed=LXC_STUB_RPATH");
    let rpath = match env::var("LXC_STUB_RPATH") {
        // An installation: its library directory, or nothing where the linker looks anyway.
        Ok(dir) if DEFAULT_LIBDIRS.contains(&dir.trim_end_matches('/')) || dir.is_empty() => None,
        Ok(dir) => Some(PathBuf::from(dir)),
        // The tree: a directory with the soname as a link, since cargo writes liblxc.so.
        Err(_) => {
            link_soname(&out, &deps);
            Some(out)
        }
    };
    for stub in stubs() {
        let arg = |a: &str| println!("cargo:rustc-link-arg-bin={stub}={a}");
        // By its path: another liblxc.so (Debian's lxc-dev) may lie in a directory that is searched before ours.
        arg(&deps.join("liblxc.so").to_string_lossy());
        if let Some(dir) = &rpath {
            arg(&format!("-Wl,-rpath,{}", dir.display()));
        }
        arg("-lc"); // a stub without std is linked with -nodefaultlibs; CARGO_CFG_PANIC does not tell which kind this is
    }
}

fn link_soname(out: &Path, deps: &Path) {
    let link = out.join("liblxc.so.1");
    let _ = std::fs::remove_file(&link);
    if let Err(e) = std::os::unix::fs::symlink(deps.join("liblxc.so"), &link) {
        println!("cargo:warning=no {}: {e}", link.display());
    }
}

/// The stubs: every file of src/bin that says so by its macro.
fn stubs() -> Vec<String> {
    println!("cargo:rerun-if-changed=src/bin");
    let mut names: Vec<String> = std::fs::read_dir("src/bin")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| std::fs::read_to_string(e.path()).is_ok_and(|text| text.contains("lxc_tool!")))
        .filter_map(|e| e.path().file_stem().and_then(|s| s.to_str()).map(String::from))
        .collect();
    names.sort();
    names
}

/// Where gcc keeps its own archives.
fn gcc_dir() -> Option<PathBuf> {
    let out = std::process::Command::new("gcc").arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let path = PathBuf::from(String::from_utf8(out.stdout).ok()?.trim());
    path.is_absolute().then(|| path.parent().map(Path::to_path_buf)).flatten()
}
