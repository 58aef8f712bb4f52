//! A call's steps: what each runs, over how much, and what it costs.
//!
//! In: compiled tasks. Out: [`Step`]s for the driver and the printed plan.

use cranelift_jit::JITModule;
use cranelift_module::FuncId;

use crate::dim::{Dim, Sym};
use crate::schedule::program::BufferId;

/// A task's function: `(table, time, lo, hi, column_lo, column_hi)`, the table from the task's first slot on.
///
/// # Safety
///
/// The table is filled for the program it was compiled for, every buffer in it is valid for the call's sizes, and the
/// ranges lie inside the step's extents. Concurrent calls have tables of their own and disjoint ranges.
pub(crate) type Run = unsafe extern "C" fn(*const i64, i64, i64, i64, i64, i64);

/// An axis that may be divided among workers.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) extent: Dim,
    /// Cuts are at multiples of it.
    pub(crate) grain: usize,
}

/// Nanoseconds on one core, roughly: a sum of coefficients times products of sizes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    terms: Vec<(f64, Vec<Dim>)>,
}

impl Work {
    pub(crate) fn of<'a>(each: f64, sizes: impl IntoIterator<Item = &'a Dim>) -> Work {
        Work {
            terms: vec![(each, sizes.into_iter().cloned().collect())],
        }
    }

    pub(crate) fn add(&mut self, other: &Work) {
        self.terms.extend(other.terms.iter().cloned());
    }

    /// The same, `turns` times.
    pub(crate) fn times(mut self, turns: &Dim) -> Work {
        for (_, sizes) in &mut self.terms {
            sizes.push(turns.clone());
        }
        self
    }

    pub(crate) fn nanoseconds(&self, value: &dyn Fn(&Sym) -> Option<i64>) -> f64 {
        let size = |d: &Dim| d.eval(value).unwrap_or(0) as f64;
        let term = |(each, sizes): &(f64, Vec<Dim>)| each * sizes.iter().map(size).product::<f64>();
        self.terms.iter().map(term).sum()
    }
}

/// A scan's step divided by columns: every worker has a share of the columns of each product and group, at every time,
/// and workers meet where one reads what others wrote.
#[derive(Clone, Debug)]
pub(crate) struct ByColumns {
    pub(crate) turns: Dim,
    pub(crate) reverse: bool,
    /// The batch's size, where there is one.
    pub(crate) rows: Option<Dim>,
    pub(crate) parts: Vec<Part>,
    /// Cuts are at multiples of it, in every part.
    pub(crate) grain: usize,
}

/// A task of a scan's body.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) code: Function,
    /// Where the code is, once it is final.
    pub(crate) run: Option<Run>,
    pub(crate) reach: Reach,
    /// Whether workers meet before it.
    pub(crate) meet: bool,
    /// Where it is timed.
    pub(crate) probe: Option<usize>,
    /// In one step.
    pub(crate) work: Work,
}

/// What a worker runs of a task.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// The first worker all of it, the others nothing: rows and columns.
    First {
        rows: Option<Dim>,
        columns: Option<Dim>,
    },
    /// A group: its share of the last axis.
    Group { columns: usize },
    /// A product: its share of the columns of each of so many blocks that lie side by side, over all rows.
    Product {
        rows: Option<Dim>,
        columns: usize,
        blocks: usize,
    },
}

/// What a step is, for the plan.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Loop,
    Gemm,
    /// Fills the panels of this index; left out of calls that do not use them.
    Pack(usize),
    /// With the other way to run it, where there is one.
    Scan(Option<Box<ByColumns>>),
    Routine,
}

/// A task's code, which several tasks may share, and the first of the task's own slots in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub(crate) id: FuncId,
    pub(crate) slots: usize,
}

/// A compiled task.
#[derive(Clone, Debug)]
pub(crate) struct TaskFn {
    pub(crate) code: Function,
    /// Lines of the plan: the task's own, and those of its body.
    pub(crate) lines: Vec<String>,
    /// The range `lo..hi`; a task that cannot be divided gets `0..1`.
    pub(crate) rows: Option<Split>,
    /// The range of columns, for matrix products.
    pub(crate) columns: Option<Split>,
    pub(crate) work: Work,
}

/// A matrix packed before the steps that use it.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Columns and inner dimension of one packed matrix.
    pub(crate) n: Dim,
    pub(crate) k: Dim,
    /// How many of them.
    pub(crate) blocks: Vec<Dim>,
    /// Rows multiplied with the panels in a call; each entry a product of sizes.
    pub(crate) uses: Vec<Vec<Dim>>,
    /// Whether all elements are 16-bit floats, so that the panels are.
    pub(crate) halves: bool,
    /// What tells one right operand from another.
    pub(crate) key: String,
    /// The right operand's memory.
    pub(crate) source: BufferId,
}

pub(crate) struct Step {
    pub(crate) run: Run,
    pub(crate) kind: Kind,
    /// The task in the program that it is, or packs for.
    pub(crate) place: Vec<usize>,
    pub(crate) task: TaskFn,
}

impl Step {
    pub(crate) fn new(task: TaskFn, mut kind: Kind, place: Vec<usize>, module: &JITModule) -> Step {
        let run = |code: Function| {
            let address = module.get_finalized_function(code.id);
            // SAFETY: every task's function is compiled with this signature.
            unsafe { std::mem::transmute::<*const u8, Run>(address) }
        };
        if let Kind::Scan(Some(by_columns)) = &mut kind {
            for part in &mut by_columns.parts {
                part.run = Some(run(part.code));
            }
        }
        Step {
            run: run(task.code),
            kind,
            place,
            task,
        }
    }

    /// Whether it packs a matrix.
    pub(crate) fn pack(&self) -> bool {
        matches!(self.kind, Kind::Pack(_))
    }
}
