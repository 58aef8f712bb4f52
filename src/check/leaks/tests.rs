//! Models built by hand, one for each way a reach can go.

use super::*;
use crate::ast::node::{ScanDir, Unit};
use crate::check::program::{Binary, Expr, Input, InputKind, Loss, Reduce, Scan, State, Stmt, Var};
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
                body: Vec::new(),
                predicts: Vec::new(),
                penalties: Vec::new(),
                outputs: Vec::new(),
                watches: Vec::new(),
                limits: Vec::new(),
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

mod data {
    use super::*;
    use crate::data::spec::{
        ColumnExpr, ColumnKind, ColumnRef, ColumnSpec, Source, SourceKind, Split, SplitBy, Step,
        Table,
    };
    use crate::span::Spanned;

    fn column(name: &str, kind: ColumnKind) -> ColumnSpec {
        let span = Span::default();
        ColumnSpec {
            name: Spanned::new(name.into(), span),
            indices: Vec::new(),
            value: ColumnExpr { kind, span },
            span,
        }
    }

    fn piped(kind: ColumnKind, step: Step) -> ColumnKind {
        ColumnKind::Step {
            input: Box::new(ColumnExpr {
                kind,
                span: Span::default(),
            }),
            step,
        }
    }

    fn next(kind: ColumnKind) -> ColumnKind {
        ColumnKind::Next(Box::new(ColumnExpr {
            kind,
            span: Span::default(),
        }))
    }

    fn named(name: &str) -> ColumnKind {
        ColumnKind::Column(ColumnRef::Named(name.into()))
    }

    fn spec(source: SourceKind, columns: Vec<ColumnSpec>) -> DataSpec {
        let span = Span::default();
        DataSpec {
            name: Spanned::new("d".into(), span),
            source: Source { kind: source, span },
            columns,
            keep: None,
            split: Split::Parts {
                shares: [90.0, 5.0, 5.0],
                by: SplitBy::Shuffle,
                span,
            },
            span,
        }
    }

    fn csv(columns: Vec<ColumnSpec>) -> DataSpec {
        let table = Table {
            path: Spanned::new("x.csv".into(), Span::default()),
            header: true,
            sort: None,
            blocks: false,
        };
        spec(SourceKind::Csv(table), columns)
    }

    /// An input of these axes and a target, the prediction reading the input by its sum over `T`
    /// where it has one and `whole` is asked, else step by step.
    fn model(input: &[&str], target: &[&str], whole: bool) -> Model {
        let mut b = Build::new();
        let x = b.input(InputKind::Input, "x", input);
        let y = b.input(InputKind::Target, "y", target);
        let e = b.read(x);
        let e = if whole {
            b.reduce(Reduce::Sum, e, 0, &["H"])
        } else {
            e
        };
        b.predict(y, e)
    }

    fn leaks(model: &Model, data: &DataSpec) -> bool {
        assert_eq!(check(model), Vec::new());
        !check_data(model, data, None).is_empty()
    }

    #[test]
    fn one_column_under_two_names_is_the_answer() {
        let path = || Spanned::new("x.txt".into(), Span::default());
        let chars = || piped(ColumnKind::Whole, Step::Chars);
        let columns = vec![column("y", chars()), column("x", chars())];
        let data = spec(SourceKind::Lines(path()), columns);
        assert!(leaks(&model(&["T"], &["T"], false), &data));
        assert!(leaks(&model(&["S"], &["T"], true), &data));
    }

    #[test]
    fn tomorrow_is_not_among_the_last_days() {
        let past = || piped(piped(named("Close"), Step::Zscore), Step::Window(30));
        let forecast = model(&["T", "H"], &["H"], true);
        let ahead = vec![column("x", past()), column("y", next(named("Close")))];
        assert!(!leaks(&forecast, &csv(ahead)));
        let today = vec![column("x", past()), column("y", named("Close"))];
        assert!(leaks(&forecast, &csv(today)));
        let other = vec![column("x", past()), column("y", named("Open"))];
        assert!(!leaks(&forecast, &csv(other)));
    }

