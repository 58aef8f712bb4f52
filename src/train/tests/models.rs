//! Models written by hand behind the trait of compiled functions, and data for them.

use std::path::Path;

use super::signature;
use crate::data::spec::*;
use crate::data::{Dataset, LoadOptions};
use crate::diagnostics::Diagnostic;
use crate::dim::{Dim, Sym};
use crate::philox::{Domain, Place, key, path_hash, uniform};
use crate::span::{Span, Spanned};
use crate::targets::executable::{Arg, Call, Elem, Executable, Role, Signature, Slot};
use crate::train::generator::Generator;
use crate::train::plan::{Functions, Later, Stage};

/// What a hand-written function does beside its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    None,
    /// Every call from this one on fails.
    Fails(usize),
    /// The gradient of `u` is not a number at this call.
    BadGradient(usize),
    /// The loss is infinite at this call.
    BadLoss(usize),
}

/// Next-symbol probabilities softmax(W[previous] + u·h) with a state h' = h/2 + previous/10. In
/// training the scores are multiplied by a random factor, in the place of dropout.
#[derive(Clone, Debug)]
pub struct Toy {
    signature: Signature,
    symbols: usize,
    trains: bool,
    trouble: Trouble,
    calls: usize,
}

pub fn slot(role: Role, elem: Elem, shape: &[&str]) -> Slot {
    let dim = |s: &&str| s.parse().map_or_else(|_| Dim::named(s), Dim::constant);
    Slot {
        role,
        elem,
        shape: shape.iter().map(dim).collect(),
    }
}

impl Toy {
    fn new(symbols: usize, trains: bool, loss: bool) -> Toy {
        let mut s = signature(&[("toy.W", &[symbols, symbols]), ("toy.u", &[symbols])]);
        let name = || "name".to_string();
        let state = Role::Carry("toy.h".to_string());
        s.sizes = vec![Sym::new("B"), Sym::new("T")];
        s.inputs = vec![
            slot(Role::Previous(name()), Elem::I32, &["T", "B"]),
            slot(Role::Lengths("T".into()), Elem::I32, &["B"]),
            slot(state.clone(), Elem::F32, &["B", "1"]),
        ];
        s.outputs = vec![
            slot(state, Elem::F32, &["B", "1"]),
            slot(Role::Prediction(name()), Elem::F32, &["T", "B", "V"]),
        ];
        if loss {
            s.inputs
                .push(slot(Role::Data(name()), Elem::I32, &["T", "B"]));
            let roles = [Role::Loss, Role::LossSum(name()), Role::LossCount(name())];
            s.outputs.extend(roles.map(|r| slot(r, Elem::F32, &[])));
        }
        s.has_grads = trains;
        Toy {
            signature: s,
            symbols,
            trains,
            trouble: Trouble::None,
            calls: 0,
        }
    }

    pub fn evaluating(symbols: usize) -> Stage {
        Stage::plain(Box::new(Toy::new(symbols, false, true)))
    }

    pub fn functions(symbols: usize, trouble: Trouble) -> Functions<'static> {
        let mut train = Toy::new(symbols, true, true);
        train.trouble = trouble;
        Functions {
            train: Stage::plain(Box::new(train)),
            evaluate: Later::new(move || Ok(Toy::evaluating(symbols))),
            step: Some(Generator::plain(Box::new(Toy::new(symbols, false, false)))),
        }
    }
}

fn ints<'a>(arg: &Arg<'a>) -> &'a [i32] {
    match arg {
        Arg::I32(v) => v,
        Arg::F32(_) => panic!("integers were wanted"),
    }
}

fn floats<'a>(arg: &Arg<'a>) -> &'a [f32] {
    match arg {
        Arg::F32(v) => v,
        Arg::I32(_) => panic!("numbers were wanted"),
    }
}

