//! The shipped list of names: in, `examples/names.tsv`; out, a failure that names the first bad line.

use std::collections::BTreeSet;
use unicode_normalization::is_nfc;

/// Checks a list of `Latin TAB Devanagari` lines, and returns how many there are.
fn check(text: &str) -> Result<usize, String> {
    let (mut latin, mut devanagari) = (BTreeSet::new(), BTreeSet::new());
    let mut last = "";
    for (line, n) in text.lines().zip(1..) {
        let mut columns = line.split('\t');
        let (Some(a), Some(b), None) = (columns.next(), columns.next(), columns.next()) else {
            return Err(format!("line {n}: not two columns"));
        };
        let mut letters = a.bytes();
        if !letters.next().is_some_and(|c| c.is_ascii_uppercase())
            || !letters.all(|c| c.is_ascii_lowercase())
        {
            return Err(format!("line {n}: {a:?} is not a capitalised ASCII word"));
        }
        if b.is_empty() || !b.chars().all(|c| ('\u{900}'..='\u{97f}').contains(&c)) {
            return Err(format!("line {n}: {b:?} is not Devanagari"));
        }
        if !is_nfc(b) {
            return Err(format!("line {n}: {b:?} is not in NFC"));
        }
        if !latin.insert(a) || !devanagari.insert(b) {
            return Err(format!("line {n}: {a} or {b} is there twice"));
        }
        if a <= last {
            return Err(format!("line {n}: {a} is out of order"));
        }
        last = a;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    Ok(latin.len())
}

#[test]
fn shipped_names_are_many_distinct_and_well_formed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/names.tsv");
    let text = std::fs::read_to_string(path).unwrap();
    let count = check(&text).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    assert!(count >= 650, "{count} names");
    let initials: BTreeSet<u8> = text.lines().map(|l| l.as_bytes()[0]).collect();
    assert!(initials.len() >= 24, "only {} initials", initials.len());
}

#[test]
fn the_check_sees_each_kind_of_bad_line() {
    assert_eq!(check("Asha\tआशा\nRavi\tरवि\n"), Ok(2));
    for (bad, why) in [
        ("Asha\n", "two columns"),
        ("Asha\tआशा\tx\n", "two columns"),
        ("asha\tआशा\n", "ASCII"),
        ("Ashā\tआशा\n", "ASCII"),
        ("Asha\tAsha\n", "Devanagari"),
        ("Asha\t\n", "Devanagari"),
        ("Zoya\t\u{95b}ोया\n", "NFC"),
        ("Asha\tआशा\nAsha\tरवि\n", "twice"),
        ("Asha\tआशा\nRavi\tआशा\n", "twice"),
        ("Ravi\tरवि\nAsha\tआशा\n", "order"),
        ("Asha\tआशा", "end"),
    ] {
        let problem = check(bad).unwrap_err();
        assert!(problem.contains(why), "{bad:?}: {problem}");
    }
}
