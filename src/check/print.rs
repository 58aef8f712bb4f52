//! The shaped program as text: `emit checked`.
//!
//! In: a [`Model`]. Out: one value a line with its shape, at most 100 columns, with the names of the
//! source and no addresses, made to be read in review.

use std::fmt::{self, Write};

use super::program::{
    Binary, Expr, ExprKind, Head, InputKind, Model, Reduce, Scan, Stmt, Unary, VarId,
};
use super::words::{binary, dim, init, shape, unary, unit};
use crate::ast::node::ScanDir;
use crate::dim::Dim;

const COLUMNS: usize = 100;
/// Where the shapes stand.
const SHAPES: usize = 78;

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model {}", self.name)?;
        let sizes: Vec<String> = self
            .dims
            .iter()
            .map(|e| dim(e.role, &e.binding, e.sym.name()))
            .collect();
        if !sizes.is_empty() {
            wrapped(f, "  sizes ", &sizes)?;
        }
        for i in &self.inputs {
            let v = self.var(i.var);
            let kind = match i.kind {
                InputKind::Input => "input",
                InputKind::Target => "target",
            };
            let fed = if i.feeds_itself { ", fed back" } else { "" };
            let of = i
                .vocabulary
                .as_ref()
                .map_or(String::new(), |d| format!(" of {d}"));
            line(
                f,
                1,
                &format!("{kind} {} {}{of}{fed}", v.name, unit(i.unit)),
                &v.shape,
            )?;
        }
        for p in &self.params {
            line(
                f,
                1,
                &format!("param {} ~ {}", p.path, init(p.init)),
                &p.shape,
            )?;
        }
        for adapter in &self.adapters {
            let [w, a, b] = [adapter.weight, adapter.a, adapter.b].map(|p| self.param(p));
            line(
                f,
                1,
                &format!("{} + {}·{}", w.path, b.path, a.path),
                &w.shape,
            )?;
        }
        for s in &self.body {
            self.stmt(f, 1, s)?;
        }
        for p in &self.predicts {
            let (end, e) = match &p.head {
                Head::Softmax(e) => ("softmax", e),
                Head::Sigmoid(e) => ("σ", e),
                Head::Step(e) => ("step", e),
                Head::Value(e) => ("value", e),
            };
            let name = &self.var(p.target).name;
            line(
                f,
                1,
                &format!("predict {name} = {end} of {}", self.text(e)),
                &e.shape,
            )?;
        }
        for (name, e) in &self.penalties {
            line(
                f,
                1,
                &format!("penalty {name} = {}", self.text(e)),
                &e.shape,
            )?;
        }
        for (name, e) in &self.outputs {
            line(f, 1, &format!("output {name} = {}", self.text(e)), &e.shape)?;
        }
        for (name, v) in &self.watches {
            line(
                f,
                1,
                &format!("watch {name} = {}", self.name(*v)),
                &self.var(*v).shape,
            )?;
        }
        Ok(())
    }
}

impl Model {
    fn name(&self, v: VarId) -> &str {
        &self.var(v).name
    }

    fn stmt(&self, f: &mut dyn Write, depth: usize, s: &Stmt) -> fmt::Result {
        match s {
            Stmt::Let { var, value } => {
                let text = format!("{} = {}", self.name(*var), self.text(value));
                line(f, depth, &text, &self.var(*var).shape)
            }
            Stmt::Scan(s) => self.scan(f, depth, s),
        }
    }

