//! Expressions: the flat chains of the grammar as trees, by precedence climbing.
//!
//! In: the pairs of one expression. Out: its node. From loose to tight:
//!
//! ```text
//!  |>   or   and   not   < <= == != > >=   + -   * /   ·(@)   -x   ^   f(x) x[i] x.f, "over … where …"
//! ```
//!
//! `·` and `^` group to the right, comparisons chain. The depth of the tree is bounded before it is built: a chain of `n`
//! operators takes `n` levels of the budget its operands share with all that encloses them.
//! Long because the precedence levels call one another.

use std::iter::Peekable;

use pest::iterators::{Pair, Pairs};

use super::grammar::Rule;
use super::item::Builder;
use super::{MAX_DEPTH, wrong};
use crate::ast::node::*;
use crate::span::{Span, Spanned};

/// Operands and operators, not yet a tree.
pub type Chain<'i> = Peekable<Pairs<'i, Rule>>;

/// How tight an operator binds, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Dot,
    Negate,
    Power,
    /// Above every operator.
    Operand,
}

enum Infix {
    Binary(BinaryOp, Level),
    Compare(CompareOp),
}

fn infix(text: &str) -> Infix {
    match text {
        "or" => Infix::Binary(BinaryOp::Or, Level::Or),
        "and" => Infix::Binary(BinaryOp::And, Level::And),
        "+" => Infix::Binary(BinaryOp::Add, Level::Sum),
        "-" => Infix::Binary(BinaryOp::Sub, Level::Sum),
        "*" => Infix::Binary(BinaryOp::Mul, Level::Product),
        "/" => Infix::Binary(BinaryOp::Div, Level::Product),
        "·" | "@" => Infix::Binary(BinaryOp::Dot, Level::Dot),
        "^" => Infix::Binary(BinaryOp::Pow, Level::Power),
        "<" => Infix::Compare(CompareOp::Lt),
        "<=" => Infix::Compare(CompareOp::Le),
        "==" => Infix::Compare(CompareOp::Eq),
        "!=" => Infix::Compare(CompareOp::Ne),
        ">" => Infix::Compare(CompareOp::Gt),
        _ => Infix::Compare(CompareOp::Ge),
    }
}

fn above(level: Level) -> Level {
    match level {
        Level::Or => Level::And,
        Level::And => Level::Not,
        Level::Not => Level::Compare,
        Level::Compare => Level::Sum,
        Level::Sum => Level::Product,
        Level::Product => Level::Dot,
        Level::Dot => Level::Negate,
        Level::Negate => Level::Power,
        Level::Power | Level::Operand => Level::Operand,
    }
}

