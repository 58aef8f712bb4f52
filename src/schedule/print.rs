//! The text of a program, made to be read in review.
//!
//! In: a [`Program`]. Out: its buffers with their memory, then one task a line; a loop as small
//! equations. `h[t+1]` is a step of a sequence, `z@2H` starts 2H elements into it. At most 100 columns.

use std::fmt::{self, Write};

use super::named::Named;
use super::peak;
use super::program::*;
use crate::dim::{Dim, show};
use crate::ir::print::wrapped;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        let syms: Vec<String> = self.dims.iter().map(|e| e.sym.to_string()).collect();
        let _ = writeln!(out, "plan {} [{}]", self.name, syms.join(" "));
        for b in &self.buffers {
            let _ = writeln!(out, "{}", buffer_line(self, b).trim_end());
            for then in &b.then {
                let _ = writeln!(out, "{}", then_line(b, then));
            }
        }
        if let Ok(p) = peak::peak(self) {
            let _ = writeln!(out, "  peak {p} bytes of temporaries");
        }
        tasks(&mut out, self, &self.tasks, 2, None);
        wrapped(f, &out)
    }
}

fn buffer_line(p: &Program, b: &Buffer) -> String {
    let kind = match b.home {
        Home::Param(_) => "par",
        Home::Input(_) => "in",
        Home::Output(_) => "out",
        Home::Grad(_) => "grad",
        Home::Temp(_) => "tmp",
    };
    let mut line = format!("  {kind:<4} {:<24} {:<20}", b.name, typed(b, &b.shape));
    if let Home::Temp(slot) = b.home {
        let _ = write!(line, " slot {slot:<3}");
    }
    let _ = match b.life {
        (from, to) if from > to => write!(line, " unused"),
        (from, to) if from == to => write!(line, " task {from}"),
        (from, to) => write!(line, " tasks {from}–{to}"),
    };
    if let Home::Param(w) | Home::Grad(w) = b.home
        && let [first, .., last] = &p.params[w.range()]
    {
        let _ = write!(line, "; {} to {}", first.path, last.path);
    }
    line
}

/// A value that follows in the place of another, from the task on that stores it first.
fn then_line(b: &Buffer, then: &Then) -> String {
    let place = match then.at.offset == Dim::constant(0) {
        true => b.name.clone(),
        false => format!("{}@{}", b.name, then.at.offset),
    };
    let task = match then.from() {
        (task, Some(inner)) => format!("{task}.{inner}"),
        (task, None) => task.to_string(),
    };
    let ty = typed(b, &then.at.shape());
    format!(
        "  tmp  {:<24} {ty:<20} in {place} from task {task}",
        then.name
    )
}

fn typed(b: &Buffer, shape: &[Dim]) -> String {
    let elem = match b.elem {
        Elem::F32 => "f32",
        Elem::I32 => "i32",
    };
    format!("{elem}{}", show(shape))
}

fn tasks(out: &mut String, p: &Program, list: &[Task], indent: usize, around: Option<usize>) {
    let pad = " ".repeat(indent);
    for (i, t) in list.iter().enumerate() {
        let _ = write!(out, "{pad}{i:>2} ");
        let p = Named {
            program: p,
            at: match around {
                Some(scan) => (scan, Some(i)),
                None => (i, None),
            },
        };
        match t {
            Task::Gemm(g) => gemm(out, p, g),
            Task::Loop(l) => a_loop(out, p, list, l, indent + 5),
            Task::Scan(s) => {
                let direction = if s.reverse { " backwards" } else { "" };
                let _ = write!(out, "scan {}{direction}", s.extent);
                for (name, home) in &s.carries {
                    let kept = match home {
                        CarryHome::History => "history",
                        CarryHome::InPlace => "in place",
                        CarryHome::Copied => "copied",
                    };
                    let _ = write!(out, " {name}: {kept};");
                }
                let rows = match s.rows_independent {
                    true => "rows apart",
                    false => "rows together",
                };
                let _ = writeln!(out, " {rows}");
                tasks(out, p.program, &s.body, indent + 3, Some(i));
            }
            Task::Routine { routine: r, .. } => {
                let _ = writeln!(out, "{}", routine(p, r));
            }
        }
    }
}

