//! A folder with two small programs, and the binary run in it.
//!
//! In: files and arguments. Out: [`Ran`], the exit code and both streams, which say what they should.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A character model small enough for a debug build.
pub const WORDS: &str = "time T
model Small {
  target word : [T] token
  predict word = previous(word) |> Embed(4) |> scan GRU(6) |> Linear |> softmax
}
data words {
  from  = lines(\"words.txt\")
  word  = chars()
  split = parts(60, 20, 20)
}
train Small on words {
  batch     = 4
  optimizer = adam(lr = 1e-2)
  epochs    = 2
  metrics   = [perplexity, versus(bigram)]
  seed      = 1
}
generate Small {
  length = 12
}
";

pub const LINE: &str = "model Line {
  input  x : [2]
  target y : number
  predict y = x |> Linear(1)
}
data points {
  from  = rows(40, seed = 1)
  a     = uniform(-1, 1)
  b     = uniform(-1, 1)
  x     = [a, b]
  y     = 2*a - b
  split = parts(50, 50, 0)
}
train Line on points {
  batch     = 10
  optimizer = sgd(lr = 0.3)
  epochs    = 20
  metrics   = [mae]
  seed      = 1
}
";

pub struct Here(TempDir);

impl Here {
    pub fn new() -> Here {
        let here = Here(tempfile::tempdir().expect("a temporary folder"));
        here.write("words.seq", WORDS);
        let words: Vec<String> = (0..30)
            .map(|i| format!("{}a{}", ["b", "d", "k"][i % 3], ["n", "r", "ल"][i / 3 % 3]))
            .collect();
        here.write("words.txt", &words.join("\n"));
        here.write("line.seq", LINE);
        here
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("written");
    }

    pub fn has(&self, name: &str) -> bool {
        self.path().join(name).exists()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqc"));
        command.args(args).current_dir(self.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(args).output().expect("seqc starts");
        Ran {
            args: args.join(" "),
            code: status.code(),
            out: String::from_utf8(stdout).expect("text on stdout"),
            err: String::from_utf8(stderr).expect("text on stderr"),
        }
    }
}

pub struct Ran {
    pub args: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Ended with this code; nobody is ever shown a panic.
    #[track_caller]
    pub fn exits(self, code: i32) -> Ran {
        assert_eq!(
            self.code,
            Some(code),
            "seqc {}\n{}{}",
            self.args,
            self.out,
            self.err
        );
        self
    }

    #[track_caller]
    pub fn says(self, what: &str) -> Ran {
        assert!(self.err.contains(what), "seqc {}\n{}", self.args, self.err);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).expect("one JSON object on stdout")
    }
}

#[track_caller]
pub fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}
