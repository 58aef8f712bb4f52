//! Definitions by themselves, with sizes nobody can choose.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::body::{unit, variable};
use super::input::Args;
use super::value::{Tensor, Tokens, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerId, LayerKind};
use crate::ast::node::{DeclKind, DefKind, ExprKind as Ast, Type, Unit};
use crate::check::defs::{Entry, FnEntry};
use crate::check::names::{Decl, Names};
use crate::dim::{self, Dim, Role};
use crate::span::Span;

impl Elab<'_, '_> {
    /// A symbol that equals nothing but itself.
    pub(super) fn rigid(&mut self, name: &str) -> Dim {
        self.solver
            .declare(name, Role::Feature, dim::Binding::Static(None))
    }

    /// Checks a cell or block by itself.
    pub(super) fn alone(&mut self, entry: &Rc<Entry>) {
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        self.stack.push(entry.def.name.node.clone());
        let mut f = self.frame(LayerId(0), entry, &names);
        for s in &entry.def.sizes {
            let d = self.rigid(&s.name.node);
            f.sizes.insert(s.name.node.clone(), d);
        }
        let mut args = Args::new();
        for kind in [DeclKind::Input, DeclKind::Context] {
            for d in names.of_kind(kind) {
                if let Some(t) = self.declared(&f, &d) {
                    args.insert(d.name.node.clone(), (t, d.name.span));
                }
            }
        }
        let states = self.states(&f, &names, "");
        self.run(f, entry, &names, args, &states, &BTreeMap::new());
        self.settle(entry.def.name.span);
        self.weights_along_time();
    }

    /// Checks a function by itself; a parameter without a type is unknown and silent.
    pub(super) fn function_alone(&mut self, entry: &Rc<FnEntry>) {
        let mut f = Frame {
            kind: FrameKind::Function,
            globals: entry.globals.clone(),
            sizes: BTreeMap::new(),
            names: BTreeMap::new(),
            layer: LayerId(0),
            indices: Default::default(),
        };
        self.globals(&mut f, false);
        for (_, ty) in &entry.def.params {
            for size in ty.iter().flat_map(|t| t.shape.iter().flatten()) {
                if let Ast::Name(n) = &size.kind
                    && !f.sizes.contains_key(n)
                {
                    let d = self.rigid(n);
                    f.sizes.insert(n.clone(), d);
                }
            }
        }
        self.stack.push(entry.def.name.node.clone());
        for (name, ty) in &entry.def.params {
            let value = match ty {
                None => Value::Poison,
                Some(ty) => match self.of_type(&f, &name.node, Some(ty), name.span) {
                    Some(t) => t.into(),
                    None => Value::Poison,
                },
            };
            f.names.insert(name.node.clone(), Binding::Value(value));
        }
        self.function_body(&mut f, entry);
        self.settle(entry.def.name.span);
    }

    /// A variable of a declared type: what a definition on its own, or a model, is given.
    pub(super) fn declared(&mut self, f: &Frame, d: &Decl) -> Option<Tensor> {
        self.of_type(f, &d.name.node, d.ty, d.name.span)
    }

    pub(super) fn of_type(
        &mut self,
        f: &Frame,
        name: &str,
        ty: Option<&Type>,
        span: Span,
    ) -> Option<Tensor> {
        let shape = self.shape(f, ty)?;
        let var = self.fresh_var(name, shape.clone(), span);
        let mut t = variable(var, shape, span);
        if let Some(Unit::Token | Unit::Class) = unit(ty) {
            let v = self.solver.declare(
                &format!("V_{name}"),
                Role::Vocabulary,
                dim::Binding::Static(None),
            );
            t.tokens = Some(Tokens { vocabulary: v });
        }
        Some(t)
    }

    /// A frame with the sizes of `layer`'s definition, new names for those that its inputs bring,
    /// and placeholders for times.
    pub(super) fn frame(&mut self, layer: LayerId, entry: &Entry, names: &Names) -> Frame {
        let kind = match entry.def.kind {
            DefKind::Cell => FrameKind::Cell,
            DefKind::Block => FrameKind::Block,
            DefKind::Model => FrameKind::Model,
        };
        let mut f = Frame {
            kind,
            globals: entry.globals.clone(),
            sizes: BTreeMap::new(),
            names: BTreeMap::new(),
            layer,
            indices: Default::default(),
        };
        let alone = matches!(self.layers[layer.0].kind, LayerKind::Root);
        self.globals(&mut f, !alone);
        if let LayerKind::Def { sizes, .. } = &self.layers[layer.0].kind {
            f.sizes.extend(sizes.clone());
        }
        for new in names.new_sizes(&entry.def.sizes, &entry.globals) {
            let d = match alone {
                true => self.rigid(new),
                false => self.solver.unknown(),
            };
            f.sizes.insert(new.to_string(), d);
        }
        f
    }
}
