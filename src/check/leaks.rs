//! The answer-leak check: no prediction may see its own answer.
//!
//! In: a shaped [`Model`], and the data block it is trained on where there is one. Out: one
//! `leak::target-visible` for each `predict y[t]` that depends on `y[s]` with s ≥ t, with the path it
//! found. What cannot be shown to be safe is refused; `reveal(y)` is the one visible way through.

mod about;
mod bounds;
mod columns;
mod facts;
mod flow;
mod mark;
mod reach;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::BTreeMap;

use crate::check::program::{ExprKind, Model, Predict, VarId};
use crate::data::spec::DataSpec;
use crate::diagnostics::Diagnostic;
use crate::settings::read::clip;
use crate::span::Span;
use about::{Said, about};
use flow::{Def, Flow, NodeId, What};
use mark::{Mark, Place};
use reach::{Reaches, Step};

/// Checks the model by itself, whatever its data is.
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let flow = Flow::new(model);
    each(&flow, &|_| Vec::new())
}

/// Checks a model that is sound by itself against its data, where an input may hold the column that
/// a target is.
///
/// `header`: the names of the source's columns, where they are known; without them `column(Close)`
/// and `column(4)` are taken to differ.
pub fn check_data(model: &Model, data: &DataSpec, header: Option<&[String]>) -> Vec<Diagnostic> {
    let flow = Flow::new(model);
    each(&flow, &|target| {
        columns::aliases(model, target, data, header)
    })
}

fn each(flow: &Flow, aliases: &dyn Fn(VarId) -> Vec<columns::Alias>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (predict, head) in flow.model.predicts.iter().zip(&flow.heads) {
        let aliases = aliases(predict.target);
        let marks: BTreeMap<VarId, Mark> = aliases.iter().map(|a| (a.input, a.mark)).collect();
        let reaches = Reaches::new(flow, predict.target, &marks);
        if let Some(mark) = reaches.leak(*head) {
            found.push(leak(predict, &reaches, *head, mark, &aliases));
        }
    }
    found
}

/// The most labels a message carries.
const LABELS: usize = 5;

fn leak(
    predict: &Predict,
    reaches: &Reaches,
    head: NodeId,
    mark: Mark,
    aliases: &[columns::Alias],
) -> Diagnostic {
    let model = reaches.flow.model;
    let target = model.var(predict.target);
    let name = clip(&target.name);
    let message = match (&reaches.time, mark) {
        (Some(_), Mark::UpTo(Place::Axis(0), 0)) => {
            format!("`predict {name}` sees `{name}` at the step it predicts")
        }
        (Some(_), Mark::UpTo(Place::Axis(0), 1)) => {
            format!("`predict {name}` sees `{name}` 1 step ahead")
        }
        (Some(_), Mark::UpTo(Place::Axis(0), k)) => {
            format!("`predict {name}` sees `{name}` {k} steps ahead")
        }
        (Some(_), _) => format!("`predict {name}` sees later steps of `{name}`"),
        (None, _) => format!("`predict {name}` sees `{name}`, its own answer"),
    };
    let path = reaches.path(head);
    let said: Vec<Said> = (0..path.len()).map(|i| about(reaches, &path, i)).collect();
    let at = culprit(&path);
    let file = predict.span.file;
    // Code of the library is shown by its use: the nearest step of the path in the user's file.
    let shown = (0..path.len())
        .filter(|i| said[*i].span.file == file)
        .min_by_key(|i| (i.abs_diff(at), *i));
    let mut d = Diagnostic::error("leak::target-visible", message);
    let (span, text) = match shown {
        Some(i) if i == at => (said[i].span, said[i].text.clone()),
        Some(i) => {
            let text = said[i].text.clone().filter(|_| !said[i].carries);
            let behind = "code of the library sees too much on the way here".into();
            (said[i].span, text.or(Some(behind)))
        }
        None => (predict.span, None),
    };
    d = d.label(
        span,
        text.unwrap_or_else(|| "the answer comes in here".into()),
    );
    for alias in aliases {
        if path.iter().any(|s| reads(reaches, s.node, alias.input)) {
            let input = &model.var(alias.input).name;
            d = add(d, alias.column, format!("`{input}` reads the same data"));
            d = add(d, alias.answer, format!("as `{}`", target.name));
        }
    }
    // What does something comes before names on the way; the prediction's own end is always shown.
    let mut acts = Vec::new();
    let mut names = Vec::new();
    for s in said.into_iter().rev().filter(|s| s.span.file == file) {
        if let Some(text) = s.text {
            let to = if s.carries { &mut names } else { &mut acts };
            to.push((s.span, text));
        }
    }
    acts.truncate(LABELS - 2);
    acts.push((predict.span, "predicted here".into()));
    for (span, text) in acts.into_iter().chain(names) {
        d = add(d, span, text);
    }
    direct_fix(d, predict, reaches, &path, at)
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
        .position(|s| s.mark.is_past())
        .map_or(path.len().saturating_sub(1), |fine| fine.saturating_sub(1))
}

/// Where nothing but the target's own step is seen and the target itself is used, `previous` mends it.
fn direct_fix(
    d: Diagnostic,
    predict: &Predict,
    reaches: &Reaches,
    path: &[Step],
    at: usize,
) -> Diagnostic {
    let own_step = path
        .first()
        .is_some_and(|s| s.mark == Mark::UpTo(Place::Axis(0), 0));
    match path.get(at).map(|s| reaches.flow.nodes[s.node].what) {
        Some(What::Expr(e))
            if own_step
                && reaches.time.is_some()
                && d.labels.first().is_some_and(|l| l.span == e.span)
                && matches!(e.kind, ExprKind::Var(v) if v == predict.target) =>
        {
            let name = &reaches.flow.model.var(predict.target).name;
            let edit = format!("previous({name})");
            d.help(format!("the steps before it are `{edit}`"))
                .fix(e.span, edit)
        }
        _ => d,
    }
}

fn reads(reaches: &Reaches, node: NodeId, var: VarId) -> bool {
    match reaches.flow.nodes[node].what {
        What::Var(v, Def::Open) => v == var,
        What::Var(..) => false,
        What::Expr(e) => matches!(e.kind, ExprKind::Var(v) if v == var),
    }
}
