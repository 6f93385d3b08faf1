//! The console's ring buffer: the newest bytes of the console, for those who come later. Knows no terminal.
#![forbid(unsafe_code)]

/// A buffer of fixed size in which new bytes replace the oldest. Takes memory with the first byte, not before.
#[derive(Debug)]
pub struct Ring {
    size: usize,
    bytes: Vec<u8>,
    /// Where the oldest unread byte lies.
    start: usize,
    /// How many bytes are unread.
    used: usize,
}

impl Ring {
    /// An empty ring for `size` bytes (`lxc.console.buffer.size`).
    pub const fn new(size: usize) -> Self {
        Self { size, bytes: Vec::new(), start: 0, used: 0 }
    }

    /// How many unread bytes it holds.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// Adds bytes; the oldest unread ones make room.
    pub fn write(&mut self, data: &[u8]) {
        if self.size == 0 || data.is_empty() {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes = vec![0; self.size];
        }
        let data = data.get(data.len().saturating_sub(self.size)..).unwrap_or(data);
        let end = (self.start + self.used) % self.size;
        let first = data.len().min(self.size - end);
        let (head, tail) = data.split_at(first);
        if let Some(to) = self.bytes.get_mut(end..end + head.len()) {
            to.copy_from_slice(head);
        }
        if let Some(to) = self.bytes.get_mut(..tail.len()) {
            to.copy_from_slice(tail);
        }
        let over = (self.used + data.len()).saturating_sub(self.size);
        self.start = (self.start + over) % self.size;
        self.used = (self.used + data.len()).min(self.size);
    }

    /// Takes the oldest unread bytes out, at most `max` of them; 0 is all.
    pub fn read(&mut self, max: u64) -> Vec<u8> {
        let n = match usize::try_from(max) {
            Ok(0) | Err(_) => self.used,
            Ok(m) => m.min(self.used),
        };
        let first = n.min(self.size - self.start);
        let mut out = Vec::with_capacity(n);
        out.extend_from_slice(self.bytes.get(self.start..self.start + first).unwrap_or_default());
        out.extend_from_slice(self.bytes.get(..n - first).unwrap_or_default());
        self.used -= n;
        self.start = if self.used == 0 { 0 } else { (self.start + n) % self.size };
        out
    }

    /// Forgets everything, and gives the memory back.
    pub fn clear(&mut self) {
        (self.start, self.used) = (0, 0);
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reading_moves_on() {
        let mut r = Ring::new(8);
        r.write(b"init up\r\n");
        assert_eq!(r.read(5), b"nit u");
        assert_eq!(r.read(0), b"p\r\n");
        assert_eq!(r.used(), 0);
        assert!(r.read(0).is_empty());
        r.write(b"xyz");
        r.clear();
        assert!(r.read(0).is_empty());
        Ring::new(0).write(b"x");
    }

    proptest! {
        // A queue that forgets from the front is the same thing.
        #[test]
        fn like_a_queue(size in 1usize..40, ops in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0u64..50), 0..40)) {
            let mut ring = Ring::new(size);
            let mut queue: Vec<u8> = Vec::new();
            for (data, max) in ops {
                ring.write(&data);
                queue.extend(&data);
                queue.drain(..queue.len().saturating_sub(size));
                prop_assert_eq!(ring.used(), queue.len());
                let n = if max == 0 { queue.len() } else { queue.len().min(max as usize) };
                let want: Vec<u8> = queue.drain(..n).collect();
                prop_assert_eq!(ring.read(max), want);
            }
        }
    }
}
