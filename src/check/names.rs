//! The names of one definition: what is declared, clashes, and the order of its equations.
//!
//! In: the statements of a cell, block, model or function. Out: [`Names`], with the equations in an
//! order in which each comes after what it reads; errors for names used twice and for cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::defs::{self, Globals};
use super::order::walk;
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
    /// States that have an equation without the prime, and none with it.
    pub unprimed: BTreeSet<String>,
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
        let left = |prime: bool| -> BTreeSet<&str> {
            let all = names.equations.iter().flat_map(|e| e.names);
            let some = all.filter(|l| l.prime == prime);
            some.map(|l| l.name.node.as_str()).collect()
        };
        let (primed, plain) = (left(true), left(false));
        let states = names.decls.iter().filter(|d| d.kind == DeclKind::State);
        let state = states.map(|d| d.name.node.as_str());
        let unprimed = state.filter(|n| plain.contains(n) && !primed.contains(n));
        names.unprimed = unprimed.map(str::to_string).collect();
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
                match self.unprimed.contains(&left.name.node) {
                    true => out.push(self.without_prime(&left.name)),
                    false => add(&left.name, "value", out),
                }
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
        let mut told = BTreeSet::new();
        for eq in &self.equations {
            for index in eq.indices.into_iter().flatten() {
                let name = index.node.as_str();
                if let Some((kind, span)) = seen.get(name)
                    && told.insert(name)
                {
                    out.push(clash(index, "index", kind, *span));
                }
            }
        }
    }

    /// `h = …` where `h'` is meant.
    fn without_prime(&self, name: &Ident) -> Diagnostic {
        let n = &name.node;
        let d = Diagnostic::error(
            "cell::state-without-equation",
            format!("`{n}` is a state: its next value is `{n}'`"),
        )
        .label(name.span, "the prime is missing");
        let declared = self.of_kind(DeclKind::State).find(|d| d.name.node == *n);
        let d = match declared {
            Some(state) => d.label(state.name.span, "a state here"),
            None => d,
        };
        d.help(format!("write `{n}' = …`"))
            .fix(name.span, format!("{n}'"))
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
