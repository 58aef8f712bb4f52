//! Scheduled tasks to machine code.
//!
//! In: a [`Program`]. Out: [`Compiled`]: executable memory, and the steps of a call in order, each a function
//! `(table, time, lo, hi, column_lo, column_hi)` over ranges that may be divided among workers.
//!
//! ```text
//!                                                            points (math, power)
//! program ─ table (what code reads of a call) ─┬─ nest ─ loops ─ lanes (address) ─┐
//!                                              │  folds, wide(_…), row_functions │
//!                                              ├─ gemm ──────────────────────────┼─▶ machine (module, code)
//!                                              └─ scan (ahead), routine (rowwise) ┘
//!                                                 (apart: workers by rows; by_columns, meet: within a step)
//! ```
//!
//! One compile serves every batch size and length: static sizes are constants, the others are read from the table. Time is
//! a loop in code, never unrolled.

mod address;
pub(crate) mod ahead;
mod apart;
pub(crate) mod asm;
mod by_columns;
mod calls;
mod draft;
mod floats;
mod folds;
mod gemm;
mod lanes;
mod loops;
pub(crate) mod machine;
pub(crate) mod math;
mod meet;
mod nest;
mod panels;
mod points;
mod power;
pub(crate) mod probe;
mod recast;
mod routine;
mod row_functions;
mod rowwise;
mod scan;
mod sequence;
pub(crate) mod step;
pub(crate) mod table;
mod wide;
mod wide_columns;
mod wide_ops;

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use cranelift_codegen::Context;
use cranelift_codegen::ir::UserFuncName;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module};

use self::asm::Asm;
use self::draft::Draft;
pub(crate) use self::draft::Text;
use self::machine::{Code, Effort, Machine, internal};
use self::step::{Function, Panel, Step, TaskFn};
use self::table::Table;
use super::isa::{Cpu, Isa};
use super::kernels::Kernels;
use super::pool::Pool;
use crate::diagnostics::Diagnostic;
use crate::schedule::narrow::narrow;
use crate::schedule::program::{BufferId, Program};

/// What the code generator is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) cpu: Cpu,
    pub(crate) effort: Effort,
    /// Whether Cranelift's verifier looks over every function.
    pub(crate) verify: bool,
    /// Whether to keep each function's text.
    pub(crate) texts: bool,
    /// Whether the code tells what its tasks take.
    pub(crate) profile: bool,
    /// Whether scans can also be divided by columns.
    pub(crate) by_columns: bool,
}

/// A program's code and what a call has to do.
pub(crate) struct Compiled {
    pub(crate) steps: Vec<Step>,
    pub(crate) panels: Vec<Panel>,
    /// Right operands that some product reads as they lie.
    pub(crate) direct: BTreeSet<BufferId>,
    pub(crate) table: Table,
    /// Columns and inner dimension of every product that may pack as it goes.
    pub(crate) products: Vec<[crate::dim::Dim; 2]>,
    pub(crate) texts: Vec<Text>,
    /// Tasks in scans, in code that is profiled.
    pub(crate) probes: Vec<probe::Probe>,
    pub(crate) ahead: Vec<ahead::Ahead>,
    /// After what points into it.
    pub(crate) code: Code,
}

/// Compiles for `kernels`, functions divided among `pool`.
pub(crate) fn compile(
    program: &Program,
    request: Request,
    kernels: &'static Kernels,
    pool: &Pool,
) -> Result<Compiled, Diagnostic> {
    let machine = Machine::new(request.cpu.isa, request.effort, request.verify)?;
    let isa = machine.isa.clone();
    let mut builder = JITBuilder::with_isa(machine.isa, cranelift_module::default_libcall_names());
    calls::register(&mut builder, kernels);
    let mut generator = Generator {
        program,
        kernels,
        fma: machine.fma,
        texts: request.texts,
        table: Table::new(&program.dims),
        module: JITModule::new(builder),
        context: FunctionBuilderContext::new(),
        panels: Vec::new(),
        halves: narrow(program),
        direct: BTreeSet::new(),
        products: Vec::new(),
        drafts: Vec::new(),
        known: HashMap::new(),
        probes: request.profile.then(Vec::new),
        place: Vec::new(),
        by_columns: request.by_columns,
        ahead: Vec::new(),
        rows: row_functions::Rows {
            reciprocal: request.cpu.reciprocal,
            on: request.cpu.isa == Isa::Avx512 && cfg!(target_arch = "x86_64"),
            texts: request.texts,
            ..row_functions::Rows::default()
        },
    };
    let steps = generator.steps()?;
    let drafts = std::mem::take(&mut generator.drafts);
    let rows = std::mem::take(&mut generator.rows.all);
    let mut module = generator.module;
    let texts = draft::define(drafts, rows, &mut module, &*isa, pool)?;
    let steps = steps.into_iter().map(|s| s.at(&module)).collect();
    Ok(Compiled {
        steps,
        panels: generator.panels,
        direct: generator.direct,
        table: generator.table,
        products: generator.products,
        texts,
        probes: generator.probes.unwrap_or_default(),
        ahead: generator.ahead,
        code: Code::new(module),
    })
}

