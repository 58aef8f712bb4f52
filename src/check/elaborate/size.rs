//! Sizes: the numbers in round brackets after a layer's name and in the types of values.

use super::{Elab, Frame};
use crate::ast::node::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::check::program::{self, Init};
use crate::diagnostics::{Diagnostic, nearest};
use crate::dim::{Binding, Dim, Overflow, Role};
use crate::span::Span;

/// The largest single size; its use as an axis would need more memory than any machine has.
pub(super) const MAX_SIZE: i64 = 1 << 31;

impl Elab<'_, '_> {
    /// Declares the times and dims at the top of a file that a definition can name.
    pub(super) fn globals(&mut self, f: &mut Frame, placeholders: bool) {
        let globals = f.globals.clone();
        for (name, length) in &globals.times {
            let n = name.node.as_str();
            let dim = if placeholders {
                self.solver.unknown()
            } else {
                match length {
                    None => self.solver.declare(n, Role::Time, Binding::Launch),
                    Some(e) => match self.whole(f, e) {
                        Some(k) => self.solver.declare(n, Role::Time, Binding::Static(Some(k))),
                        None => continue,
                    },
                }
            };
            f.sizes.insert(n.to_string(), dim);
        }
        for (name, value) in &globals.dims {
            // Dims stand in the order of the file; one may use those before it.
            let Some(d) = self.sound_size(f, value) else {
                continue;
            };
            // Another size of the same number keeps its own name, until the two must be one.
            let d = match d.as_const() {
                Some(n) if n > 1 => self.solver.named(&name.node, n),
                Some(_) | None => d,
            };
            f.sizes.insert(name.node.clone(), d);
        }
    }

    /// A size as a number known now.
    pub(super) fn whole(&mut self, f: &Frame, e: &Expr) -> Option<i64> {
        let d = self.size_inside(f, e)?;
        match self.solver.value(&d) {
            Some(n) => Some(n),
            // On its own a definition's sizes have no numbers yet; any will do.
            None if self.by_itself && !self.solver.is_time(&d) => Some(1),
            None => {
                self.error(
                    Diagnostic::error(
                        "size::unknown",
                        "a number is needed here, known from the file",
                    )
                    .label(e.span, "has no number yet"),
                );
                None
            }
        }
    }

    /// A size that stands for an axis; `hint` names its symbol where it is a plain number.
    pub(super) fn size(&mut self, f: &Frame, e: &Expr, hint: &str) -> Option<Dim> {
        let d = self.sound_size(f, e)?;
        match d.as_const() {
            Some(n) => Some(self.solver.literal(n, hint)),
            None => Some(d),
        }
    }

    /// A size that an axis can have, as it is written.
    fn sound_size(&mut self, f: &Frame, e: &Expr) -> Option<Dim> {
        let d = self.size_inside(f, e)?;
        let value = self.solver.value(&d);
        if let Some(n) = value
            && n < 1
        {
            self.error(
                Diagnostic::error(
                    "size::not-positive",
                    format!("a size is at least 1, not {n}"),
                )
                .label(e.span, "this size"),
            );
            return None;
        }
        if let Some(n) = value
            && n > MAX_SIZE
        {
            self.error(
                Diagnostic::error(
                    "limit::size",
                    format!("a vector of {n} numbers takes {}", bytes(n)),
                )
                .label(e.span, format!("at most {MAX_SIZE} along one axis")),
            );
            return None;
        }
        Some(d)
    }

    fn size_inside(&mut self, f: &Frame, e: &Expr) -> Option<Dim> {
        let too_large = |this: &mut Self, span: Span| {
            this.error(
                Diagnostic::error("limit::size", "a size that leaves 64 bits")
                    .label(span, "overflows"),
            );
            None
        };
        match &e.kind {
            ExprKind::Number { value, text } => {
                if value.fract() == 0.0 && value.abs() < 9e18 {
                    return Some(Dim::constant(*value as i64));
                }
                if value.fract() == 0.0 {
                    return too_large(self, e.span);
                }
                self.error(
                    Diagnostic::error(
                        "size::not-whole",
                        format!("a size is a whole number, not {text}"),
                    )
                    .label(e.span, "this size"),
                );
                None
            }
            ExprKind::Name(n) => match f.sizes.get(n) {
                Some(d) => Some(d.clone()),
                // A dim with an error has been reported; its uses are silent.
                None if f.globals.is_dim(n) && self.has_errors() => None,
                None => {
                    let known: Vec<&str> = f.sizes.keys().map(String::as_str).collect();
                    let mut d =
                        Diagnostic::error("name::unknown", format!("no size is called `{n}`"))
                            .label(e.span, "unknown size");
                    if let Some(near) = nearest(n, known) {
                        d = d.help(format!("did you mean `{near}`?")).fix(e.span, near);
                    }
                    self.error(d);
                    None
                }
            },
            ExprKind::Paren(x) => self.size_inside(f, x),
            ExprKind::Unary {
                op: UnaryOp::Neg,
                value,
                ..
            } => {
                let d = self.size_inside(f, value)?;
                match d.checked_mul(&Dim::constant(-1)) {
                    Ok(d) => Some(d),
                    Err(_) => too_large(self, e.span),
                }
            }
            ExprKind::Binary {
                op,
                op_span,
                left,
                right,
            } => {
                let (a, b) = (self.size_inside(f, left), self.size_inside(f, right));
                let (a, b) = (a?, b?);
                let made = match op {
                    BinaryOp::Add => a.checked_add(&b),
                    BinaryOp::Sub => a.checked_sub(&b),
                    BinaryOp::Mul => a.checked_mul(&b),
                    BinaryOp::Div => return self.quotient(&a, &b, *op_span),
                    BinaryOp::Pow => match self.solver.value(&b) {
                        Some(n) if (0..64).contains(&n) => {
                            (0..n).try_fold(Dim::constant(1), |power, _| {
                                let next = power.checked_mul(&a)?;
                                if simple(&next) {
                                    Ok(next)
                                } else {
                                    Err(Overflow)
                                }
                            })
                        }
                        _ => return too_large(self, *op_span),
                    },
                    BinaryOp::Or | BinaryOp::And | BinaryOp::Dot => {
                        return self.no_size(e.span);
                    }
                };
                match made {
                    Ok(d) if simple(&d) => Some(d),
                    Ok(_) | Err(_) => too_large(self, *op_span),
                }
            }
            _ => self.no_size(e.span),
        }
    }

