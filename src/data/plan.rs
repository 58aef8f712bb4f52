//! Columns as written to columns that can be evaluated: names resolved, cells found, fits and draws
//! numbered, the lengths of indices known.
//!
//! In: the spec, what the model asks, the opened source. Out: [`Plan`], with the columns the model
//! asks for and those they read, or diagnostics. An axis of steps is a variable of a union–find:
//! using two sequences together, or one for a field of time `T`, makes their axes equal, which is
//! how an index (`m[t] = …`) gets its extent.

use std::collections::BTreeMap;

use super::fit::{Inverse, SymbolKind, Undo};
use super::source::{Source, unavailable};
use super::spec::{
    Binary, ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, DataSpec, Field, Reduce, SourceKind,
    Step, Time, Unary, Wanted,
};
use super::text::shown;
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::Span;

/// Index of an axis of steps in the union–find.
pub type Axis = usize;

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Number(f64),
    Text(String),
    /// Another column of the plan.
    Column(usize),
    /// 0, 1, 2, … along an index.
    Index(Axis),
    Cell(usize),
    Cells(Vec<usize>),
    Lower(Box<Node>),
    Nfc(Box<Node>),
    /// A text of which each character is a symbol.
    Chars(Box<Node>),
    Split(Box<Node>, String),
    Multihot(Box<Node>, usize),
    /// The input of [`Plan::fits`] at this position, changed by what was fitted to it.
    Fitted(usize),
    Window(Box<Node>, usize),
    Next(Box<Node>),
    Length(Box<Node>),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    Choose(Box<[Node; 3]>),
    Draw {
        dist: Dist,
        /// Names the draw for Philox: `v.0`.
        path: String,
        over: Option<Axis>,
    },
    List(Vec<Node>),
    Reduce {
        op: Reduce,
        value: Box<Node>,
        /// Over the steps, else over the features.
        steps: bool,
    },
}

#[derive(Clone, Debug)]
pub enum Dist {
    Uniform(Box<Node>, Box<Node>),
    /// Whole numbers below the bound.
    Below(Box<Node>),
}

/// Something to fit on the training part, to the values of `input`.
#[derive(Clone, Debug)]
pub struct FitPlan {
    /// `close.1`: the column, and the number of the fit in it.
    pub key: String,
    pub kind: FitKind,
    pub input: Node,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FitKind {
    Symbols(SymbolKind),
    Zscore,
    Range { low: f64, high: f64 },
}

#[derive(Clone, Debug)]
pub struct PlannedColumn {
    pub node: Node,
    /// The axis of its steps, where an example has several.
    pub axis: Option<Axis>,
    /// How many nodes read it; a column read twice is remembered.
    pub uses: usize,
}

#[derive(Debug, Default)]
pub struct Plan {
    pub columns: Vec<PlannedColumn>,
    pub fits: Vec<FitPlan>,
    /// The column of each field, in the order of [`Wanted::fields`].
    pub fields: Vec<usize>,
    pub keep: Option<Node>,
    pub stratify: Option<Node>,
    /// Tensors whose second axis is one of steps.
    pub sequences: Vec<bool>,
    /// Whether an example is a block of rows.
    pub blocks: bool,
    axes: Axes,
    /// Axes whose length an index or a draw needs, with where.
    needs: Vec<(Axis, Span, String)>,
}

#[derive(Debug, Default)]
struct Axes {
    parent: Vec<usize>,
    length: Vec<Option<usize>>,
}

impl Axes {
    fn fresh(&mut self, length: Option<usize>) -> Axis {
        self.parent.push(self.parent.len());
        self.length.push(length);
        self.parent.len() - 1
    }

    fn root(&self, mut a: Axis) -> Axis {
        while self.parent[a] != a {
            a = self.parent[a];
        }
        a
    }

    /// Makes two axes one, or gives their lengths where these differ.
    fn unify(&mut self, a: Axis, b: Axis) -> Result<(), (usize, usize)> {
        let (a, b) = (self.root(a), self.root(b));
        if let (Some(x), Some(y)) = (self.length[a], self.length[b])
            && x != y
        {
            return Err((x, y));
        }
        self.length[a] = self.length[a].or(self.length[b]);
        self.parent[b] = a;
        Ok(())
    }
}

impl Plan {
    /// How many steps an index or a fixed time has.
    pub fn extent(&self, axis: Axis) -> Option<usize> {
        self.axes.length[self.axes.root(axis)]
    }

