//! Definitions to shaped programs: every cell, block and function inlined at its use, shapes found
//! by unification on the way.
//!
//! In: one model (or one definition on its own), its names sorted, and the other definitions. Out:
//! a [`Model`], or diagnostics. A value whose shape is unknown because of an error is
//! [`Value::Poison`]; whatever depends on it is silent.
//!
//! ```text
//!  alone, predict    a definition by itself; a model: where elaboration starts
//!  body              declarations, then equations in order
//!  expr ─ ops, product, reduce, time, random, call      what stands right of `=`
//!  index ─ over, condition, contraction, diagonal       index form
//!  layer ─ make, linear, cell, scan ─ input, state      what stands right of `|>`
//!  size, init        round brackets; how weights start
//!  finish            sizes put in, limits, the Model
//! ```

mod alone;
mod body;
mod call;
mod cell;
mod condition;
mod contraction;
mod diagonal;
mod ending;
mod expr;
mod finish;
mod function;
mod index;
mod init;
mod input;
mod instance;
mod layer;
mod linear;
mod make;
mod ops;
mod over;
mod position;
mod predict;
mod product;
mod random;
mod reduce;
mod route;
mod scan;
mod size;
mod state;
mod time;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::defs::{Defs, Entry, FnEntry, Globals};
use super::program::{self, Expr, ExprKind, Input, Limit, Model, Reduced, Stmt, Var, VarId};
use super::solve::Solver;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

use cell::Inner;
use index::{Index, Mark};
use init::Weight;
use instance::{Layer, LayerKind, Taken};
use state::StateSlot;
use value::{Tensor, Value, deeper};

/// Index of a layer: an instance with weights, shared by every use of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LayerId(usize);

/// Inlined expressions in one model; more is a definition that multiplies itself.
const MAX_EXPRS: usize = 100_000;
/// The same for all definitions and models of a file together.
const MAX_EXPRS_OF_FILE: usize = 200_000;
/// Definitions inside definitions.
const MAX_DEPTH: usize = 64;
/// Levels of one inlined expression before its value gets a name.
const MAX_NESTING: usize = 24;

/// What a name means while a body is elaborated.
#[derive(Clone, Debug)]
enum Binding {
    Value(Value),
    /// A weight, made when first read.
    Param(usize),
    Layer(LayerId),
    /// A cell inside a cell.
    Inner(Rc<std::cell::RefCell<Inner>>),
    /// A value of an equation not elaborated yet, or one in a cycle.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Model,
    Cell,
    Block,
    Function,
}

/// One use of a definition.
#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    globals: Rc<Globals>,
    sizes: BTreeMap<String, Dim>,
    names: BTreeMap<String, Binding>,
    layer: LayerId,
    /// The indices of the equation being elaborated.
    indices: BTreeMap<String, Index>,
}

/// A run of statements under construction: the model's, or a scan's body.
#[derive(Debug, Default)]
struct Block {
    stmts: Vec<Stmt>,
    states: Vec<StateSlot>,
}

struct Elab<'a, 'd> {
    defs: &'a mut Defs<'d>,
    solver: Solver,
    diagnostics: Vec<Diagnostic>,
    vars: Vec<Var>,
    var_names: BTreeSet<String>,
    /// The last number given to tell variables of one name apart.
    suffixes: BTreeMap<String, usize>,
    /// Names that the model declares.
    reserved: BTreeSet<String>,
    weights: Vec<Weight>,
    weights_used: usize,
    inputs: Vec<Input>,
    layers: Vec<Layer>,
    blocks: Vec<Block>,
    watches: Vec<(String, VarId)>,
    limits: Vec<Limit>,
    /// Indices that a condition compares with each other.
    compared: Vec<(Mark, Mark)>,
    /// Names told to be an index and something else: one error each.
    clashing: BTreeSet<String>,
    reduced: BTreeMap<Span, Reduced>,
    /// A definition is checked, and no model.
    by_itself: bool,
    /// Indices declared so far.
    marks: u32,
    random_paths: Taken,
    scan_paths: Taken,
    /// `softmax(x)` and its like behind a name, so that a prediction can be taken apart.
    lets: BTreeMap<VarId, Expr>,
    /// Definitions being inlined, outermost first.
    stack: Vec<String>,
    exprs: usize,
    /// Something was refused as not available: no model comes out, but it is no mistake.
    incomplete: bool,
    /// Sizes to be found, where they were introduced, and what for.
    wanted: Vec<(Dim, Span, String)>,
}

