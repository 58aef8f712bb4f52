//! Texts cut into byte pairs.

use super::*;
use crate::data::{Fits, Part};

const PAIRS: &str = "low lower lowest\tnew newer newest\nlower low\tnewer new\n\
                     lowest low low low low low low\tnew\nlow\tnewest newest\n";

fn pairs() -> (DataSpec, Wanted) {
    let columns = vec![
        set("a", at(1).to(Step::Lower).to(Step::Bpe(270))),
        set("b", at(2).to(Step::Bpe(266))),
    ];
    let mut spec = spec(
        SourceKind::Tsv(table("p.tsv", false)),
        columns,
        parts(75.0, 25.0, 0.0),
    );
    // Counted in symbols, which are known after the split only.
    spec.keep = Some(binary(Binary::Le, length(name("a")), number(6.0)));
    let fields = vec![
        input("a", Unit::Token, Some("S")),
        target("b", Unit::Token, Some("T")).fed(),
    ];
    (spec, wanted(fields, None))
}

#[test]
fn every_text_has_symbols_and_keep_counts_them() {
    let (spec, wanted) = pairs();
    let d = load(&[("p.tsv", PAIRS)], &spec, &wanted);
    let again = load(&[("p.tsv", PAIRS)], &spec, &wanted);
    assert_eq!(d.fits(), again.fits());
    assert_eq!(d.len(Part::Train) + d.len(Part::Valid), 3);
    assert_eq!(d.unseen(Part::Train) + d.unseen(Part::Valid), 0);
    let (a, b) = (d.column("a").unwrap(), d.column("b").unwrap());
    let (v, w) = (d.vocabulary("a").unwrap(), d.vocabulary("b").unwrap());
    assert_eq!((v.end(), w.end()), (None, Some(w.len() as i32 - 1)));
    for (e, part, i) in [(0, Part::Train, 0), (1, Part::Train, 1)] {
        let row = PAIRS.lines().nth(d.source_row(part, i).unwrap()).unwrap();
        let (left, right) = row.split_once('\t').unwrap();
        assert_eq!(v.decode(a.tokens(e)), left);
        assert_eq!(w.decode(b.tokens(e)), right);
        assert!(a.tokens(e).len() <= 6);
        assert_eq!(b.tokens(e).last().copied(), w.end());
    }
}

#[test]
fn an_earlier_runs_merges_are_used_again() {
    let (spec, wanted) = pairs();
    let d = load(&[("p.tsv", PAIRS)], &spec, &wanted);
    let json = serde_json::to_string(d.fits()).unwrap();
    let fits: Fits = serde_json::from_str(&json).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.tsv"), "low é\tnew\n").unwrap();
    let mut options = LoadOptions::new(folder.path());
    (options.fits, options.only) = (Some(&fits), Some(Part::Test));
    let other = Dataset::load(&spec, &wanted, &options).unwrap();
    let a = other.column("a").unwrap();
    assert_eq!(
        Some(a.tokens(0)),
        d.vocabulary("a").map(|v| v.encode_text("low é")).as_deref()
    );
    assert_eq!(other.unseen(Part::Test), 0);
}

#[test]
fn one_text_is_cut_by_its_parts() {
    let columns = vec![set("text", whole().to(Step::Bpe(280)))];
    let spec = spec(text("t.txt"), columns, parts(80.0, 20.0, 0.0));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    let text = "the cat and the dog\nand the hen é\n".repeat(5);
    let d = load(&[("t.txt", &text)], &spec, &wanted);
    let column = d.column("text").unwrap();
    let v = d.vocabulary("text").unwrap();
    let (train, valid) = (d.len(Part::Train), d.len(Part::Valid));
    let tokens = |range: std::ops::Range<usize>| -> Vec<i32> {
        range.flat_map(|e| column.tokens(e).to_vec()).collect()
    };
    let (first, second) = (
        v.decode(&tokens(0..train)),
        v.decode(&tokens(train..train + valid)),
    );
    assert_eq!(first.chars().count(), text.chars().count() * 4 / 5);
    assert_eq!(first + &second, text);
    assert!(train < text.len() / 2, "{train} symbols");
    assert_eq!(v.end(), None);
}
