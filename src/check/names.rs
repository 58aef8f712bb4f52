//! The names of one definition: what is declared, clashes, and the order of its equations.
//!
//! In: the statements of a cell, block, model or function. Out: [`Names`], with the equations in an
//! order in which each comes after what it reads; errors for names used twice and for cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::defs::{self, Globals};
use crate::ast::node::{
    DeclKind, Expr, ExprKind, Ident, Lhs, SizeParam, Stage, Stmt, StmtKind, Type,
};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// One declared name.
#[derive(Clone, Copy, Debug)]
pub struct Decl<'a> {
    pub kind: DeclKind,
    pub name: &'a Ident,
    pub ty: Option<&'a Type>,
    pub init: Option<&'a Expr>,
    pub value: Option<&'a Expr>,
}

/// One equation.
#[derive(Clone, Copy, Debug)]
pub struct Equation<'a> {
    pub names: &'a [Lhs],
    pub indices: Option<&'a [Ident]>,
    pub value: &'a Expr,
}

/// The statements of a definition, sorted by what they do.
#[derive(Debug, Default)]
pub struct Names<'a> {
    pub decls: Vec<Decl<'a>>,
    /// In an order in which each equation follows those it reads.
    pub equations: Vec<Equation<'a>>,
    /// Left sides that stand in a cycle: their value is unknown.
    pub cyclic: BTreeSet<String>,
    pub outputs: Vec<&'a Expr>,
    pub watches: Vec<&'a Ident>,
    pub predicts: Vec<(&'a Ident, &'a Expr)>,
    pub penalties: Vec<(&'a Ident, &'a Expr)>,
}

impl<'a> Names<'a> {
    pub fn of(body: &'a [Stmt]) -> Names<'a> {
        let mut names = Names::default();
        for stmt in body {
            match &stmt.kind {
                StmtKind::Decl {
                    kind,
                    names: declared,
                    ty,
                    init,
                    value,
                } => {
                    for name in declared {
                        names.decls.push(Decl {
                            kind: *kind,
                            name,
                            ty: ty.as_ref(),
                            init: init.as_ref(),
                            value: value.as_ref(),
                        });
                    }
                }
                StmtKind::Eq {
                    names: left,
                    indices,
                    value,
                } => names.equations.push(Equation {
                    names: left,
                    indices: indices.as_deref(),
                    value,
                }),
                StmtKind::Output(values) => names.outputs.extend(values),
                StmtKind::Watch(watched) => names.watches.extend(watched),
                StmtKind::Predict { name, value } => names.predicts.push((name, value)),
                StmtKind::Penalty { name, value } => names.penalties.push((name, value)),
            }
        }
        names
    }

    pub fn of_kind(&self, kind: DeclKind) -> impl Iterator<Item = Decl<'a>> + '_ {
        self.decls.iter().copied().filter(move |d| d.kind == kind)
    }

    /// Size names that stand in the types of inputs and contexts and are neither formal sizes nor
    /// known at the top of the file: the definition is told them by what it is applied to.
    pub fn new_sizes(&self, sizes: &[SizeParam], globals: &Globals) -> Vec<&'a str> {
        let mut new: Vec<&str> = Vec::new();
        let open = |n: &str| {
            !sizes.iter().any(|s| s.name.node == n) && !globals.is_dim(n) && !globals.is_time(n)
        };
        for d in &self.decls {
            if !matches!(d.kind, DeclKind::Input | DeclKind::Context) {
                continue;
            }
            for size in d.ty.iter().flat_map(|t| t.shape.iter().flatten()) {
                if let ExprKind::Name(n) = &size.kind
                    && open(n)
                    && !new.contains(&n.as_str())
                {
                    new.push(n);
                }
            }
        }
        new
    }

