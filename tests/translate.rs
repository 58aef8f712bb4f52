//! A model that writes from inputs, through the binary: measured by BLEU, decoded by a beam, its texts
//! changed and cut as the data's.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Reads words in capitals or not, and writes each of them as a number word.
const SOURCE: &str = r#"time S, T
model Numbers {
  input  letter : [S] token
  target number : [T] token
  enc = letter |> Embed(8) |> scan GRU(24)
  predict number = previous(number) |> Embed(8)
    |> scan GRU(24) from h = final(enc.h) |> Linear |> softmax
}
data pairs {
  from   = tsv("pairs.tsv")
  letter = column(1) |> lower() |> chars()
  number = column(2) |> words(punctuation = apart)
  split  = files(valid = "pairs.tsv")
}
train Numbers on pairs {
  batch     = 8
  optimizer = adam(lr = 1e-2)
  epochs    = 60
  validate  = every(200)
  metrics   = [bleu]
  seed      = 1
}
generate Numbers {
  search = beam(3, length_penalty = 0.6)
  length = 12
}
"#;

/// Every word of four letters a and b.
fn pairs() -> String {
    let word = |i: usize| -> (String, String) {
        let bits = (0..4).map(|k| i >> k & 1);
        let letters = bits.clone().map(|b| ["A", "B"][b]);
        let names = bits.map(|b| ["one", "two"][b]);
        (letters.collect(), names.collect::<Vec<_>>().join(" "))
    };
    let line = |(letters, names): (String, String)| format!("{letters}\t{names}.\n");
    (0..16).map(|i| line(word(i))).collect()
}

fn seqc(folder: &Path, args: &[&str]) -> (Value, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
    let ran = command
        .args(args)
        .arg("--json")
        .current_dir(folder)
        .output();
    let ran = ran.expect("the binary runs");
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    let json = serde_json::from_slice(&ran.stdout).unwrap_or(Value::Null);
    (json, error)
}

#[test]
fn what_is_written_from_inputs_is_measured_and_searched() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::write(here.join("numbers.seq"), SOURCE).unwrap();
    fs::write(here.join("pairs.tsv"), pairs()).unwrap();
    fs::write(here.join("in.txt"), "abab\nBBaa\n").unwrap();
    let (trained, error) = seqc(here, &["train", "numbers.seq", "--out", "run", "-q"]);
    let bleu = trained["valid.bleu"].as_f64().expect(&error);
    assert!(bleu > 90.0, "{bleu}");
    let (measured, _) = seqc(here, &["eval", "run"]);
    assert_eq!(measured["valid.bleu"].as_f64(), Some(bleu));
    let text = |args: &[&str]| {
        let all = [&["generate", "run", "--given", "letter=@in.txt"], args].concat();
        let (written, error) = seqc(here, &all);
        assert_eq!(error, "");
        written["generated"].clone()
    };
    let want = serde_json::json!(["one two one two.", "two two one one."]);
    assert_eq!(text(&[]), want, "by the file's beam");
    assert_eq!(text(&["--search", "beam=1"]), want);
    assert_eq!(text(&["--search", "greedy"]), want);
    assert_eq!(text(&["-n", "3"]).as_array().map(Vec::len), Some(6));
    let refused = |args: &[&str]| seqc(here, &[&["generate", "run"], args].concat()).1;
    assert!(refused(&["-n", "4", "--given", "letter=ab"]).contains("usage::out-of-range"));
    assert!(refused(&["--given", "letter="]).contains("generate::given-differs"));
    assert!(refused(&["--given", "other=ab"]).contains("usage::given"));
    assert!(refused(&["--search", "beam=0"]).contains("beam=4"));
}
