//! A text that is not held in memory gives the batches of one that is, bit for bit.

use super::*;
use crate::data::column::Values;
use crate::data::{BatchSize, bigram_nats, copied, majority, most_frequent};

/// Some lines, no blank for long, letters that change when lowered or composed.
fn prose() -> String {
    let mut text = String::from("\u{feff}");
    for i in 0..4000u32 {
        let word =
            ["The", "E\u{301}te", "ΟΔΟΣ", "of", "naïve", "नमस्ते", "x1,"][(i * i % 7) as usize];
        text.push_str(word);
        text.push_str(match i % 13 {
            12 => "\r\n",
            5 => "  ",
            _ => " ",
        });
    }
    text
}

fn target_of(steps: &[Step], ahead: bool) -> (Vec<ColumnSpec>, Wanted) {
    let piped = steps.iter().cloned().fold(whole(), ColumnExpr::to);
    let columns = vec![set("text", piped), set("after", next(name("text")))];
    let fields = match ahead {
        false => vec![target("text", Unit::Token, Some("T")).fed()],
        true => vec![
            input("text", Unit::Token, Some("T")),
            target("after", Unit::Token, Some("T")),
        ],
    };
    (columns, wanted(fields, None))
}

/// The same data held in memory and stored.
fn both(spec: &DataSpec, wanted: &Wanted, files: &[(&str, &[u8])]) -> [Dataset; 2] {
    [u64::MAX, 0].map(|held| load_with(files, spec, wanted, |o| o.held = held).unwrap())
}

fn same(held: &Dataset, stored: &Dataset) {
    assert!(matches!(held.columns()[0].values, Values::I32(_)));
    assert!(matches!(stored.columns()[0].values, Values::Stored(_)));
    assert_eq!(held.fits(), stored.fits());
    let plan = BatchPlan {
        batch: BatchSize::Rows(5),
        bptt: None,
        window: None,
        seed: 3,
        epoch: 1,
        shuffle: true,
    };
    for part in Part::ALL {
        assert_eq!(held.len(part), stored.len(part));
        assert_eq!(held.unseen(part), stored.unseen(part));
        for (bptt, window, batch, shuffle) in [
            (Some(17), None, BatchSize::Rows(5), true),
            (None, Some(9), BatchSize::Rows(4), true),
            (None, Some(9), BatchSize::Tokens(50), false),
            (None, None, BatchSize::Rows(1), false),
        ] {
            let plan = BatchPlan {
                bptt,
                window,
                batch,
                shuffle,
                ..plan
            };
            assert!(
                held.each(part, &plan).eq(stored.each(part, &plan)),
                "{plan:?}"
            );
        }
        for column in held.columns() {
            let rival = |d| bigram_nats(d, &column.name, part, 0.1).unwrap();
            assert_eq!(rival(held), rival(stored));
            let lines = ["of of", "The The of"].map(str::to_string);
            let share = |d| copied(d, &column.name, &lines).unwrap();
            assert_eq!(share(held), share(stored));
        }
    }
}

fn cuts() -> Vec<Step> {
    let words = Step::Words {
        min_count: 2,
        max: Some(5),
        apart: false,
    };
    let apart = Step::Words {
        min_count: 1,
        max: None,
        apart: true,
    };
    match cfg!(feature = "tokenizers") {
        true => vec![Step::Chars, words, apart, Step::Bpe(280)],
        false => vec![Step::Chars, words, apart],
    }
}

#[test]
fn a_stored_text_gives_the_batches_of_one_held() {
    let text = prose();
    let files = [("t.txt", text.as_bytes())];
    for cut in cuts() {
        for (steps, ahead) in [
            (vec![cut.clone()], false),
            (vec![Step::Lower, cut.clone()], true),
            (vec![Step::Nfc, Step::Lower, cut.clone()], false),
        ] {
            let (columns, wanted) = target_of(&steps, ahead);
            let spec = spec(super::text("t.txt"), columns, parts(80.0, 15.0, 5.0));
            let [held, stored] = both(&spec, &wanted, &files);
            assert!(stored.len(Part::Train) > 500);
            same(&held, &stored);
            let guesses = |d: &Dataset| {
                let common = majority(d, if ahead { "after" } else { "text" }, Part::Valid);
                let following = most_frequent(d, "after", Part::Valid);
                (common.unwrap(), following.unwrap())
            };
            assert_eq!(guesses(&held), guesses(&stored));
            assert!(guesses(&held).0.is_some_and(|share| share > 0.0));
        }
    }
}

#[test]
fn files_are_parts_stored_or_held() {
    let (train, valid) = (prose(), "of The\nof of zebra!\nThe The of\n".repeat(30));
    let files = [("t.txt", train.as_bytes()), ("v.txt", valid.as_bytes())];
    for cut in cuts() {
        let (columns, wanted) = target_of(&[cut], true);
        let split = Split::Files {
            valid: Some(here("v.txt".to_string()).into()),
            test: None,
            span: Span::default(),
        };
        let spec = spec(super::text("t.txt"), columns, split);
        let [held, stored] = both(&spec, &wanted, &files);
        same(&held, &stored);
    }
}

#[test]
fn a_text_of_one_line_without_a_blank_is_read() {
    let text = "abcdefghij".repeat(250_000);
    let files = [("t.txt", text.as_bytes())];
    let cut = |step: Step| {
        let (columns, wanted) = target_of(&[step], false);
        (
            spec(super::text("t.txt"), columns, parts(90.0, 10.0, 0.0)),
            wanted,
        )
    };
    let (spec, wanted) = cut(Step::Chars);
    let [held, stored] = both(&spec, &wanted, &files);
    assert_eq!(stored.len(Part::Train), 2_250_000);
    let plan = BatchPlan {
        window: Some(1000),
        ..super::batches::in_order(8)
    };
    assert!(
        held.each(Part::Valid, &plan)
            .eq(stored.each(Part::Valid, &plan))
    );
    let (spec, wanted) = cut(Step::Words {
        min_count: 1,
        max: None,
        apart: false,
    });
    let errors = load_with(&files, &spec, &wanted, |_| {}).unwrap_err();
    assert_eq!(errors[0].code, "data::word-too-long");
}

#[test]
fn statistics_of_an_earlier_run_serve_a_stored_text() {
    let (columns, wanted) = target_of(&[Step::Chars], false);
    let spec = spec(super::text("t.txt"), columns, parts(80.0, 20.0, 0.0));
    let first = load(&[("t.txt", "abcabd")], &spec, &wanted);
    let fits = first.fits().clone();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.txt"), "dxba").unwrap();
    let mut options = LoadOptions::new(folder.path());
    (options.fits, options.only, options.held) = (Some(&fits), Some(Part::Test), 0);
    let d = Dataset::load(&spec, &wanted, &options).unwrap();
    assert_eq!((d.len(Part::Test), d.unseen(Part::Test)), (4, 2));
}
