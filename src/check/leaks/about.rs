//! What to say of each step of a leak's path, and where.
//!
//! In: the marks of a model's values, and a path among them. Out: for each step the place that shows
//! it and, where it does something to what is seen, what.

use super::facts::Facts;
use super::flow::{Def, What};
use super::mark::{Mark, Place};
use super::reach::{Reaches, Step};
use super::uses;
use crate::ast::node::ScanDir;
use crate::check::operands::operands;
use crate::check::program::{Binary, Expr, ExprKind};
use crate::span::Span;

/// A place, and what happens there to what is seen.
#[derive(Clone, Debug)]
pub struct Said {
    pub span: Span,
    /// `None` where it only passes.
    pub text: Option<String>,
    /// A name that holds it, and does nothing else to it.
    pub carries: bool,
}

/// The step at `at` of a path that runs from the prediction down to the answer.
pub fn about(reaches: &Reaches, path: &[Step], at: usize) -> Said {
    let model = reaches.flow.model;
    let here = path[at];
    let below = path.get(at + 1).copied();
    let said = |span, text| Said {
        span,
        text,
        carries: false,
    };
    match reaches.flow.nodes[here.node].what {
        What::Var(var, def) => {
            let v = model.var(var);
            match def {
                Def::Let => Said {
                    span: v.span,
                    text: Some(format!("`{}` carries it", written(&v.name))),
                    carries: true,
                },
                Def::Context(scan) => {
                    let text = format!("`{}` is given it whole", scan.cell);
                    said(scan.span, Some(text))
                }
                Def::Before(scan) => {
                    let sources = &reaches.flow.nodes[here.node].sources;
                    let start = sources.get(1).map(|(node, _)| *node);
                    let text = if start.is_some() && start == below.map(|s| s.node) {
                        Some(format!("`{}` starts from it", scan.cell))
                    } else if scan.dir != ScanDir::Forward && widens(here, below) {
                        Some(format!("`{}` runs from the last step back", scan.cell))
                    } else {
                        None
                    };
                    said(scan.span, text)
                }
                Def::Last(scan) => {
                    let text = format!("`{}` has read all of it at its end", scan.cell);
                    said(scan.span, Some(text))
                }
                Def::Open | Def::StepInput | Def::Sequence => said(v.span, None),
            }
        }
        What::Expr(e) => said(e.span, of_expr(reaches, e, here, below)),
    }
}

/// A name as the file has it, without the number that tells repeats of a block apart.
fn written(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((start, end)) if end.chars().all(|c| c.is_ascii_digit()) => start,
        _ => name,
    }
}

/// Whether what was tied to a coordinate is not any more.
fn widens(here: Step, below: Option<Step>) -> bool {
    here.mark == Mark::Anything && below.is_some_and(|s| s.mark != Mark::Anything)
}

fn of_expr(reaches: &Reaches, expr: &Expr, here: Step, below: Option<Step>) -> Option<String> {
    if let Some(var) = reaches.answer_read(here.node) {
        if matches!(expr.kind, ExprKind::Previous(_)) {
            return Some("the answer, one step before".into());
        }
        let name = &reaches.flow.model.var(var).name;
        return Some(match (var == reaches.target, &reaches.time) {
            (true, Some(_)) => format!("`{name}`, at the step it predicts"),
            (true, None) => format!("`{name}`, the answer itself"),
            (false, _) => format!("`{name}` holds the answer"),
        });
    }
    let below = below?;
    let Mark::UpTo(place, before) = below.mark else {
        return None;
    };
    let sources = &reaches.flow.nodes[here.node].sources;
    let operand = sources.iter().position(|(node, _)| *node == below.node)?;
    let known: Vec<&Facts> = sources
        .iter()
        .map(|(node, _)| &reaches.flow.nodes[*node].facts)
        .collect();
    let axis = match place {
        Place::Axis(a) => Some(a),
        Place::Step(_) => None,
    };
    let ran = axis.filter(|a| uses::runs_over(expr, operand).contains(a));
    match (&expr.kind, ran, here.mark) {
        (ExprKind::Last(_), ..) if axis == Some(0) => Some("taken from the last step".into()),
        (ExprKind::First(_), ..) if axis == Some(0) => Some("step 0 seen from every step".into()),
        (_, Some(axis), Mark::Anything) => {
            let value = *operands(expr).get(operand)?;
            let size = value.shape.get(axis)?;
            let names = reaches.flow.model.reduced.get(&expr.span);
            let names = names.map(|n| (&n.over, &n.beside));
            Some(match (uses::live(&known), names) {
                (false, Some((s, Some(_)))) if computed(value) => {
                    format!("`{s}` runs over all steps of `{size}`: its condition proves no bound")
                }
                (false, Some((s, Some(t)))) => {
                    format!("`{s}` runs over all steps of `{size}`: no `where {s} <= {t}`")
                }
                (false, Some((s, None))) => format!("`{s}` runs over all steps of `{size}`"),
                (false, None) => format!("taken over all steps of `{size}`"),
                (true, Some((s, Some(t)))) => {
                    format!("`{s}` also runs past `{t}`, over steps that are not left out")
                }
                (true, Some((s, None))) => format!("`{s}` may be any step that is not left out"),
                (true, None) => format!("later steps of `{size}` are not all left out"),
            })
        }
        (_, Some(_), Mark::UpTo(_, ahead)) if ahead > before => {
            let by = ahead.saturating_sub(before);
            let steps = if by == 1 { "step" } else { "steps" };
            let names = reaches.flow.model.reduced.get(&expr.span);
            let named = names.and_then(|n| Some((&n.over, n.beside.as_ref()?)));
            Some(match named {
                Some((s, t)) => format!("`{s}` runs {by} {steps} past `{t}`"),
                None => format!("runs {by} {steps} past its own"),
            })
        }
        (ExprKind::Binary(Binary::Add | Binary::Sub, ..), None, _)
            if uses::live(&known) && !uses::live(&[&reaches.flow.nodes[here.node].facts]) =>
        {
            Some("not 0 where one of its terms is".into())
        }
        _ => None,
    }
}

/// Whether a condition was put on the value that is computed rather than understood.
fn computed(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Choose(_, _, other) => {
            matches!(other.kind, ExprKind::Number(n) if n == 0.0 || n == f64::NEG_INFINITY)
        }
        ExprKind::Expand { value, .. } | ExprKind::Where { value, .. } => computed(value),
        _ => false,
    }
}