    #[test]
    fn a_copy_among_several_features_is_seen() {
        let columns = |names: &[&str]| {
            let names = names.iter().map(|n| ColumnRef::Named((*n).into()));
            ColumnKind::Columns(names.collect())
        };
        let m = model(&["H"], &["H"], false);
        let apart = vec![
            column("x", columns(&["a", "b"])),
            column("y", columns(&["c", "d"])),
        ];
        assert!(!leaks(&m, &csv(apart)));
        let copied = vec![
            column("x", columns(&["a", "b", "c"])),
            column("y", columns(&["c", "d"])),
        ];
        assert!(leaks(&m, &csv(copied)));
    }

    #[test]
    fn a_series_shifted_back_is_the_past_and_forward_is_not() {
        let tagged = model(&["T", "H"], &["T", "H"], false);
        let shifted = vec![column("x", named("v")), column("y", next(named("v")))];
        assert!(!leaks(&tagged, &csv(shifted)));
        let ahead = vec![column("x", next(named("v"))), column("y", named("v"))];
        assert!(leaks(&tagged, &csv(ahead)));
        let same = vec![
            column("x", named("v")),
            column("y", piped(ColumnKind::Name("x".into()), Step::Zscore)),
        ];
        assert!(leaks(&tagged, &csv(same)));
    }

    #[test]
    fn a_target_computed_from_two_columns_is_a_task() {
        use crate::data::spec::Binary;
        let boxed = |name: &str| {
            Box::new(ColumnExpr {
                kind: ColumnKind::Name(name.into()),
                span: Span::default(),
            })
        };
        let draw = || ColumnKind::Uniform {
            low: boxed("zero"),
            high: boxed("one"),
            over: None,
        };
        let list = |names: &[&str]| ColumnKind::List(names.iter().map(|n| *boxed(n)).collect());
        let rows = |y: ColumnKind| {
            let columns = vec![
                column("zero", ColumnKind::Number(0.0)),
                column("one", ColumnKind::Number(1.0)),
                column("a", draw()),
                column("b", draw()),
                column("x", list(&["a", "b"])),
                column("y", y),
            ];
            spec(SourceKind::Rows { count: 10, seed: 1 }, columns)
        };
        let m = model(&["H"], &["H"], false);
        let sum = ColumnKind::Binary(Binary::Add, boxed("a"), boxed("b"));
        assert!(!leaks(&m, &rows(sum)));
        assert!(leaks(&m, &rows(ColumnKind::Name("a".into()))));
    }
}

mod texts {
    //! Whole files: what is said, and where.

    use crate::span::Sources;

    const MODELS: &[(&str, &str)] = &[
        (
            "itself",
            "predict text = text |> Embed(8) |> scan GRU(8) |> Linear |> softmax",
        ),
        (
            "both ways",
            "predict text = previous(text) |> Embed(8) |> scan both GRU(8) |> Linear |> softmax",
        ),
        (
            "a mean as initial state",
            "z = mean(previous(text) |> Embed(8)) over T |> Linear(8)\n\
             predict text = previous(text) |> Embed(8) |> scan GRU(8) from h = z |> Linear |> softmax",
        ),
        (
            "an encoder of the answer",
            "enc = text |> Embed(8) |> scan GRU(8)\n\
             predict text = previous(text) |> Embed(8) |> scan GRU(8) from h = final(enc.h) \
             |> Linear |> softmax",
        ),
        (
            "two of three inputs are sound",
            "a = previous(text) |> Embed(8)\nb = text |> Embed(8)\n\
             predict text = [a, b] |> scan GRU(8) |> Linear |> softmax",
        ),
    ];

    #[test]
    fn what_is_said() {
        let mut out = String::new();
        for (name, body) in MODELS {
            let text = format!("time T\nmodel M {{\ntarget text : [T] token\n{body}\n}}\n");
            let mut sources = Sources::default();
            let id = sources.add("m.seq", text.as_str());
            let file = crate::ast::parse(&text, id).unwrap();
            let found = crate::check::check(&file, &mut sources).diagnostics;
            out += &format!("{name}\n");
            for d in found {
                assert_eq!(d.code, "leak::target-visible", "{name}: {d:?}");
                out += &format!("  {}\n", d.message);
                for l in &d.labels {
                    let (line, column) = sources.line_column(l.span);
                    let covered = sources.snippet(l.span);
                    out += &format!("    {line}:{column} `{covered}`: {}\n", l.text);
                }
                out.extend(d.help.map(|h| format!("    help: {h}\n")));
            }
        }
        insta::with_settings!({
            snapshot_path => "../../../snapshots/check",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!("leaks", out) });
    }
}
