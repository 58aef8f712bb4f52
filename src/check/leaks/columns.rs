//! Two names for the same data.
//!
//! In: a data block and the model trained on it. Out: the inputs that hold the column a target is,
//! each with how far its steps see into the target.
//!
//! A column is followed through its pipe down to what it reads of the source: which column, and at
//! which rows before or after its own (`next`, `window`). A target that is computed from several
//! columns is a task, not a copy; a target that is one column, however scaled, is that column.

use super::mark::{Mark, Place};
use super::reach::own_time;
use crate::check::program::{InputKind, Model, VarId};
use crate::data::spec::{
    Binary, ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, DataSpec, SourceKind, Step,
};
use crate::span::Span;

/// An input that holds a target's data.
pub struct Alias {
    pub input: VarId,
    /// What a step of it sees of the target.
    pub mark: Mark,
    /// Where the data block defines the input and the target.
    pub column: Span,
    pub answer: Span,
}

/// What a column of the source is known by.
#[derive(Clone, Debug, PartialEq)]
enum Key {
    Whole,
    Named(String),
    At(usize),
    /// A column of made-up data: what it draws, no other column has.
    Drawn(String),
}

/// One column of the source, at the rows from `first` to `last` counted from the example's own.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    key: Key,
    first: i64,
    last: i64,
    window: Option<usize>,
    /// Cut into symbols, so that each row is a sequence of its own.
    symbols: Option<Step>,
}

/// What an expression reads.
#[derive(Default)]
struct Reads {
    all: Vec<Read>,
    /// Of these, what stands in it as itself, however scaled: not mixed with another column.
    plain: Vec<Read>,
}

struct Follow<'a> {
    data: &'a DataSpec,
    header: Option<&'a [String]>,
    /// Names being followed: a cycle is another error's business.
    open: Vec<&'a str>,
}

pub fn aliases(
    model: &Model,
    target: VarId,
    data: &DataSpec,
    header: Option<&[String]>,
) -> Vec<Alias> {
    let read = |var: VarId| {
        let column = column(data, &model.var(var).name)?;
        let mut follow = Follow {
            data,
            header,
            open: Vec::new(),
        };
        Some((column, follow.named(column)))
    };
    let Some((answer, target_reads)) = read(target) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for input in model.inputs.iter().filter(|i| i.kind == InputKind::Input) {
        let Some((column, reads)) = read(input.var) else {
            continue;
        };
        let time = own_time(model, target);
        let shared = time.is_some() && time == own_time(model, input.var);
        let mark = reads
            .all
            .iter()
            .flat_map(|r| target_reads.plain.iter().map(move |wanted| (r, wanted)))
            .filter(|(r, wanted)| r.key == wanted.key)
            .filter_map(|(r, wanted)| sees(r, wanted, shared, &data.source.kind))
            .max();
        if let Some(mark) = mark {
            found.push(Alias {
                input: input.var,
                mark,
                column: column.name.span,
                answer: answer.name.span,
            });
        }
    }
    found
}

/// How far one read of the same column sees into the target; `shared`: along one time axis.
fn sees(input: &Read, target: &Read, shared: bool, source: &SourceKind) -> Option<Mark> {
    let aligned = shared && input.symbols == target.symbols && input.window == target.window;
    // Whether a row of the source is a step, or an example with steps of its own.
    let rows_are_steps = match source {
        SourceKind::Text(_) => true,
        SourceKind::Csv(_) | SourceKind::Tsv(_) => input.symbols.is_none(),
        SourceKind::Lines(_)
        | SourceKind::Jsonl(_)
        | SourceKind::Tensors(_)
        | SourceKind::Idx { .. }
        | SourceKind::Rows { .. } => input.window.is_some(),
    };
    let upto = |k| Some(Mark::UpTo(Place::Axis(0), k));
    match (aligned, rows_are_steps) {
        (true, true) => upto(input.last.saturating_sub(target.last)),
        (true, false) if input.last == target.last => upto(0),
        (true, false) => None,
        (false, _) if input.last < target.first || target.last < input.first => None,
        (false, _) => Some(Mark::Anything),
    }
}

fn column<'a>(data: &'a DataSpec, name: &str) -> Option<&'a ColumnSpec> {
    data.columns.iter().find(|c| c.name.node == name)
}

impl<'a> Follow<'a> {
    fn named(&mut self, column: &'a ColumnSpec) -> Reads {
        let name = column.name.node.as_str();
        if self.open.contains(&name) {
            return Reads::default();
        }
        self.open.push(name);
        let reads = self.expr(&column.value, name);
        self.open.pop();
        reads
    }

