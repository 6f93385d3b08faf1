//! How the tools and a container's monitor talk: states, the command protocol and its client, the messages for
//! lxc-monitord, the list of who listens. Owns the bytes and the client; the monitor's side is `runtime::server`.
#![forbid(unsafe_code)]

pub mod address;
pub mod command;
pub mod list;
pub mod monitor;
pub mod state;
pub mod wire;

pub use command::{Client, Fail, Stopping, Waiter, Waiting};
pub use state::State;
