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

type Chain<'i> = Peekable<Pairs<'i, Rule>>;

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
    fn nested(&mut self, pair: Pair<Rule>, budget: usize) -> Expr {
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
    fn spend<'i>(
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

    /// A primary value and what binds tighter than any operator.
    fn operand(&mut self, chain: &mut Chain, budget: usize) -> Option<Expr> {
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
    fn field(&mut self, value: Expr, pair: Pair<Rule>) -> Option<Expr> {
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

    fn args(&mut self, pair: Pair<Rule>, budget: usize) -> Vec<Arg> {
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

    fn stage(&mut self, pair: Pair<Rule>, budget: usize) -> Option<(Span, Stage)> {
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

fn prime(value: Expr, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Prime(Box::new(value)),
        span,
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
