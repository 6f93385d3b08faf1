//! What the monitor and the proxy of seccomp notifications say to each other, as bytes (seen on LXC 5.0.2): a head of 32
//! bytes, the notification, the response, the cookie. The answer is the same without the cookie, and only its response
//! counts. Pure: no descriptor, no time.
#![forbid(unsafe_code)]

use crate::sys::seccomp::NotifSizes;
use nix::libc;

/// The head: reserved u64, the monitor's pid, init's pid, the three sizes as u16, two bytes of padding, the cookie's length
/// as u64.
pub const HEAD: usize = 32;

/// The question to the proxy; its response holds the id and zeros.
pub fn question(pids: (i32, i32), sizes: NotifSizes, notification: &[u8], cookie: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer_len(sizes) + cookie.len());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&pids.0.to_ne_bytes());
    out.extend_from_slice(&pids.1.to_ne_bytes());
    for size in [sizes.notif, sizes.response, sizes.data, 0] {
        out.extend_from_slice(&size.to_ne_bytes());
    }
    out.extend_from_slice(&(cookie.len() as u64).to_ne_bytes());
    out.extend_from_slice(notification);
    out.extend_from_slice(&response(sizes, id(notification), 0));
    out.extend_from_slice(cookie);
    out
}

/// How long an answer is.
pub fn answer_len(sizes: NotifSizes) -> usize {
    HEAD + usize::from(sizes.notif) + usize::from(sizes.response)
}

/// The response in an answer; `None` when the answer has another length.
pub fn response_in(sizes: NotifSizes, answer: &[u8]) -> Option<&[u8]> {
    if answer.len() != answer_len(sizes) {
        return None;
    }
    answer.get(HEAD + usize::from(sizes.notif)..)
}

/// A response that fails the call with an errno; 0 for the response of a question.
pub fn response(sizes: NotifSizes, id: u64, errno: i32) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize::from(sizes.response));
    out.extend_from_slice(&id.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&(-errno).to_ne_bytes());
    out.resize(usize::from(sizes.response), 0);
    out
}

/// The id that a notification and a response begin with.
pub fn id(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_ne_bytes(*b))
}

/// The pid in a notification, in the reader's pid namespace; 0 where it cannot be seen from there.
pub fn pid(notification: &[u8]) -> u32 {
    notification.get(8..12).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// What an unanswered call fails with.
pub const REFUSAL: i32 = libc::ENOSYS;

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: NotifSizes = NotifSizes { notif: 80, response: 24, data: 64 };

    /// A notification that LXC 5.0.2 forwarded, and all that it sent: the two are what a proxy reads.
    #[test]
    fn the_bytes_are_lxcs() {
        let hex = "0000000000000000e65c0000e75c0000500018004000000008000000000000007df36b5d6e79fa7af15c000000000000530000003e0000\
                   c067b5470000000000d4faba1afc7f0000ff01000000000000000000000000000000000000000000000000000000000000000000000000\
                   00007df36b5d6e79fa7a00000000000000000000000000000000636f6f6b69653d31";
        let seen: Vec<u8> =
            (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(seen.len(), 144);
        let notification = &seen[32..112];
        assert_eq!(question((0x5ce6, 0x5ce7), SIZES, notification, b"cookie=1"), seen);
        assert_eq!((pid(notification), id(notification)), (0x5cf1, id(&seen[112..])));
    }

    #[test]
    fn answers_have_one_length() {
        let mut answer = question((1, 2), SIZES, &[7; 80], b"");
        assert_eq!(answer.len(), answer_len(SIZES));
        assert_eq!(response_in(SIZES, &answer).map(id), Some(0x0707_0707_0707_0707));
        answer.push(0);
        assert_eq!(response_in(SIZES, &answer), None);
        answer.truncate(135);
        assert_eq!(response_in(SIZES, &answer), None);
        assert_eq!(response_in(SIZES, b""), None);
    }

    #[test]
    fn a_refusal_is_an_errno() {
        let r = response(SIZES, 5, REFUSAL);
        assert_eq!((r.len(), id(&r), r.get(16..20)), (24, 5, Some(&(-38_i32).to_ne_bytes()[..])));
    }
}