    fn scan(&self, f: &mut dyn Write, depth: usize, s: &Scan) -> fmt::Result {
        let dir = match s.dir {
            ScanDir::Forward => "",
            ScanDir::Reverse => " reverse",
            ScanDir::Both => " both",
        };
        let head = format!(
            "{} = scan{dir} {} over {} as {} {{",
            self.name(s.sequence),
            s.cell,
            s.time,
            s.path
        );
        line(f, depth, &head, &self.var(s.sequence).shape)?;
        for (v, e) in &s.inputs {
            let text = format!("{} each of {}", self.name(*v), self.text(e));
            line(f, depth + 1, &text, &self.var(*v).shape)?;
        }
        for (v, e) in &s.contexts {
            let text = format!("{} always {}", self.name(*v), self.text(e));
            line(f, depth + 1, &text, &self.var(*v).shape)?;
        }
        for st in &s.states {
            let from = st.initial.as_ref().map_or("0".into(), |e| self.text(e));
            let text = format!(
                "{} from {from} then {}",
                self.name(st.before),
                self.text(&st.next)
            );
            line(f, depth + 1, &text, &self.var(st.before).shape)?;
        }
        for b in &s.body {
            self.stmt(f, depth + 1, b)?;
        }
        line(
            f,
            depth + 1,
            &format!("output {}", self.text(&s.output)),
            &s.output.shape,
        )?;
        writeln!(f, "{}}}", "  ".repeat(depth))
    }

    /// An expression on one line.
    pub fn text(&self, e: &Expr) -> String {
        let mut out = String::new();
        self.write(&mut out, e, 0);
        out
    }

    /// `tight` is how tightly the surrounding operator binds.
    fn write(&self, out: &mut String, e: &Expr, tight: u8) {
        let mut call = |name: &str, args: &[&Expr], rest: &str| {
            out.push_str(name);
            out.push('(');
            for (i, a) in args.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                self.write(out, a, 0);
            }
            out.push_str(rest);
            out.push(')');
        };
        match &e.kind {
            ExprKind::Number(n) => out.push_str(&n.to_string()),
            ExprKind::Var(v) => out.push_str(self.name(*v)),
            ExprKind::Param(p) => out.push_str(&self.param(*p).path),
            ExprKind::Previous(v) => {
                let _ = write!(out, "previous({})", self.name(*v));
            }
            ExprKind::Reveal(v) => {
                let _ = write!(out, "reveal({})", self.name(*v));
            }
            ExprKind::Delay { value, by } => call("delay", &[value], &format!(", {by}")),
            ExprKind::Unary(Unary::Neg, x) => {
                out.push('-');
                self.write(out, x, 9);
            }
            ExprKind::Unary(op, x) => call(unary(*op), &[x], ""),
            ExprKind::Binary(op @ (Binary::Min | Binary::Max), a, b) => {
                call(binary(*op).0, &[a, b], "")
            }
            ExprKind::Binary(op, a, b) => {
                let (symbol, level) = binary(*op);
                self.infix(out, a, symbol, b, level, tight);
            }
            ExprKind::Dot(a, b) => self.infix(out, a, "·", b, 8, tight),
            ExprKind::Choose(c, a, b) => call("choose", &[c, a, b], ""),
            ExprKind::Concat(parts) => {
                let parts: Vec<String> = parts.iter().map(|p| self.text(p)).collect();
                let _ = write!(out, "[{}]", parts.join(", "));
            }
            ExprKind::Expand { value, axes } => {
                let axes: Vec<String> = axes
                    .iter()
                    .map(|a| a.map_or("_".into(), |i| i.to_string()))
                    .collect();
                call("expand", &[value], &format!("; {}", axes.join(" ")));
            }
            ExprKind::Contract {
                left,
                right,
                lhs,
                rhs,
                out: kept,
            } => {
                let letters =
                    |l: &[u8]| -> String { l.iter().map(|x| (b'a' + x % 26) as char).collect() };
                let labels = format!("; {} {} to {}", letters(lhs), letters(rhs), letters(kept));
                call("contract", &[left, right], &labels);
            }
            ExprKind::Where {
                value,
                domain,
                fill,
            } => call("where", &[value], &format!("; {domain} else {fill}")),
            ExprKind::Index => {
                let along = e.shape.first().map_or(String::new(), Dim::to_string);
                call("index", &[], &along);
            }
            ExprKind::Steps(time) => call("steps", &[], time.name()),
            ExprKind::Top { value, k } => call("top", &[value], &format!(", {k}")),
            ExprKind::Split {
                value,
                parts,
                index,
            } => call("split", &[value], &format!("; {} of {parts}", index + 1)),
            ExprKind::Reduce { op, value, axis } => {
                let name = match op {
                    Reduce::Sum => "sum",
                    Reduce::Mean => "mean",
                    Reduce::Max => "max",
                };
                call(name, &[value], "");
                let over = value.shape.get(*axis).map_or(String::new(), Dim::to_string);
                let _ = write!(out, " over {over}");
            }
            ExprKind::Softmax(x) => call("softmax", &[x], ""),
            ExprKind::First(x) => call("first", &[x], ""),
            ExprKind::Last(x) => call("last", &[x], ""),
            ExprKind::Embed { table, index } => {
                let _ = write!(out, "{}[", self.param(*table).path);
                self.write(out, index, 0);
                out.push(']');
            }
            ExprKind::Dropout {
                value,
                p,
                share_time,
                path,
            } => {
                let share = if *share_time { ", share = time" } else { "" };
                call("dropout", &[value], &format!(", {p}{share}; {path}"));
            }
            ExprKind::Zoneout { old, new, p, path } => {
                call("zoneout", &[old, new], &format!(", {p}; {path}"));
            }
            ExprKind::Normal { path } => {
                let _ = write!(out, "normal({path})");
            }
        }
    }

    fn infix(&self, out: &mut String, a: &Expr, symbol: &str, b: &Expr, level: u8, tight: u8) {
        let open = level <= tight;
        if open {
            out.push('(');
        }
        // The left may be as loose as the operator itself; `·` and `^` group to the right.
        let (l, r) = match level >= 8 {
            true => (level, level - 1),
            false => (level - 1, level),
        };
        self.write(out, a, l);
        match level {
            8.. => out.push_str(symbol),
            6 | 7 if symbol == "*" || symbol == "/" => out.push_str(symbol),
            _ => {
                let _ = write!(out, " {symbol} ");
            }
        }
        self.write(out, b, r);
        if open {
            out.push(')');
        }
    }
}