/// What is made while tasks are compiled.
pub(crate) struct Generator<'p> {
    program: &'p Program,
    kernels: &'static Kernels,
    fma: bool,
    texts: bool,
    table: Table,
    module: JITModule,
    context: FunctionBuilderContext,
    panels: Vec<Panel>,
    /// Buffers whose elements are all 16-bit floats.
    halves: BTreeSet<BufferId>,
    direct: BTreeSet<BufferId>,
    products: Vec<[crate::dim::Dim; 2]>,
    /// Functions so far.
    drafts: Vec<Draft>,
    /// Functions so far by their code's hash: indices of `drafts`.
    known: HashMap<u64, Vec<usize>>,
    /// Tasks in scans so far, where they are to be timed.
    probes: Option<Vec<probe::Probe>>,
    /// Where the task under construction stands.
    place: Vec<usize>,
    /// Whether scans are compiled to be divided by columns too.
    by_columns: bool,
    /// Products made while their scan runs.
    ahead: Vec<ahead::Ahead>,
    rows: row_functions::Rows,
}

impl Generator<'_> {
    /// Drafts one function, or finds the one that has the same code; `emit` fills it.
    fn function(
        &mut self,
        kind: &str,
        name: &str,
        emit: impl FnOnce(&mut Asm<'_, '_>) -> Result<(), Diagnostic>,
    ) -> Result<Function, Diagnostic> {
        let plain: String = name
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "._".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let name = format!(
            "{}.{:03}.{kind}.{plain}",
            self.program.name,
            self.drafts.len()
        );
        let mut context: Context = self.module.make_context();
        context.func.signature = asm::task_signature(&self.module);
        context.func.name = UserFuncName::testcase(name.as_bytes());
        let slots = self.table.begin();
        let builder = FunctionBuilder::new(&mut context.func, &mut self.context);
        let mut asm = Asm::begin(
            builder,
            &mut self.module,
            &mut self.table,
            self.fma,
            &mut self.rows,
        );
        emit(&mut asm)?;
        asm.finish();
        let mut hasher = DefaultHasher::new();
        context.func.stencil.hash(&mut hasher);
        let alike = self.known.entry(hasher.finish()).or_default();
        let same = |i: &&usize| {
            let (a, b) = (&self.drafts[**i].context.func, &context.func);
            a.stencil == b.stencil && a.params.user_named_funcs() == b.params.user_named_funcs()
        };
        if let Some(i) = alike.iter().find(same) {
            let id = self.drafts[*i].id;
            return Ok(Function { id, slots });
        }
        alike.push(self.drafts.len());
        let id = self
            .module
            .declare_function(&name, Linkage::Export, &context.func.signature)
            .map_err(|e| internal(&e))?;
        self.drafts.push(Draft {
            id,
            name,
            clif: self.texts.then(|| context.func.display().to_string()),
            context,
        });
        Ok(Function { id, slots })
    }

    fn elem(&self, v: &crate::schedule::program::View) -> crate::schedule::program::Elem {
        self.program.buffer(v.buffer).elem
    }
}

/// A step whose code is not final yet.
pub(crate) struct Pending {
    task: TaskFn,
    kind: step::Kind,
    place: usize,
}

impl Pending {
    fn at(self, module: &JITModule) -> Step {
        Step::new(self.task, self.kind, vec![self.place], module)
    }
}
