//! The network of a running container from outside: its interfaces and addresses, moving an interface in and out. Owns no
//! configuration of interfaces; `network` does.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Context, Error, Result};
use crate::network::rtnl::Rtnl;
use crate::sys::process::{self, Clone3, Never};
use crate::sys::{cred, netlink, ns, path, scm, socket};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Any,
}

impl Container {
    /// A netlink socket inside.
    fn rtnl(&self) -> Result<Rtnl> {
        let init = self.client().init_pidfd().map_err(|f| {
            let e = f.error(self.name(), "name its init");
            Error { errno: f.errno(), ..e }
        })?;
        let what = || format!("Failed to enter the network namespace of {}", self.name());
        socket_inside(init.as_fd()).and_then(Rtnl::from_fd).ctx(what)
    }

    /// The interfaces inside, `lo` among them.
    ///
    /// # Errors
    /// It does not run or its network namespace cannot be entered.
    pub fn interfaces(&self) -> Result<Vec<String>> {
        let links = self.rtnl()?.links().ctx(|| "Failed to list interfaces".into())?;
        Ok(links.into_iter().map(|l| l.name).collect())
    }

    /// Addresses inside: of one interface, or of all but `lo`. `scope` is the scope id that an IPv6 address must have: the
    /// interface's index for link-local ones, else 0 (ipv6(7)).
    ///
    /// # Errors
    /// As [`Container::interfaces`].
    pub fn ips(&self, interface: Option<&str>, family: Family, scope: u32) -> Result<Vec<String>> {
        let what = || "Failed to list addresses".to_string();
        let mut rtnl = self.rtnl()?;
        let names: HashMap<u32, String> = rtnl.links().ctx(what)?.into_iter().map(|l| (l.index, l.name)).collect();
        let mut all = Vec::new();
        for (index, addr, ..) in rtnl.addresses(0).ctx(what)? {
            let Some(name) = names.get(&index) else { continue };
            let of_interface = interface.map_or(name != "lo", |i| i == name);
            let of_family = match (addr, family) {
                (_, Family::Any) => true,
                (IpAddr::V4(_), f) => f == Family::V4,
                (IpAddr::V6(_), f) => f == Family::V6,
            };
            let of_scope = match addr {
                IpAddr::V4(_) => true,
                IpAddr::V6(a) => scope == if a.is_unicast_link_local() { index } else { 0 },
            };
            if of_interface && of_family && of_scope {
                all.push(addr.to_string());
            }
        }
        Ok(all)
    }

    /// Moves an interface of the host in, under the name `inside`.
    ///
    /// # Errors
    /// The caller is not root; the container does not run; there is no such interface, or it cannot be moved.
    pub fn attach_interface(&self, host: &str, inside: &str) -> Result<()> {
        self.must_be_root("moving an interface into it")?;
        let pid = self.init_pid().ok_or_else(|| self.not_running())?;
        let what = || format!("Failed to move interface {host} into {}", self.name());
        let mut rtnl = Rtnl::open().ctx(what)?;
        let link = rtnl.link(host).ctx(what)?;
        rtnl.move_to(link.index, pid, inside).ctx(what)
    }

    /// Moves an interface out, into the caller's network namespace, under the name `host`.
    ///
    /// # Errors
    /// As [`Container::attach_interface`].
    pub fn detach_interface(&self, inside: &str, host: &str) -> Result<()> {
        self.must_be_root("moving an interface out of it")?;
        let what = || format!("Failed to move interface {inside} out of {}", self.name());
        let mut rtnl = self.rtnl()?;
        let link = rtnl.link(inside).ctx(what)?;
        rtnl.move_to(link.index, process::pid(), host).ctx(what)
    }

    /// What needs the host's root.
    pub(super) fn must_be_root(&self, what: &str) -> Result<()> {
        if cred::euid() == 0 {
            return Ok(());
        }
        Err(Error::os(libc::EPERM, format!("{}: {what} needs root", self.name())))
    }

    /// The error of a container that does not run.
    pub(super) fn not_running(&self) -> Error {
        Error::os(libc::ECONNREFUSED, format!("{} is not running", self.name()))
    }
}

/// A netlink socket belongs to the network namespace that it was opened in. A thread that is sure of its way back enters
/// the other one itself; else a child does, and sends the socket.
fn socket_inside(init: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let home = path::open(c"/proc/thread-self/ns/net", libc::O_RDONLY, 0)?;
    // Entering one's own needs what coming back needs.
    if ns::setns(home.as_fd(), ns::CLONE_NEWNET).is_ok() && ns::setns(init, ns::CLONE_NEWNET).is_ok() {
        let opened = netlink::open_fd();
        ns::setns(home.as_fd(), ns::CLONE_NEWNET)?;
        return opened;
    }
    socket_by_child(init)
}

/// The same by a child, which may join the user namespace as well.
fn socket_by_child(init: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (ours, theirs) = socket::pair_seqpacket()?;
    let child = process::clone3(&Clone3::default(), || -> Never {
        let joined =
            ns::setns(init, ns::CLONE_NEWUSER | ns::CLONE_NEWNET).or_else(|_| ns::setns(init, ns::CLONE_NEWNET));
        let sent = joined
            .and_then(|()| netlink::open_fd())
            .and_then(|fd| scm::send(theirs.as_fd(), b"s", None, &[fd.as_fd()]));
        process::exit_now(sent.map_or_else(|e| e.raw_os_error().unwrap_or(libc::EIO), |_| 0))
    })?;
    drop(theirs);
    let mut byte = [0];
    let got = scm::recv(ours.as_fd(), &mut byte);
    let (_, status) = process::wait_pid(child.pid, 0)?;
    match got?.fds.pop() {
        Some(fd) => Ok(fd),
        None => Err(io::Error::from_raw_os_error(process::exit_code(status).max(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_a_namespace_by_both_ways() {
        let own = process::pidfd_open(process::pid()).unwrap();
        for opened in [socket_inside(own.as_fd()), socket_by_child(own.as_fd())].into_iter().flatten() {
            let links = Rtnl::from_fd(opened).unwrap().links().unwrap();
            assert!(links.iter().any(|l| l.name == "lo"));
        }
    }

    #[test]
    fn what_does_not_run_has_no_network() {
        let c = Container::new("net-nobody", Some(std::path::Path::new("/nonexistent/store"))).unwrap();
        assert_eq!(c.interfaces().unwrap_err().errno, libc::ECONNREFUSED);
        assert!(c.ips(None, Family::Any, 0).is_err());
    }
}
