//! The IR as text made to be read in review.
//!
//! In: a function. Out: one op a line with names from the source, shapes in a column, and the passes
//! that made or moved the op behind `;`. At most 100 columns.

use std::fmt::{self, Write};

use super::op::*;
use crate::dim::{Dim, show};
use crate::domain::Coord;

const SHAPE_COLUMN: usize = 52;
const WIDTH: usize = 100;

/// `name: f32[T,B,H]`.
pub fn typed(func: &Func, id: ValueId) -> String {
    let v = func.value(id);
    format!("{}: {}{}", v.name, elem(v.ty.elem), show(&v.ty.shape))
}

fn elem(e: Elem) -> &'static str {
    match e {
        Elem::F32 => "f32",
        Elem::I32 => "i32",
    }
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        text(self, &mut out)?;
        wrapped(f, &out)
    }
}

fn text(func: &Func, f: &mut String) -> fmt::Result {
    let dims: Vec<String> = func.dims.iter().map(|e| e.sym.to_string()).collect();
    writeln!(f, "fn {} [{}]", func.name, dims.join(" "))?;
    for input in &func.inputs {
        let role = match &input.role {
            InputRole::Data(_) => "data",
            InputRole::Previous(_) => "previous",
            InputRole::Lengths(_) => "lengths",
            InputRole::Steps(_) => "steps",
            InputRole::Carry(_) => "carried",
        };
        writeln!(f, "  in  {}   ; {role}", typed(func, input.value))?;
    }
    for p in &func.params {
        writeln!(f, "  par {}", typed(func, p.value))?;
    }
    region(func, &func.body, 1, f)?;
    for out in &func.outputs {
        let role = match &out.role {
            OutputRole::Loss => "loss".to_string(),
            OutputRole::LossSum(n) => format!("loss sum {n}"),
            OutputRole::LossCount(n) => format!("loss count {n}"),
            OutputRole::Prediction(n) => format!("prediction {n}"),
            OutputRole::Named(n) => format!("output {n}"),
            OutputRole::Carry(n) => format!("carried {n}"),
            OutputRole::Grad(n) => format!("gradient {n}"),
        };
        writeln!(f, "  out {:<24} = {}", role, func.value(out.value).name)?;
    }
    Ok(())
}

/// Writes a text; a line that is too long is broken after a space, with the rest indented further.
pub fn wrapped(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut rest = line.to_string();
        while rest.chars().count() > WIDTH {
            let end = rest
                .char_indices()
                .nth(WIDTH)
                .map_or(rest.len(), |(i, _)| i);
            let Some(cut) = rest[..end].rfind(' ').filter(|&c| c > indent + 6) else {
                break;
            };
            writeln!(f, "{}", rest[..cut].trim_end())?;
            rest = format!("{}{}", " ".repeat(indent + 4), rest[cut..].trim_start());
        }
        writeln!(f, "{rest}")?;
    }
    Ok(())
}

fn region(func: &Func, region: &Region, depth: usize, f: &mut String) -> fmt::Result {
    let pad = "  ".repeat(depth);
    for id in &region.ops {
        let op = func.op(*id);
        let results: Vec<&str> = op
            .results
            .iter()
            .map(|r| func.value(*r).name.as_str())
            .collect();
        let left = results.join(" ");
        if let OpKind::Scan(scan) = &op.kind {
            let dir = if scan.reverse { " reverse" } else { "" };
            let len = match scan.len {
                Some(len) => format!(" to {}", func.value(len).name),
                None => String::new(),
            };
            let n = |v: ValueId| func.value(v).name.as_str();
            let linear = super::recurrence::linear(func, scan);
            let linear: Vec<&str> = linear.iter().map(|i| n(scan.carries[*i].param)).collect();
            let linear = match linear.is_empty() {
                true => None,
                false => Some(format!("linear in {}", linear.join(" "))),
            };
            let notes: Vec<&str> = op.by.iter().copied().chain(linear.as_deref()).collect();
            line(
                f,
                format!("{pad}{left} = scan{dir} {}{len} {{", scan.extent),
                &notes,
            )?;
            for s in &scan.slices {
                writeln!(f, "{pad}  {} <- {}[t]", n(s.to), n(s.from))?;
            }
            for c in &scan.carries {
                writeln!(
                    f,
                    "{pad}  carry {} = {}, then {}",
                    n(c.param),
                    n(c.init),
                    n(c.next)
                )?;
            }
            if let Some(v) = scan.valid {
                writeln!(f, "{pad}  {} = t < {}", n(v), n(scan.len.unwrap_or(v)))?;
            }
            self::region(func, &scan.body, depth + 1, f)?;
            for s in &scan.stacks {
                writeln!(f, "{pad}  stack {} <- {}", n(s.to), n(s.from))?;
            }
            writeln!(f, "{pad}}}")?;
            continue;
        }
        let mut text = format!("{pad}{left} = {}", describe(func, op));
        while text.chars().count() < SHAPE_COLUMN {
            text.push(' ');
        }
        let shapes: Vec<String> = op.results.iter().map(|r| show(func.shape(*r))).collect();
        let shapes = if shapes.windows(2).all(|w| w[0] == w[1]) {
            shapes.first().cloned().unwrap_or_default()
        } else {
            shapes.join(" ")
        };
        write!(text, " : {shapes}")?;
        line(f, text, &op.by)?;
    }
    Ok(())
}

fn line(f: &mut String, mut text: String, by: &[&str]) -> fmt::Result {
    if !by.is_empty() {
        while text.chars().count() < SHAPE_COLUMN + 16 {
            text.push(' ');
        }
        write!(text, " ; {}", by.join(", "))?;
    }
    writeln!(f, "{}", text.trim_end())
}

