//! The life of a `struct lxc_container`: made, counted, freed; and the way from the C structure to the container behind it.
//! What C may look at (`name`, `configfile`, `config_path`, `lxc_conf`) is kept in step with the container.

use super::lock::Lock;
use super::{guard, layout, members, memory};
use crate::base::log::{self, Level};
use crate::base::{Error, Result, paths};
use crate::container::Container;
use crate::ipc::Client;
use layout::LxcContainer;
use std::ffi::{c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

/// What a handle has beyond its container.
pub struct Inner {
    /// The container.
    pub container: Container,
    /// `want_close_all_fds`.
    pub close_fds: bool,
    /// The first file that the config was loaded from: hooks see its name (lxc.container.conf(5), LXC_CONFIG_FILE).
    pub loaded: Option<PathBuf>,
    /// Its monitor's client, made once: questions come by the hundred.
    client: Option<Arc<Client>>,
}

impl Inner {
    fn new(container: Container) -> Self {
        let loaded = container.config().map(|_| container.config_file());
        Self { container, close_fds: false, loaded, client: None }
    }
}

/// What `privlock` points to.
struct Private {
    lock: Lock<Inner>,
}

/// A caller's handle, known not to be null.
#[derive(Clone, Copy)]
pub struct Handle(*mut LxcContainer);

impl Handle {
    /// The handle behind a caller's pointer; `None` for null.
    ///
    /// # Safety
    /// Null, or a handle of [`lxc_container_new`] that is not freed as long as the result is used.
    pub unsafe fn of(c: *mut LxcContainer) -> Option<Self> {
        // SAFETY: the caller's promise.
        (!c.is_null() && unsafe { !(*c).privlock.is_null() }).then_some(Self(c))
    }

    /// The C structure.
    pub fn raw(self) -> *mut LxcContainer {
        self.0
    }

    fn private(self) -> &'static Private {
        // SAFETY: made by `make`, freed by the last put only; nobody keeps the reference beyond the call of a member.
        unsafe { &*(*self.0).privlock.cast::<Private>() }
    }

    /// Works on the container with the handle's lock held; afterwards C sees what has changed. Nothing that waits belongs
    /// in here.
    pub fn with<R>(self, f: impl FnOnce(&mut Inner) -> R) -> R {
        self.private().lock.with(
            || self.renewed(),
            |inner| {
                let done = f(inner);
                self.show_config(inner);
                done
            },
        )
    }

    /// A copy of the container, for what takes its time.
    pub fn copy(self) -> Container {
        self.with(|i| i.container.clone())
    }

    /// Its monitor's client, with the handle's limit for answers.
    pub fn client(self) -> Arc<Client> {
        self.private()
            .lock
            .with(|| self.renewed(), |i| i.client.get_or_insert_with(|| Arc::new(i.container.client())).clone())
    }

    /// Sets how long the monitor's answers are waited for.
    pub fn set_limit(self, limit: Option<Duration>) {
        self.with(|i| {
            i.container.set_answer_limit(limit);
            i.client = None;
        });
    }

    /// In a forked child whose parent was changing the handle in another thread.
    fn renewed(self) -> Inner {
        // SAFETY: both strings are the handle's, NUL-ended, and change under the lock only.
        let (name, path) = unsafe { (memory::text((*self.0).name), memory::path((*self.0).config_path)) };
        let name = name.unwrap_or("lost");
        let container = Container::open(name, path.as_deref()).or_else(|_| Container::new(name, path.as_deref()));
        // The name was good once, and is still.
        Inner::new(container.unwrap_or_else(|_| Container::nameless()))
    }

    fn show_config(self, inner: &Inner) {
        let conf = inner.container.config().map_or(std::ptr::null_mut(), |c| std::ptr::from_ref(c).cast_mut());
        // SAFETY: a field of the caller's structure; C only compares it with null.
        unsafe { (*self.0).lxc_conf = conf.cast::<c_void>() }
    }

    /// A line in the container's own log file, when it has one that this process does not log to anyway.
    pub fn own_log(self, member: &str, text: &str) {
        let wanted = self.with(|i| {
            let log = &i.container.config()?.log;
            let heard = log.level.is_none_or(|l| i32::from(l) <= Level::Error as i32);
            let file = log.file.clone().filter(|f| heard && !f.is_empty() && f != "none")?;
            Some((PathBuf::from(file), i.container.name().to_string()))
        });
        if let Some((file, name)) = wanted.filter(|(file, _)| log::file().as_ref() != Some(file)) {
            log::append(&file, &name, member, text);
        }
    }

    /// Moves the handle to another store.
    ///
    /// # Errors
    /// The container refuses.
    pub fn set_path(self, path: &Path) -> Result<()> {
        self.with(|i| {
            let mut moved = Container::new(i.container.name(), Some(path))?;
            if let Some(config) = i.container.config() {
                moved.set_config(config.clone());
            }
            moved.set_answer_limit(i.container.answer_limit());
            i.container = moved;
            i.client = None;
            // SAFETY: both strings are malloc'ed and ours; C knows that they become invalid.
            unsafe {
                memory::free((*self.0).config_path);
                memory::free((*self.0).configfile);
                (*self.0).config_path = memory::string(i.container.lxcpath().as_os_str().as_bytes());
                (*self.0).configfile = memory::string(i.container.config_file().as_os_str().as_bytes());
            }
            Ok(())
        })
    }

    /// Whether start leaves a monitor behind.
    pub fn daemonize(self) -> bool {
        // SAFETY: a field that C may set at any time.
        unsafe { (*self.0).daemonize }
    }
}

