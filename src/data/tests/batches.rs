//! The order and layout of batches.

use super::*;
use crate::data::{Batch, BatchPlan, BatchSize, Part, Tensor};

pub fn in_order(rows: usize) -> BatchPlan {
    BatchPlan {
        batch: BatchSize::Rows(rows),
        bptt: None,
        window: None,
        seed: 0,
        epoch: 0,
        shuffle: false,
    }
}

fn shuffled(rows: usize, seed: u64, epoch: u32) -> BatchPlan {
    BatchPlan {
        seed,
        epoch,
        shuffle: true,
        ..in_order(rows)
    }
}

/// 500 names of 1 to 13 letters.
fn many() -> Dataset {
    let text: Vec<String> = (0..500)
        .map(|i| "abcdefghijklm"[..1 + i * i % 13].to_string())
        .collect();
    names(&text.join("\n"), parts(100.0, 0.0, 0.0))
}

/// Two hundred lines of these lengths.
fn lines(length: impl Fn(usize) -> usize) -> Dataset {
    let text: Vec<String> = (0..200).map(|i| "a".repeat(length(i))).collect();
    names(&text.join("\n"), parts(100.0, 0.0, 0.0))
}

fn order(d: &Dataset, plan: &BatchPlan) -> Vec<usize> {
    let batches = d.each(Part::Train, plan);
    batches.flat_map(|b| b.examples).collect()
}

#[test]
fn an_epoch_has_every_example_once() {
    let d = many();
    for batch in [
        BatchSize::Rows(1),
        BatchSize::Rows(7),
        BatchSize::Rows(600),
        BatchSize::Tokens(64),
    ] {
        for epoch in 0..3 {
            let plan = BatchPlan {
                batch,
                ..shuffled(1, 5, epoch)
            };
            let mut all = order(&d, &plan);
            all.sort_unstable();
            assert_eq!(all, (0..500).collect::<Vec<_>>(), "{batch:?}");
        }
    }
    assert_eq!(order(&d, &in_order(7)), (0..500).collect::<Vec<_>>());
}

#[test]
fn an_order_is_of_its_seed_and_epoch() {
    let d = many();
    let base = order(&d, &shuffled(7, 1, 0));
    assert_eq!(base, order(&d, &shuffled(7, 1, 0)));
    assert_ne!(base, order(&d, &shuffled(7, 2, 0)));
    assert_ne!(base, order(&d, &shuffled(7, 1, 1)));
}

#[test]
fn a_run_resumes_at_any_batch() {
    let plan = shuffled(7, 1, 3);
    let d = many();
    let all: Vec<Batch> = d.each(Part::Train, &plan).collect();
    assert_eq!(all.len(), d.batches(Part::Train, &plan).len());
    for from in [0, 1, 40, all.len()] {
        let mut rest = d.batches(Part::Train, &plan);
        rest.skip_to(from);
        assert_eq!(rest.map(Result::unwrap).collect::<Vec<_>>(), all[from..]);
    }
    let text = long(&"to be or not to be. ".repeat(20), parts(100.0, 0.0, 0.0));
    let plan = BatchPlan {
        bptt: Some(11),
        ..shuffled(4, 1, 0)
    };
    let all: Vec<Batch> = text.each(Part::Train, &plan).collect();
    let mut rest = text.batches(Part::Train, &plan);
    rest.skip_to(3);
    assert_eq!(rest.map(Result::unwrap).collect::<Vec<_>>(), all[3..]);
}

#[test]
fn similar_lengths_share_a_batch_where_much_would_be_padded() {
    // One line in seven is long: mixed batches would be mostly padding.
    let d = lines(|i| if i % 7 == 0 { 40 } else { 1 + i % 3 });
    let padding = |d: &Dataset, plan: &BatchPlan| -> usize {
        let of = |b: Batch| {
            let steps = b.size("T").unwrap() * b.rows;
            let real: i32 = b.lengths("T").unwrap().iter().sum();
            steps - real as usize
        };
        d.each(Part::Train, plan).map(of).sum()
    };
    // Sorting leaves padding only where a batch spans two lengths.
    assert!(padding(&d, &shuffled(7, 1, 0)) * 4 < padding(&d, &in_order(7)));
    // Lengths that are near each other are mixed: a batch of one length would weigh its steps more.
    let near = lines(|i| 5 + i % 4);
    let lengths = |b: Batch| b.lengths("T").unwrap().to_vec();
    let mixed = |l: Vec<i32>| l.iter().min() != l.iter().max();
    assert!(
        near.each(Part::Train, &shuffled(7, 1, 0))
            .map(lengths)
            .filter(|l| mixed(l.clone()))
            .count()
            > 20
    );
    let tokens = BatchPlan {
        batch: BatchSize::Tokens(64),
        ..shuffled(1, 1, 0)
    };
    for b in d.each(Part::Train, &tokens) {
        assert!(b.rows * b.size("T").unwrap() <= 64);
    }
}

