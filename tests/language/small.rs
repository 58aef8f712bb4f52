//! Programs at small sizes: in, a `.seq` file of `good/`; out, its models with every size small and
//! different from the others, and batches of made-up data for their functions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use seqc::check::program::Model;
use seqc::dim::{Binding, Role, Sym};
use seqc::ir::Func;
use seqc::lower::Options;
use seqc::pipeline::{Build, Stages, with_vocabularies};

use crate::common::{self, machine::Data, models::written};

/// No sequence of a test is longer; a table of positions has as many rows.
const LONGEST: i64 = 12;

/// The entries of every vocabulary.
const VOCABULARY: usize = 5;

/// The `.seq` files of a folder beside this one, by name.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/language")
        .join(folder);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut all: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seq"))
        .collect();
    all.sort();
    all
}

/// A model of a file, and what to call it in a message.
pub struct Named {
    pub name: String,
    pub model: Model,
}

impl Named {
    pub fn stages(&self, build: &Build, options: Options, gradients: bool) -> Stages {
        let made = build.stages(&self.model, options, gradients);
        made.unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// Optimized, to train or to evaluate or to predict.
    pub fn functions(&self) -> [Func; 3] {
        let ways = [
            (Options::TRAIN, true),
            (Options::EVALUATE, false),
            (Options::PREDICT, false),
        ];
        ways.map(|(options, gradients)| {
            self.stages(&Build::default(), options, gradients).optimized
        })
    }
}

/// Every model of every file in `good/`.
pub fn all() -> Vec<Named> {
    let mut all = Vec::new();
    for path in files("good") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let own = written(&path.display().to_string(), &shallow(&text));
        assert!(!own.is_empty(), "{stem} has no model");
        for model in own {
            all.push(Named {
                name: format!("{stem} {}", model.name),
                model: shrunk(with_vocabularies(&model, &|_| Some(VOCABULARY))),
            });
        }
    }
    all
}

/// The text with every stack of layers two deep.
fn shallow(text: &str) -> String {
    let mut parts = text.split("Repeat(");
    let mut out = parts.next().unwrap_or("").to_string();
    for part in parts {
        out += "Repeat(2";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out
}

/// Checks every model, and fails with the names of all for which that panics.
pub fn each(check: impl Fn(&Named)) {
    let failed: Vec<String> = all()
        .into_iter()
        .filter(|m| catch_unwind(AssertUnwindSafe(|| check(m))).is_err())
        .map(|m| m.name)
        .collect();
    assert!(failed.is_empty(), "{}", failed.join(", "));
}

fn shrunk(mut model: Model) -> Model {
    let mut next = 2;
    for e in model.dims.clone().iter() {
        match (e.role, e.binding) {
            (Role::Time, Binding::Static(Some(_))) => model.dims.bind(&e.sym, 6),
            (Role::Feature, Binding::Static(Some(n))) if n > 3 => {
                next += 1;
                model.dims.bind(&e.sym, next);
            }
            _ => {}
        }
    }
    for limit in &model.limits {
        let rows = limit.most.as_sym().expect("a literal size is a symbol");
        model.dims.bind(rows, LONGEST);
    }
    model
}

/// Programs that take the largest over a whole sequence, of which an empty one has none.
const NEVER_EMPTY: [&str; 1] = ["c_sentiment"];

impl Named {
    /// The batches that the model allows.
    pub fn batches(&self) -> impl Iterator<Item = &'static Batch<'static>> {
        let file = self.name.split(' ').next().unwrap_or("");
        let empty = !NEVER_EMPTY.contains(&file);
        BATCHES
            .iter()
            .filter(move |b| empty || !b.lens.contains(&0))
    }
}

/// How many sequences, the length of the first time and of every other, and the lengths of the
/// sequences: in another order for another time, and no longer than it.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub first: i64,
    pub other: i64,
    pub lens: &'a [usize],
}

const BATCHES: [Batch<'_>; 4] = [
    Batch {
        first: 7,
        other: 4,
        lens: &[7, 2, 1, 3, 4],
    },
    Batch {
        first: 1,
        other: 3,
        lens: &[1],
    },
    Batch {
        first: 5,
        other: 6,
        lens: &[5, 0, 1, 6],
    },
    // More rows than a tile of a product.
    Batch {
        first: 12,
        other: 9,
        lens: &[12, 3, 9, 1, 5, 2, 8, 4, 7, 10, 11, 6, 1, 12, 9, 9, 2, 5, 3],
    },
];

impl Batch<'_> {
    pub fn sizes(&self, func: &Func) -> Vec<(Sym, i64)> {
        let mut times = 0;
        let one = |s: Sym| {
            if s.name() == "B" {
                return (s, self.lens.len() as i64);
            }
            times += 1;
            (s, if times == 1 { self.first } else { self.other })
        };
        func.dims.launch_syms().into_iter().map(one).collect()
    }

    pub fn data(&self, func: &Func) -> Data {
        let sizes = self.sizes(func);
        let inputs = common::inputs(func, &sizes, self.lens, VOCABULARY);
        let params = common::params(func, &sizes, 0.5);
        Data::of(sizes, inputs, params)
    }
}
