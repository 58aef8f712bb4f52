//! Operations of a fused group as instructions of full vector width.
//!
//! In: an operation and its operands. Out: [`Code`] that computes it, with the edges that the loops' doc states for NaN.

use super::super::wide::code::{Cmp, Code, One, Src, Two, V};
use super::super::wide::float;
use super::machine::internal;
use crate::diagnostics::Diagnostic;
use crate::schedule::program::{Binary, Expr, Unary};

/// Whether there are instructions for it: sines of large numbers and powers in general take branches. Rounding to 16
/// bits needs none: only weights, and what is made of weights alone, are rounded, as operands of products. Such operands
/// are stored by loops of their own outside of every scan (*hoist-invariant*), once a call, or once in all where weights
/// are held. Where that rewrite is left out they run at each step, slower and with the same bits.
pub(super) fn has_code(e: &Expr, all: &[Expr]) -> bool {
    match e {
        Expr::Unary(Unary::Sin | Unary::Cos | Unary::Bf16, _) => false,
        Expr::Binary(Binary::Pow, _, b) => match all[b.0 as usize] {
            Expr::Const(y) => {
                let n = y.abs();
                n <= 16.0 && n.fract() == 0.0 || n == 0.5 || n == 1.5
            }
            _ => false,
        },
        _ => true,
    }
}

pub(super) fn comparison(op: Binary) -> Option<Cmp> {
    match op {
        Binary::Lt => Some(Cmp::Less),
        Binary::Le => Some(Cmp::LessEqual),
        Binary::Eq => Some(Cmp::Equal),
        Binary::Add
        | Binary::Sub
        | Binary::Mul
        | Binary::Div
        | Binary::Pow
        | Binary::Max
        | Binary::Min => None,
    }
}

pub(super) fn unary(code: &mut Code, op: Unary, a: Src) -> Result<V, Diagnostic> {
    let x = code.reg(a);
    Ok(match op {
        Unary::Neg => code.two(Two::Xor, a, Src::Const(1 << 31)),
        Unary::Abs => code.abs(x),
        Unary::Sqrt => code.one(One::Sqrt, x),
        Unary::Floor => code.one(One::Floor, x),
        Unary::Exp => code.exp(x),
        Unary::Log => code.log(x),
        Unary::Sign => code.sign(x),
        Unary::Tanh => code.tanh(x),
        Unary::Sigmoid => code.sigmoid(x),
        Unary::Erf => code.erf(x),
        Unary::Step => code.select(Cmp::Less, float(0.0), a, float(1.0), float(0.0)),
        Unary::Sin | Unary::Cos => return Err(internal(&"a sine in a row")),
        Unary::Bf16 => return Err(internal(&"a rounding to 16 bits in a row")),
    })
}

pub(super) fn binary(
    code: &mut Code,
    op: Binary,
    [a, b]: [Src; 2],
    known: [Option<f64>; 2],
) -> Result<V, Diagnostic> {
    Ok(match op {
        Binary::Add => code.two(Two::Add, a, b),
        Binary::Sub => code.two(Two::Sub, a, b),
        Binary::Mul => code.two(Two::Mul, a, b),
        Binary::Div => code.two(Two::Div, a, b),
        Binary::Lt | Binary::Le | Binary::Eq => {
            let cmp = comparison(op).unwrap_or(Cmp::Equal);
            code.select(cmp, a, b, float(1.0), float(0.0))
        }
        Binary::Max | Binary::Min => {
            let op = if op == Binary::Max {
                Two::Max
            } else {
                Two::Min
            };
            // The second operand's NaN passes by itself, so a constant goes first.
            let number = |x: Option<f64>| x.is_some_and(|x| !x.is_nan());
            match known.map(number) {
                [true, _] => code.two(op, a, b),
                [false, true] => code.two(op, b, a),
                [false, false] => {
                    let m = code.two(op, a, b);
                    let a = code.reg(a);
                    code.keep_nan(a, m)
                }
            }
        }
        Binary::Pow => {
            let Some(y) = known[1] else {
                return Err(internal(&"a power in a row"));
            };
            power(code, a, y)
        }
    })
}

/// xʸ for small whole y by products, for halves by a square root.
fn power(code: &mut Code, x: Src, y: f64) -> V {
    let n = y.abs();
    let p = if n.fract() == 0.0 {
        let (mut left, mut square, mut p) = (n as u32, x, None);
        while left > 0 {
            if left & 1 == 1 {
                p = Some(match p {
                    Some(p) => Src::Reg(code.two(Two::Mul, p, square)),
                    None => square,
                });
            }
            left >>= 1;
            if left > 0 {
                square = Src::Reg(code.two(Two::Mul, square, square));
            }
        }
        p.unwrap_or(float(1.0))
    } else {
        let whole = code.reg(x);
        let root = Src::Reg(code.one(One::Sqrt, whole));
        match n {
            1.5 => Src::Reg(code.two(Two::Mul, x, root)),
            _ => root,
        }
    };
    match y < 0.0 {
        true => code.two(Two::Div, float(1.0), p),
        false => code.reg(p),
    }
}
