//! What stands on the right of `|>`.
//!
//! In: the pairs of one pipe. Out: its [`Stage`], with the names that `with` and `from` bind.

use pest::iterators::Pair;

use super::grammar::Rule;
use super::item::Builder;
use crate::ast::node::*;
use crate::span::{Span, Spanned};

impl Builder<'_> {
    pub fn stage(&mut self, pair: Pair<Rule>, budget: usize) -> Option<(Span, Stage)> {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let pipe_span = self.span(&parts.next()?);
        let (mut scan, mut call, mut over) = (None, None, None);
        let (mut with, mut from) = (Vec::new(), Vec::new());
        let mut start = None;
        for pair in parts {
            let span = self.span(&pair);
            start.get_or_insert(span.start);
            match pair.as_rule() {
                Rule::kw_scan => scan = Some(Spanned::new(ScanDir::Forward, span)),
                Rule::direction => {
                    let direction = if pair.as_str() == "both" {
                        ScanDir::Both
                    } else {
                        ScanDir::Reverse
                    };
                    scan = Some(Spanned::new(direction, span));
                }
                Rule::callee => call = self.callee(pair, budget),
                Rule::name => over = Some(self.ident(&pair)),
                Rule::with => with = self.binds(pair, budget),
                Rule::from => from = self.binds(pair, budget),
                _ => {}
            }
        }
        let span = Span {
            start: start?,
            ..whole
        };
        Some((
            pipe_span,
            Stage {
                scan,
                call: call?,
                over,
                with,
                from,
                span,
            },
        ))
    }

    fn callee(&mut self, pair: Pair<Rule>, budget: usize) -> Option<Expr> {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let name = self.ident(&parts.next()?);
        let budget = self.spend(budget, 0, whole, parts.clone())?;
        let mut value = Expr {
            kind: ExprKind::Name(name.node),
            span: name.span,
        };
        for pair in parts {
            value = match pair.as_rule() {
                Rule::field => self.field(value, pair)?,
                _ => {
                    let args = self.args(pair, budget);
                    Expr {
                        kind: ExprKind::Call {
                            callee: Box::new(value),
                            args,
                        },
                        span: whole,
                    }
                }
            };
        }
        Some(value)
    }

    fn binds(&mut self, pair: Pair<Rule>, budget: usize) -> Vec<Bind> {
        let mut binds = Vec::new();
        for pair in pair.into_inner().skip(1) {
            let (mut path, mut value) = (Vec::new(), None);
            for part in pair.into_inner() {
                match part.as_rule() {
                    Rule::name => path.push(self.ident(&part)),
                    _ => {
                        value = part
                            .into_inner()
                            .next()
                            .map(|pair| self.nested(pair, budget))
                    }
                }
            }
            if let Some(value) = value {
                binds.push(Bind { path, value });
            }
        }
        binds
    }
}
