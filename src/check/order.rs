//! The order of equations: each after what it reads, whatever order they are written in.
//!
//! In: the equations of a definition. Out: the same, sorted, with those in a cycle marked.

use std::collections::BTreeMap;

use super::names::{Names, key, stage_name};
use crate::ast::node::{Expr, ExprKind};
use crate::diagnostics::Diagnostic;

impl Names<'_> {
    /// Puts the equations into an order in which each follows those it reads; the order of the
    /// file where that leaves a choice. A cycle is reported once and its names are marked.
    pub fn sort(&mut self, out: &mut Vec<Diagnostic>) {
        self.cyclic.extend(self.unprimed.iter().cloned());
        // What is declared has no equation: the clash is told, and the declared value stands.
        let declared = |n: &String| self.decls.iter().any(|d| d.name.node == *n);
        let made = self.equations.iter().flat_map(|e| e.names).map(key);
        let clashing: Vec<String> = made.filter(declared).collect();
        self.cyclic.extend(clashing);
        let mut maker: BTreeMap<String, usize> = BTreeMap::new();
        for (i, eq) in self.equations.iter().enumerate() {
            for left in eq.names {
                maker.entry(key(left)).or_insert(i);
            }
        }
        // Running a named inner cell gives its states their next values: `gru'`.
        for (i, eq) in self.equations.iter().enumerate() {
            walk(eq.value, &mut |e| {
                if let ExprKind::Pipe { stage, .. } = &e.kind
                    && let Some(name) = stage_name(stage)
                    && maker.contains_key(name)
                {
                    maker.entry(format!("{name}'")).or_insert(i);
                }
            });
        }
        let needs: Vec<Vec<usize>> = self
            .equations
            .iter()
            .map(|eq| {
                let mut read = Vec::new();
                reads(eq.value, &mut |k| read.extend(maker.get(k).copied()));
                read
            })
            .collect();
        let mut order = Vec::new();
        let mut state = vec![Mark::New; needs.len()];
        for start in 0..needs.len() {
            // Depth first with an explicit stack: a file may hold a very long chain.
            let mut stack = vec![(start, 0)];
            while let Some((at, next)) = stack.pop() {
                if state[at] == Mark::Done {
                    continue;
                }
                state[at] = Mark::Open;
                match needs[at].get(next) {
                    None => {
                        state[at] = Mark::Done;
                        order.push(at);
                    }
                    Some(&need) => {
                        stack.push((at, next + 1));
                        match state[need] {
                            Mark::Done => {}
                            Mark::New => stack.push((need, 0)),
                            Mark::Open => {
                                let from = stack.iter().position(|(s, _)| *s == need);
                                let ring: Vec<usize> =
                                    stack[from.unwrap_or(0)..].iter().map(|(s, _)| *s).collect();
                                self.cycle(&ring, out);
                            }
                        }
                    }
                }
            }
        }
        self.equations = order.into_iter().map(|i| self.equations[i]).collect();
    }

    fn cycle(&mut self, ring: &[usize], out: &mut Vec<Diagnostic>) {
        let name = |i: &usize| self.equations[*i].names.first().map_or(String::new(), key);
        let names: Vec<String> = ring.iter().map(name).collect();
        if names.iter().any(|n| self.cyclic.contains(n)) {
            return;
        }
        // Read in the direction of use: a needs b needs a.
        let mut text: Vec<&str> = names.iter().map(String::as_str).collect();
        text.push(&names[0]);
        let shown = if text.len() > 5 {
            format!("{} → … → {}", text[..3].join(" → "), text[text.len() - 1])
        } else {
            text.join(" → ")
        };
        if let Some(left) = self.equations[ring[0]].names.first() {
            let d = Diagnostic::error(
                "name::cycle",
                format!("`{}` is needed to compute itself", names[0]),
            )
            .label(left.name.span, shown);
            out.push(d.help("the value of the step before is a state: `state h`, then `h' = …`"));
        }
        for i in ring {
            self.cyclic.extend(self.equations[*i].names.iter().map(key));
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

/// Calls `f` on `e` and everything inside it. The depth is bounded by the parser's limit.
pub fn walk<'a>(e: &'a Expr, f: &mut dyn FnMut(&'a Expr)) {
    f(e);
    match &e.kind {
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Name(_) => {}
        ExprKind::Prime(x) | ExprKind::Field(x, _) | ExprKind::Paren(x) => walk(x, f),
        ExprKind::Index(x, indices) => {
            walk(x, f);
            indices.iter().for_each(|i| walk(i, f));
        }
        ExprKind::Call { callee, args } => {
            walk(callee, f);
            args.iter().for_each(|a| walk(&a.value, f));
        }
        ExprKind::List(parts) => parts.iter().for_each(|p| walk(p, f)),
        ExprKind::Unary { value, .. } => walk(value, f),
        ExprKind::Binary { left, right, .. } => {
            walk(left, f);
            walk(right, f);
        }
        ExprKind::Compare { first, rest } => {
            walk(first, f);
            rest.iter().for_each(|(_, e)| walk(e, f));
        }
        ExprKind::Over { value, cond, .. } => {
            walk(value, f);
            if let Some(c) = cond {
                walk(c, f);
            }
        }
        ExprKind::Pipe { input, stage, .. } => {
            walk(input, f);
            walk(&stage.call, f);
            for b in stage.with.iter().chain(&stage.from) {
                walk(&b.value, f);
            }
        }
    }
}

/// Every key that an expression reads: `h`, `h'`, and `gru'` for `gru.h'`.
fn reads(e: &Expr, f: &mut dyn FnMut(&str)) {
    walk(e, &mut |e| match &e.kind {
        ExprKind::Name(n) => f(n),
        ExprKind::Prime(x) => {
            if let Some(base) = base_name(x) {
                f(&format!("{base}'"));
            }
        }
        _ => {}
    });
}

fn base_name(e: &Expr) -> Option<&str> {
    match &e.kind {
        ExprKind::Name(n) => Some(n),
        ExprKind::Field(x, _) => base_name(x),
        _ => None,
    }
}
