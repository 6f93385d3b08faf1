//! Device nodes of a running container: made and removed inside, allowed and denied in its control groups. Paths are
//! walked from the container's own root by descriptors.
#![forbid(unsafe_code)]

use super::Container;
use super::inject::{Place, root_of};
use crate::base::{Context, Error, Result};
use crate::cgroup::item;
use crate::ipc::wire::DeviceItem;
use crate::sys::path::{self, Resolve, Stat};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A device of the host.
struct Device {
    stat: Stat,
}

impl Device {
    fn of(file: &Path) -> Result<Self> {
        let what = || format!("Failed to look at {}", file.display());
        let name = CString::new(file.as_os_str().as_bytes()).map_err(|_| Error::os(libc::EINVAL, what()))?;
        let stat = path::statat(path::cwd(), &name, true).ctx(what)?;
        match stat.kind() {
            libc::S_IFCHR | libc::S_IFBLK => Ok(Self { stat }),
            _ => Err(Error::os(libc::EINVAL, format!("{} is no device", file.display()))),
        }
    }

    fn letter(&self) -> char {
        if self.stat.kind() == libc::S_IFCHR { 'c' } else { 'b' }
    }

    fn numbers(&self) -> (u32, u32) {
        (libc::major(self.stat.rdev), libc::minor(self.stat.rdev))
    }

    /// The rule of version 1.
    fn rule(&self) -> String {
        let (major, minor) = self.numbers();
        format!("{} {major}:{minor} rwm", self.letter())
    }

    fn is_same(&self, other: &Stat) -> bool {
        other.kind() == self.stat.kind() && other.rdev == self.stat.rdev
    }
}

impl Container {
    /// Makes the node of the host's device `source` inside, at `inside` or at the same path, and allows its use.
    ///
    /// # Errors
    /// The caller is not root; the container does not run; `source` is no device; the kernel refuses.
    pub fn add_device(&self, source: &Path, inside: Option<&Path>) -> Result<()> {
        let (device, place) = self.device(source, inside, true)?;
        self.rule(&device, true)?;
        let what = || format!("Failed to make {} in {}", inside.unwrap_or(source).display(), self.name());
        match path::unlinkat(place.dir.as_fd(), &place.name, false) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).ctx(what),
            _ => {}
        }
        path::mknodat(place.dir.as_fd(), &place.name, device.stat.mode, device.stat.rdev).ctx(what)?;
        // By a descriptor of the node itself: the container may have put something else in its place by now.
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let node = path::openat2(place.dir.as_fd(), &place.name, flags, 0, Resolve::BeneathNoLinks).ctx(what)?;
        if !device.is_same(&path::fstat(node.as_fd()).ctx(what)?) {
            return Err(Error::os(libc::EEXIST, what()));
        }
        if let Some((uid, gid)) = place.root {
            path::chownat(node.as_fd(), c"", uid, gid).ctx(what)?;
        }
        let mut buf = [0; 32];
        let link = path::proc_fd_path(node.as_fd(), &mut buf);
        path::chmodat(path::cwd(), link, device.stat.mode & 0o777).ctx(what)
    }

    /// Removes that node and denies the device.
    ///
    /// # Errors
    /// As [`Container::add_device`]; what lies there is another device or none.
    pub fn remove_device(&self, source: &Path, inside: Option<&Path>) -> Result<()> {
        let (device, place) = self.device(source, inside, false)?;
        let what = || format!("Failed to remove {} from {}", inside.unwrap_or(source).display(), self.name());
        let there = path::statat(place.dir.as_fd(), &place.name, false).ctx(what)?;
        if !device.is_same(&there) {
            return Err(Error::os(libc::EINVAL, format!("{}: it is not the device {}", what(), source.display())));
        }
        path::unlinkat(place.dir.as_fd(), &place.name, false).ctx(what)?;
        self.rule(&device, false)
    }

    fn device(&self, source: &Path, inside: Option<&Path>, make: bool) -> Result<(Device, DevicePlace)> {
        self.must_be_root("making device nodes in it")?;
        let pid = self.init_pid().ok_or_else(|| self.not_running())?;
        let device = Device::of(source)?;
        let inside = inside.unwrap_or(source);
        let what = || format!("Failed to find {} in {}", inside.display(), self.name());
        let root = root_of(pid).ctx(what)?;
        let place = Place::new(inside)?;
        let dir = place.parent(root.as_fd(), make).ctx(what)?;
        let owner = std::fs::metadata(format!("/proc/{pid}")).ok().map(|m| (m.uid(), m.gid()));
        Ok((device, DevicePlace { dir, name: place.name, root: owner }))
    }

    /// Allows or denies a device: a file of version 1, the monitor's program of version 2; nothing where neither is.
    fn rule(&self, device: &Device, allow: bool) -> Result<()> {
        let client = self.client();
        if let Ok((dir, _)) = client.limit_cgroup_fd("devices") {
            let file = if allow { "devices.allow" } else { "devices.deny" };
            match item::set(&dir, file, &device.rule()) {
                Err(e) if e.errno == libc::ENOENT => {}
                other => return other,
            }
        }
        if client.limit_cgroup2_fd().is_err() {
            return Ok(());
        }
        let (major, minor) = device.numbers();
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let rule = DeviceItem {
            kind: device.letter() as u8,
            major: number(major),
            minor: number(minor),
            access: *b"rwm\0",
            allow: i32::from(allow),
        };
        client.add_device_rule(&rule).map_err(|f| {
            let e = f.error(self.name(), "change its device rules");
            Error { errno: f.errno(), ..e }
        })
    }
}

/// Where a node goes.
struct DevicePlace {
    dir: std::os::fd::OwnedFd,
    name: CString,
    /// The container's root as the host has it.
    root: Option<(u32, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_devices() {
        let null = Device::of(Path::new("/dev/null")).unwrap();
        assert_eq!(null.rule(), "c 1:3 rwm");
        assert!(Device::of(Path::new("/etc")).is_err() && Device::of(Path::new("/no/such")).is_err());
    }
}
