//! Models built by hand, one for each way a reach can go.

mod attention;
mod data;
mod index;
mod texts;

use super::*;
use crate::ast::node::{ScanDir, Unit};
use crate::check::program::{
    Binary, Expr, Head, Input, InputKind, Loss, Reduce, Scan, State, Stmt, Unary, Var,
};
use crate::dim::{Binding, Dim, DimTable, Role, Sym};
use crate::span::FileId;

/// A model under construction; each value gets a span of its own.
struct Build {
    model: Model,
    at: usize,
}

fn dims(names: &[&str]) -> Vec<Dim> {
    names.iter().map(|n| Dim::named(n)).collect()
}

impl Build {
    fn new() -> Build {
        let mut table = DimTable::default();
        table.declare(Sym::new("T"), Role::Time, Binding::Launch);
        table.declare(Sym::new("S"), Role::Time, Binding::Launch);
        table.declare(Sym::new("H"), Role::Feature, Binding::Static(Some(4)));
        Build {
            model: Model {
                name: "M".into(),
                span: Span::default(),
                dims: table,
                vars: Vec::new(),
                inputs: Vec::new(),
                params: Vec::new(),
                adapters: Vec::new(),
                body: Vec::new(),
                predicts: Vec::new(),
                penalties: Vec::new(),
                outputs: Vec::new(),
                watches: Vec::new(),
                limits: Vec::new(),
                reduced: BTreeMap::new(),
            },
            at: 0,
        }
    }

    fn span(&mut self) -> Span {
        self.at += 10;
        Span::new(FileId(0), self.at, self.at + 5)
    }

    fn var(&mut self, name: &str, shape: &[&str]) -> VarId {
        let span = self.span();
        self.model.vars.push(Var {
            name: name.into(),
            shape: dims(shape),
            span,
        });
        VarId(self.model.vars.len() as u32 - 1)
    }

    fn input(&mut self, kind: InputKind, name: &str, shape: &[&str]) -> VarId {
        let var = self.var(name, shape);
        let span = self.model.var(var).span;
        self.model.inputs.push(Input {
            kind,
            var,
            unit: Unit::Number,
            vocabulary: None,
            feeds_itself: false,
            span,
        });
        var
    }

    fn expr(&mut self, kind: ExprKind, shape: &[&str]) -> Expr {
        let span = self.span();
        Expr {
            kind,
            shape: dims(shape),
            span,
        }
    }

    fn read(&mut self, var: VarId) -> Expr {
        let shape = self.model.var(var).shape.clone();
        let span = self.span();
        Expr {
            kind: ExprKind::Var(var),
            shape,
            span,
        }
    }

    fn previous(&mut self, var: VarId) -> Expr {
        let mut e = self.read(var);
        e.kind = ExprKind::Previous(var);
        e
    }

    fn bind(&mut self, name: &str, value: Expr) -> VarId {
        let var = self.var(name, &[]);
        self.model.vars[var.0 as usize].shape = value.shape.clone();
        self.model.body.push(Stmt::Let { var, value });
        var
    }

    fn reduce(&mut self, op: Reduce, value: Expr, axis: usize, shape: &[&str]) -> Expr {
        let value = Box::new(value);
        self.expr(ExprKind::Reduce { op, value, axis }, shape)
    }