    /// Rows a node reads before and after its own: by windows, and by `next`.
    pub fn reach(&self, node: &Node) -> (usize, usize) {
        let mut reach = (0, 0);
        match &node.kind {
            NodeKind::Window(input, n) => {
                let (back, ahead) = self.reach(input);
                return (back + n - 1, ahead);
            }
            NodeKind::Next(input) => {
                let (back, ahead) = self.reach(input);
                return (back, ahead + 1);
            }
            _ => {}
        }
        self.visit(node, &mut |n| {
            let (back, ahead) = self.reach(n);
            reach = (reach.0.max(back), reach.1.max(ahead));
        });
        reach
    }

    /// Calls `f` on each node that `node` reads directly.
    pub fn visit<'p>(&'p self, node: &'p Node, f: &mut dyn FnMut(&'p Node)) {
        match &node.kind {
            NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Index(_)
            | NodeKind::Cell(_)
            | NodeKind::Cells(_) => {}
            NodeKind::Column(c) => f(&self.columns[*c].node),
            NodeKind::Fitted(i) => f(&self.fits[*i].input),
            NodeKind::Lower(x)
            | NodeKind::Nfc(x)
            | NodeKind::Chars(x)
            | NodeKind::Split(x, _)
            | NodeKind::Multihot(x, _)
            | NodeKind::Window(x, _)
            | NodeKind::Next(x)
            | NodeKind::Length(x)
            | NodeKind::Unary(_, x) => f(x),
            NodeKind::Binary(_, a, b) => {
                f(a);
                f(b);
            }
            NodeKind::Choose(three) => three.iter().for_each(f),
            NodeKind::Draw { dist, .. } => match dist {
                Dist::Uniform(a, b) => {
                    f(a);
                    f(b);
                }
                Dist::Below(n) => f(n),
            },
            NodeKind::List(parts) => parts.iter().for_each(f),
            NodeKind::Reduce { value, .. } => f(value),
        }
    }

    /// The vocabulary whose symbols a node's values are, through the steps that keep symbols.
    pub fn symbols(&self, node: &Node) -> Option<usize> {
        match &node.kind {
            NodeKind::Column(c) => self.symbols(&self.columns[*c].node),
            NodeKind::Next(x) | NodeKind::Window(x, _) => self.symbols(x),
            NodeKind::Fitted(i) => match self.fits[*i].kind {
                FitKind::Symbols(_) => Some(*i),
                FitKind::Zscore | FitKind::Range { .. } => None,
            },
            _ => None,
        }
    }

    /// The steps to undo, last first, to get back a column's own unit. `fitted` gives what was
    /// fitted.
    pub fn inverse(
        &self,
        node: &Node,
        fitted: &dyn Fn(usize) -> Option<super::fit::Affine>,
    ) -> Inverse {
        let mut steps = Vec::new();
        let mut node = node;
        loop {
            node = match &node.kind {
                NodeKind::Column(c) => &self.columns[*c].node,
                NodeKind::Next(x) | NodeKind::Window(x, _) => x,
                NodeKind::Fitted(i) => {
                    if let Some(affine) = fitted(*i) {
                        steps.push(Undo::Affine(affine));
                    }
                    &self.fits[*i].input
                }
                NodeKind::Unary(Unary::Log, x) => {
                    steps.push(Undo::Exp);
                    x
                }
                _ => return Inverse(steps),
            };
        }
    }
}

