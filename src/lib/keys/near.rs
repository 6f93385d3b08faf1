//! The nearest of some names to a wrong one. Knows no key.
#![forbid(unsafe_code)]

/// The candidate with the least edit distance to `name`, when it is near enough to be a typing mistake (a third of the
/// name's length, at most 4 edits).
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(200).collect();
    let limit = (name.len() / 3).clamp(1, 4);
    let letters = letters(name.iter().copied());
    let mut rows = Rows::default();
    candidates
        .filter(|c| c.len().abs_diff(name.len()) <= limit)
        // An edit adds a letter, or takes one, or both.
        .filter(|c| (letters ^ self::letters(c.chars())).count_ones() as usize <= 2 * limit)
        .filter_map(|c| Some((distance(&name, c, limit, &mut rows)?, c)))
        .min_by_key(|(d, c)| (*d, c.len()))
        .map(|(_, c)| c)
}

/// Which letters occur, one bit each (far ones share them).
fn letters(name: impl Iterator<Item = char>) -> u64 {
    name.fold(0, |all, c| all | 1 << (c as u32 % 64))
}

/// The present row of distances and the two before it, kept for the next candidate.
#[derive(Default)]
struct Rows {
    before: Vec<usize>,
    last: Vec<usize>,
    row: Vec<usize>,
    other: Vec<char>,
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn one into the other; nothing when
/// it is above `limit`. So only the cells near the diagonal count.
fn distance(a: &[char], b: &str, limit: usize, rows: &mut Rows) -> Option<usize> {
    let Rows { before, last, row, other } = rows;
    other.clear();
    other.extend(b.chars());
    let (b, far) = (&other[..], limit + 1);
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[same..], &b[same..]);
    for cells in [&mut *before, &mut *last, &mut *row] {
        cells.clear();
        cells.extend(0..=b.len());
    }
    for (i, x) in a.iter().enumerate() {
        let (from, to) = (i.saturating_sub(limit), b.len().min(i + limit + 1));
        row.fill(far);
        if from == 0 {
            row[0] = i + 1;
        }
        let mut least = row[0];
        for j in from..to {
            let mut best = (last[j] + usize::from(*x != b[j])).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
            least = least.min(best);
        }
        if least > limit {
            return None;
        }
        std::mem::swap(before, last);
        std::mem::swap(last, row);
    }
    last.last().copied().filter(|d| *d <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_found() {
        let keys = ["lxc.uts.name", "lxc.arch", "lxc.net.0.type"];
        assert_eq!(nearest("lxc.utsname", keys.into_iter()), Some("lxc.uts.name"));
        assert_eq!(nearest("lxc.acrh", keys.into_iter()), Some("lxc.arch"));
        assert_eq!(nearest("lxc.something.else", keys.into_iter()), None);
        assert_eq!(nearest("", keys.into_iter()), None);
    }

    /// Without a limit, cell by cell.
    fn plain(a: &[char], b: &[char]) -> usize {
        let mut d = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
        (0..=a.len()).for_each(|i| d[i][0] = i);
        (0..=b.len()).for_each(|j| d[0][j] = j);
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                let replaced = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                d[i][j] = replaced.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    d[i][j] = d[i][j].min(d[i - 2][j - 2] + 1);
                }
            }
        }
        d[a.len()][b.len()]
    }

    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_short_way_counts_the_same(a in "[a-cé.]{0,9}", b in "[a-cé.]{0,9}", limit in 1_usize..5) {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let wanted = Some(plain(&x, &y)).filter(|d| *d <= limit);
            let mut rows = Rows::default();
            prop_assert_eq!(distance(&x, &b, limit, &mut rows), wanted);
            prop_assert_eq!(distance(&x, &b, limit, &mut rows), wanted, "a second time");
            let apart = (letters(x.iter().copied()) ^ letters(y.iter().copied())).count_ones() as usize;
            prop_assert!(apart <= 2 * plain(&x, &y));
        }
    }
}