    /// Errors for names that are declared twice, reserved, or built in.
    pub fn clashes(&self, sizes: &'a [SizeParam], globals: &'a Globals, out: &mut Vec<Diagnostic>) {
        let mut seen: BTreeMap<&str, (&'static str, Span)> = BTreeMap::new();
        for (n, _) in &globals.times {
            seen.insert(&n.node, ("time", n.span));
        }
        for (n, _) in &globals.dims {
            seen.insert(&n.node, ("dim", n.span));
        }
        let mut add = |name: &'a Ident, kind: &'static str, out: &mut Vec<Diagnostic>| {
            own_name(name, out);
            match seen.get(name.node.as_str()) {
                Some((other, span)) => out.push(clash(name, kind, other, *span)),
                None => {
                    seen.insert(&name.node, (kind, name.span));
                }
            }
        };
        for s in sizes {
            // A size in a definition's head goes before a dim of the file.
            if !globals.is_dim(&s.name.node) {
                add(&s.name, "size", out);
            }
        }
        for d in &self.decls {
            let kind = match d.kind {
                DeclKind::Input => "input",
                DeclKind::Context => "context",
                DeclKind::State => "state",
                DeclKind::Target => "target",
                DeclKind::Param => "weight",
            };
            add(d.name, kind, out);
        }
        for eq in &self.equations {
            for left in eq.names.iter().filter(|l| !l.prime) {
                add(&left.name, "value", out);
            }
        }
        let mut next: BTreeMap<&str, Span> = BTreeMap::new();
        for left in self
            .equations
            .iter()
            .flat_map(|e| e.names)
            .filter(|l| l.prime)
        {
            let name = left.name.node.as_str();
            let state = self
                .of_kind(DeclKind::State)
                .any(|d| d.name.node == left.name.node);
            match seen.get(name) {
                _ if state => {}
                Some((kind, span)) => out.push(
                    Diagnostic::error(
                        "name::not-a-state",
                        format!("`{name}'` is a next value, but `{name}` is a {kind}"),
                    )
                    .label(left.name.span, "only a state has a next value")
                    .label(*span, format!("declared as a {kind} here")),
                ),
                None => out.push(
                    Diagnostic::error(
                        "name::not-a-state",
                        format!("`{name}'` is a next value, but no state `{name}` is declared"),
                    )
                    .label(left.name.span, "only a state has a next value"),
                ),
            }
            if let Some(first) = next.insert(name, left.name.span) {
                out.push(
                    Diagnostic::error(
                        "name::assigned-twice",
                        format!("`{name}'` has two equations; a state has one next value"),
                    )
                    .label(left.name.span, "second")
                    .label(first, "first"),
                );
            }
        }
        for eq in &self.equations {
            for index in eq.indices.into_iter().flatten() {
                if let Some((kind, span)) = seen.get(index.node.as_str()) {
                    out.push(clash(index, "index", kind, *span));
                }
            }
        }
    }

    /// Whether some equation runs the named layer: `… |> gru`.
    pub fn runs(&self, name: &str) -> bool {
        let mut found = false;
        let outputs = self.outputs.iter().copied();
        for e in self.equations.iter().map(|e| e.value).chain(outputs) {
            walk(e, &mut |e| {
                if let ExprKind::Pipe { stage, .. } = &e.kind {
                    found |= stage_name(stage) == Some(name);
                }
            });
        }
        found
    }

    /// Puts the equations into an order in which each follows those it reads; the order of the
    /// file where that leaves a choice. A cycle is reported once and its names are marked.
    pub fn sort(&mut self, out: &mut Vec<Diagnostic>) {
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

/// `h` or `h'`.
pub fn key(left: &Lhs) -> String {
    match left.prime {
        true => format!("{}'", left.name.node),
        false => left.name.node.clone(),
    }
}

fn clash(name: &Ident, kind: &str, other: &str, span: Span) -> Diagnostic {
    let n = &name.node;
    let d = if kind == "value" && other == "value" {
        Diagnostic::error(
            "name::assigned-twice",
            format!("`{n}` has two equations; a name is given one value"),
        )
    } else {
        Diagnostic::error(
            "name::clash",
            format!("`{n}` names {} and {}", article(other), article(kind)),
        )
    };
    let (here, there) = match d.code {
        "name::clash" => (article(kind), article(other)),
        _ => ("given again".to_string(), "first given".to_string()),
    };
    d.label(name.span, format!("{here} here"))
        .label(span, format!("{there} here"))
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

/// `B` is the batch in costs, and the names of built-in functions and layers mean themselves.
pub fn own_name(name: &Ident, out: &mut Vec<Diagnostic>) {
    let n = name.node.as_str();
    if n == "B" {
        out.push(
            Diagnostic::error("name::reserved", "`B` is the size of the batch in costs")
                .label(name.span, "needs another name"),
        );
    } else if defs::is_primitive(n) {
        out.push(
            Diagnostic::error("name::built-in", format!("`{n}` is built in"))
                .label(name.span, "needs another name"),
        );
    }
}

/// The name that a stage calls: `gru` of `|> scan gru`.
pub fn stage_name(stage: &Stage) -> Option<&str> {
    match &stage.call.kind {
        ExprKind::Name(n) => Some(n),
        ExprKind::Call { callee, .. } => match &callee.kind {
            ExprKind::Name(n) => Some(n),
            _ => None,
        },
        _ => None,
    }
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
