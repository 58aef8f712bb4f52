//! Operands: the smallest values, and what binds tighter to them than any operator.
//!
//! In: the pairs of one operand. Out: its node. `f(x)`, `x[i]`, `x.h'` and `sum(x) over s where …` are made here.

use pest::iterators::Pair;

use super::expr::Chain;
use super::grammar::Rule;
use super::item::Builder;
use super::wrong;
use crate::ast::node::*;
use crate::span::Span;

impl Builder<'_> {
    /// A primary value and what binds tighter than any operator.
    pub fn operand(&mut self, chain: &mut Chain, budget: usize) -> Option<Expr> {
        let pair = chain.next()?;
        let mut value = self.primary(pair, budget)?;
        while let Some(pair) = chain.peek() {
            let span = value.span.to(self.span(pair));
            let rule = pair.as_rule();
            if !matches!(
                rule,
                Rule::field | Rule::index | Rule::args | Rule::over | Rule::element_over
            ) {
                break;
            }
            let pair = chain.next()?;
            value = match rule {
                Rule::field => self.field(value, pair)?,
                Rule::index => {
                    let indices = pair
                        .into_inner()
                        .map(|pair| self.nested(pair, budget))
                        .collect();
                    Expr {
                        kind: ExprKind::Index(Box::new(value), indices),
                        span,
                    }
                }
                Rule::args => {
                    let args = self.args(pair, budget);
                    Expr {
                        kind: ExprKind::Call {
                            callee: Box::new(value),
                            args,
                        },
                        span,
                    }
                }
                _ => self.over(value, pair, budget)?,
            };
        }
        Some(value)
    }

    fn primary(&mut self, pair: Pair<Rule>, budget: usize) -> Option<Expr> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => {
                let text = pair.as_str().to_string();
                ExprKind::Number {
                    value: text.parse().ok()?,
                    text,
                }
            }
            Rule::string => ExprKind::String(unescape(pair.as_str())),
            Rule::primed => return self.primed(pair),
            Rule::paren => {
                ExprKind::Paren(Box::new(self.nested(pair.into_inner().next()?, budget)))
            }
            _ => ExprKind::List(self.elements(pair, budget)),
        };
        Some(Expr { kind, span })
    }

    fn elements(&mut self, pair: Pair<Rule>, budget: usize) -> Vec<Expr> {
        let elements: Vec<Expr> = pair
            .into_inner()
            .map(|pair| self.nested(pair, budget))
            .collect();
        for element in &elements {
            self.refuse_bindings(element);
        }
        elements
    }

    /// A name, or `h'`.
    fn primed(&mut self, pair: Pair<Rule>) -> Option<Expr> {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let name = self.ident(&parts.next()?);
        let value = Expr {
            kind: ExprKind::Name(name.node),
            span: name.span,
        };
        Some(if parts.next().is_some() {
            prime(value, whole)
        } else {
            value
        })
    }

    /// `.h` or `.h'` after `value`.
    pub fn field(&mut self, value: Expr, pair: Pair<Rule>) -> Option<Expr> {
        let whole = value.span.to(self.span(&pair));
        let mut parts = pair.into_inner();
        let name = self.ident(&parts.next()?);
        let span = value.span.to(name.span);
        let field = Expr {
            kind: ExprKind::Field(Box::new(value), name),
            span,
        };
        Some(if parts.next().is_some() {
            prime(field, whole)
        } else {
            field
        })
    }

    pub fn args(&mut self, pair: Pair<Rule>, budget: usize) -> Vec<Arg> {
        let mut args = Vec::new();
        for pair in pair.into_inner() {
            let (mut name, mut value, mut counter) = (None, None, None);
            for part in pair.into_inner() {
                match part.as_rule() {
                    Rule::arg_name => name = part.into_inner().next().map(|pair| self.ident(&pair)),
                    Rule::name => counter = Some(self.ident(&part)),
                    Rule::element => value = Some(self.nested(part, budget)),
                    _ => {}
                }
            }
            if let Some(value) = value {
                self.refuse_bindings(&value);
                args.push(Arg {
                    name,
                    value,
                    counter,
                });
            }
        }
        args
    }

    /// A comma after bindings could go on with them or begin the next value.
    fn refuse_bindings(&mut self, value: &Expr) {
        let mut at = value;
        while let ExprKind::Pipe {
            input,
            pipe_span,
            stage,
        } = &at.kind
        {
            if !(stage.with.is_empty() && stage.from.is_empty()) {
                let error = wrong::bound_pipe(self.source, value.span, *pipe_span);
                self.errors.push(error);
                return;
            }
            at = input;
        }
    }

    fn over(&mut self, value: Expr, pair: Pair<Rule>, budget: usize) -> Option<Expr> {
        let span = value.span.to(self.span(&pair));
        let mut parts = pair.into_inner();
        let over_span = self.span(&parts.next()?);
        let (mut axes, mut cond) = (Vec::new(), None);
        for pair in parts {
            match pair.as_rule() {
                Rule::name => axes.push(self.ident(&pair)),
                Rule::kw_where => {}
                _ => cond = Some(Box::new(self.nested(pair, budget))),
            }
        }
        if let Some(cond) = &cond
            && let Some(open) = open_operand(cond)
            && let ExprKind::Binary { op_span, .. } = &open.kind
        {
            let error = wrong::open_condition(self.source, open.span, *op_span);
            self.errors.push(error);
        }
        Some(Expr {
            kind: ExprKind::Over {
                value: Box::new(value),
                over_span,
                axes,
                cond,
            },
            span,
        })
    }
}

fn prime(value: Expr, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Prime(Box::new(value)),
        span,
    }
}

/// The end of a condition, if it is arithmetic: `s <= t + 1` could go on after the reduction.
fn open_operand(cond: &Expr) -> Option<&Expr> {
    let mut at = cond;
    loop {
        at = match &at.kind {
            ExprKind::Binary {
                op: BinaryOp::Or | BinaryOp::And,
                right,
                ..
            } => right,
            ExprKind::Binary {
                op: BinaryOp::Pow, ..
            } => return None,
            ExprKind::Binary { .. } => return Some(at),
            ExprKind::Unary {
                op: UnaryOp::Not,
                value,
                ..
            } => value,
            ExprKind::Compare { rest, .. } => &rest.last()?.1,
            _ => return None,
        };
    }
}

/// The contents of a quoted string; the layout has refused other escapes.
pub fn unescape(quoted: &str) -> String {
    let inner = quoted
        .strip_prefix('"')
        .and_then(|s| s.strip_suffix('"'))
        .unwrap_or(quoted);
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    text
}
