//! The file's own functions, inlined; and what a body written for less than it is given is lifted
//! over.

use super::call::count;
use super::index::Mark;
use super::value::{Lead, Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind};
use crate::ast::node::{self, Arg, ExprKind as Ast};
use crate::check::defs::FnEntry;
use crate::check::names::{Decl, Names};
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

impl Elab<'_, '_> {
    /// A function of the file, inlined.
    pub(super) fn own_function(
        &mut self,
        f: &mut Frame,
        entry: &std::rc::Rc<FnEntry>,
        span: Span,
        piped: Option<(Tensor, Span)>,
        args: &[Arg],
    ) -> Value {
        let name = &entry.def.name.node;
        let mut values: Vec<(Value, Span)> = piped
            .map(|(t, at)| (Value::from(t), at))
            .into_iter()
            .collect();
        for a in args {
            if let Some(n) = &a.name {
                return self.unknown_argument(name, n, &[]);
            }
            let v = self.expr(f, &a.value);
            values.push((v, a.value.span));
        }
        let wanted = entry.def.params.len();
        if values.len() != wanted {
            let listed: Vec<&str> = entry
                .def
                .params
                .iter()
                .map(|(n, _)| n.node.as_str())
                .collect();
            return self.error(
                Diagnostic::error(
                    "call::arguments",
                    format!(
                        "`{name}` takes {}; it is given {}",
                        count(wanted),
                        values.len()
                    ),
                )
                .label(span, format!("`{name}({})`", listed.join(", "))),
            );
        }
        if values.iter().any(|(v, _)| matches!(v, Value::Poison)) || !self.enter(name, span) {
            return Value::Poison;
        }
        let mut inner = Frame {
            kind: FrameKind::Function,
            globals: entry.globals.clone(),
            sizes: Default::default(),
            names: Default::default(),
            layer: f.layer,
            indices: Default::default(),
        };
        // A function in a cell sees one step too.
        self.globals(&mut inner, true);
        for (_, ty) in &entry.def.params {
            for size in ty.iter().flat_map(|t| t.shape.iter().flatten()) {
                if let Ast::Name(n) = &size.kind
                    && !inner.sizes.contains_key(n)
                {
                    let d = self.solver.unknown();
                    inner.sizes.insert(n.clone(), d);
                }
            }
        }
        let mut good = true;
        let mut leads = Vec::new();
        let tensors = values.iter_mut().filter_map(|(v, _)| match v {
            Value::Tensor(t) => Some(&mut **t),
            Value::Poison => None,
        });
        let marks = self.meet_given(tensors);
        for ((param, ty), (v, at)) in entry.def.params.iter().zip(values) {
            let Value::Tensor(t) = v else { continue };
            let outer_lead = t.lead;
            let decl = Decl {
                kind: node::DeclKind::Input,
                name: param,
                ty: ty.as_ref(),
                init: None,
                value: None,
            };
            match self.fit(&inner, &decl, *t, at, true) {
                Some(t) => {
                    let t = self.bind(&param.node, t, param.span);
                    if t.lead > 0 {
                        leads.push((t.expr.shape[..t.lead].to_vec(), outer_lead));
                    }
                    inner
                        .names
                        .insert(param.node.clone(), Binding::Value(t.into()));
                }
                None => good = false,
            }
        }
        let value = match good && self.same_lead(&leads, span) {
            true => self.function_body(&mut inner, entry),
            false => Value::Poison,
        };
        self.leave();
        self.shallow(lower_lead(value, &leads, marks), name, span)
    }

    /// The body of a function whose parameters are bound.
    pub(super) fn function_body(&mut self, f: &mut Frame, entry: &FnEntry) -> Value {
        match &entry.def.body {
            node::FnBody::Expr(e) => self.index_scope(f, e, &[]),
            node::FnBody::Stmts(stmts) => {
                let mut names = Names::of(stmts);
                names.sort(&mut Vec::new());
                self.prepare(f, &names);
                self.equations(f, &names, &[]);
                match names.outputs.as_slice() {
                    [e] => self.index_scope(f, e, &[]),
                    _ => self.error(
                        Diagnostic::error(
                            "cell::output-required",
                            format!("`{}` needs one `output`", entry.def.name.node),
                        )
                        .label(entry.def.name.span, "gives no value"),
                    ),
                }
            }
        }
    }

    /// Values given with indices, brought to the union of them: the body repeats over all of it.
    pub(super) fn meet_given<'t>(
        &mut self,
        given: impl Iterator<Item = &'t mut Tensor>,
    ) -> Vec<Mark> {
        let mut given: Vec<&mut Tensor> = given.filter(|t| t.tokens.is_none()).collect();
        self.meet_indices(&mut given);
        let marked = given.iter().find(|t| !t.marks.is_empty());
        marked.map_or(Vec::new(), |t| t.marks.clone())
    }

    /// All inputs that are lifted are lifted over the same axes.
    pub(super) fn same_lead(&mut self, leads: &[(Vec<Dim>, usize)], span: Span) -> bool {
        let Some((first, _)) = leads.first() else {
            return true;
        };
        for (other, _) in leads {
            if !self.agree(first, other) {
                let (a, b) = (self.solver.show(first), self.solver.show(other));
                self.error(
                    Diagnostic::error(
                        "shape::mismatch",
                        format!("inputs repeat over different axes: {a} and {b}"),
                    )
                    .label(span, "applied at every one of them"),
                );
                return false;
            }
        }
        true
    }
}

/// The value of an inlined body, seen from where it was used: what depends on a lifted input is
/// lifted over what that input was lifted over outside.
pub(super) fn lower_lead(value: Value, leads: &[(Vec<Dim>, usize)], marks: Vec<Mark>) -> Value {
    match value {
        Value::Tensor(t) if t.lead > 0 => {
            let axes = leads.iter().map(|(_, o)| *o).max().unwrap_or(0);
            Lead { axes, marks }.of(*t).into()
        }
        Value::Tensor(t) => t.lifted(0).into(),
        Value::Poison => Value::Poison,
    }
}
