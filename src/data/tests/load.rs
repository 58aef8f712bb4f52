//! Sources, fits and parts.

use super::*;
use crate::data::{Fits, Part, Tensor};

pub fn floats(d: &Dataset, part: Part, name: &str) -> Vec<f32> {
    let mut all = Vec::new();
    for batch in d.each(part, &super::batches::in_order(1)) {
        match batch.data(name) {
            Some(Tensor::F32(v)) => all.extend(v),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn lines_become_sequences_that_end() {
    let d = names("ab\n\nb\ncab\n", parts(100.0, 0.0, 0.0));
    assert!(!d.is_long());
    assert_eq!((d.len(Part::Train), d.len(Part::Valid)), (3, 0));
    let v = d.vocabulary("name").unwrap();
    assert_eq!(v.symbols(), ["a", "b", "c"]);
    assert_eq!(v.end(), Some(3));
    assert_eq!(d.column("name").unwrap().tokens(2), [2, 0, 1, 3]);
}

#[test]
fn the_vocabulary_is_the_training_parts() {
    let spec = spec(
        lines("a.txt"),
        vec![set("name", whole().to(Step::Chars))],
        Split::Files {
            valid: Some(here("b.txt".to_string()).into()),
            test: None,
            span: Span::default(),
        },
    );
    let wanted = wanted(vec![target("name", Unit::Token, Some("T")).fed()], None);
    let d = load(&[("a.txt", "ab\n"), ("b.txt", "axby\n")], &spec, &wanted);
    assert_eq!(d.vocabulary("name").unwrap().len(), 3);
    assert_eq!((d.unseen(Part::Train), d.unseen(Part::Valid)), (0, 2));
    assert_eq!(d.column("name").unwrap().tokens(1), [0, -1, 1, -1, 2]);
}

#[test]
fn one_text_is_contiguous_and_has_no_end() {
    let d = long("abcabcabcd", parts(50.0, 30.0, 20.0));
    assert!(d.is_long());
    let lens = Part::ALL.map(|p| d.len(p));
    assert_eq!(lens, [5, 3, 2]);
    let v = d.vocabulary("text").unwrap();
    assert_eq!((v.len(), v.end()), (3, None));
    assert_eq!(d.unseen(Part::Test), 1);
}

#[test]
fn next_of_a_text_is_the_character_after() {
    let spec = spec(
        text("t.txt"),
        vec![
            set("x", whole().to(Step::Lower).to(Step::Chars)),
            set("y", next(name("x"))),
        ],
        parts(100.0, 0.0, 0.0),
    );
    let wanted = wanted(
        vec![
            input("x", Unit::Token, Some("T")),
            target("y", Unit::Token, Some("T")),
        ],
        None,
    );
    let d = load(&[("t.txt", "aBca")], &spec, &wanted);
    assert_eq!(d.len(Part::Train), 3);
    let of = |name: &str| -> Vec<i32> {
        let c = d.column(name).unwrap();
        (0..3).flat_map(|e| c.tokens(e).to_vec()).collect()
    };
    assert_eq!(of("x"), [0, 1, 2]);
    assert_eq!(of("y"), [1, 2, 0]);
}

#[test]
fn pairs_of_texts_have_their_own_times_and_vocabularies() {
    let source = SourceKind::Tsv(table("p.tsv", false));
    let columns = vec![
        set("en", at(1).to(Step::Lower).to(Step::Chars)),
        set("hi", at(2).to(Step::Nfc).to(Step::Chars)),
        set("lang", at(3).to(Step::Labels)),
    ];
    let mut spec = spec(source, columns, parts(100.0, 0.0, 0.0));
    spec.keep = Some(binary(Binary::Le, length(name("hi")), number(3.0)));
    let wanted = wanted(
        vec![
            input("hi", Unit::Token, Some("S")),
            target("en", Unit::Token, Some("T")).fed(),
            input("lang", Unit::Class, None),
        ],
        None,
    );
    let file = "Ab\tनम\tx\nB\tनममन\ty\nba\tम\tz\n";
    let d = load(&[("p.tsv", file)], &spec, &wanted);
    assert_eq!(d.len(Part::Train), 2);
    assert_eq!(d.source_row(Part::Train, 1), Some(2));
    assert_eq!(d.vocabulary("hi").unwrap().end(), None);
    assert_eq!(d.vocabulary("en").unwrap().len(), 3);
    assert_eq!(d.vocabulary("lang").unwrap().symbols(), ["x", "z"]);
    let b = d
        .each(Part::Train, &super::batches::in_order(2))
        .next()
        .unwrap();
    assert_eq!(
        (b.size("S"), b.size("T"), b.size("B")),
        (Some(2), Some(3), Some(2))
    );
    assert_eq!(b.lengths("S"), Some(&[2, 1][..]));
    // Time-major; the shorter example is padded by 0.
    assert_eq!(b.data("hi"), Some(&Tensor::I32(vec![0, 1, 1, 0])));
    assert_eq!(b.data("lang"), Some(&Tensor::I32(vec![0, 1])));
}

#[test]
fn windows_of_rows_and_the_next_value() {
    let mut file = String::from("Date,Close,Volume\n");
    for i in 0..10 {
        // In no order: sort puts it right.
        let day = (i * 7) % 10;
        file += &format!("2001-01-{:02},{},{}\n", day + 1, 10 * day, 1000 + day);
    }
    let mut t = table("s.csv", true);
    t.sort = Some(here(ColumnRef::Named("Date".into())));
    let columns = vec![
        set("today", named("Close").to(Step::Zscore)),
        set(
            "past",
            columns(&["Close", "Volume"])
                .to(Step::Zscore)
                .to(Step::Window(3)),
        ),
        set("close", next(name("today"))),
    ];
    let split = Split::Parts {
        shares: [60.0, 40.0, 0.0],
        by: SplitBy::Time,
        span: Span::default(),
    };
    let spec = spec(SourceKind::Csv(t), columns, split);
    let wanted = wanted(
        vec![
            input("past", Unit::Number, Some("D")).sized(&[2]),
            target("close", Unit::Number, None),
            Field {
                role: FieldRole::Column,
                ..input("today", Unit::Number, None)
            },
        ],
        Some(3),
    );
    let d = load(&[("s.csv", &file)], &spec, &wanted);
    // Rows 0..6 train: windows end at 2, 3, 4 and the next row is in the part; rows 6..10: at 8.
    assert_eq!(Part::ALL.map(|p| d.len(p)), [3, 1, 0]);
    // The training rows are 0, 10, …, 50: mean 25, standard deviation sqrt(875/3).
    let std = (875.0f64 / 3.0).sqrt();
    let z = |x: f64| ((x - 25.0) / std) as f32;
    assert_eq!(
        floats(&d, Part::Train, "close"),
        [z(30.0), z(40.0), z(50.0)]
    );
    assert_eq!(
        floats(&d, Part::Train, "today"),
        [z(20.0), z(30.0), z(40.0)]
    );
    assert_eq!(floats(&d, Part::Valid, "close"), [z(90.0)]);
    let past = floats(&d, Part::Valid, "past");
    assert_eq!(past.len(), 6);
    assert_eq!([past[0], past[2], past[4]], [z(60.0), z(70.0), z(80.0)]);
    // Back to the file's unit.
    let c = d.column("close").unwrap();
    assert!((c.inverse.apply(0, f64::from(z(90.0))) - 90.0).abs() < 1e-4);
    assert_eq!(d.column("past").unwrap().features, [2]);
    // The same fits give the same values, whatever part the file is now.
    let json = serde_json::to_string(d.fits()).unwrap();
    let fits: Fits = serde_json::from_str(&json).unwrap();
    let again = load_with(&[("s.csv", file.as_bytes())], &spec, &wanted, |o| {
        o.only = Some(Part::Test);
        o.fits = Some(Box::leak(Box::new(fits)));
    })
    .unwrap();
    assert_eq!(Part::ALL.map(|p| again.len(p)), [0, 0, 7]);
    assert_eq!(floats(&again, Part::Test, "close")[0], z(30.0));
}

#[test]
fn a_column_for_a_time_is_one_long_series() {
    let file = "n\n1\n1\n2\n3\n5\n8\n13\n21\n34\n55\n";
    let columns = vec![set("seq", named("n").to(Step::Log))];
    let spec = spec(
        SourceKind::Csv(table("f.csv", true)),
        columns,
        parts(70.0, 15.0, 15.0),
    );
    let wanted = wanted(
        vec![target("seq", Unit::Number, Some("T")).sized(&[1]).fed()],
        None,
    );
    let d = load(&[("f.csv", file)], &spec, &wanted);
    assert!(d.is_long());
    assert_eq!(Part::ALL.map(|p| d.len(p)), [7, 2, 1]);
    let b = d
        .each(Part::Train, &super::batches::in_order(32))
        .next()
        .unwrap();
    assert_eq!((b.rows, b.size("T")), (1, Some(7)));
    let logs: Vec<f32> = [1.0f64, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0]
        .map(|x| x.ln() as f32)
        .to_vec();
    assert_eq!(b.data("seq"), Some(&Tensor::F32(logs.clone())));
    let Some(Tensor::F32(previous)) = b.previous("seq") else {
        panic!();
    };
    assert_eq!(previous[0], 0.0);
    assert_eq!(previous[1..], logs[..6]);
    assert!((d.column("seq").unwrap().inverse.apply(0, 8f64.ln()) - 8.0).abs() < 1e-9);
}

#[test]
fn blocks_are_sequences_of_rows() {
    let mut t = table("b.tsv", false);
    t.blocks = true;
    let columns = vec![set("tags", at(2).to(Step::Labels)), set("x", at(1))];
    let spec = spec(SourceKind::Tsv(t), columns, parts(100.0, 0.0, 0.0));
    let wanted = wanted(
        vec![
            input("x", Unit::Number, Some("T")),
            target("tags", Unit::Class, Some("T")),
        ],
        None,
    );
    let d = load(&[("b.tsv", "1\tA\n2\tB\n\n3\tA\n")], &spec, &wanted);
    assert_eq!(d.len(Part::Train), 2);
    let b = d
        .each(Part::Train, &super::batches::in_order(2))
        .next()
        .unwrap();
    assert_eq!(b.data("tags"), Some(&Tensor::I32(vec![0, 0, 1, -1])));
    assert_eq!(b.data("x"), Some(&Tensor::F32(vec![1.0, 3.0, 2.0, 0.0])));
}

#[test]
fn steps_of_keys_are_multihot() {
    let spec = spec(
        lines("j.txt"),
        vec![set(
            "notes",
            whole().to(Step::Split(" | ".into())).to(Step::Multihot(4)),
        )],
        parts(100.0, 0.0, 0.0),
    );
    let wanted = wanted(
        vec![target("notes", Unit::Binary, Some("T")).sized(&[4]).fed()],
        None,
    );
    let d = load(&[("j.txt", "0 3 | 1\n2\n")], &spec, &wanted);
    assert_eq!(
        floats(&d, Part::Train, "notes"),
        [1., 0., 0., 1., 0., 1., 0., 0., 0., 0., 1., 0.]
    );
}

#[test]
fn tensors_by_name_with_lengths() {
    use crate::data::source::tensors::tests::{f32s, file, i32s};
    use safetensors::Dtype;
    let bytes = file(&[
        (
            "x",
            Dtype::F32,
            &[2, 3, 2],
            f32s(&[1., 2., 3., 4., 5., 6., 7., 8., 9., 9., 9., 9.]),
        ),
        ("x.len", Dtype::I32, &[2], i32s(&[3, 1])),
        ("y", Dtype::I32, &[2, 3], i32s(&[0, 2, 1, 4, 0, 0])),
        ("y.len", Dtype::I32, &[2], i32s(&[3, 1])),
    ]);
    let spec = spec(
        SourceKind::Tensors(here("t.safetensors".into())),
        Vec::new(),
        parts(100.0, 0.0, 0.0),
    );
    let mut w = wanted(
        vec![
            input("x", Unit::Number, Some("T")),
            target("y", Unit::Class, Some("T")),
        ],
        None,
    );
    w.fields[0].features = vec![None];
    let d = load_with(&[("t.safetensors", &bytes)], &spec, &w, |_| {}).unwrap();
    assert_eq!(d.column("x").unwrap().features, [2]);
    assert_eq!(d.vocabulary("y").unwrap().len(), 5);
    let b = d
        .each(Part::Train, &super::batches::in_order(2))
        .next()
        .unwrap();
    assert_eq!(b.data("y"), Some(&Tensor::I32(vec![0, 4, 2, -1, 1, -1])));
    assert_eq!(
        b.data("x"),
        Some(&Tensor::F32(vec![
            1., 2., 7., 8., 3., 4., 0., 0., 5., 6., 0., 0.
        ]))
    );
}

#[test]
fn a_bound_file_or_folder_takes_the_place_of_the_source() {
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("names.txt"), "q\n").unwrap();
    let spec = spec(
        lines("names.txt"),
        vec![set("name", whole().to(Step::Chars))],
        parts(100.0, 0.0, 0.0),
    );
    let wanted = wanted(vec![target("name", Unit::Token, Some("T")).fed()], None);
    for path in [other.path().to_path_buf(), other.path().join("names.txt")] {
        let d = load_with(&[], &spec, &wanted, |o| {
            o.bindings.insert("d".into(), path);
        })
        .unwrap();
        assert_eq!(d.vocabulary("name").unwrap().symbols(), ["q"]);
    }
}

#[test]
fn bigrams_and_copies() {
    use crate::data::{bigram_nats, copied};
    let d = names("ab\nab\n", parts(100.0, 0.0, 0.0));
    // Contexts <end>, a and b each have one successor, seen twice, of three symbols.
    let nats = bigram_nats(&d, "name", Part::Train, 0.1).unwrap().unwrap();
    assert!((nats + (2.1f64 / 2.3).ln()).abs() < 1e-12);
    assert_eq!(bigram_nats(&d, "name", Part::Valid, 0.1).unwrap(), None);
    let generated = ["ab".to_string(), "ba".to_string()];
    assert_eq!(copied(&d, "name", &generated).unwrap(), Some(0.5));
    assert_eq!(copied(&d, "name", &[]).unwrap(), None);
    let d = long("aa\nb\n", parts(100.0, 0.0, 0.0));
    let written = ["aa\nc\n\n".to_string()];
    assert_eq!(copied(&d, "text", &written).unwrap(), Some(0.5));
    // One text: a first token has a context of its own.
    let d = long("aaa", parts(100.0, 0.0, 0.0));
    let nats = bigram_nats(&d, "text", Part::Train, 0.1).unwrap();
    assert_eq!(nats, Some(0.0));
}
