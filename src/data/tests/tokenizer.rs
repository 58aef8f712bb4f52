//! Texts cut by a `tokenizer.json` that was made elsewhere.

use super::*;
use crate::data::{Fits, Part, probe};
use crate::span::Spanned;

/// Lower case, words and marks apart, whole words or `[UNK]`, joined by blanks.
const WORDS: &str = r###"{
  "version": "1.0",
  "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
  "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
  "added_tokens": [
    {"id": 0, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": true},
    {"id": 1, "content": "[UNK]", "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": true},
    {"id": 2, "content": "[END]", "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": true}],
  "normalizer": {"type": "Lowercase"},
  "pre_tokenizer": {"type": "Whitespace"},
  "post_processor": null,
  "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
    "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[END]": 2, "low": 3, "##er": 4, "new": 5, "##est": 7, ".": 6}}
}"###;

fn cut(end: Option<&str>) -> Step {
    Step::Tokenizer {
        file: Spanned::new("tok.json".to_string(), Span::default()),
        end: end.map(str::to_string),
    }
}

fn lines_of(step: Step) -> (DataSpec, Wanted) {
    let columns = vec![set("text", whole().to(step))];
    let spec = spec(lines("a.txt"), columns, parts(50.0, 50.0, 0.0));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    (spec, wanted)
}

const TEXT: &str = "Lower NEWEST.\nhigh [END] low\n";

#[test]
fn the_file_says_how_texts_are_cut() {
    let (spec, wanted) = lines_of(cut(None));
    let d = load(&[("a.txt", TEXT), ("tok.json", WORDS)], &spec, &wanted);
    let v = d.vocabulary("text").unwrap();
    let column = d.column("text").unwrap();
    // Eight symbols, and `<end>` after them.
    assert_eq!((v.len(), v.unknown(), v.end()), (9, Some(1), Some(8)));
    let row = |e: usize| column.tokens(e).to_vec();
    let (first, second) = match row(0).len() {
        6 => (row(0), row(1)),
        _ => (row(1), row(0)),
    };
    assert_eq!(first, [3, 4, 5, 7, 6, 8]);
    assert_eq!(v.decode(&first), "lower newest.");
    // What reads like a special symbol is text, here one that the file does not know.
    assert_eq!(second, [1, 1, 1, 1, 3, 8]);
    assert_eq!(d.unseen(Part::Train) + d.unseen(Part::Valid), 4);
}

#[test]
fn a_symbol_of_the_file_is_the_end() {
    let (spec, wanted) = lines_of(cut(Some("[END]")));
    let d = load(
        &[("a.txt", "low\nnew\n"), ("tok.json", WORDS)],
        &spec,
        &wanted,
    );
    let v = d.vocabulary("text").unwrap();
    assert_eq!((v.len(), v.end(), v.symbol(2)), (8, Some(2), "<end>"));
    assert_eq!(d.column("text").unwrap().tokens(0).last(), Some(&2));
    // A run's folder has all of it.
    let json = serde_json::to_string(d.fits()).unwrap();
    let fits: Fits = serde_json::from_str(&json).unwrap();
    assert_eq!(&fits, d.fits());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "newer\n").unwrap();
    let mut options = LoadOptions::new(folder.path());
    (options.fits, options.only) = (Some(&fits), Some(Part::Test));
    let other = Dataset::load(&spec, &wanted, &options).unwrap();
    assert_eq!(other.column("text").unwrap().tokens(0), [5, 4, 2]);
}

#[test]
fn a_check_reads_the_file() {
    let (spec, wanted) = lines_of(cut(None));
    let found = |json: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.txt"), TEXT).unwrap();
        if let Some(json) = json {
            std::fs::write(folder.path().join("tok.json"), json).unwrap();
        }
        let found = probe(&spec, &wanted, &LoadOptions::new(folder.path()));
        let each = found.iter().map(|d| (d.code, d.is_error()));
        each.collect::<Vec<_>>()
    };
    assert_eq!(found(Some(WORDS)), []);
    // As data that is not there yet.
    assert_eq!(found(None), [("io::not-found", false)]);
    assert_eq!(found(Some("{}")), [("data::tokenizer", true)]);
}

