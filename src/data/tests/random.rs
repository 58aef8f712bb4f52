//! Random bytes and random tables: an error or a dataset, never a panic, and messages fit to print.

use proptest::prelude::*;

use super::*;
use crate::data::column::Values;
use crate::data::{BatchPlan, BatchSize, Part};

/// Bytes that look like data: mostly separators, digits, quotes and line ends, some of anything.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let likely = prop::sample::select(b"a,b\"\t\n\r |0123.-e{}:[]\xff\xc3\x00".to_vec());
    prop::collection::vec(prop_oneof![9 => likely, 1 => any::<u8>()], 0..200)
}

fn specs() -> Vec<(DataSpec, Wanted)> {
    let numbers = |kind| {
        let columns = vec![
            set("x", at(1).to(Step::Zscore)),
            set("w", at(1).to(Step::Zscore).to(Step::Window(2))),
            set("y", at(2).to(Step::Labels)),
        ];
        let fields = vec![
            input("w", Unit::Number, Some("D")),
            target("x", Unit::Number, None),
            target("y", Unit::Class, None),
        ];
        (
            spec(kind, columns, parts(70.0, 20.0, 10.0)),
            wanted(fields, Some(2)),
        )
    };
    let characters = |kind| {
        let columns = vec![set("x", whole().to(Step::Lower).to(Step::Chars))];
        let fields = vec![target("x", Unit::Token, Some("T")).fed()];
        (
            spec(kind, columns, parts(70.0, 20.0, 10.0)),
            wanted(fields, None),
        )
    };
    let keys = |kind| {
        let columns = vec![set(
            "x",
            whole().to(Step::Split("|".into())).to(Step::Multihot(5)),
        )];
        let fields = vec![target("x", Unit::Binary, Some("T")).sized(&[5])];
        (
            spec(kind, columns, parts(70.0, 20.0, 10.0)),
            wanted(fields, None),
        )
    };
    let mut blocks = table("f", false);
    blocks.blocks = true;
    let columns = vec![set("x", at(1))];
    let fields = vec![input("x", Unit::Number, Some("T"))];
    let of_blocks = (
        spec(SourceKind::Tsv(blocks), columns, parts(70.0, 20.0, 10.0)),
        wanted(fields, None),
    );
    let tensors = SourceKind::Tensors(here("f".into()));
    let fields = vec![input("x", Unit::Number, None)];
    let of_tensors = (
        spec(tensors, Vec::new(), parts(70.0, 20.0, 10.0)),
        wanted(fields, None),
    );
    vec![
        numbers(SourceKind::Csv(table("f", false))),
        numbers(SourceKind::Csv(table("f", true))),
        numbers(SourceKind::Tsv(table("f", false))),
        characters(lines("f")),
        characters(text("f")),
        keys(lines("f")),
        of_blocks,
        of_tensors,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_give_a_dataset_or_an_error(bytes in bytes()) {
        for (spec, wanted) in specs() {
            match load_with(&[("f", &bytes)], &spec, &wanted, |_| {}) {
                Ok(d) => {
                    for part in Part::ALL {
                        let plan = BatchPlan { shuffle: true, bptt: Some(3), ..super::batches::in_order(3) };
                        let seen: usize = d.each(part, &plan).map(|b| b.rows).sum();
                        prop_assert!(d.is_long() || seen == d.len(part));
                    }
                }
                Err(errors) => {
                    prop_assert!(!errors.is_empty());
                    for e in errors {
                        prop_assert!(e.message.chars().count() <= 72, "{}", e.message);
                        prop_assert!(!e.message.contains(char::is_control), "{:?}", e.message);
                        prop_assert!(e.labels.iter().all(|l| !l.text.contains(char::is_control)));
                    }
                }
            }
        }
    }

    /// Whatever the lengths, the batch size and the seed: every example once, real steps as they
    /// stand in the data, everything else padding.
    #[test]
    fn batches_hold_the_data(
        lengths in prop::collection::vec(1usize..9, 1..40),
        rows in 1usize..10,
        tokens in prop::option::of(1usize..40),
        seed in any::<u64>(),
    ) {
        let text: Vec<String> = lengths.iter().map(|n| "abcdefghi"[..*n].to_string()).collect();
        let d = names(&text.join("\n"), parts(100.0, 0.0, 0.0));
        let column = d.column("name").unwrap();
        prop_assert!(matches!(column.values, Values::I32(_)));
        let batch = tokens.map_or(BatchSize::Rows(rows), BatchSize::Tokens);
        let plan = BatchPlan { batch, seed, shuffle: true, ..super::batches::in_order(1) };
        let mut seen = Vec::new();
        for b in d.each(Part::Train, &plan) {
            let (Some(crate::data::Tensor::I32(v)), Some(lens)) = (b.data("name"), b.lengths("T")) else {
                panic!();
            };
            let most = b.size("T").unwrap();
            prop_assert_eq!(v.len(), most * b.rows);
            for (r, e) in b.examples.iter().enumerate() {
                let row: Vec<i32> = (0..most).map(|t| v[t * b.rows + r]).collect();
                let real = lens[r] as usize;
                prop_assert_eq!(&row[..real], column.tokens(*e));
                prop_assert!(row[real..].iter().all(|x| *x == -1));
            }
            seen.extend(b.examples);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
    }
}