    /// h' = h + x over `time`; gives the sequence and the last state.
    fn scan(
        &mut self,
        dir: ScanDir,
        time: &str,
        value: Expr,
        initial: Option<Expr>,
        context: Option<Expr>,
    ) -> (VarId, VarId) {
        let outer: Vec<Dim> = value.shape.clone();
        let inner = outer[1..].to_vec();
        let shaped = |b: &mut Build, name: &str, shape: &[Dim]| {
            let var = b.var(name, &[]);
            b.model.vars[var.0 as usize].shape = shape.to_vec();
            var
        };
        let x = shaped(self, "x", &inner);
        let before = shaped(self, "h", &inner);
        let sequence = shaped(self, "hs", &outer);
        let states = shaped(self, "h.sequence", &outer);
        let last = shaped(self, "h.last", &inner);
        let (l, r) = (self.read(before), self.read(x));
        let mut next = self.read(x);
        next.kind = ExprKind::Binary(Binary::Add, Box::new(l), Box::new(r));
        let mut contexts = Vec::new();
        if let Some(value) = context {
            let c = shaped(self, "c", &value.shape.clone());
            let shown = self.read(c);
            let sum = self.reduce(Reduce::Sum, shown, 0, &["H"]);
            next.kind = ExprKind::Binary(Binary::Add, Box::new(next.clone()), Box::new(sum));
            contexts.push((c, value));
        }
        let span = self.span();
        self.model.body.push(Stmt::Scan(Scan {
            path: "c".into(),
            cell: "C".into(),
            dir,
            time: Sym::new(time),
            inputs: vec![(x, value)],
            contexts,
            states: vec![State {
                path: "c.h".into(),
                before,
                next: next.clone(),
                initial,
                sequence: states,
                last,
            }],
            body: Vec::new(),
            output: next,
            sequence,
            span,
        }));
        (sequence, last)
    }

    fn predict(mut self, target: VarId, value: Expr) -> Model {
        let span = self.span();
        self.model.predicts.push(Predict {
            target,
            head: Head::Value(value),
            loss: Loss::Mse,
            weight: 1.0,
            span,
        });
        self.model
    }

    fn target(shape: &[&str]) -> (Build, VarId) {
        let mut b = Build::new();
        let y = b.input(InputKind::Target, "y", shape);
        (b, y)
    }
}

fn one(model: &Model) -> Diagnostic {
    let mut found = check(model);
    assert_eq!(found.len(), 1, "{found:?}");
    let d = found.remove(0);
    for (i, a) in d.labels.iter().enumerate() {
        for b in &d.labels[i + 1..] {
            assert!(a.span.end <= b.span.start || b.span.end <= a.span.start);
        }
    }
    assert!(d.message.chars().count() <= 72);
    d
}

fn sound(model: &Model) {
    assert_eq!(check(model), Vec::new());
}

#[test]
fn the_step_before_is_sound_and_the_step_itself_is_not() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let e = b.previous(y);
    sound(&b.predict(y, e));

    let (mut b, y) = Build::target(&["T", "H"]);
    let e = b.read(y);
    let used = e.span;
    let d = one(&b.predict(y, e));
    assert_eq!(d.message, "`predict y` sees `y` at the step it predicts");
    assert_eq!(d.labels[0].span, used);
    assert_eq!(
        d.fix.map(|f| (f.span, f.text)),
        Some((used, "previous(y)".into()))
    );
}

#[test]
fn a_delay_makes_the_answer_past() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let value = Box::new(b.read(y));
    let e = b.expr(ExprKind::Delay { value, by: 1 }, &["T", "H"]);
    sound(&b.predict(y, e));
}

#[test]
fn a_forward_scan_keeps_the_step_and_a_reverse_one_does_not() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let x = b.previous(y);
    let (hs, _) = b.scan(ScanDir::Forward, "T", x, None, None);
    let e = b.read(hs);
    sound(&b.predict(y, e));

    let (mut b, y) = Build::target(&["T", "H"]);
    let x = b.previous(y);
    let (hs, _) = b.scan(ScanDir::Reverse, "T", x, None, None);
    let e = b.read(hs);
    let d = one(&b.predict(y, e));
    assert_eq!(d.message, "`predict y` sees later steps of `y`");
    assert_eq!(d.labels[0].text, "`C` runs from the last step back");
    assert!(
        d.labels
            .iter()
            .any(|l| l.text == "the answer, one step before")
    );
}

#[test]
fn the_answer_as_a_scans_input_reaches_its_own_step() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let x = b.read(y);
    let used = x.span;
    let (hs, _) = b.scan(ScanDir::Forward, "T", x, None, None);
    let e = b.read(hs);
    let d = one(&b.predict(y, e));
    assert_eq!((d.labels[0].span, d.fix.is_some()), (used, true));
}

