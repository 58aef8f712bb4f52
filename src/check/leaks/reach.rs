//! How far into the answer each value of a model can see.
//!
//! In: a [`Model`], one of its targets, and any inputs that hold the same data. Out: a [`Reach`] for
//! every value, and the path along which a value got it.
//!
//! The analysis is a least fixed point over the values of the model. A value's position in time is
//! its own step along the target's time axis, or, inside a scan over that axis, the step the scan is
//! at. A value that has neither has no position: if it depends on the answer at all, it may depend on
//! any step of it. What has no rule of its own is taken to see everything.
//! Long because every kind of expression has its rule here.

use std::collections::BTreeMap;

use super::graph::{Def, Graph, Scope};
use crate::ast::node::ScanDir;
use crate::check::program::{Expr, ExprKind, Model, Scan, VarId};
use crate::dim::{Dim, Sym};
use crate::span::Span;

/// What a value at step t depends on. The order is that of seeing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    Nothing,
    /// Steps up to t + k of the answer.
    UpTo(i64),
    /// Any step.
    Everything,
}

impl Reach {
    /// Whether a prediction may depend on this: only on steps before its own.
    pub fn is_past(self) -> bool {
        match self {
            Reach::Nothing => true,
            Reach::UpTo(k) => k < 0,
            Reach::Everything => false,
        }
    }

    fn through(self, pass: Pass) -> Reach {
        match (self, pass) {
            (Reach::Nothing, _) => Reach::Nothing,
            (r, Pass::Same) => r,
            (Reach::UpTo(k), Pass::Shift(by)) => Reach::UpTo(k.saturating_add(by)),
            // Step 0 of what sees only earlier steps sees none.
            (Reach::UpTo(k), Pass::First) if k < 0 => Reach::Nothing,
            (_, Pass::Shift(_) | Pass::First | Pass::Whole) => Reach::Everything,
        }
    }
}

/// What a use does to the reach of what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Same,
    Shift(i64),
    /// Step 0 only.
    First,
    /// All steps at once, or in an order that is not known.
    Whole,
}

/// A value of the model: a variable, or an expression in its scope.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    Var(VarId),
    Expr(&'a Expr, Scope),
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Node(Node<'a>),
    /// The answer itself, and how far its use sees.
    Answer(Reach),
}

/// The reach of every value into one target.
pub struct Reaches<'g, 'a> {
    graph: &'g Graph<'a>,
    target: VarId,
    /// The target's own time axis.
    time: Option<Sym>,
    /// The target, and inputs that hold its data.
    answers: BTreeMap<VarId, Reach>,
    vars: Vec<Reach>,
    /// How each variable came to its reach, in order.
    events: Vec<Vec<Event<'a>>>,
}

/// One step of a path from a prediction down to the answer, and what it saw when the path was made.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub node: Node<'a>,
    pub reach: Reach,
}

/// A variable came to see more: by these steps, and by what had happened to the last one's source.
struct Event<'a> {
    steps: Vec<Step<'a>>,
    next: Option<Cause>,
}

#[derive(Clone, Copy)]
struct Cause {
    var: VarId,
    event: usize,
}

impl<'g, 'a> Reaches<'g, 'a> {
    /// `aliases`: inputs that hold the target's data, and how far each of their steps sees into it.
    pub fn new(
        graph: &'g Graph<'a>,
        target: VarId,
        aliases: &BTreeMap<VarId, Reach>,
    ) -> Reaches<'g, 'a> {
        let time = own_time(graph.model, target);
        let mut answers = aliases.clone();
        let own = match time {
            Some(_) => Reach::UpTo(0),
            None => Reach::Everything,
        };
        answers.insert(target, own);
        let mut reaches = Reaches {
            graph,
            target,
            time,
            answers,
            vars: vec![Reach::Nothing; graph.model.vars.len()],
            events: graph.model.vars.iter().map(|_| Vec::new()).collect(),
        };
        reaches.settle();
        reaches
    }