fn gemm(out: &mut String, p: Named<'_>, g: &Gemm) {
    let size = |axes: &[GemmAxis]| match axes {
        [] => "1".to_string(),
        axes => {
            let all: Vec<String> = axes.iter().map(|a| a.size.to_string()).collect();
            all.join("×")
        }
    };
    let _ = write!(
        out,
        "gemm {} = {} · {} ",
        p.written(&g.out),
        p.read(&g.lhs),
        p.read(&g.rhs),
    );
    let _ = write!(out, "[{} {} {}]", size(&g.m), size(&g.n), size(&g.k));
    if !g.batch.is_empty() {
        let _ = write!(out, " for each {}", size(&g.batch));
    }
    let class = match (g.class, g.rhs_invariant) {
        (GemmClass::PackedWeight, true) => "packed before the scan",
        (GemmClass::PackedWeight, false) => "packed",
        (GemmClass::OneShot, _) => "one shot",
    };
    let _ = writeln!(out, " ; {class}");
}

fn a_loop(out: &mut String, p: Named<'_>, list: &[Task], l: &Loop, indent: usize) {
    let space: Vec<String> = l
        .space
        .iter()
        .zip(&l.reduced)
        .map(|(d, reduced)| match reduced {
            true => format!("Σ{d}"),
            false => d.to_string(),
        })
        .collect();
    let _ = write!(out, "loop [{}]", space.join(","));
    if let Some(Task::Gemm(g)) = l.epilogue_of.and_then(|i| list.get(i)) {
        let _ = write!(out, " ; epilogue of {}", g.name);
    }
    let _ = writeln!(out);
    let mut eq = Equations::new(p, l);
    let pad = " ".repeat(indent);
    for e in &l.effects {
        let (value, line) = match e {
            Effect::Store { value, to } => (*value, format!("{} =", p.written(to))),
            Effect::Fold { op, value, to } => {
                let fold = match op {
                    FoldOp::Sum => "sum",
                    FoldOp::Max => "max",
                };
                (*value, format!("{} = {fold}", p.written(to)))
            }
        };
        for shared in eq.shared_below(value) {
            let text = eq.right(shared, 0);
            let _ = writeln!(out, "{pad}{} = {text}", eq.define(shared));
        }
        let text = eq.text(value, 0);
        let _ = writeln!(out, "{pad}{line} {text}");
        if let Effect::Store { to, .. } = e {
            eq.names[value.0 as usize].get_or_insert(p.written(to));
        }
    }
}

/// The expressions of a loop as text; one used twice gets a name.
struct Equations<'a> {
    p: Named<'a>,
    l: &'a Loop,
    uses: Vec<usize>,
    names: Vec<Option<String>>,
    defined: usize,
}

