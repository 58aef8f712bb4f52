//! How a prediction ends, and what is said where it ends wrongly.
//!
//! In: the expression of a `predict`. Out: the place of its end; errors, with the end that its target
//! needs as their fix.

use crate::ast::node;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// A prediction that ends in another way than its target needs: `has` is the probability it ends in.
pub(super) fn not_the_end(
    what: &str,
    name: &str,
    e: &node::Expr,
    has: Option<&str>,
    with: &str,
) -> Diagnostic {
    const CODE: &str = "predict::not-a-probability";
    let end = last_span(e);
    let Some(has) = has else {
        let message = format!("{what} target `{name}` needs a probability at the end");
        let after = Span {
            start: e.span.end,
            ..e.span
        };
        return Diagnostic::error(CODE, message)
            .label(end, "ends in a plain value")
            .help(format!("end with `|> {with}`"))
            .fix(after, format!(" |> {with}"));
    };
    let message = format!("{what} target `{name}` ends in `{with}`, not in `{has}`");
    let why = match has {
        "softmax" => "probabilities of several, that add up to 1",
        "σ" => "a probability for each value by itself",
        _ => "0 or 1, no probability",
    };
    let d = Diagnostic::error(CODE, message).label(end, why);
    // Where the end is a name, another line says what it is.
    match last_name(e) {
        Some(("softmax" | "σ" | "sigmoid" | "step", at)) => {
            (d.help(format!("`{with}` in place of `{has}`"))).fix(at, with)
        }
        _ => d,
    }
}

/// A number as the share of one value among one.
pub(super) fn always_one(name: &str, end: Span) -> Diagnostic {
    let message = format!("`{name}` is one number, and `softmax` of one value is always 1");
    Diagnostic::error("predict::constant", message)
        .label(end, "the same answer for every input")
        .help("a number needs no end; `σ` keeps it between 0 and 1")
}

/// The function that a prediction ends in.
fn last_name(e: &node::Expr) -> Option<(&str, Span)> {
    match &e.kind {
        node::ExprKind::Pipe { stage, .. } => match &stage.call.kind {
            node::ExprKind::Name(n) => Some((n, stage.call.span)),
            _ => last_name(&stage.call),
        },
        node::ExprKind::Paren(x) => last_name(x),
        node::ExprKind::Call { callee, .. } => match &callee.kind {
            node::ExprKind::Name(n) => Some((n, callee.span)),
            _ => None,
        },
        _ => None,
    }
}

/// The last stage of a pipe, which decides how the prediction ends.
pub(super) fn last_span(e: &node::Expr) -> Span {
    match &e.kind {
        node::ExprKind::Pipe { stage, .. } => stage.call.span,
        node::ExprKind::Paren(x) => last_span(x),
        node::ExprKind::Call { callee, .. } => callee.span,
        node::ExprKind::Binary { op_span, .. } => *op_span,
        _ => e.span,
    }
}
