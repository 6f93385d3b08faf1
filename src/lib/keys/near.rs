//! The nearest of some names to a wrong one. Knows no key.
#![forbid(unsafe_code)]

/// The candidate with the least edit distance to `name`, when it is near enough to be a typing mistake (a third of the
/// name's length, at most 4 edits).
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(200).collect();
    let limit = (name.len() / 3).clamp(1, 4);
    candidates
        .filter(|c| c.len().abs_diff(name.len()) <= limit)
        .map(|c| (distance(&name, c), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, c)| (*d, c.len()))
        .map(|(_, c)| c)
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn one into the other.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
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
}