/// The right side of one op.
fn describe(func: &Func, op: &Op) -> String {
    let names: Vec<&str> = op
        .args
        .iter()
        .map(|a| func.value(*a).name.as_str())
        .collect();
    let all = names.join(" ");
    match &op.kind {
        OpKind::Const(x) => format!("{x}"),
        OpKind::Unary(u) => format!("{} {all}", unary(*u)),
        OpKind::Binary(b) => format!("{} {all}", binary(*b)),
        OpKind::Select => format!("select {all}"),
        OpKind::Expand { axes, shape } => {
            let over = axes.iter().zip(shape).filter(|(a, _)| a.is_none());
            let over: Vec<String> = over.map(|(_, d)| d.to_string()).collect();
            let kept: Vec<usize> = axes.iter().flatten().copied().collect();
            let order = match kept.is_sorted() {
                true => String::new(),
                false => format!(" in order {kept:?}"),
            };
            match over.is_empty() {
                true => format!("expand {all}{order}"),
                false => format!("expand {all} over {}{order}", over.join(" ")),
            }
        }
        OpKind::Contract { lhs, rhs, out } => {
            let summed = lhs
                .iter()
                .zip(func.shape(op.args[0]))
                .filter(|(l, _)| !out.contains(l));
            let summed: Vec<String> = summed.map(|(_, d)| d.to_string()).collect();
            let natural: Vec<u8> = lhs
                .iter()
                .chain(rhs.iter().filter(|r| !lhs.contains(r)))
                .filter(|l| out.contains(l))
                .copied()
                .collect();
            let to = if &natural == out {
                String::new()
            } else {
                format!(" to {}", labels(out))
            };
            let from = if to.is_empty() {
                String::new()
            } else {
                format!(" [{},{}]", labels(lhs), labels(rhs))
            };
            format!("contract {all} over {}{from}{to}", summed.join(" "))
        }
        OpKind::Reduce {
            op: r,
            axes,
            masked,
        } => {
            let over: Vec<String> = axes
                .iter()
                .map(|a| func.shape(op.args[0])[*a].to_string())
                .collect();
            let where_ = if *masked {
                format!(" where t < {}", names[1])
            } else {
                String::new()
            };
            let r = match r {
                ReduceOp::Sum => "sum",
                ReduceOp::Max => "max",
            };
            format!("{r} {} over {}{where_}", names[0], over.join(" "))
        }
        OpKind::Softmax => format!("softmax {all}"),
        OpKind::CrossEntropy => format!("cross-entropy {all}"),
        OpKind::CrossEntropyGrad => format!("cross-entropy-grad {all}"),
        OpKind::Gather => format!("gather {all}"),
        OpKind::ScatterAdd { rows } => format!("scatter-add {all} into {rows}"),
        OpKind::Split { axis, .. } => format!("split {all} axis {axis}"),
        OpKind::Concat { axis } => format!("concat {all} axis {axis}"),
        OpKind::Take(TakeWhich::First) => format!("first {}", names[0]),
        OpKind::Take(TakeWhich::Last) => format!("last {all}"),
        OpKind::Put {
            which: TakeWhich::First,
            ..
        } => format!("put-first {}", names[0]),
        OpKind::Put {
            which: TakeWhich::Last,
            ..
        } => format!("put-last {all}"),
        OpKind::Top { k } => format!("top {k} of {all}"),
        OpKind::Iota { size } => format!("iota {size}"),
        OpKind::Mask { domain, fill, .. } => {
            let axes = axis_names(func.shape(op.args[0]));
            let shown = domain.show(&|c| match c {
                Coord::Axis(i) => axes[i].clone(),
                Coord::Of(i) => names[1 + i].to_string(),
            });
            let other = match *fill == 0.0 {
                true => String::new(),
                false => format!(" else {fill}"),
            };
            format!("mask {} where {shown}{other}", names[0])
        }
        OpKind::Shift { by } => format!("shift {all} by {by}"),
        OpKind::ToFloat => format!("float {all}"),
        OpKind::Random { path, dist, .. } => match dist {
            Dist::Uniform => format!("uniform {path}"),
            Dist::Normal => format!("normal {path}"),
        },
        OpKind::Scan(_) => "scan".to_string(),
    }
}

/// Coordinates named after their axes: `t`, and `t'` for the second axis of that size.
fn axis_names(shape: &[Dim]) -> Vec<String> {
    let name = |d: &Dim| match d.as_sym() {
        Some(s) => s.name().to_lowercase(),
        None => "i".to_string(),
    };
    let mut out: Vec<String> = Vec::new();
    for d in shape {
        let base = name(d);
        let before = out.iter().filter(|n| n.trim_end_matches('\'') == base);
        let primes = "'".repeat(before.count());
        out.push(base + &primes);
    }
    out
}

fn labels(l: &[u8]) -> String {
    l.iter().map(|x| (b'a' + x % 26) as char).collect()
}

pub fn unary(u: Unary) -> &'static str {
    match u {
        Unary::Neg => "neg",
        Unary::Exp => "exp",
        Unary::Log => "log",
        Unary::Sqrt => "sqrt",
        Unary::Abs => "abs",
        Unary::Sign => "sign",
        Unary::Tanh => "tanh",
        Unary::Sigmoid => "sigmoid",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Step => "step",
        Unary::Erf => "erf",
        Unary::Stop => "stop",
        Unary::Bf16 => "bf16",
    }
}

pub fn binary(b: Binary) -> &'static str {
    match b {
        Binary::Add => "add",
        Binary::Sub => "sub",
        Binary::Mul => "mul",
        Binary::Div => "div",
        Binary::Pow => "pow",
        Binary::Max => "max",
        Binary::Min => "min",
        Binary::Lt => "lt",
        Binary::Le => "le",
        Binary::Eq => "eq",
    }
}