/// Plans the columns that `wanted` needs.
pub fn plan(spec: &DataSpec, wanted: &Wanted, source: &Source) -> Result<Plan, Vec<Diagnostic>> {
    let mut b = Builder {
        spec,
        source,
        wanted,
        plan: Plan::default(),
        built: BTreeMap::new(),
        times: BTreeMap::new(),
        open: Vec::new(),
        errors: Vec::new(),
    };
    if let Source::Tensors(files) = source {
        b.plan.sequences = files[0]
            .tensors
            .iter()
            .map(|t| t.lengths.is_some() || (t.is_integer() && t.shape.len() == 2))
            .collect();
    }
    if let SourceKind::Csv(t) | SourceKind::Tsv(t) = &spec.source.kind {
        b.plan.blocks = t.blocks;
    }
    for Time { name, fixed } in &wanted.times {
        let axis = b.plan.axes.fresh(*fixed);
        b.times.insert(name.clone(), axis);
    }
    for field in &wanted.fields {
        match b.field(field) {
            Ok(column) => b.plan.fields.push(column),
            Err(e) => b.errors.push(e),
        }
    }
    let condition = |b: &mut Builder, e: &ColumnExpr| {
        let built = b.build(e, &mut Context::new("keep"));
        match built {
            Ok((node, _)) => Some(node),
            Err(e) => {
                b.errors.push(e);
                None
            }
        }
    };
    if let Some(keep) = &spec.keep {
        b.plan.keep = condition(&mut b, keep);
    }
    if let super::spec::Split::Parts {
        by: super::spec::SplitBy::Stratify(name),
        ..
    } = &spec.split
    {
        let e = ColumnExpr {
            kind: ColumnKind::Name(name.node.clone()),
            span: name.span,
        };
        b.plan.stratify = condition(&mut b, &e);
    }
    b.check_needs();
    match b.errors.is_empty() {
        true => Ok(b.plan),
        false => Err(b.errors),
    }
}

struct Builder<'a> {
    spec: &'a DataSpec,
    source: &'a Source,
    wanted: &'a Wanted,
    plan: Plan,
    /// Planned columns by name.
    built: BTreeMap<String, usize>,
    times: BTreeMap<String, Axis>,
    /// Columns being planned, to find cycles.
    open: Vec<String>,
    errors: Vec<Diagnostic>,
}

/// What an equation's expression is read in.
struct Context<'a> {
    column: &'a str,
    indices: Vec<(&'a str, Axis)>,
    fits: usize,
    draws: usize,
    /// The column is a field with a time, so that a tensor read for it has steps.
    timed: bool,
}

impl<'a> Context<'a> {
    fn new(column: &'a str) -> Context<'a> {
        Context {
            column,
            indices: Vec::new(),
            fits: 0,
            draws: 0,
            timed: false,
        }
    }
}

type Built = Result<(Node, Option<Axis>), Diagnostic>;

impl<'a> Builder<'a> {
    fn field(&mut self, field: &Field) -> Result<usize, Diagnostic> {
        let column = match self.column(&field.name, field.span, field.time.is_some()) {
            Some(found) => found?,
            None => return Err(self.no_column(field)),
        };
        if let (Some(time), Some(axis)) = (&field.time, self.plan.columns[column].axis)
            && let Some(of_time) = self.times.get(time)
            && let Err((fixed, n)) = self.plan.axes.unify(*of_time, axis)
        {
            let message = format!("time {time} has {fixed} steps, `{}` has {n}", field.name);
            return Err(Diagnostic::error("data::length", message)
                .label(self.plan.columns[column].node.span, format!("{n} steps"))
                .label(field.span, format!("{fixed} steps")));
        }
        Ok(column)
    }

