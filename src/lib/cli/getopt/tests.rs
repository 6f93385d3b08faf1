//! Generated command lines, against the C library's own getopt_long.
use super::*;
use crate::sys::getopt_oracle;

/// xorshift: the same lines in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

const ROWS: &[Row<'static>] = &[
    Row { long: "elevated-privileges", short: Some(b'e'), takes: Takes::Maybe },
    Row { long: "state", short: Some(b's'), takes: Takes::Nothing },
    Row { long: "stats", short: Some(b'S'), takes: Takes::Nothing },
    Row { long: "rcfile", short: Some(b'f'), takes: Takes::Value },
    Row { long: "nesting", short: None, takes: Takes::Maybe },
    Row { long: "config", short: Some(b'c'), takes: Takes::Value },
    Row { long: "line", short: Some(b'1'), takes: Takes::Nothing },
    Row { long: "keep-env", short: None, takes: Takes::Nothing },
    Row { long: "keep-var", short: None, takes: Takes::Value },
    Row { long: "name", short: Some(b'n'), takes: Takes::Value },
    Row { long: "help", short: Some(b'h'), takes: Takes::Nothing },
    Row { long: "help", short: Some(b'?'), takes: Takes::Nothing },
    Row { long: "usage", short: None, takes: Takes::Nothing },
    Row { long: "rcfile", short: None, takes: Takes::Value },
];

fn word(d: &mut Dice) -> OsString {
    let row = d.pick(ROWS);
    let plain = ["a", "b c", "", "-", "x=y", "ü", "-n", "--", "--name"];
    let mut w: Vec<u8> = Vec::new();
    match d.roll(10) {
        0..=3 => {
            w.extend(b"--");
            let cut = if d.roll(2) == 0 { row.long.len() } else { d.roll(row.long.len() + 1) };
            w.extend(row.long[..cut].bytes());
            if d.roll(3) == 0 {
                w.push(b'=');
                w.extend(d.pick(&plain).bytes());
            }
        }
        4..=6 => {
            w.push(b'-');
            for _ in 0..=d.roll(3) {
                w.push(*d.pick(b"esSfc1nh?Zq:-=\xff"));
            }
            if d.roll(4) == 0 {
                w.extend(d.pick(&plain).bytes());
            }
        }
        7 => w.extend(d.pick(&["--", "-", "--bogus", "--bogus=1", "--=", "--st", "---"]).bytes()),
        _ => w.extend(d.pick(&plain).bytes()),
    }
    OsString::from_vec(w)
}

#[test]
fn agrees_with_the_c_library() {
    let oracle_rows: Vec<getopt_oracle::OracleRow> =
        ROWS.iter().map(|r| (r.long.to_string(), r.short, r.takes as i32)).collect();
    let stop = |row: usize| (10..=12).contains(&row);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut wrong, mut ended) = (0, 0);
    for case in 0..20_000 {
        let words: Vec<OsString> = (0..dice.roll(7)).map(|_| word(&mut dice)).collect();
        let posix = dice.roll(5) == 0;
        let ours = scan(ROWS, &words, posix, stop);
        let (met, operands, message, stopped) = getopt_oracle::run(&oracle_rows, &words, posix, stop);
        let ours_met: Vec<_> = ours.met.into_iter().map(|m| (m.row, m.value)).collect();
        assert_eq!(ours_met, met, "case {case}: {words:?}");
        match ours.end {
            None => {
                assert_eq!((message, stopped), (None, None), "case {case}: {words:?}");
                assert_eq!(ours.operands, operands, "case {case}: {words:?} posix {posix}");
            }
            Some(End::At(row)) => {
                ended += 1;
                assert_eq!(Some(row), stopped, "case {case}: {words:?}");
            }
            Some(End::Wrong(text)) => {
                wrong += 1;
                let message = message.unwrap_or_default();
                assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&message), "case {case}: {words:?}");
            }
        }
    }
    assert!(wrong > 1000 && ended > 500, "the generator is lame: {wrong} wrong, {ended} ended");
}