#[test]
fn an_initial_state_carries_what_it_has_read() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let past = b.previous(y);
    let z = b.reduce(Reduce::Mean, past, 0, &["H"]);
    let mean = z.span;
    let z = b.bind("z", z);
    let (x, h0) = (b.previous(y), b.read(z));
    let (hs, _) = b.scan(ScanDir::Forward, "T", x, Some(h0), None);
    let e = b.read(hs);
    let d = one(&b.predict(y, e));
    assert_eq!(d.labels[0].span, mean);
    assert_eq!(d.labels[0].text, "taken over all steps of `T`");
    assert!(d.labels.iter().any(|l| l.text == "`C` starts from it"));
}

#[test]
fn a_context_along_the_answers_time_is_seen_whole() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let (x, c) = (b.previous(y), b.previous(y));
    let (hs, _) = b.scan(ScanDir::Forward, "T", x, None, Some(c));
    let e = b.read(hs);
    let d = one(&b.predict(y, e));
    assert_eq!(d.labels[0].text, "`C` is given it whole");
}

#[test]
fn another_time_is_no_look_ahead() {
    let mut b = Build::new();
    let s = b.input(InputKind::Input, "s", &["S", "H"]);
    let y = b.input(InputKind::Target, "y", &["T", "H"]);
    let source = b.read(s);
    let (hs, last) = b.scan(ScanDir::Reverse, "S", source, None, None);
    let (x, h0, c) = (b.previous(y), b.read(last), b.read(hs));
    let (out, _) = b.scan(ScanDir::Forward, "T", x, Some(h0), Some(c));
    let e = b.read(out);
    sound(&b.predict(y, e));
}

#[test]
fn the_last_state_has_read_everything() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let x = b.previous(y);
    let (_, last) = b.scan(ScanDir::Forward, "T", x, None, None);
    let x = b.previous(y);
    let h0 = b.read(last);
    let (hs, _) = b.scan(ScanDir::Forward, "T", x, Some(h0), None);
    let e = b.read(hs);
    let d = one(&b.predict(y, e));
    assert_eq!(d.labels[0].text, "`C` has read all of it at its end");
}

#[test]
fn step_zero_of_the_past_is_nothing_and_of_the_answer_is_the_answer() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let value = Box::new(b.previous(y));
    let e = b.expr(ExprKind::First(value), &["H"]);
    sound(&b.predict(y, e));

    let (mut b, y) = Build::target(&["T", "H"]);
    let value = Box::new(b.read(y));
    let e = b.expr(ExprKind::First(value), &["H"]);
    one(&b.predict(y, e));
}

#[test]
fn a_softmax_or_product_along_the_answers_time_sees_all_of_it() {
    let (mut b, y) = Build::target(&["T"]);
    let value = Box::new(b.previous(y));
    let e = b.expr(ExprKind::Softmax(value), &["T"]);
    assert_eq!(
        one(&b.predict(y, e)).labels[0].text,
        "taken over all steps of `T`"
    );

    let (mut b, y) = Build::target(&["T"]);
    let (l, r) = (b.previous(y), b.previous(y));
    let e = b.expr(ExprKind::Dot(Box::new(l), Box::new(r)), &[]);
    one(&b.predict(y, e));
}

#[test]
fn a_target_without_time_may_not_be_seen_at_all() {
    let (mut b, y) = Build::target(&["H"]);
    let e = b.read(y);
    let d = one(&b.predict(y, e));
    assert_eq!(d.message, "`predict y` sees `y`, its own answer");
    assert_eq!(d.fix, None);
}

#[test]
fn reveal_is_the_one_way_through() {
    let (mut b, y) = Build::target(&["T", "H"]);
    let e = b.expr(ExprKind::Reveal(y), &["T", "H"]);
    sound(&b.predict(y, e));
}