/// A list after a label, broken between its parts.
pub(super) fn wrapped(f: &mut dyn Write, label: &str, parts: &[String]) -> fmt::Result {
    let mut text = label.to_string();
    for (i, p) in parts.iter().enumerate() {
        let comma = if i + 1 < parts.len() { "," } else { "" };
        if text.chars().count() + p.chars().count() + 2 > COLUMNS {
            writeln!(f, "{}", text.trim_end())?;
            text = " ".repeat(label.chars().count());
        }
        text.push_str(p);
        text.push_str(comma);
        text.push(' ');
    }
    writeln!(f, "{}", text.trim_end())
}

/// `text … : shape`, the text broken after operators and commas where it is too long.
fn line(f: &mut dyn Write, depth: usize, text: &str, s: &[Dim]) -> fmt::Result {
    let indent = "  ".repeat(depth);
    let shape = shape(s);
    let mut rest: Vec<char> = text.chars().collect();
    let mut first = true;
    loop {
        let margin = indent.len() + if first { 0 } else { 4 };
        let pad = " ".repeat(margin);
        if margin + rest.len() <= SHAPES {
            let text: String = rest.iter().collect();
            let gap = SHAPES - margin - rest.len();
            return writeln!(f, "{pad}{text}{} : {shape}", " ".repeat(gap));
        }
        let room = SHAPES - margin;
        let cut = (room / 2..room)
            .rev()
            .find(|i| rest[*i] == ' ')
            .unwrap_or(room - 1);
        let head: String = rest[..=cut].iter().collect();
        writeln!(f, "{pad}{}", head.trim_end())?;
        rest.drain(..=cut);
        first = false;
    }
}
