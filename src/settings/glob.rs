//! Matching of weight paths: `params "rnn.U*"`.
//!
//! In: a pattern and a path such as `layer.0.attention.Wq`. Out: whether the whole path matches.

/// `*` stands for any run of characters, empty or not, dots included; every other character stands
/// for itself. The whole path must match.
///
/// Greedy with one point of return, so the time is at most `pattern.len() * path.len()`.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let path: Vec<char> = path.chars().collect();
    let (mut p, mut s) = (0, 0);
    // Where to go back to: after the last star, and how much of the path that star has taken.
    let mut star: Option<(usize, usize)> = None;
    while s < path.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, s));
                p += 1;
            }
            Some(c) if *c == path[s] => {
                p += 1;
                s += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    p = after;
                    s = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_crosses_dots() {
        assert!(matches("rnn.U*", "rnn.Uf"));
        assert!(matches("layer.*.Wq", "layer.0.attention.Wq"));
        assert!(matches("*", ""));
        assert!(matches("*b", "aab"));
        assert!(matches("a*b*c", "a.b.b.c"));
    }

    #[test]
    fn the_whole_path_must_match() {
        assert!(!matches("rnn.U", "rnn.Uf"));
        assert!(!matches("U*", "rnn.Uf"));
        assert!(!matches("a*b", "abc"));
        assert!(!matches("", "a"));
    }

    #[test]
    fn many_stars_stay_fast() {
        let pattern = "*a".repeat(60);
        assert!(!matches(&pattern, &"ab".repeat(2000)));
    }
}