#[test]
fn previous_starts_with_the_end_symbol() {
    let d = names("ab\nb\n", parts(100.0, 0.0, 0.0));
    let b = d.each(Part::Train, &in_order(2)).next().unwrap();
    // [T, B]: "ab" and "b", each with <end> = 2; targets are padded by −1, inputs by 0.
    assert_eq!(b.data("name"), Some(&Tensor::I32(vec![0, 1, 1, 2, 2, -1])));
    assert_eq!(
        b.previous("name"),
        Some(&Tensor::I32(vec![2, 2, 0, 1, 1, 0]))
    );
    assert_eq!(b.lengths("T"), Some(&[3, 2][..]));
    assert!(!b.carries);
}

/// The targets of a batch, row by row.
fn rows(b: &Batch, tensor: &Tensor) -> Vec<Vec<i32>> {
    let Tensor::I32(v) = tensor else {
        panic!();
    };
    let lengths = b.lengths("T").unwrap();
    (0..b.rows)
        .map(|r| {
            (0..lengths[r] as usize)
                .map(|t| v[t * b.rows + r])
                .collect()
        })
        .collect()
}

#[test]
fn streams_read_the_whole_text_and_carry_on() {
    for n in 1..60usize {
        let characters: String = (0..n)
            .map(|i| (b'0' + (i * i % 10) as u8) as char)
            .collect();
        let d = long(&characters, parts(100.0, 0.0, 0.0));
        let all: Vec<i32> = (0..n)
            .flat_map(|e| d.column("text").unwrap().tokens(e).to_vec())
            .collect();
        for (batch, bptt) in [(1, 5), (4, 5), (3, 1), (8, 7)] {
            let plan = BatchPlan {
                bptt: Some(bptt),
                ..shuffled(batch, 0, 0)
            };
            let mut streams: Vec<Vec<i32>> = Vec::new();
            let mut previous: Vec<Vec<i32>> = Vec::new();
            for (i, b) in d.each(Part::Train, &plan).enumerate() {
                assert_eq!(b.carries, i > 0);
                assert!(b.size("T").unwrap() <= bptt + 1);
                streams.resize(b.rows, Vec::new());
                previous.resize(b.rows, Vec::new());
                let data = rows(&b, b.data("text").unwrap());
                let before = rows(&b, b.previous("text").unwrap());
                for r in 0..b.rows {
                    assert!(!data[r].is_empty());
                    streams[r].extend(&data[r]);
                    previous[r].extend(&before[r]);
                }
            }
            assert_eq!(streams.concat(), all);
            // Only the text's first character has nothing before it.
            let mut expected = vec![-1];
            expected.extend(&all[..n - 1]);
            assert_eq!(previous.concat(), expected);
        }
    }
}

#[test]
fn windows_are_examples_of_their_own() {
    let d = long("abcdefghij", parts(100.0, 0.0, 0.0));
    let plan = BatchPlan {
        window: Some(4),
        ..shuffled(2, 0, 0)
    };
    let batches: Vec<Batch> = d.each(Part::Train, &plan).collect();
    assert_eq!(batches.len(), 2);
    assert!(batches.iter().all(|b| !b.carries));
    let mut all: Vec<Vec<i32>> = batches
        .iter()
        .flat_map(|b| rows(b, b.data("text").unwrap()))
        .collect();
    all.sort();
    assert_eq!(all, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    let mut before: Vec<i32> = batches
        .iter()
        .flat_map(|b| rows(b, b.previous("text").unwrap()))
        .map(|r| r[0])
        .collect();
    before.sort_unstable();
    assert_eq!(before, [-1, 3, 7]);
}

#[test]
fn a_long_text_taken_whole_is_refused() {
    let d = long(&"x".repeat(30_000), parts(100.0, 0.0, 0.0));
    let check = |plan: &BatchPlan| d.check_plan(plan, Span::default());
    assert_eq!(check(&in_order(1)).unwrap_err().code, "data::needs-bptt");
    let plan = BatchPlan {
        bptt: Some(64),
        ..in_order(1)
    };
    assert!(check(&plan).is_ok());
}
