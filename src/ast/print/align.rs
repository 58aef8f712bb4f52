//! Which rows align with which.
//!
//! In: the rows of one body. Out: the same rows, with blanks before their keys. Rows that follow one another directly and
//! have a key of the same class align, as long as the widest is not much wider than the narrowest: one long name must not
//! push the rest to the right.

use super::row::{Class, Done};

/// How much wider the widest row of a section may be than the narrowest.
pub fn spread(class: Class) -> usize {
    match class {
        Class::Equation | Class::Type => 3,
        Class::Setting | Class::Params => 8,
        Class::Interface => 16,
    }
}

/// Aligns `rows`; `adjacent` says that nothing but one line end stands between two of them.
pub fn align(rows: &mut [Done], adjacent: impl Fn(&Done, &Done) -> bool) {
    let mut start = 0;
    while start < rows.len() {
        let class = |row: &Done| row.keys.first().map(|key| key.class);
        let mut end = start + 1;
        while end < rows.len()
            && class(&rows[end]) == class(&rows[start])
            && adjacent(&rows[end - 1], &rows[end])
        {
            end += 1;
        }
        for key in 0..2 {
            sections(&mut rows[start..end], key);
        }
        start = end;
    }
}

/// Aligns the rows at their key number `key`, greedily from the top.
fn sections(rows: &mut [Done], key: usize) {
    let mut start = 0;
    while start < rows.len() {
        let Some(first) = rows[start].keys.get(key).copied() else {
            start += 1;
            continue;
        };
        let (mut least, mut most) = (first.width, first.width);
        let mut end = start + 1;
        while let Some(next) = rows.get(end).and_then(|row| row.keys.get(key)) {
            let (low, high) = (least.min(next.width), most.max(next.width));
            if next.class != first.class || high - low > spread(first.class) {
                break;
            }
            (least, most) = (low, high);
            end += 1;
        }
        for row in &mut rows[start..end] {
            let key = row.keys[key];
            if let Some(token) = row.tokens.get_mut(key.token) {
                token.blanks += most - key.width;
            }
        }
        start = end;
    }
}