    /// `name` is the column whose equation this is.
    fn expr(&mut self, expr: &'a ColumnExpr, name: &'a str) -> Reads {
        match &expr.kind {
            ColumnKind::Number(_) | ColumnKind::Text(_) => Reads::default(),
            // A name that is no column is an index of the equation.
            ColumnKind::Name(other) => match column(self.data, other) {
                Some(column) => self.named(column),
                None => Reads::default(),
            },
            ColumnKind::Whole => one(self.whole(name)),
            ColumnKind::Column(reference) => one(self.key(reference)),
            ColumnKind::Columns(references) => {
                side_by_side(references.iter().map(|r| one(self.key(r))).collect())
            }
            ColumnKind::Filled { columns, .. } => self.expr(columns, name),
            ColumnKind::Step { input, step } => self.expr(input, name).map(|read| match step {
                Step::Window(n) => {
                    read.window = Some(*n);
                    let before = i64::try_from(*n).unwrap_or(i64::MAX).saturating_sub(1);
                    read.first = read.first.saturating_sub(before);
                }
                Step::Chars
                | Step::Split(_)
                | Step::Words { .. }
                | Step::Bpe(_)
                | Step::Tokenizer { .. } => {
                    read.symbols = Some(step.clone());
                }
                // Of a window one row; of a block's rows any.
                Step::First if read.window.take().is_some() => read.last = read.first,
                Step::Last if read.window.take().is_some() => read.first = read.last,
                Step::First
                | Step::Last
                | Step::Labels
                | Step::LabelsBut(_)
                | Step::Lower
                | Step::Nfc
                | Step::Log
                | Step::Scale { .. }
                | Step::Zscore
                | Step::Multihot(_)
                | Step::Steps(_)
                | Step::Pixels => {}
            }),
            ColumnKind::Next(value, k) => self.expr(value, name).map(|read| {
                let k = i64::try_from(*k).unwrap_or(i64::MAX);
                read.first = read.first.saturating_add(k);
                read.last = read.last.saturating_add(k);
            }),
            // A length does not tell the symbols.
            ColumnKind::Length(_) => Reads::default(),
            ColumnKind::Unary(_, value) => self.expr(value, name),
            ColumnKind::Binary(op, left, right) => {
                let reads = side_by_side(vec![self.expr(left, name), self.expr(right, name)]);
                match op {
                    Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow => {
                        mixed(reads)
                    }
                    Binary::Min
                    | Binary::Max
                    | Binary::Mod
                    | Binary::Lt
                    | Binary::Le
                    | Binary::Eq
                    | Binary::Ne
                    | Binary::Gt
                    | Binary::Ge
                    | Binary::And
                    | Binary::Or => computed(reads),
                }
            }
            ColumnKind::Choose(cond, yes, no) => {
                let parts = [cond, yes, no].map(|e| self.expr(e, name));
                computed(side_by_side(parts.into()))
            }
            ColumnKind::Uniform { .. } | ColumnKind::Randint { .. } => {
                one(Key::Drawn(name.to_string()))
            }
            ColumnKind::List(parts) => {
                side_by_side(parts.iter().map(|p| self.expr(p, name)).collect())
            }
            ColumnKind::Reduce { value, .. } => computed(self.expr(value, name)),
            ColumnKind::Index(value, _) => self.expr(value, name),
        }
    }

    /// What a step without input reads.
    fn whole(&self, name: &str) -> Key {
        match self.data.source.kind {
            SourceKind::Text(_) | SourceKind::Lines(_) => Key::Whole,
            SourceKind::Csv(_)
            | SourceKind::Tsv(_)
            | SourceKind::Jsonl(_)
            | SourceKind::Tensors(_)
            | SourceKind::Idx { .. }
            | SourceKind::Rows { .. } => self.key(&ColumnRef::Named(name.to_string())),
        }
    }

    /// Names become numbers where the header is known, so that both forms are one key.
    fn key(&self, reference: &ColumnRef) -> Key {
        match reference {
            ColumnRef::At(n) => Key::At(*n),
            ColumnRef::Named(name) => {
                let known = self.header.and_then(|h| h.iter().position(|c| c == name));
                known.map_or_else(|| Key::Named(name.clone()), |at| Key::At(at + 1))
            }
        }
    }
}

impl Reads {
    fn map(mut self, change: impl Fn(&mut Read)) -> Reads {
        self.all.iter_mut().for_each(&change);
        self.plain.iter_mut().for_each(&change);
        self
    }
}

fn one(key: Key) -> Reads {
    let read = Read {
        key,
        first: 0,
        last: 0,
        window: None,
        symbols: None,
    };
    Reads {
        all: vec![read.clone()],
        plain: vec![read],
    }
}

/// What is read twice is listed once.
fn side_by_side(parts: Vec<Reads>) -> Reads {
    let mut out = Reads::default();
    for part in parts {
        for (to, from) in [(&mut out.all, part.all), (&mut out.plain, part.plain)] {
            for read in from {
                if !to.contains(&read) {
                    to.push(read);
                }
            }
        }
    }
    out
}

/// Arithmetic on one column can be undone; on several it is a task of its own.
fn mixed(reads: Reads) -> Reads {
    if reads.all.len() == 1 {
        return reads;
    }
    computed(reads)
}

/// What no longer tells the column's value.
fn computed(reads: Reads) -> Reads {
    Reads {
        plain: Vec::new(),
        ..reads
    }
}
