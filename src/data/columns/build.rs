//! Columns as written to a [`Plan`].
//!
//! In: the spec, what the model asks, the opened source. Out: the plan of the columns the model asks
//! for and of those they read, or diagnostics. An axis of steps is a variable of a union–find: using
//! two sequences together, or one for a field of time `T`, makes their axes equal, which is how an
//! index (`m[t] = …`) gets its extent.

use std::collections::{BTreeMap, BTreeSet};

use super::super::source::Source;
use super::super::source::text::shown;
use super::super::spec::{
    ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, DataSpec, SourceKind, Split, SplitBy, Time,
    Wanted,
};
use super::fill::{reads_texts, texts};
use super::plan::{Axis, Dist, Node, NodeKind, Plan};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

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
        texts: texts(spec),
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
    for Time { name, fixed, .. } in &wanted.times {
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
    if let Split::Parts {
        by: SplitBy::Stratify(name),
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

pub(super) struct Builder<'a> {
    pub(super) spec: &'a DataSpec,
    pub(super) source: &'a Source,
    pub(super) wanted: &'a Wanted,
    pub(super) plan: Plan,
    /// Planned columns by name.
    pub(super) built: BTreeMap<String, usize>,
    pub(super) times: BTreeMap<String, Axis>,
    /// Columns being planned, to find cycles.
    pub(super) open: Vec<String>,
    /// Columns that others read as texts.
    texts: BTreeSet<String>,
    errors: Vec<Diagnostic>,
}

/// What an equation's expression is read in.
pub(super) struct Context<'a> {
    pub column: &'a str,
    indices: Vec<(&'a str, Axis)>,
    pub fits: usize,
    pub draws: usize,
    /// The column is a field with a time, so that a tensor read for it has steps.
    pub timed: bool,
    /// What reads the expression at hand reads texts.
    pub text: bool,
}

impl<'a> Context<'a> {
    pub fn new(column: &'a str) -> Context<'a> {
        Context {
            column,
            indices: Vec::new(),
            fits: 0,
            draws: 0,
            timed: false,
            text: false,
        }
    }
}

pub(super) type Built = Result<(Node, Option<Axis>), Diagnostic>;

impl<'a> Builder<'a> {
    pub(super) fn equation(&mut self, c: &'a ColumnSpec, timed: bool) -> Built {
        let mut context = Context::new(&c.name.node);
        context.timed = timed;
        context.text = self.texts.contains(&c.name.node);
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

    pub(super) fn build(&mut self, e: &ColumnExpr, context: &mut Context<'a>) -> Built {
        let text = context.text;
        context.text = reads_texts(e, text);
        let built = self.planned(e, context);
        context.text = text;
        built
    }

    fn planned(&mut self, e: &ColumnExpr, context: &mut Context<'a>) -> Built {
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
            ColumnKind::Filled { columns, missing } => {
                return self.filled(columns, missing, context);
            }
            ColumnKind::Next(x, k) => {
                let (x, axis) = self.build(x, context)?;
                (node(NodeKind::Next(x.into(), *k)), axis)
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
            Source::Rows { .. } | Source::Text(_) => false,
        };
        let axis = steps.then(|| self.plan.axes.fresh(None));
        let kind = NodeKind::Cell(cell);
        (Node { kind, span }, axis)
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
