//! The answer-leak check: no prediction may see its own answer.
//!
//! In: a shaped [`Model`], and the data block it is trained on where there is one. Out: one
//! `leak::target-visible` for each `predict y[t]` that depends on `y[s]` with s ≥ t, with the path it
//! found. What cannot be shown to be safe is refused; `reveal(y)` is the one visible way through.

mod columns;
mod graph;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::check::program::{ExprKind, Head, Model, Predict, VarId};
use crate::data::spec::DataSpec;
use crate::diagnostics::Diagnostic;
use crate::settings::read::clip;
use crate::span::Span;
use graph::Graph;
use reach::{Node, Reach, Reaches, Step, own_time};

/// Checks the model by itself, whatever its data is.
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let graph = Graph::new(model);
    let mut found = Vec::new();
    for predict in &model.predicts {
        let reaches = Reaches::new(&graph, predict.target, &BTreeMap::new());
        let head = head(predict);
        if !reaches.of(head).is_past() {
            found.push(leak(model, predict, &reaches, &[]));
        }
    }
    found
}

/// Checks a model that is sound by itself against its data, where an input may hold the column that
/// a target is.
///
/// `header`: the names of the source's columns, where they are known; without them `column(Close)`
/// and `column(4)` are taken to differ.
pub fn check_data(model: &Model, data: &DataSpec, header: Option<&[String]>) -> Vec<Diagnostic> {
    let graph = Graph::new(model);
    let mut found = Vec::new();
    for predict in &model.predicts {
        let aliases = columns::aliases(model, predict.target, data, header);
        let reach: BTreeMap<VarId, Reach> = aliases.iter().map(|a| (a.input, a.reach)).collect();
        let reaches = Reaches::new(&graph, predict.target, &reach);
        if reaches.of(head(predict)).is_past() {
            continue;
        }
        found.push(leak(model, predict, &reaches, &aliases));
    }
    found
}

fn head(predict: &Predict) -> &crate::check::program::Expr {
    match &predict.head {
        Head::Softmax(e) | Head::Sigmoid(e) | Head::Step(e) | Head::Value(e) => e,
    }
}

/// The most labels a message carries.
const LABELS: usize = 5;

fn leak(
    model: &Model,
    predict: &Predict,
    reaches: &Reaches,
    aliases: &[columns::Alias],
) -> Diagnostic {
    let target = model.var(predict.target);
    let name = clip(&target.name);
    let reach = reaches.of(head(predict));
    let message = match (own_time(model, predict.target), reach) {
        (Some(_), Reach::UpTo(0)) => {
            format!("`predict {name}` sees `{name}` at the step it predicts")
        }
        (Some(_), Reach::UpTo(k)) => format!("`predict {name}` sees `{name}` {k} steps ahead"),
        (Some(_), _) => format!("`predict {name}` sees later steps of `{name}`"),
        (None, _) => format!("`predict {name}` sees `{name}`, its own answer"),
    };
    let path = reaches.path(head(predict));
    let at = culprit(&path);
    let file = predict.span.file;
    // Code of the library is shown by its use: the nearest step of the path in the user's file.
    let shown = (0..path.len())
        .filter(|i| reaches.about(path[*i].node).0.file == file)
        .min_by_key(|i| (i.abs_diff(at), *i));
    let mut d = Diagnostic::error("leak::target-visible", message);
    let primary = shown.map_or((predict.span, None), |i| reaches.about(path[i].node));
    let text = primary
        .1
        .unwrap_or_else(|| "the answer comes in here".into());
    d = d.label(primary.0, text);
    for alias in aliases {
        if path.iter().any(|s| uses(s.node, alias.input)) {
            let input = &model.var(alias.input).name;
            d = add(d, alias.column, format!("`{input}` reads the same data"));
            d = add(d, alias.answer, format!("as `{}`", target.name));
        }
    }
    for step in path.iter().rev() {
        if let (span, Some(text)) = reaches.about(step.node)
            && span.file == file
        {
            d = add(d, span, text);
        }
    }
    d = add(d, predict.span, "predicted here".into());
    direct_fix(d, model, predict, &path, at)
}

/// Adds a label that overlaps no other.
fn add(d: Diagnostic, span: Span, text: String) -> Diagnostic {
    let apart = |l: &Span| l.file != span.file || l.end <= span.start || span.end <= l.start;
    if d.labels.len() < LABELS && d.labels.iter().all(|l| apart(&l.span)) {
        return d.label(span, text);
    }
    d
}

/// The step of the path at which the answer comes in: past it, everything sees too much.
fn culprit(path: &[Step]) -> usize {
    path.iter()
        .position(|s| s.reach.is_past())
        .map_or(path.len().saturating_sub(1), |fine| fine.saturating_sub(1))
}

/// Where nothing but the target's own step is seen and the target itself is used, `previous` mends it.
fn direct_fix(
    d: Diagnostic,
    model: &Model,
    predict: &Predict,
    path: &[Step],
    at: usize,
) -> Diagnostic {
    let own_step = path.first().is_some_and(|s| s.reach == Reach::UpTo(0));
    match path.get(at).map(|s| s.node) {
        Some(Node::Expr(e, _))
            if own_step
                && d.labels.first().is_some_and(|l| l.span == e.span)
                && matches!(e.kind, ExprKind::Var(v) if v == predict.target) =>
        {
            let edit = format!("previous({})", model.var(predict.target).name);
            d.help(format!("the steps before it are `{edit}`"))
                .fix(e.span, edit)
        }
        _ => d,
    }
}

fn uses(node: Node, var: VarId) -> bool {
    match node {
        Node::Var(v) => v == var,
        Node::Expr(e, _) => matches!(e.kind, ExprKind::Var(v) if v == var),
    }
}