impl Builder<'_> {
    /// An expression that stands outside all brackets, where a sum left of a pipe could be read in two ways.
    pub fn top(&mut self, pair: Pair<Rule>) -> Expr {
        let expr = self.expr(pair);
        if let Some((input, pipe)) = first_pipe(&expr)
            && matches!(
                input.kind,
                ExprKind::Binary { .. } | ExprKind::Compare { .. }
            )
        {
            let error = wrong::piped_sum(self.source, input, pipe);
            self.errors.push(error);
        }
        expr
    }

    pub fn expr(&mut self, pair: Pair<Rule>) -> Expr {
        self.nested(pair, MAX_DEPTH)
    }

    /// An `expr`, `element`, `logic` or `element_logic`, its tree at most `budget` deep.
    pub fn nested(&mut self, pair: Pair<Rule>, budget: usize) -> Expr {
        let span = self.span(&pair);
        match pair.as_rule() {
            Rule::logic | Rule::element_logic => {
                let leaf = |rule| {
                    matches!(
                        rule,
                        Rule::number | Rule::string | Rule::primed | Rule::paren | Rule::list
                    )
                };
                let operations = pair
                    .clone()
                    .into_inner()
                    .filter(|pair| !leaf(pair.as_rule()));
                let Some(budget) = self.spend(budget, 1, span, operations) else {
                    return nothing(span);
                };
                self.climb(&mut pair.into_inner().peekable(), Level::Or, budget)
                    .unwrap_or_else(|| nothing(span))
            }
            _ => {
                let mut parts = pair.into_inner();
                let Some(budget) = self.spend(budget, 0, span, parts.clone().skip(1)) else {
                    return nothing(span);
                };
                let Some(first) = parts.next() else {
                    return nothing(span);
                };
                let mut input = self.nested(first, budget);
                for pair in parts {
                    let end = self.span(&pair);
                    let Some((pipe_span, stage)) = self.stage(pair, budget) else {
                        continue;
                    };
                    let span = input.span.to(end);
                    let kind = ExprKind::Pipe {
                        input: Box::new(input),
                        pipe_span,
                        stage: Box::new(stage),
                    };
                    input = Expr { kind, span };
                }
                input
            }
        }
    }

    /// What is left of the budget after these operations and `more`; an error at the one that passes it.
    pub fn spend<'i>(
        &mut self,
        budget: usize,
        more: usize,
        whole: Span,
        mut operations: impl Iterator<Item = Pair<'i, Rule>> + Clone,
    ) -> Option<usize> {
        let left = budget.checked_sub(operations.clone().count() + more);
        if left.is_none() {
            let last = operations.nth(budget.saturating_sub(more));
            let span = last.map_or(whole, |pair| self.span(&pair));
            self.errors.push(wrong::too_long_chain(span));
        }
        left
    }

    /// The tree of operators that bind at least as tight as `least`.
    fn climb(&mut self, chain: &mut Chain, least: Level, budget: usize) -> Option<Expr> {
        let mut left = if chain.peek()?.as_rule() == Rule::prefix {
            let pair = chain.next()?;
            let op_span = self.span(&pair);
            let (op, level) = match pair.as_str() {
                "-" => (UnaryOp::Neg, Level::Negate),
                _ => (UnaryOp::Not, Level::Not),
            };
            let value = Box::new(self.climb(chain, level, budget)?);
            Expr {
                span: op_span.to(value.span),
                kind: ExprKind::Unary { op, op_span, value },
            }
        } else {
            self.operand(chain, budget)?
        };
        while let Some(pair) = chain.peek() {
            let op_span = self.span(pair);
            match infix(pair.as_str()) {
                Infix::Binary(op, level) => {
                    if level < least {
                        break;
                    }
                    chain.next();
                    // `·` and `^` group to the right.
                    let right = matches!(op, BinaryOp::Dot | BinaryOp::Pow);
                    let right =
                        self.climb(chain, if right { level } else { above(level) }, budget)?;
                    let span = left.span.to(right.span);
                    let kind = ExprKind::Binary {
                        op,
                        op_span,
                        left: Box::new(left),
                        right: Box::new(right),
                    };
                    left = Expr { kind, span };
                }
                Infix::Compare(op) => {
                    if Level::Compare < least {
                        break;
                    }
                    chain.next();
                    let right = self.climb(chain, above(Level::Compare), budget)?;
                    let span = left.span.to(right.span);
                    let link = (Spanned::new(op, op_span), right);
                    left = match left.kind {
                        // Only this loop makes bare comparisons, so this one is the chain it is building.
                        ExprKind::Compare { first, mut rest } => {
                            rest.push(link);
                            Expr {
                                kind: ExprKind::Compare { first, rest },
                                span,
                            }
                        }
                        _ => Expr {
                            kind: ExprKind::Compare {
                                first: Box::new(left),
                                rest: vec![link],
                            },
                            span,
                        },
                    };
                }
            }
        }
        Some(left)
    }
}

/// Stands where an error was reported, so that building can go on to find more.
fn nothing(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Name(String::new()),
        span,
    }
}

/// What runs into the first `|>`, and where that is.
fn first_pipe(expr: &Expr) -> Option<(&Expr, Span)> {
    let mut found = None;
    let mut at = expr;
    while let ExprKind::Pipe {
        input, pipe_span, ..
    } = &at.kind
    {
        found = Some((input.as_ref(), *pipe_span));
        at = input;
    }
    found
}