impl<'a> Equations<'a> {
    fn new(p: Named<'a>, l: &'a Loop) -> Equations<'a> {
        let mut uses = vec![0; l.exprs.len()];
        for e in &l.exprs {
            for o in e.operands() {
                uses[o.0 as usize] += 1;
            }
        }
        for e in &l.effects {
            let (Effect::Store { value, .. } | Effect::Fold { value, .. }) = e;
            uses[value.0 as usize] += 1;
        }
        Equations {
            p,
            l,
            uses,
            names: vec![None; l.exprs.len()],
            defined: 0,
        }
    }

    /// What must get a name before `e` is written, in order of computation.
    fn shared_below(&self, e: ExprId) -> Vec<ExprId> {
        let mut out = Vec::new();
        let mut stack = self.l.exprs[e.0 as usize].operands();
        while let Some(x) = stack.pop() {
            let i = x.0 as usize;
            let below = self.l.exprs[i].operands();
            if self.names[i].is_some() || below.is_empty() {
                continue;
            }
            if self.uses[i] > 1 && !out.contains(&x) {
                out.push(x);
            }
            stack.extend(below);
        }
        out.sort();
        out
    }

    fn define(&mut self, e: ExprId) -> String {
        self.defined += 1;
        let name = format!("_{}", self.defined);
        self.names[e.0 as usize] = Some(name.clone());
        name
    }

    fn text(&self, e: ExprId, outer: u8) -> String {
        match &self.names[e.0 as usize] {
            Some(name) => name.clone(),
            None => self.right(e, outer),
        }
    }

    /// `outer` is how tightly the operator around binds.
    fn right(&self, e: ExprId, outer: u8) -> String {
        let infix = |a: &ExprId, sign: &str, b: &ExprId, level: u8| {
            let text = format!(
                "{} {sign} {}",
                self.text(*a, level),
                self.text(*b, level + 1)
            );
            match outer > level {
                true => format!("({text})"),
                false => text,
            }
        };
        let call = |name: &str, args: &[&ExprId]| {
            let args: Vec<String> = args.iter().map(|a| self.text(**a, 0)).collect();
            format!("{name}({})", args.join(", "))
        };
        match &self.l.exprs[e.0 as usize] {
            Expr::Const(x) => x.to_string(),
            Expr::Load(i) => self.p.read(&self.l.loads[*i]),
            Expr::Index(axis) => format!("i{axis}"),
            Expr::Time => "t".to_string(),
            Expr::Size(d) => d.to_string(),
            Expr::Unary(Unary::Neg, a) => format!("-{}", self.text(*a, 4)),
            Expr::Unary(f, a) => call(unary(*f), &[a]),
            Expr::Binary(f, a, b) => match f {
                Binary::Add => infix(a, "+", b, 2),
                Binary::Sub => infix(a, "-", b, 2),
                Binary::Mul => infix(a, "*", b, 3),
                Binary::Div => infix(a, "/", b, 3),
                Binary::Lt => infix(a, "<", b, 1),
                Binary::Le => infix(a, "<=", b, 1),
                Binary::Eq => infix(a, "==", b, 1),
                Binary::Pow => call("pow", &[a, b]),
                Binary::Max => call("max", &[a, b]),
                Binary::Min => call("min", &[a, b]),
            },
            Expr::Select(c, a, b) => call("select", &[c, a, b]),
        }
    }
}

fn unary(f: Unary) -> &'static str {
    match f {
        Unary::Neg => "-",
        Unary::Exp => "exp",
        Unary::Log => "log",
        Unary::Sqrt => "sqrt",
        Unary::Abs => "abs",
        Unary::Sign => "sign",
        Unary::Tanh => "tanh",
        Unary::Sigmoid => "σ",
        Unary::Sin => "sin",
        Unary::Cos => "cos",
        Unary::Step => "step",
        Unary::Erf => "erf",
        Unary::Floor => "floor",
        Unary::Bf16 => "bf16",
    }
}

fn routine(p: Named<'_>, r: &Routine) -> String {
    let v = |x: &View| p.read(x);
    let to = |x: &View| p.written(x);
    let step = |len: &Option<View>| match len {
        Some(len) => format!("{} - 1", v(len)),
        None => "0".to_string(),
    };
    match r {
        Routine::Top { k, x, out } => format!("{} = top({k}, {})", to(out), v(x)),
        Routine::Softmax { x, out } => format!("{} = softmax({})", to(out), v(x)),
        Routine::CrossEntropy {
            logits,
            target,
            out,
        } => format!("{} = cross_entropy({}, {})", to(out), v(logits), v(target)),
        Routine::CrossEntropyGrad {
            logits,
            target,
            g,
            out,
        } => format!(
            "{} = (softmax({}) - onehot({})) * {}",
            to(out),
            v(logits),
            v(target),
            v(g)
        ),
        Routine::Gather { table, index, out } => {
            format!("{} = gather {}[{}]", to(out), v(table), v(index))
        }
        Routine::ScatterAdd { grad, index, out } => {
            format!("scatter {}[{}] += {}", to(out), v(index), v(grad))
        }
        Routine::Take { x, len, out } => format!("take {} = {}[{}]", to(out), v(x), step(len)),
        Routine::Put { g, len, out } => format!("put {}[{}] = {}", to(out), step(len), v(g)),
        Routine::Random {
            path, dist, out, ..
        } => {
            let dist = match dist {
                Dist::Uniform => "uniform",
                Dist::Normal => "normal",
            };
            format!("{} = {dist} draws for {path}", to(out))
        }
    }
}