impl<'a, 'd> Elab<'a, 'd> {
    fn new(defs: &'a mut Defs<'d>, root: Span) -> Elab<'a, 'd> {
        Elab {
            defs,
            solver: Solver::default(),
            diagnostics: Vec::new(),
            vars: Vec::new(),
            var_names: BTreeSet::new(),
            suffixes: BTreeMap::new(),
            reserved: BTreeSet::new(),
            weights: Vec::new(),
            weights_used: 0,
            inputs: Vec::new(),
            layers: vec![Layer::new(LayerKind::Root, String::new(), root)],
            blocks: vec![Block::default()],
            watches: Vec::new(),
            limits: Vec::new(),
            compared: Vec::new(),
            clashing: BTreeSet::new(),
            reduced: BTreeMap::new(),
            by_itself: false,
            marks: 0,
            random_paths: Taken::default(),
            scan_paths: Taken::default(),
            lets: BTreeMap::new(),
            stack: Vec::new(),
            exprs: 0,
            incomplete: false,
            wanted: Vec::new(),
        }
    }

    /// Reports a mistake; the value it would have had is unknown.
    fn error(&mut self, d: Diagnostic) -> Value {
        self.diagnostics.push(d);
        Value::Poison
    }

    /// Refuses what the language has and this compiler does not yet: a warning when checking, an
    /// error when the model is to be run.
    fn unavailable(&mut self, what: &str, span: Span) -> Value {
        self.incomplete = true;
        let d = Diagnostic::warning(
            super::UNAVAILABLE,
            format!("{what} cannot be compiled by this version yet"),
        );
        self.error(d.label(span, "used here"))
    }

    fn fresh_var(&mut self, name: &str, shape: Vec<Dim>, span: Span) -> VarId {
        // Names of the model itself go before those of the bodies inlined in it.
        let own = self.stack.len() <= 1;
        let mut unique = name.to_string();
        if (!own && self.reserved.contains(name)) || self.var_names.contains(name) {
            let n = self.suffixes.entry(unique.clone()).or_insert(0);
            while self.var_names.contains(&unique) || self.reserved.contains(&unique) {
                *n += 1;
                unique = format!("{name}.{n}");
            }
        }
        self.var_names.insert(unique.clone());
        let id = VarId(self.vars.len() as u32);
        self.vars.push(Var {
            name: unique,
            shape,
            span,
        });
        id
    }

    /// Gives a value a name in the current body, unless it is one already.
    fn bind(&mut self, name: &str, value: Tensor, span: Span) -> Tensor {
        if matches!(
            value.expr.kind,
            ExprKind::Var(_) | ExprKind::Param(_) | ExprKind::Number(_)
        ) || value.pending.is_some()
        {
            return value;
        }
        let shape = value.expr.shape.clone();
        let var = self.fresh_var(name, shape.clone(), span);
        if matches!(value.expr.kind, ExprKind::Softmax(_) | ExprKind::Unary(..)) {
            self.lets.insert(var, value.expr.clone());
        }
        self.emit(Stmt::Let {
            var,
            value: value.expr,
        });
        Tensor {
            expr: Expr {
                kind: ExprKind::Var(var),
                shape,
                span,
            },
            ..value
        }
    }

    /// Gives a name to the value of an inlined body where it is nested deeply: blocks in blocks would
    /// nest without a limit, and what walks an expression calls itself.
    fn shallow(&mut self, value: Value, name: &str, span: Span) -> Value {
        match value {
            Value::Tensor(t) if deeper(&t.expr, MAX_NESTING) => {
                self.bind(&name.to_lowercase(), *t, span).into()
            }
            value => value,
        }
    }

