//! Texts cut into words.

use super::*;
use crate::data::{Fits, Part, Tensor};

fn words(min_count: usize, max: Option<usize>) -> Step {
    Step::Words {
        min_count,
        max,
        apart: false,
    }
}

fn files(valid: &str) -> Split {
    Split::Files {
        valid: Some(here(valid.to_string()).into()),
        test: None,
        span: Span::default(),
    }
}

/// Sentences that a model feeds to itself.
fn sentences(train: &str, valid: &str, step: Step) -> Dataset {
    let columns = vec![set("text", whole().to(Step::Lower).to(step))];
    let spec = spec(lines("a.txt"), columns, files("b.txt"));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    load(&[("a.txt", train), ("b.txt", valid)], &spec, &wanted)
}

#[test]
fn the_vocabulary_is_the_training_parts_words() {
    let d = sentences("The cat sat\nthe  dog\n", "the bird sat\n", words(1, None));
    let v = d.vocabulary("text").unwrap();
    assert_eq!(v.symbols(), ["cat", "dog", "sat", "the"]);
    assert_eq!((v.unknown(), v.end()), (None, Some(4)));
    let column = d.column("text").unwrap();
    assert_eq!(column.tokens(1), [3, 1, 4]);
    // Nothing was left out of the fit, so there is no `<unknown>` to learn.
    assert_eq!(column.tokens(2), [3, -1, 2, 4]);
    assert_eq!((d.unseen(Part::Train), d.unseen(Part::Valid)), (0, 1));
    assert_eq!(v.decode(column.tokens(0)), "the cat sat");
}

#[test]
fn unknown_is_read_and_never_a_target() {
    let d = sentences("a b a b c\n", "a d\n", words(2, None));
    let v = d.vocabulary("text").unwrap();
    assert_eq!(
        (v.symbols().len(), v.unknown(), v.end()),
        (2, Some(2), Some(3))
    );
    assert_eq!((d.unseen(Part::Train), d.unseen(Part::Valid)), (1, 1));
    let plan = super::batches::in_order(1);
    let batch = d.each(Part::Train, &plan).next().unwrap();
    let target = Tensor::I32(vec![0, 1, 0, 1, -1, 3]);
    let previous = Tensor::I32(vec![3, 0, 1, 0, 1, 2]);
    assert_eq!(batch.data("text"), Some(&target));
    assert_eq!(batch.previous("text"), Some(&previous));
    let batch = d.each(Part::Valid, &plan).next().unwrap();
    assert_eq!(batch.data("text"), Some(&Tensor::I32(vec![0, -1, 3])));
}

#[test]
fn an_input_reads_unknown() {
    let columns = vec![
        set("review", named("text").to(words(1, Some(2)))),
        set("mood", named("mood").to(Step::Labels)),
    ];
    let spec = spec(
        SourceKind::Csv(table("r.csv", true)),
        columns,
        parts(100.0, 0.0, 0.0),
    );
    let fields = vec![
        input("review", Unit::Token, Some("T")),
        target("mood", Unit::Class, None),
    ];
    let csv = "text,mood\ngood good,yes\nbad film bad,no\n";
    let d = load(&[("r.csv", csv)], &spec, &wanted(fields, None));
    let batch = d.each(Part::Train, &super::batches::in_order(2)).next();
    let review = Tensor::I32(vec![1, 0, 1, 2, 0, 0]);
    assert_eq!(batch.unwrap().data("review"), Some(&review));
}

#[test]
fn one_text_is_cut_between_words() {
    let columns = vec![set("text", whole().to(words(1, Some(3))))];
    let spec = spec(text("t.txt"), columns, parts(75.0, 25.0, 0.0));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    let d = load(&[("t.txt", "a b a\nb a\nb\n")], &spec, &wanted);
    assert!(d.is_long());
    assert_eq!((d.len(Part::Train), d.len(Part::Valid)), (7, 2));
    let v = d.vocabulary("text").unwrap();
    assert_eq!(v.symbols(), ["\n", "a", "b"]);
    assert_eq!((v.unknown(), v.end()), (None, None));
    let all: Vec<i32> = (0..9)
        .flat_map(|e| d.column("text").unwrap().tokens(e).to_vec())
        .collect();
    assert_eq!(v.decode(&all), "a b a\nb a\nb\n");
}

#[test]
fn an_earlier_runs_words_are_used_again() {
    let columns = vec![set("text", whole().to(words(2, None)))];
    let spec = spec(lines("a.txt"), columns, parts(100.0, 0.0, 0.0));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    let fits = load(&[("a.txt", "x x y\n")], &spec, &wanted).fits().clone();
    let json = serde_json::to_string(&fits).unwrap();
    let fits: Fits = serde_json::from_str(&json).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "y x z\n").unwrap();
    let mut options = LoadOptions::new(folder.path());
    options.fits = Some(&fits);
    let d = Dataset::load(&spec, &wanted, &options).unwrap();
    assert_eq!(d.column("text").unwrap().tokens(0), [1, 0, 1, 2]);
}

#[test]
fn words_that_are_all_rare_leave_nothing() {
    for kind in [lines("a.txt"), text("a.txt")] {
        let columns = vec![set("text", whole().to(words(2, None)))];
        let spec = spec(kind, columns, parts(100.0, 0.0, 0.0));
        let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
        let errors = load_with(&[("a.txt", b"x y z\n")], &spec, &wanted, |_| {}).unwrap_err();
        assert_eq!(errors[0].code, "data::empty");
    }
}

#[test]
fn a_label_that_says_none_counts_nowhere() {
    let tags = at(2).to(Step::Split(" ".into()));
    let columns = vec![
        set("word", at(1).to(Step::Split(" ".into())).to(Step::Labels)),
        set("tag", tags.to(Step::LabelsBut("-".into()))),
    ];
    let source = SourceKind::Csv(table("t.csv", false));
    let spec = spec(source, columns, parts(100.0, 0.0, 0.0));
    let fields = vec![
        input("word", Unit::Token, Some("T")),
        target("tag", Unit::Class, Some("T")),
    ];
    let csv = "a b,N -\nb,V\n";
    let d = load(&[("t.csv", csv)], &spec, &wanted(fields, None));
    assert_eq!(d.vocabulary("tag").unwrap().symbols(), ["N", "V"]);
    let batch = d.each(Part::Train, &super::batches::in_order(2)).next();
    let tags = Tensor::I32(vec![0, 1, -1, -1]);
    assert_eq!(batch.unwrap().data("tag"), Some(&tags));
}