impl Executable for Toy {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        let calls = self.calls;
        self.calls += 1;
        if matches!(self.trouble, Trouble::Fails(n) if calls >= n) {
            return Err(Diagnostic::error("resource::memory", "out of memory"));
        }
        let (rows, steps, v) = (call.sizes[0], call.sizes[1], self.symbols);
        let previous = ints(&call.inputs[0]);
        let lengths = ints(&call.inputs[1]);
        let state = floats(&call.inputs[2]);
        let truth = call.inputs.get(3).map(ints);
        let (table, bias) = call.params.split_at(v * v);
        let scale = match self.trains {
            true => {
                let place = Place {
                    key: key(call.draw.seed, Domain::Dropout),
                    path: path_hash("toy"),
                    step: call.draw.step as u32,
                };
                0.8 + 0.4 * uniform(place.words(0)[0])
            }
            false => 1.0,
        };
        let mut last = state.to_vec();
        let mut predicted = vec![0.0; steps * rows * v];
        let (mut sum, mut count) = (0.0f32, 0.0f32);
        let mut grads = vec![0.0f32; call.grads.len()];
        for t in 0..steps {
            for b in (0..rows).filter(|b| t < lengths[*b] as usize) {
                let p = previous[t * rows + b];
                last[b] = 0.5 * last[b] + 0.1 * p.max(0) as f32;
                let h = last[b];
                let row = usize::try_from(p).ok().map(|p| &table[p * v..(p + 1) * v]);
                let z: Vec<f32> = (0..v)
                    .map(|k| scale * (row.map_or(0.0, |r| r[k]) + bias[k] * h))
                    .collect();
                let most = z.iter().copied().fold(f32::MIN, f32::max);
                let total: f32 = z.iter().map(|z| (z - most).exp()).sum();
                let at = (t * rows + b) * v;
                for k in 0..v {
                    predicted[at + k] = (z[k] - most).exp() / total;
                }
                let y = truth.map_or(-1, |y| y[t * rows + b]);
                let Ok(y) = usize::try_from(y) else { continue };
                sum -= predicted[at + y].max(1e-30).ln();
                count += 1.0;
                if self.trains {
                    for k in 0..v {
                        let d = scale * (predicted[at + k] - f32::from(u8::from(k == y)));
                        if let Ok(p) = usize::try_from(p) {
                            grads[p * v + k] += d;
                        }
                        grads[v * v + k] += d * h;
                    }
                }
            }
        }
        for (g, to) in grads.iter().zip(call.grads.iter_mut()) {
            *to = g / count.max(1.0);
        }
        let mut loss = sum / count.max(1.0);
        if self.trouble == Trouble::BadGradient(calls) {
            call.grads[v * v + 1] = f32::NAN;
        }
        if self.trouble == Trouble::BadLoss(calls) {
            loss = f32::INFINITY;
        }
        for (slot, out) in self.signature.outputs.iter().zip(call.outputs) {
            *out = match &slot.role {
                Role::Carry(_) => last.clone(),
                Role::Prediction(_) => predicted.clone(),
                Role::Loss => vec![loss],
                Role::LossSum(_) => vec![sum],
                Role::LossCount(_) => vec![count],
                other => panic!("no {other:?}"),
            };
        }
        Ok(())
    }

    fn peak_bytes(&self, _: &[usize]) -> Option<u64> {
        None
    }
}

/// y = w·x + b for numbers x and y, one of each an example.
pub struct Line {
    signature: Signature,
}

impl Line {
    pub fn new() -> Line {
        let mut s = signature(&[("w", &[1]), ("b", &[1])]);
        s.sizes = vec![Sym::new("B")];
        s.inputs = vec![
            slot(Role::Data("x".into()), Elem::F32, &["B"]),
            slot(Role::Data("y".into()), Elem::F32, &["B"]),
        ];
        let y = || "y".to_string();
        s.outputs = vec![
            slot(Role::Loss, Elem::F32, &[]),
            slot(Role::LossSum(y()), Elem::F32, &[]),
            slot(Role::LossCount(y()), Elem::F32, &[]),
            slot(Role::Prediction(y()), Elem::F32, &["B"]),
        ];
        Line { signature: s }
    }
}