    fn no_column(&self, field: &Field) -> Diagnostic {
        let error = Diagnostic::error(
            "data::missing-column",
            format!(
                "data `{}` has no column `{}`",
                shown(&self.spec.name.node, 20),
                shown(&field.name, 20)
            ),
        )
        .label(self.spec.name.span, "this data".to_string())
        .label(field.span, "the model asks for it here".to_string());
        let names = self.spec.columns.iter().map(|c| c.name.node.as_str());
        match nearest(&field.name, names) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// The column of this name, planned once; `None` where there is none.
    fn column(&mut self, name: &str, span: Span, timed: bool) -> Option<Result<usize, Diagnostic>> {
        if let Some(i) = self.built.get(name) {
            self.plan.columns[*i].uses += 1;
            return Some(Ok(*i));
        }
        let spec: &'a DataSpec = self.spec;
        let Some(c) = spec.columns.iter().find(|c| c.name.node == name) else {
            // A tensor needs no equation.
            let source: &'a Source = self.source;
            let Source::Tensors(files) = source else {
                return None;
            };
            let tensor = files[0].tensors.iter().find(|t| t.name == name)?;
            let e = ColumnExpr {
                kind: ColumnKind::Column(ColumnRef::Named(name.to_string())),
                span,
            };
            let mut context = Context::new(&tensor.name);
            context.timed = timed;
            let built = self.build(&e, &mut context);
            return Some(built.map(|(node, axis)| self.push(name, node, axis)));
        };
        if self.open.iter().any(|o| o == name) {
            return Some(Err(Diagnostic::error(
                "data::cycle",
                format!("column `{}` is defined by itself", shown(name, 40)),
            )
            .label(span, format!("reached through {}", self.open.join(", ")))));
        }
        self.open.push(name.to_string());
        let built = self.equation(c, timed);
        self.open.pop();
        Some(built.map(|(node, axis)| self.push(name, node, axis)))
    }

    fn push(&mut self, name: &str, node: Node, axis: Option<Axis>) -> usize {
        self.plan.columns.push(PlannedColumn {
            node,
            axis,
            uses: 1,
        });
        let i = self.plan.columns.len() - 1;
        self.built.insert(name.to_string(), i);
        i
    }

    fn equation(&mut self, c: &'a ColumnSpec, timed: bool) -> Built {
        let mut context = Context::new(&c.name.node);
        context.timed = timed;
        if let [_, second, ..] = &c.indices[..] {
            return Err(Diagnostic::error(
                "data::too-many-indices",
                "a data equation has one index at most",
            )
            .label(second.span, "a second index".to_string()));
        }
        for i in &c.indices {
            let axis = self.plan.axes.fresh(None);
            context.indices.push((&i.node, axis));
        }
        let (node, mut axis) = self.build(&c.value, &mut context)?;
        if let Some((_, index)) = context.indices.first() {
            self.unify(&mut axis, Some(*index), c.value.span)?;
        }
        Ok((node, axis))
    }

    fn unify(
        &mut self,
        axis: &mut Option<Axis>,
        other: Option<Axis>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        if let (Some(a), Some(b)) = (*axis, other)
            && let Err((x, y)) = self.plan.axes.unify(a, b)
        {
            return Err(Diagnostic::error(
                "data::length",
                format!("sequences of {x} and {y} steps are used together"),
            )
            .label(span, "here".to_string()));
        }
        *axis = axis.or(other);
        Ok(())
    }

    fn build(&mut self, e: &ColumnExpr, context: &mut Context<'a>) -> Built {
        let node = |kind| Node { kind, span: e.span };
        Ok(match &e.kind {
            ColumnKind::Number(v) => (node(NodeKind::Number(*v)), None),
            ColumnKind::Text(t) => (node(NodeKind::Text(t.clone())), None),
            ColumnKind::Name(name) => {
                if let Some((_, axis)) = context.indices.iter().find(|(i, _)| i == name) {
                    let axis = *axis;
                    let why = format!("index `{name}`");
                    self.plan.needs.push((axis, e.span, why));
                    return Ok((node(NodeKind::Index(axis)), Some(axis)));
                }
                match self.column(name, e.span, context.timed) {
                    Some(column) => {
                        let column = column?;
                        let axis = self.plan.columns[column].axis;
                        (node(NodeKind::Column(column)), axis)
                    }
                    None => return Err(self.unknown_name(name, e.span)),
                }
            }
            ColumnKind::Whole => {
                let whole = match self.spec.source.kind {
                    SourceKind::Text(_) | SourceKind::Lines(_) => ColumnRef::At(1),
                    _ => ColumnRef::Named(context.column.to_string()),
                };
                let cell = self.source.column(&whole, e.span)?;
                self.cell(cell, e.span, context)
            }
            ColumnKind::Column(c) => {
                let cell = self.source.column(c, e.span)?;
                self.cell(cell, e.span, context)
            }
            ColumnKind::Columns(all) => {
                let cells: Result<Vec<usize>, _> =
                    all.iter().map(|c| self.source.column(c, e.span)).collect();
                let cells = cells?;
                let axis = match cells.first() {
                    Some(first) => self.cell(*first, e.span, context).1,
                    None => None,
                };
                (node(NodeKind::Cells(cells)), axis)
            }
            ColumnKind::Step { input, step } => return self.step(e, input, step, context),
            ColumnKind::Next(x) => {
                let (x, axis) = self.build(x, context)?;
                (node(NodeKind::Next(x.into())), axis)
            }
            ColumnKind::Length(x) => {
                let (x, _) = self.build(x, context)?;
                (node(NodeKind::Length(x.into())), None)
            }
            ColumnKind::Unary(op, x) => {
                let (x, axis) = self.build(x, context)?;
                (node(NodeKind::Unary(*op, x.into())), axis)
            }
            ColumnKind::Binary(op, a, b) => {
                let (a, mut axis) = self.build(a, context)?;
                let (b, other) = self.build(b, context)?;
                self.unify(&mut axis, other, e.span)?;
                (node(NodeKind::Binary(*op, a.into(), b.into())), axis)
            }
            ColumnKind::Choose(c, x, y) => {
                let (c, mut axis) = self.build(c, context)?;
                let (x, second) = self.build(x, context)?;
                let (y, third) = self.build(y, context)?;
                self.unify(&mut axis, second, e.span)?;
                self.unify(&mut axis, third, e.span)?;
                (node(NodeKind::Choose([c, x, y].into())), axis)
            }
            ColumnKind::Uniform { low, high, over } => {
                let (low, _) = self.build(low, context)?;
                let (high, _) = self.build(high, context)?;
                let over = self.over(over.as_ref().map(|o| (&o.node[..], o.span)), context)?;
                let dist = Dist::Uniform(low.into(), high.into());
                (node(self.draw(dist, over, context)), over)
            }
            ColumnKind::Randint { n, over } => {
                let (n, _) = self.build(n, context)?;
                let over = self.over(over.as_ref().map(|o| (&o.node[..], o.span)), context)?;
                (node(self.draw(Dist::Below(n.into()), over, context)), over)
            }
            ColumnKind::List(parts) => {
                let mut axis = None;
                let mut nodes = Vec::new();
                for p in parts {
                    let (part, other) = self.build(p, context)?;
                    self.unify(&mut axis, other, p.span)?;
                    nodes.push(part);
                }
                (node(NodeKind::List(nodes)), axis)
            }
            ColumnKind::Reduce { op, value, over } => {
                let (value, mut axis) = self.build(value, context)?;
                let steps = over.is_some();
                if let Some(over) = over {
                    let (name, span) = (&over.node, over.span);
                    if axis.is_none() {
                        return Err(Diagnostic::error(
                            "data::no-steps",
                            format!("a reduction over `{}` of one value", shown(name, 30)),
                        )
                        .label(span, "there is one step only".to_string()));
                    }
                    let named = match self.times.get(name) {
                        Some(time) => Some(*time),
                        None => self.over(Some((name, span)), context)?,
                    };
                    self.unify(&mut axis, named, span)?;
                }
                let kind = NodeKind::Reduce {
                    op: *op,
                    value: value.into(),
                    steps,
                };
                (node(kind), if steps { None } else { axis })
            }
            ColumnKind::Index(x, index) => {
                let (x, mut axis) = self.build(x, context)?;
                let Some((_, i)) = context.indices.iter().find(|(i, _)| *i == index.node) else {
                    return Err(self.unknown_name(&index.node, index.span));
                };
                let i = *i;
                if axis.is_none() {
                    return Err(Diagnostic::error(
                        "data::no-steps",
                        format!("`[{}]` of one value", shown(&index.node, 30)),
                    )
                    .label(index.span, "there is one step only".to_string()));
                }
                self.unify(&mut axis, Some(i), index.span)?;
                (x, axis)
            }
        })
    }

    fn cell(&mut self, cell: usize, span: Span, context: &Context) -> (Node, Option<Axis>) {
        let steps = match self.source {
            Source::Tensors(files) => {
                let tensor = &files[0].tensors[cell];
                if context.timed && tensor.shape.len() >= 2 {
                    self.plan.sequences[cell] = true;
                }
                self.plan.sequences[cell]
            }
            Source::Records(_) => self.plan.blocks,
            Source::Rows { .. } => false,
        };
        let axis = steps.then(|| self.plan.axes.fresh(None));
        let kind = NodeKind::Cell(cell);
        (Node { kind, span }, axis)
    }

    fn step(
        &mut self,
        e: &ColumnExpr,
        input: &ColumnExpr,
        step: &Step,
        context: &mut Context<'a>,
    ) -> Built {
        let (input, axis) = self.build(input, context)?;
        let x = Box::new(input);
        let node = |kind| Node { kind, span: e.span };
        let kind = match step {
            Step::Lower => NodeKind::Lower(x),
            Step::Nfc => NodeKind::Nfc(x),
            Step::Log => NodeKind::Unary(Unary::Log, x),
            Step::Chars => {
                if axis.is_some() {
                    return Err(Diagnostic::error(
                        "data::chars-of-sequence",
                        "chars() of a sequence of texts would have two axes",
                    )
                    .label(e.span, "use labels() for one symbol a step".to_string()));
                }
                let chars = node(NodeKind::Chars(x));
                let fitted = self.fit(chars, FitKind::Symbols(SymbolKind::Chars), context);
                let axis = self.plan.axes.fresh(None);
                return Ok((node(fitted), Some(axis)));
            }
            Step::Labels => self.fit(*x, FitKind::Symbols(SymbolKind::Labels), context),
            Step::Zscore => self.fit(*x, FitKind::Zscore, context),
            Step::Scale { low, high } => {
                if low >= high || !low.is_finite() || !high.is_finite() {
                    let message = format!("scale({low:?}, {high:?}) is not a range");
                    return Err(Diagnostic::error("data::scale", message)
                        .label(e.span, "the first must be below the second".to_string()));
                }
                let (low, high) = (*low, *high);
                self.fit(*x, FitKind::Range { low, high }, context)
            }
            Step::Window(n) => {
                if *n == 0 || axis.is_some() {
                    let message = match n {
                        0 => "a window of 0 rows",
                        _ => "a window of what is a sequence already",
                    };
                    return Err(Diagnostic::error("data::window", message)
                        .label(e.span, "here".to_string()));
                }
                let axis = self.plan.axes.fresh(Some(*n));
                return Ok((node(NodeKind::Window(x, *n)), Some(axis)));
            }
            Step::Multihot(n) => NodeKind::Multihot(x, *n),
            Step::Split(separator) => {
                if separator.is_empty() || axis.is_some() {
                    let message = match separator.is_empty() {
                        true => "split needs a separator that is not empty",
                        false => "split of what is a sequence already",
                    };
                    return Err(Diagnostic::error("data::split-text", message)
                        .label(e.span, "here".to_string()));
                }
                let axis = self.plan.axes.fresh(None);
                return Ok((node(NodeKind::Split(x, separator.clone())), Some(axis)));
            }
            Step::Words { .. } => return Err(unavailable("words", e.span)),
            Step::Bpe(_) => return Err(unavailable("bpe", e.span)),
            Step::Pixels => return Err(unavailable("pixels", e.span)),
        };
        Ok((node(kind), axis))
    }

    fn fit(&mut self, input: Node, kind: FitKind, context: &mut Context) -> NodeKind {
        let key = format!("{}.{}", context.column, context.fits);
        context.fits += 1;
        self.plan.fits.push(FitPlan { key, kind, input });
        NodeKind::Fitted(self.plan.fits.len() - 1)
    }

    fn draw(&mut self, dist: Dist, over: Option<Axis>, context: &mut Context) -> NodeKind {
        let path = format!("{}.{}", context.column, context.draws);
        context.draws += 1;
        NodeKind::Draw { dist, path, over }
    }

    /// The axis that `over` names: a time of the file or the equation's index.
    fn over(
        &mut self,
        over: Option<(&str, Span)>,
        context: &Context,
    ) -> Result<Option<Axis>, Diagnostic> {
        let Some((name, span)) = over else {
            return Ok(None);
        };
        let index = context.indices.iter().find(|(i, _)| *i == name);
        let axis = match (self.times.get(name), index) {
            (Some(time), _) => *time,
            (None, Some((_, index))) => *index,
            (None, None) => return Err(self.unknown_name(name, span)),
        };
        self.plan.needs.push((axis, span, format!("`over {name}`")));
        Ok(Some(axis))
    }

    fn unknown_name(&self, name: &str, span: Span) -> Diagnostic {
        let error = Diagnostic::error(
            "data::unknown-name",
            format!("`{}` is no column of this data", shown(name, 40)),
        )
        .label(span, "not defined".to_string());
        let names = (self.spec.columns.iter().map(|c| c.name.node.as_str()))
            .chain(self.wanted.times.iter().map(|t| t.name.as_str()));
        match nearest(name, names) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// Every index and draw needs a length that does not depend on the data.
    fn check_needs(&mut self) {
        for (axis, span, what) in &self.plan.needs {
            if self.plan.extent(*axis).is_none() {
                self.errors.push(
                    Diagnostic::error(
                        "data::unknown-length",
                        format!("the length of {} is not known", shown(what, 30)),
                    )
                    .label(*span, "how many steps?".to_string())
                    .help("give the time a length, as in `time T = 200`"),
                );
            }
        }
    }
}