    fn settle(&mut self) {
        // Ends: a reach only grows, and no cycle of uses adds to a step.
        loop {
            let mut changed = false;
            for var in &self.graph.order {
                let now = self.gather(Node::Var(*var));
                if now > self.vars[var.0 as usize] {
                    let (mut steps, next) = self.descend(Node::Var(*var));
                    steps[0].reach = now;
                    self.events[var.0 as usize].push(Event { steps, next });
                    self.vars[var.0 as usize] = now;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// The reach of an expression of the model's own scope.
    pub fn of(&self, expr: &'a Expr) -> Reach {
        self.reach(Node::Expr(expr, 0))
    }

    fn reach(&self, node: Node<'a>) -> Reach {
        match node {
            Node::Var(var) => self.vars[var.0 as usize],
            Node::Expr(..) => self.gather(node),
        }
    }

    /// The most that any of a value's sources brings in.
    fn gather(&self, node: Node<'a>) -> Reach {
        self.sources(node)
            .into_iter()
            .map(|(source, pass)| self.brought(node, source, pass))
            .max()
            .unwrap_or(Reach::Nothing)
    }

    /// What one source brings into a value.
    fn brought(&self, node: Node<'a>, source: Source<'a>, pass: Pass) -> Reach {
        let reach = match source {
            Source::Answer(reach) => reach,
            Source::Node(from) => self.reach(from),
        };
        let (shape, scope) = match node {
            Node::Var(var) => (
                &self.graph.model.var(var).shape,
                self.graph.places[var.0 as usize].scope,
            ),
            Node::Expr(expr, scope) => (&expr.shape, scope),
        };
        self.placed(reach.through(pass), shape, scope)
    }

    /// A reach counted from the value's own step, where the value has exactly one position in time.
    fn placed(&self, reach: Reach, shape: &[Dim], scope: Scope) -> Reach {
        let (Reach::UpTo(_), Some(time)) = (reach, &self.time) else {
            return match reach {
                Reach::Nothing => Reach::Nothing,
                Reach::UpTo(_) | Reach::Everything => Reach::Everything,
            };
        };
        let axes = shape.iter().filter(|d| d.mentions(time)).count();
        let exact = shape.iter().filter(|d| d.as_sym() == Some(time)).count();
        let steps = self.scans_time(scope);
        match (steps, axes, exact) {
            (0, 1, 1) | (1, 0, 0) => reach,
            _ => Reach::Everything,
        }
    }

    /// How many of the scans around a scope run along the target's time.
    fn scans_time(&self, scope: Scope) -> usize {
        let times = &self.graph.scopes[scope];
        times
            .iter()
            .filter(|t| Some(*t) == self.time.as_ref())
            .count()
    }

    fn is_time(&self, dim: Option<&Dim>) -> bool {
        match (dim, &self.time) {
            (Some(dim), Some(time)) => dim.mentions(time),
            (None, _) | (_, None) => false,
        }
    }

    fn sources(&self, node: Node<'a>) -> Vec<(Source<'a>, Pass)> {
        match node {
            Node::Var(var) => self.definition(var),
            Node::Expr(expr, scope) => self.operands(expr, scope),
        }
    }

    fn definition(&self, var: VarId) -> Vec<(Source<'a>, Pass)> {
        let place = &self.graph.places[var.0 as usize];
        let here = |e| Source::Node(Node::Expr(e, place.scope));
        let across = |e| Source::Node(Node::Expr(e, place.other));
        let along = |scan: &Scan| Some(&scan.time) == self.time.as_ref();
        match place.def {
            Def::Open => Vec::new(),
            Def::Let(value) => vec![(here(value), Pass::Same)],
            Def::StepInput(value) => vec![(across(value), Pass::Same)],
            Def::Context(scan, value) => {
                let pass = if along(scan) { Pass::Whole } else { Pass::Same };
                vec![(across(value), pass)]
            }
            Def::Before(scan, state) => {
                let (step, start) = match (along(scan), scan.dir) {
                    (false, _) => (Pass::Same, Pass::Same),
                    (true, ScanDir::Forward) => (Pass::Shift(-1), Pass::Whole),
                    (true, ScanDir::Reverse | ScanDir::Both) => (Pass::Whole, Pass::Whole),
                };
                let mut sources = vec![(here(&state.next), step)];
                if let Some(initial) = &state.initial {
                    sources.push((across(initial), start));
                }
                sources
            }
            Def::Sequence(value) => vec![(across(value), Pass::Same)],
            Def::Last(scan, state) => {
                let pass = if along(scan) { Pass::Whole } else { Pass::Same };
                let mut sources = vec![(across(&state.next), pass)];
                // After no step at all the last state is the initial one.
                if let Some(initial) = &state.initial {
                    sources.push((here(initial), pass));
                }
                sources
            }
        }
    }

    fn operands(&self, expr: &'a Expr, scope: Scope) -> Vec<(Source<'a>, Pass)> {
        let node = |e: &'a Expr| Source::Node(Node::Expr(e, scope));
        let same = |e: &'a Expr| (node(e), Pass::Same);
        let contracted = |e: &'a Expr| {
            let whole = self.is_time(e.shape.last());
            (node(e), if whole { Pass::Whole } else { Pass::Same })
        };
        match &expr.kind {
            ExprKind::Number(_)
            | ExprKind::Param(_)
            | ExprKind::Normal { .. }
            | ExprKind::Index
            | ExprKind::Steps(_)
            | ExprKind::Reveal(_) => Vec::new(),
            ExprKind::Var(var) => {
                // A value from outside a scan is the same at every step of it.
                let outside = self.graph.places[var.0 as usize].scope;
                let inward = self.scans_time(scope) > self.scans_time(outside);
                let pass = if inward { Pass::Whole } else { Pass::Same };
                match self.answers.get(var) {
                    Some(reach) => vec![(Source::Answer(*reach), pass)],
                    None => vec![(Source::Node(Node::Var(*var)), pass)],
                }
            }
            ExprKind::Previous(var) => match self.answers.get(var) {
                Some(reach) => vec![(Source::Answer(*reach), Pass::Shift(-1))],
                None => vec![(Source::Node(Node::Var(*var)), Pass::Shift(-1))],
            },
            ExprKind::Delay { value, by } => {
                let pass = if self.is_time(value.shape.first()) {
                    Pass::Shift(-i64::from(*by))
                } else {
                    Pass::Same
                };
                vec![(node(value), pass)]
            }
            ExprKind::Unary(_, value) => vec![same(value)],
            ExprKind::Binary(_, left, right) => vec![same(left), same(right)],
            ExprKind::Choose(cond, yes, no) => vec![same(cond), same(yes), same(no)],
            ExprKind::Dot(left, right) => vec![contracted(left), contracted(right)],
            ExprKind::Concat(parts) => parts.iter().map(contracted).collect(),
            ExprKind::Contract { left, right, .. } => [left, right]
                .into_iter()
                .map(|e| {
                    let along = e.shape.iter().any(|d| self.is_time(Some(d)));
                    (node(e), if along { Pass::Whole } else { Pass::Same })
                })
                .collect(),
            ExprKind::Where { value, .. } | ExprKind::Top { value, .. } => vec![contracted(value)],
            ExprKind::Expand { value, .. } => vec![same(value)],
            ExprKind::Split { value, .. } => vec![contracted(value)],
            ExprKind::Reduce { value, axis, .. } => {
                let whole = self.is_time(value.shape.get(*axis));
                vec![(node(value), if whole { Pass::Whole } else { Pass::Same })]
            }
            ExprKind::Softmax(value) => vec![contracted(value)],
            ExprKind::First(value) => {
                let first = self.is_time(value.shape.first());
                vec![(node(value), if first { Pass::First } else { Pass::Same })]
            }
            ExprKind::Last(value) => {
                let whole = self.is_time(value.shape.first());
                vec![(node(value), if whole { Pass::Whole } else { Pass::Same })]
            }
            ExprKind::Embed { index, .. } => vec![same(index)],
            ExprKind::Dropout { value, .. } => vec![same(value)],
            ExprKind::Zoneout { old, new, .. } => vec![same(old), same(new)],
        }
    }

    /// From a value down through what brings most into it, to the next variable or the answer.
    fn descend(&self, from: Node<'a>) -> (Vec<Step<'a>>, Option<Cause>) {
        let mut steps = Vec::new();
        let mut node = from;
        loop {
            steps.push(Step {
                node,
                reach: self.reach(node),
            });
            let most = self
                .sources(node)
                .into_iter()
                .rev()
                .max_by_key(|(source, pass)| self.brought(node, *source, *pass));
            match most {
                Some((Source::Node(Node::Var(var)), _)) => {
                    let event = self.events[var.0 as usize].len().checked_sub(1);
                    return (steps, event.map(|event| Cause { var, event }));
                }
                Some((Source::Node(next), _)) => node = next,
                Some((Source::Answer(_), _)) | None => return (steps, None),
            }
        }
    }

    /// The way from a prediction down to the answer, the prediction's end first.
    pub fn path(&self, expr: &'a Expr) -> Vec<Step<'a>> {
        let (mut path, mut next) = self.descend(Node::Expr(expr, 0));
        // Each event was caused by an earlier one, so this ends.
        while let Some(cause) = next {
            let event = &self.events[cause.var.0 as usize][cause.event];
            path.extend(event.steps.iter().copied());
            next = event.next;
        }
        path
    }

    /// The place to show for a value, and what it does there, where there is something to say.
    pub fn about(&self, node: Node<'a>) -> (Span, Option<String>) {
        let model = self.graph.model;
        match node {
            Node::Var(var) => {
                let v = model.var(var);
                let time = self.time.as_ref();
                let along = |scan: &Scan| Some(&scan.time) == time;
                match self.graph.places[var.0 as usize].def {
                    Def::Let(_) => (v.span, Some(format!("`{}` carries it", v.name))),
                    Def::Context(scan, _) => (
                        scan.span,
                        Some(format!("`{}` is given it whole", scan.cell)),
                    ),
                    Def::Before(scan, _) if along(scan) && scan.dir != ScanDir::Forward => {
                        let text = format!("`{}` runs from the last step back", scan.cell);
                        (scan.span, Some(text))
                    }
                    Def::Before(scan, _) => {
                        (scan.span, Some(format!("`{}` starts from it", scan.cell)))
                    }
                    Def::Last(scan, _) => (
                        scan.span,
                        Some(format!("`{}` has read all of it at its end", scan.cell)),
                    ),
                    Def::Open | Def::StepInput(..) | Def::Sequence(..) => (v.span, None),
                }
            }
            Node::Expr(expr, _) => {
                let text = match &expr.kind {
                    ExprKind::Var(var) if self.answers.contains_key(var) => {
                        let name = &model.var(*var).name;
                        Some(match (*var == self.target, &self.time) {
                            (true, Some(_)) => format!("`{name}`, at the step it predicts"),
                            (true, None) => format!("`{name}`, the answer itself"),
                            (false, _) => format!("`{name}` holds the answer"),
                        })
                    }
                    ExprKind::Previous(_) => Some("the answer, one step before".into()),
                    ExprKind::Reduce { value, axis, .. }
                        if self.is_time(value.shape.get(*axis)) =>
                    {
                        self.whole()
                    }
                    ExprKind::Softmax(value) if self.is_time(value.shape.last()) => self.whole(),
                    ExprKind::Dot(left, right)
                        if self.is_time(left.shape.last()) || self.is_time(right.shape.last()) =>
                    {
                        self.whole()
                    }
                    ExprKind::Last(value) if self.is_time(value.shape.first()) => {
                        Some("taken from the last step".into())
                    }
                    ExprKind::First(value) if self.is_time(value.shape.first()) => {
                        Some("step 0 seen from every step".into())
                    }
                    ExprKind::Number(_)
                    | ExprKind::Var(_)
                    | ExprKind::Param(_)
                    | ExprKind::Delay { .. }
                    | ExprKind::Unary(..)
                    | ExprKind::Binary(..)
                    | ExprKind::Choose(..)
                    | ExprKind::Dot(..)
                    | ExprKind::Concat(_)
                    | ExprKind::Expand { .. }
                    | ExprKind::Contract { .. }
                    | ExprKind::Where { .. }
                    | ExprKind::Index
                    | ExprKind::Steps(_)
                    | ExprKind::Top { .. }
                    | ExprKind::Split { .. }
                    | ExprKind::Reduce { .. }
                    | ExprKind::Softmax(_)
                    | ExprKind::First(_)
                    | ExprKind::Last(_)
                    | ExprKind::Embed { .. }
                    | ExprKind::Dropout { .. }
                    | ExprKind::Zoneout { .. }
                    | ExprKind::Normal { .. }
                    | ExprKind::Reveal(_) => None,
                };
                (expr.span, text)
            }
        }
    }

    fn whole(&self) -> Option<String> {
        let time = self.time.as_ref()?;
        Some(format!("taken over all steps of `{time}`"))
    }
}

/// The first axis of a variable, where it is a time.
pub fn own_time(model: &Model, var: VarId) -> Option<Sym> {
    let first = model.var(var).shape.first()?;
    if !model.dims.is_time(first) {
        return None;
    }
    first.as_sym().cloned()
}