#[test]
fn one_text_is_cut_part_by_part() {
    let columns = vec![set("text", whole().to(cut(None)))];
    let spec = spec(text("a.txt"), columns, parts(50.0, 50.0, 0.0));
    let wanted = wanted(vec![target("text", Unit::Token, Some("T")).fed()], None);
    let d = load(
        &[("a.txt", "low new.low new."), ("tok.json", WORDS)],
        &spec,
        &wanted,
    );
    assert!(d.is_long());
    assert_eq!((d.len(Part::Train), d.len(Part::Valid)), (3, 3));
    assert_eq!(d.vocabulary("text").unwrap().end(), None);
}

/// Pairs of letters, which the file says to leave unjoined by chance.
const PAIRS: &str = r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
  "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
  "model": {"type": "BPE", "dropout": 0.5, "unk_token": null, "continuing_subword_prefix": null,
    "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
    "vocab": {"a": 0, "b": 1, "ab": 2, "abab": 3}, "merges": [["a", "b"], ["ab", "ab"]]}}"#;

#[test]
fn nothing_is_left_to_chance() {
    let (spec, wanted) = lines_of(cut(None));
    for _ in 0..8 {
        let d = load(
            &[("a.txt", "ababab\nabb\n"), ("tok.json", PAIRS)],
            &spec,
            &wanted,
        );
        let column = d.column("text").unwrap();
        let mut rows = [column.tokens(0).to_vec(), column.tokens(1).to_vec()];
        rows.sort();
        assert_eq!(rows, [vec![2, 1, 4], vec![3, 2, 4]]);
        assert_eq!(d.vocabulary("text").unwrap().decode(&rows[1]), "ababab");
    }
}

#[test]
fn files_that_cannot_be_used_are_refused() {
    let fails = |json: &str, end: Option<&str>| {
        let (spec, wanted) = lines_of(cut(end));
        let files: [(&str, &[u8]); 2] = [("a.txt", TEXT.as_bytes()), ("tok.json", json.as_bytes())];
        match load_with(&files, &spec, &wanted, |_| {}) {
            Ok(_) => "ok",
            Err(errors) => errors[0].code,
        }
    };
    assert_eq!(fails(WORDS, Some("[NONE]")), "data::tokenizer");
    for wrong in [
        "",
        "{}",
        "[]",
        "null",
        "{\"version\": \"1.0\", \"model\": {}}",
    ] {
        assert_eq!(fails(wrong, None), "data::tokenizer", "{wrong}");
    }
    // Cut off anywhere.
    for at in (0..WORDS.len() - 1).step_by(61) {
        assert_eq!(fails(&WORDS[..at], None), "data::tokenizer", "cut at {at}");
    }
    // Written over anywhere.
    for at in (0..WORDS.len()).step_by(17) {
        for over in [b'0', b'"', b'}', b'A'] {
            let mut json = WORDS.as_bytes().to_vec();
            json[at] = over;
            let json = String::from_utf8(json).unwrap();
            let code = fails(&json, None);
            assert!(["ok", "data::tokenizer"].contains(&code), "{at}: {code}");
        }
    }
    // Changed so that parts no longer fit: used or refused, never the end of the program.
    let changes = [
        ("\"[UNK]\": 1, ", ""),
        ("\"low\": 3", "\"low\": 5"),
        ("\"low\": 3", "\"low\": 4294967295"),
        ("\"low\": 3", "\"low\": -1"),
        ("Whitespace", "Metaspace"),
        ("\"prefix\": \"##\"", "\"prefix\": 3"),
        (
            "{\"type\": \"Lowercase\"}",
            "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAAA\"}",
        ),
        (
            "{\"type\": \"Lowercase\"}",
            "{\"type\": \"Precompiled\", \"precompiled_charsmap\": \"////AAAAAAAA\"}",
        ),
        ("\"stride\": 0", "\"stride\": 7"),
        (
            "\"max_input_chars_per_word\": 100",
            "\"max_input_chars_per_word\": 0",
        ),
    ];
    for (from, to) in changes {
        assert!(WORDS.contains(from));
        let code = fails(&WORDS.replacen(from, to, 1), None);
        assert!(
            ["ok", "data::tokenizer"].contains(&code),
            "{from} to {to}: {code}"
        );
    }
}
