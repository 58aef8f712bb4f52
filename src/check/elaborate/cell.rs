//! Cells inside cells: their states belong to the scan around them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::input::Args;
use super::layer::Use;
use super::value::{Tensor, Value};
use super::{Binding, Elab, Frame, FrameKind, LayerId};
use crate::check::defs::Entry;
use crate::check::names::Names;
use crate::diagnostics::Diagnostic;
use crate::dim::Dim;
use crate::span::Span;

/// A named cell inside a cell, which runs once in a step.
#[derive(Clone, Debug)]
pub struct Inner {
    pub layer: LayerId,
    pub entry: Rc<Entry>,
    pub sizes: BTreeMap<String, Dim>,
    /// Its own states, by name; indices of the current block's slots.
    pub states: Vec<(String, usize)>,
    pub ran: bool,
    pub span: Span,
}

impl Elab<'_, '_> {
    /// `[y, c] |> gru`, a cell inside a cell.
    pub(super) fn run_inner(
        &mut self,
        f: &mut Frame,
        inner: &Rc<RefCell<Inner>>,
        stage: &Use,
        input: Tensor,
    ) -> Value {
        let span = stage.call.span;
        if inner.borrow().ran {
            return self.error(
                Diagnostic::error(
                    "cell::run-twice",
                    "a cell inside a cell runs once in a step",
                )
                .label(span, "runs it a second time")
                .help("a second cell has its own state: give it its own name"),
            );
        }
        inner.borrow_mut().ran = true;
        if let Some(b) = stage.from.first() {
            let at = b.path.first().map_or(span, |p| p.span);
            return self.error(
                Diagnostic::error(
                    "cell::initial-value",
                    "`from` starts a scan; this cell is inside one",
                )
                .label(at, "not here")
                .help("give it where the outer cell is scanned: `from gru.h = …`"),
            );
        }
        let (Some(with), Some(input)) = (self.binds(f, stage.with), self.decided(input)) else {
            return Value::Poison;
        };
        let Inner {
            layer,
            entry,
            sizes,
            states,
            ..
        } = inner.borrow().clone();
        let name = entry.def.name.node.clone();
        if !self.enter(&name, span) {
            return Value::Poison;
        }
        let mut names = Names::of(&entry.def.body);
        names.sort(&mut Vec::new());
        let frame = Frame {
            kind: FrameKind::Cell,
            globals: entry.globals.clone(),
            sizes,
            names: BTreeMap::new(),
            layer,
            indices: Default::default(),
        };
        let value = match self.assign_inputs(&name, &names, &input, span, &with) {
            None => Value::Poison,
            Some(given) => {
                let mut args = Args::new();
                let mut good = true;
                for (d, t, at) in given {
                    match self.fit(&frame, &d, t, at, false) {
                        Some(t) => {
                            let t = self.bind(&d.name.node, t, d.name.span);
                            args.insert(d.name.node.clone(), (t.lifted(0), at));
                        }
                        None => good = false,
                    }
                }
                match good {
                    true => self.run(frame, &entry, &names, args, &states, &BTreeMap::new()),
                    false => Value::Poison,
                }
            }
        };
        self.leave();
        // Its next states are what the outer cell reads as `gru.h'`.
        if let Some(n) = f.names.iter().find_map(|(n, b)| match b {
            Binding::Inner(i) if Rc::ptr_eq(i, inner) => Some(n.clone()),
            _ => None,
        }) {
            for (state, slot) in &states {
                let s = self.slot(*slot).clone();
                let value = match s.next {
                    Some(e) => Tensor::new(e).into(),
                    None => Value::Poison,
                };
                f.names
                    .insert(format!("{n}.{state}'"), Binding::Value(value));
            }
        }
        value
    }
}