    fn no_size(&mut self, span: Span) -> Option<Dim> {
        self.error(
            Diagnostic::error(
                "size::unknown",
                "a size is made of numbers, names, + - * / and ^",
            )
            .label(span, "no size")
            .help("sizes stand in brackets after a layer's name; values reach it by `|>`"),
        );
        None
    }

    /// `E/N`: exact, in symbols where every term divides, else in numbers.
    fn quotient(&mut self, a: &Dim, b: &Dim, span: Span) -> Option<Dim> {
        match (self.solver.value(a), self.solver.value(b)) {
            (Some(x), Some(y)) if y != 0 && x.checked_rem(y) == Some(0) => {
                Some(Dim::constant(x.checked_div(y)?))
            }
            (Some(x), Some(y)) => {
                self.error(
                    Diagnostic::error("size::not-whole", format!("{x}/{y} is not a whole number"))
                        .label(span, "must divide evenly"),
                );
                None
            }
            // On its own a definition's sizes have no numbers: the quotient is a new one.
            _ => {
                let sym = self.solver.unique(&format!("{a}/{b}"));
                self.solver
                    .table
                    .declare(sym.clone(), Role::Feature, Binding::Static(None));
                Some(Dim::sym(&sym))
            }
        }
    }

    /// `~ xavier`, `~ normal(0.02)`.
    pub(super) fn init(&mut self, e: &Expr) -> Option<Init> {
        const NAMES: [&str; 8] = [
            "xavier",
            "orthogonal",
            "zeros",
            "ones",
            "he",
            "normal",
            "uniform",
            "constant",
        ];
        let (name, args) = match &e.kind {
            ExprKind::Name(n) => (n.as_str(), &[][..]),
            ExprKind::Call { callee, args } => match &callee.kind {
                ExprKind::Name(n) => (n.as_str(), args.as_slice()),
                _ => ("", &[][..]),
            },
            _ => ("", &[][..]),
        };
        let arg = match args {
            [a] if a.name.is_none() => constant(&a.value),
            _ => None,
        };
        let found = match (name, arg) {
            ("xavier", None) => Some(Init::Xavier),
            ("orthogonal", None) => Some(Init::Orthogonal),
            ("zeros", None) => Some(Init::Zeros),
            ("ones", None) => Some(Init::Ones),
            ("he", None) => Some(Init::He),
            ("normal", Some(s)) => Some(Init::Normal(s)),
            ("uniform", Some(a)) => Some(Init::Uniform(a)),
            ("constant", Some(c)) => Some(Init::Constant(c)),
            _ => None,
        };
        if found.is_none() {
            let mut d = Diagnostic::error("init::unknown", "not a way to start a weight")
                .label(e.span, "after `~`");
            d = match nearest(name, NAMES) {
                Some(near) if near != name => d.help(format!("did you mean `{near}`?")),
                _ => d.help(
                    "one of xavier, orthogonal, zeros, ones, he, normal(s), uniform(a), constant(c)",
                ),
            };
            self.error(d);
        }
        found
    }
}

/// Few enough terms of low enough degree: symbols multiply faster than numbers overflow.
fn simple(d: &Dim) -> bool {
    d.terms().count() <= 64 && d.terms().all(|(m, _)| m.len() <= 16)
}

/// A number written out, `-0.5` or `1/8`.
pub(super) fn constant(e: &Expr) -> Option<f64> {
    match &e.kind {
        ExprKind::Number { value, .. } => Some(*value),
        ExprKind::Paren(x) => constant(x),
        ExprKind::Unary {
            op: UnaryOp::Neg,
            value,
            ..
        } => Some(-constant(value)?),
        ExprKind::Binary {
            op: BinaryOp::Div,
            left,
            right,
            ..
        } => Some(constant(left)? / constant(right)?),
        _ => None,
    }
}

/// 4-byte numbers as people say them: `4.0 TB`.
pub(super) fn bytes(count: i64) -> String {
    let mut n = count as f64 * 4.0;
    for unit in ["B", "KB", "MB", "GB", "TB", "PB"] {
        if n < 1000.0 {
            return match unit {
                "B" => format!("{n:.0} B"),
                _ => format!("{n:.1} {unit}"),
            };
        }
        n /= 1000.0;
    }
    format!("{n:.1} EB")
}

/// The symbol's name for a literal size given for a formal parameter: `H`, or `N` for Linear's `n`.
pub(super) fn hint(name: &str) -> String {
    name.to_uppercase()
}

impl program::Init {
    /// Whether the pattern reads the sizes of a matrix.
    pub(super) fn wants_matrix(self) -> bool {
        matches!(
            self,
            Init::Xavier | Init::He | Init::Orthogonal | Init::HeadOrthogonal { .. }
        )
    }
}
