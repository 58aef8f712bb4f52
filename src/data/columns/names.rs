//! Names to columns: each planned once, on its first use.
//!
//! In: a field of the model, or a name in an equation. Out: the planned column, or a diagnostic with
//! the nearest name.

use super::super::source::Source;
use super::super::source::text::shown;
use super::super::spec::{ColumnExpr, ColumnKind, ColumnRef, DataSpec, Field};
use super::build::{Builder, Context};
use super::plan::{Axis, Node, PlannedColumn};
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::Span;

impl<'a> Builder<'a> {
    pub(super) fn field(&mut self, field: &Field) -> Result<usize, Diagnostic> {
        let column = match self.column(&field.name, field.span, field.time.is_some()) {
            Some(found) => found?,
            None => return Err(self.no_column(field)),
        };
        if let (Some(time), Some(axis)) = (&field.time, self.plan.columns[column].axis)
            && let Some(of_time) = self.times.get(time)
            && let Err((fixed, n)) = self.plan.axes.unify(*of_time, axis)
        {
            let message = format!("time {time} has {fixed} steps, `{}` has {n}", field.name);
            return Err(Diagnostic::error("data::length", message)
                .label(self.plan.columns[column].node.span, format!("{n} steps"))
                .label(field.span, format!("{fixed} steps")));
        }
        Ok(column)
    }

    fn no_column(&self, field: &Field) -> Diagnostic {
        let error = Diagnostic::error(
            "data::missing-column",
            format!(
                "data `{}` has no column `{}`",
                shown(&self.spec.name.node, 20),
                shown(&field.name, 20)
            ),
        )
        .label(self.spec.name.span, "this data".to_string())
        .label(field.span, "the model asks for it here".to_string());
        let names = self.spec.columns.iter().map(|c| c.name.node.as_str());
        match nearest(&field.name, names) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// The column of this name, planned once; `None` where there is none.
    pub(super) fn column(
        &mut self,
        name: &str,
        span: Span,
        timed: bool,
    ) -> Option<Result<usize, Diagnostic>> {
        if let Some(i) = self.built.get(name) {
            self.plan.columns[*i].uses += 1;
            return Some(Ok(*i));
        }
        let spec: &'a DataSpec = self.spec;
        let Some(c) = spec.columns.iter().find(|c| c.name.node == name) else {
            // A tensor needs no equation.
            let source: &'a Source = self.source;
            let Source::Tensors(files) = source else {
                return None;
            };
            let tensor = files[0].tensors.iter().find(|t| t.name == name)?;
            let e = ColumnExpr {
                kind: ColumnKind::Column(ColumnRef::Named(name.to_string())),
                span,
            };
            let mut context = Context::new(&tensor.name);
            context.timed = timed;
            let built = self.build(&e, &mut context);
            return Some(built.map(|(node, axis)| self.push(name, node, axis)));
        };
        if self.open.iter().any(|o| o == name) {
            return Some(Err(Diagnostic::error(
                "data::cycle",
                format!("column `{}` is defined by itself", shown(name, 40)),
            )
            .label(span, format!("reached through {}", self.open.join(", ")))));
        }
        self.open.push(name.to_string());
        let built = self.equation(c, timed);
        self.open.pop();
        Some(built.map(|(node, axis)| self.push(name, node, axis)))
    }

    fn push(&mut self, name: &str, node: Node, axis: Option<Axis>) -> usize {
        self.plan.columns.push(PlannedColumn {
            node,
            axis,
            uses: 1,
        });
        let i = self.plan.columns.len() - 1;
        self.built.insert(name.to_string(), i);
        i
    }

    pub(super) fn unknown_name(&self, name: &str, span: Span) -> Diagnostic {
        let error = Diagnostic::error(
            "data::unknown-name",
            format!("`{}` is no column of this data", shown(name, 40)),
        )
        .label(span, "not defined".to_string());
        let names = (self.spec.columns.iter().map(|c| c.name.node.as_str()))
            .chain(self.wanted.times.iter().map(|t| t.name.as_str()));
        match nearest(name, names) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        }
    }
}
