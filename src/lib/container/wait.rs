//! Waiting for states. Asks the monitor once and registers in the same request; never polls a running container.
#![forbid(unsafe_code)]

use super::Container;
use crate::base::{Error, Result};
use crate::ipc::command::{Fail, Waiting};
use crate::ipc::state::State;
use std::time::{Duration, Instant};

/// `STATE|STATE`, as lxc-wait has them: exact words.
///
/// # Errors
/// The first word that is no state.
pub fn parse_states(text: &str) -> Result<Vec<State>> {
    text.split('|')
        .map(|word| State::parse(word).ok_or_else(|| Error::new(format!("invalid state '{word}'"))))
        .collect()
}

impl Container {
    /// Waits until it is in one of the states; `None` waits without limit. False when the time is over.
    ///
    /// # Errors
    /// The monitor refuses the caller, or the connection breaks in an unexpected way.
    pub fn wait(&self, states: &[State], limit: Option<Duration>) -> Result<bool> {
        let deadline = limit.and_then(|l| Instant::now().checked_add(l));
        loop {
            let client = self.client();
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            match client.add_state_client(states) {
                Ok(Waiting::Reached(state)) if states.contains(&state) => return Ok(true),
                Ok(Waiting::Reached(_)) => {}
                Ok(Waiting::Later(waiter)) => match waiter.wait(left) {
                    Ok(state) if states.contains(&state) => return Ok(true),
                    // The monitor ended without having been in one of the states.
                    Ok(_) => {}
                    Err(Fail::Timeout) => return Ok(false),
                    Err(e) => return Err(e.error(self.name(), "wait for a state")),
                },
                Err(Fail::NotRunning) => {
                    if states.contains(&State::Stopped) {
                        return Ok(true);
                    }
                }
                Err(e) => return Err(e.error(self.name(), "wait for a state")),
            }
            if !self.pause(deadline) {
                return Ok(false);
            }
        }
    }

    /// Waits for a monitor to appear: it has no way to be announced, so once in a while its socket is tried.
    fn pause(&self, deadline: Option<Instant>) -> bool {
        let step = Duration::from_millis(50);
        let step = match deadline {
            Some(end) => match end.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => left.min(step),
                _ => return false,
            },
            None => step,
        };
        std::thread::sleep(step);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_exact_words() {
        assert_eq!(parse_states("STOPPED|RUNNING").unwrap(), [State::Stopped, State::Running]);
        for bad in ["running", "STOPPED |RUNNING", "", "STOPPED|"] {
            assert!(parse_states(bad).is_err(), "{bad}");
        }
    }
}