    fn emit(&mut self, stmt: Stmt) {
        if let Some(block) = self.blocks.last_mut() {
            block.stmts.push(stmt);
        }
    }

    /// A path inside `layer` that nothing else there has: `linear`, `linear_2`.
    fn sub_path(&mut self, layer: LayerId, name: &str) -> String {
        let l = &mut self.layers[layer.0];
        let part = l.used.give(name);
        match l.path.is_empty() {
            true => part,
            false => format!("{}.{part}", l.path),
        }
    }

    /// A stable name for a random draw inside `layer`.
    fn random_path(&mut self, layer: LayerId, what: &str) -> String {
        let base = match self.layers[layer.0].path.as_str() {
            "" => what.to_string(),
            path => format!("{path}.{what}"),
        };
        self.random_paths.give(&base)
    }

    /// Counts inlined expressions; false once there are too many.
    fn spend(&mut self, span: Span) -> bool {
        self.exprs += 1;
        self.defs.spent += 1;
        if self.defs.spent == MAX_EXPRS_OF_FILE {
            self.diagnostics.push(
                Diagnostic::error(
                    "limit::expansion",
                    format!("inlined, the file has more than {MAX_EXPRS_OF_FILE} expressions"),
                )
                .label(span, "at this one"),
            );
        }
        if self.exprs == MAX_EXPRS && self.defs.spent < MAX_EXPRS_OF_FILE {
            self.diagnostics.push(
                Diagnostic::error(
                    "limit::expansion",
                    format!("inlined, the model has more than {MAX_EXPRS} expressions"),
                )
                .label(span, "at this one"),
            );
        }
        self.exprs < MAX_EXPRS && self.defs.spent < MAX_EXPRS_OF_FILE
    }

    /// Enters a definition; an error where it is being inlined already or lies too deep.
    fn enter(&mut self, name: &str, span: Span) -> bool {
        if let Some(at) = self.stack.iter().position(|n| n == name) {
            let ring = [&self.stack[at..], &[name.to_string()]]
                .concat()
                .join(" → ");
            self.error(
                Diagnostic::error(
                    "cell::contains-itself",
                    format!("`{name}` contains itself, so it would never end"),
                )
                .label(span, ring),
            );
            return false;
        }
        if self.stack.len() >= MAX_DEPTH {
            self.error(
                Diagnostic::error(
                    "limit::expansion",
                    format!("definitions are nested more than {MAX_DEPTH} deep"),
                )
                .label(span, "at this one"),
            );
            return false;
        }
        self.stack.push(name.to_string());
        true
    }

    fn leave(&mut self) {
        self.stack.pop();
    }
}

/// Elaborates a model. `None` where it has errors or needs what is not available.
pub fn model(defs: &mut Defs, entry: &Entry, out: &mut Vec<Diagnostic>) -> Option<Model> {
    let mut e = Elab::new(defs, entry.def.name.span);
    let built = e.model(entry);
    out.append(&mut e.diagnostics);
    built
}

/// Checks a cell or block on its own: sizes of its head and inputs are symbols nobody can choose.
pub fn definition(defs: &mut Defs, entry: &Rc<Entry>, out: &mut Vec<Diagnostic>) {
    let mut e = Elab::new(defs, entry.def.name.span);
    e.by_itself = true;
    e.alone(entry);
    out.append(&mut e.diagnostics);
}

/// Checks a function on its own, as far as its parameters have types.
pub fn function(defs: &mut Defs, entry: &Rc<FnEntry>, out: &mut Vec<Diagnostic>) {
    let mut e = Elab::new(defs, entry.def.name.span);
    e.by_itself = true;
    e.function_alone(entry);
    out.append(&mut e.diagnostics);
}

/// A number as an expression.
fn number(n: f64, span: Span) -> Expr {
    Expr {
        kind: program::ExprKind::Number(n),
        shape: Vec::new(),
        span,
    }
}
