//! What flows into what: every value of a model, by what it is computed from.
//!
//! In: a [`Model`]. Out: [`Flow`]: its variables and expressions as nodes, each with its sources, what
//! each source's use does to coordinates, and where the node is known to be 0 or −∞. Nothing here
//! knows of a target yet.

use super::facts::{self, Facts};
use super::mark::{Onto, Pass, Place};
use super::uses;
use crate::ast::node::ScanDir;
use crate::check::operands::operands;
use crate::check::program::{Expr, ExprKind, Head, Model, Predict, Scan, Stmt, VarId};

/// Index into [`Flow::nodes`]; those of variables come first, by their own numbers.
pub type NodeId = usize;

#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    Var(VarId, Def<'a>),
    Expr(&'a Expr),
}

/// How a variable is defined.
#[derive(Clone, Copy, Debug)]
pub enum Def<'a> {
    /// An input, or a name nothing is known of.
    Open,
    Let,
    StepInput,
    Context(&'a Scan),
    Before(&'a Scan),
    /// Of states and of the output, after every step.
    Sequence,
    Last(&'a Scan),
}

pub struct Node<'a> {
    pub what: What<'a>,
    pub sources: Vec<(NodeId, Pass)>,
    pub facts: Facts,
}

pub struct Flow<'a> {
    pub model: &'a Model,
    pub nodes: Vec<Node<'a>>,
    /// Most sources before what reads them; states come back to themselves.
    pub order: Vec<NodeId>,
    /// What each prediction is computed from, in the model's order.
    pub heads: Vec<NodeId>,
}

impl<'a> Flow<'a> {
    pub fn new(model: &'a Model) -> Flow<'a> {
        let open = |i: usize| Node {
            what: What::Var(VarId(i as u32), Def::Open),
            sources: Vec::new(),
            facts: Facts::none(),
        };
        let mut flow = Flow {
            model,
            nodes: (0..model.vars.len()).map(open).collect(),
            order: Vec::new(),
            heads: Vec::new(),
        };
        flow.walk(&model.body, 0);
        for predict in &model.predicts {
            let head = flow.expr(head(predict));
            flow.heads.push(head);
        }
        flow
    }

    /// `depth`: how many scans are around.
    fn walk(&mut self, body: &'a [Stmt], depth: usize) {
        for stmt in body {
            match stmt {
                Stmt::Let { var, value } => {
                    let from = self.expr(value);
                    self.nodes[index(*var)].facts = self.nodes[from].facts.clone();
                    let pass = Pass::same(value.shape.len());
                    self.define(*var, Def::Let, vec![(from, pass)]);
                }
                Stmt::Scan(scan) => self.scan(scan, depth),
            }
        }
    }

    fn scan(&mut self, scan: &'a Scan, depth: usize) {
        for (var, value) in &scan.inputs {
            let from = self.expr(value);
            let step = Onto::At(Place::Step(depth), 0);
            let pass = dropped(value.shape.len(), step);
            self.define(*var, Def::StepInput, vec![(from, pass)]);
        }
        for (var, value) in &scan.contexts {
            let from = self.expr(value);
            // Every step is given all steps: none is the step's own.
            let mut pass = Pass::same(value.shape.len());
            for (axis, size) in value.shape.iter().enumerate() {
                if size.mentions(&scan.time) {
                    pass = pass.with(axis, Onto::Free);
                }
            }
            self.define(*var, Def::Context(scan), vec![(from, pass)]);
        }
        let starts: Vec<Option<NodeId>> = scan
            .states
            .iter()
            .map(|s| s.initial.as_ref().map(|e| self.expr(e)))
            .collect();
        // Known before the body is read, completed after it.
        self.order
            .extend(scan.states.iter().map(|s| index(s.before)));
        self.walk(&scan.body, depth + 1);
        for (state, start) in scan.states.iter().zip(starts) {
            let next = self.expr(&state.next);
            let rank = state.next.shape.len();
            let back = match scan.dir {
                ScanDir::Forward => Onto::At(Place::Step(depth), -1),
                ScanDir::Reverse | ScanDir::Both => Onto::Free,
            };
            let start = start.map(|from| (from, Pass::same(rank)));
            let before = std::iter::once((next, Pass::same(rank).with_step(depth, back)));
            let before = before.chain(start.clone()).collect();
            self.complete(state.before, Def::Before(scan), before);
            self.define(
                state.sequence,
                Def::Sequence,
                vec![(next, collected(rank, depth))],
            );
            // After no step at all the last state is the initial one.
            let last = std::iter::once((next, Pass::same(rank).with_step(depth, Onto::Free)));
            self.define(state.last, Def::Last(scan), last.chain(start).collect());
        }
        let output = self.expr(&scan.output);
        let pass = collected(scan.output.shape.len(), depth);
        self.define(scan.sequence, Def::Sequence, vec![(output, pass)]);
    }

    fn define(&mut self, var: VarId, def: Def<'a>, sources: Vec<(NodeId, Pass)>) {
        self.complete(var, def, sources);
        self.order.push(index(var));
    }

    fn complete(&mut self, var: VarId, def: Def<'a>, sources: Vec<(NodeId, Pass)>) {
        let node = &mut self.nodes[index(var)];
        node.what = What::Var(var, def);
        node.sources = sources;
    }

    fn expr(&mut self, expr: &'a Expr) -> NodeId {
        let read = match expr.kind {
            ExprKind::Var(var) => Some((var, 0)),
            ExprKind::Previous(var) => Some((var, -1)),
            _ => None,
        };
        let (sources, facts) = match read {
            Some((var, by)) => {
                let rank = self.model.var(var).shape.len();
                let pass = Pass::same(rank).with(0, Onto::At(Place::Axis(0), by));
                let facts = match by {
                    0 => self.nodes[index(var)].facts.clone(),
                    _ => Facts::none(),
                };
                (vec![(index(var), pass)], facts)
            }
            None => {
                let parts: Vec<(&Expr, NodeId)> = operands(expr)
                    .into_iter()
                    .map(|e| (e, self.expr(e)))
                    .collect();
                let known: Vec<(&Expr, &Facts)> = parts
                    .iter()
                    .map(|(e, id)| (*e, &self.nodes[*id].facts))
                    .collect();
                let passes = uses::passes(expr, &known);
                let facts = facts::of(expr, &known);
                let sources = parts.iter().map(|(_, id)| *id).zip(passes).collect();
                (sources, facts)
            }
        };
        self.nodes.push(Node {
            what: What::Expr(expr),
            sources,
            facts,
        });
        let id = self.nodes.len() - 1;
        self.order.push(id);
        id
    }
}

/// The first axis becomes a scan's step.
fn dropped(rank: usize, step: Onto) -> Pass {
    let axis = |a: usize| match a.checked_sub(1) {
        Some(a) => Onto::axis(a),
        None => step,
    };
    Pass {
        axes: (0..rank).map(axis).collect(),
        step: None,
    }
}

/// A scan's step becomes the first axis.
fn collected(rank: usize, depth: usize) -> Pass {
    Pass::lifted(rank, rank + 1).with_step(depth, Onto::axis(0))
}

fn index(var: VarId) -> NodeId {
    var.0 as usize
}

pub fn head(predict: &Predict) -> &Expr {
    match &predict.head {
        Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e) => e,
    }
}