impl Executable for Line {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&mut self, call: Call<'_>) -> Result<(), Diagnostic> {
        let (x, y) = (floats(&call.inputs[0]), floats(&call.inputs[1]));
        let (w, b, n) = (call.params[0], call.params[1], x.len() as f32);
        let predicted: Vec<f32> = x.iter().map(|x| w * x + b).collect();
        let errors: Vec<f32> = predicted.iter().zip(y).map(|(p, y)| p - y).collect();
        let sum: f32 = errors.iter().map(|e| e * e).sum();
        call.grads[0] = errors.iter().zip(x).map(|(e, x)| 2.0 * e * x / n).sum();
        call.grads[1] = errors.iter().map(|e| 2.0 * e / n).sum();
        for (out, value) in call.outputs.iter_mut().zip([sum / n, sum, n]) {
            *out = vec![value];
        }
        call.outputs[3] = predicted;
        Ok(())
    }

    fn peak_bytes(&self, _: &[usize]) -> Option<u64> {
        None
    }
}

pub fn here<T>(node: T) -> Spanned<T> {
    Spanned::new(node, Span::default())
}

pub fn expression(kind: ColumnKind) -> ColumnExpr {
    ColumnExpr {
        kind,
        span: Span::default(),
    }
}

pub fn step(input: ColumnExpr, step: Step) -> ColumnExpr {
    expression(ColumnKind::Step {
        input: input.into(),
        step,
    })
}

pub fn column(name: &str) -> ColumnExpr {
    expression(ColumnKind::Column(ColumnRef::Named(name.into())))
}

/// `name = value`.
pub fn set(name: &str, value: ColumnExpr) -> ColumnSpec {
    ColumnSpec {
        name: here(name.to_string()),
        indices: Vec::new(),
        value,
        span: Span::default(),
    }
}

pub fn field(name: &str, role: FieldRole, unit: Unit, time: Option<&str>) -> Field {
    Field {
        name: name.into(),
        role,
        unit,
        time: time.map(str::to_string),
        features: Vec::new(),
        feeds_itself: unit == Unit::Token,
        previous: unit == Unit::Token,
        span: Span::default(),
    }
}

/// Loads a source in `dir`, in order, cut in these percentages.
pub fn load(
    dir: &Path,
    kind: SourceKind,
    columns: Vec<ColumnSpec>,
    fields: Vec<Field>,
    shares: [f64; 3],
) -> Dataset {
    let spec = DataSpec {
        name: here("d".into()),
        source: Source {
            kind,
            span: Span::default(),
        },
        columns,
        keep: None,
        split: Split::Parts {
            shares,
            by: SplitBy::Time,
            span: Span::default(),
        },
        span: Span::default(),
    };
    let times = fields.iter().filter_map(|f| f.time.clone());
    let mut times: Vec<String> = times.collect();
    times.dedup();
    let wanted = Wanted {
        fields,
        times: times
            .into_iter()
            .map(|name| Time {
                name,
                fixed: None,
                most: None,
            })
            .collect(),
    };
    Dataset::load(&spec, &wanted, &LoadOptions::new(dir)).unwrap()
}

fn tokens(dir: &Path, kind: SourceKind, shares: [f64; 3]) -> Dataset {
    let chars = step(expression(ColumnKind::Whole), Step::Chars);
    let name = field("name", FieldRole::Target, Unit::Token, Some("T"));
    load(dir, kind, vec![set("name", chars)], vec![name], shares)
}

/// Eighteen names over the letters a, b, c and `<end>`: 4 symbols; 12 to train on, 6 to validate.
pub fn names(dir: &Path) -> Dataset {
    let lines = "ab\nabc\nabcabc\nabab\nca\ncab\nabcab\nb\nbc\nabca\naab\nbcab\n\
                 abcb\nab\nbca\nabcabc\nc\nabab\n";
    std::fs::write(dir.join("names.txt"), lines).unwrap();
    let kind = SourceKind::Lines(here("names.txt".into()));
    tokens(dir, kind, [200.0 / 3.0, 100.0 / 3.0, 0.0])
}

/// One long text over a, b and c: 3 symbols.
pub fn long_text(dir: &Path) -> Dataset {
    let text: String = (0..400).map(|i| b"aabcbcab"[i * i % 8] as char).collect();
    std::fs::write(dir.join("text.txt"), text).unwrap();
    let kind = SourceKind::Text(here("text.txt".into()));
    tokens(dir, kind, [80.0, 20.0, 0.0])
}