/// A new handle around a container, with one reference; null when memory is out.
pub fn make(container: Container) -> *mut LxcContainer {
    let name = memory::string(container.name());
    let path = memory::string(container.lxcpath().as_os_str().as_bytes());
    let file = memory::string(container.config_file().as_os_str().as_bytes());
    // SAFETY: a structure of its size is allocated and written whole.
    let c = unsafe { libc::malloc(size_of::<LxcContainer>()) }.cast::<LxcContainer>();
    if c.is_null() || name.is_null() || path.is_null() || file.is_null() {
        // SAFETY: each is null or was just allocated.
        unsafe {
            for p in [name, path, file] {
                memory::free(p);
            }
            memory::free(c);
        }
        return std::ptr::null_mut();
    }
    let private = Box::new(Private { lock: Lock::new(Inner::new(container)) });
    let mut filled = members::table();
    filled.name = name;
    filled.configfile = file;
    filled.config_path = path;
    filled.privlock = Box::into_raw(private).cast();
    filled.numthreads = 1;
    filled.daemonize = true;
    // SAFETY: c has the structure's size and malloc's alignment.
    unsafe { c.write(filled) };
    Handle(c).with(|_| ());
    c
}

/// The store that a null means.
pub fn store(configpath: Option<PathBuf>) -> PathBuf {
    configpath.unwrap_or_else(paths::lxcpath)
}

/// Opens a container for C: its config is read when there is one, a creation that died is cleared away.
///
/// # Errors
/// The name is refused, the config does not parse, the lock's directory cannot be made.
pub fn open(name: &str, lxcpath: &Path) -> Result<Container> {
    let mut container = Container::new(name, Some(lxcpath))?;
    container.set_answer_limit(None);
    container.clear_broken_creation()?;
    if container.is_defined() {
        container.load(None)?;
    }
    Ok(container)
}

/// `lxc_container_new`.
///
/// # Safety
/// Both are null or C strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_container_new(name: *const c_char, configpath: *const c_char) -> *mut LxcContainer {
    guard::entry("lxc_container_new", std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let (name, path) = unsafe { (memory::text(name), memory::path(configpath)) };
        let Some(name) = name else {
            guard::told(&Error::os(libc::EINVAL, "a container without a name, or one that is not UTF-8"));
            return std::ptr::null_mut();
        };
        match open(name, &store(path)) {
            Ok(container) => make(container),
            Err(e) => {
                guard::told(&e);
                std::ptr::null_mut()
            }
        }
    })
}

/// The reference count of a handle.
///
/// # Safety
/// A handle that is not freed.
unsafe fn count<'a>(c: *mut LxcContainer) -> &'a AtomicI32 {
    // SAFETY: the field lives as long as the handle, is aligned, and the library changes it by this reference only.
    unsafe { AtomicI32::from_ptr(&raw mut (*c).numthreads) }
}

/// `lxc_container_get`.
///
/// # Safety
/// Null or a handle that is not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_container_get(c: *mut LxcContainer) -> c_int {
    if c.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    let count = unsafe { count(c) };
    let more = |n: i32| (n >= 1).then(|| n.saturating_add(1));
    c_int::from(count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok())
}

/// `lxc_container_put`.
///
/// # Safety
/// Null or a handle that is not freed; the last reference must not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lxc_container_put(c: *mut LxcContainer) -> c_int {
    if c.is_null() {
        return -1;
    }
    guard::entry("lxc_container_put", -1, || {
        // SAFETY: the caller's promise; with the last reference gone nobody else has the handle.
        unsafe {
            if count(c).fetch_sub(1, Ordering::AcqRel) > 1 {
                return 0;
            }
            drop(Box::from_raw((*c).privlock.cast::<Private>()));
            (*c).privlock = std::ptr::null_mut();
            for p in [(*c).name, (*c).configfile, (*c).pidfile, (*c).error_string, (*c).config_path] {
                memory::free(p);
            }
            memory::free(c);
        }
        1
    })
}
