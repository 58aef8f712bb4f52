//! Loops over time.

use super::*;
use crate::targets::cpu::{emit, isa::Cpu};

struct Rnn {
    b: Build,
    hidden: usize,
}

/// `h ← tanh(x[t] + h·U)`, with all states stacked; rows may run apart.
fn rnn(hidden: usize, reverse: bool, rows_independent: bool, history: bool) -> Rnn {
    let h = c(hidden as i64);
    let mut b = Build::new(&["T", "B"]);
    let bh = times(&n("B"), &h);
    let x = b.input(&[n("T"), n("B"), h.clone()]);
    let (u, _) = b.weight("u", &[h.clone(), h.clone()], false);
    let out = b.output(&[n("T"), n("B"), h.clone()]);
    let z = b.temp(&[n("B"), h.clone()]);
    let state = if history {
        let steps = n("T").checked_add(&c(1)).unwrap();
        b.temp(&[steps, n("B"), h.clone()])
    } else {
        b.temp(&[n("B"), h.clone()])
    };
    let bh_axes = dense(&[n("B"), h.clone()]);
    let at = |buffer, offset: &Dim| View {
        buffer,
        offset: offset.clone(),
        step: history.then(|| bh.clone()),
        axes: bh_axes.clone(),
    };
    let step = |buffer| View {
        buffer,
        offset: c(0),
        step: Some(bh.clone()),
        axes: bh_axes.clone(),
    };
    // A history's step t is read and t + 1 written, or the other way where time runs backwards.
    let (old, new) = match (history, reverse) {
        (false, _) => (c(0), c(0)),
        (true, false) => (c(0), bh.clone()),
        (true, true) => (bh.clone(), c(0)),
    };
    let first = match (history, reverse) {
        (true, true) => times(&n("T"), &bh),
        _ => c(0),
    };
    b.map(
        &[n("B"), h.clone()],
        vec![],
        vec![Expr::Const(0.25)],
        View {
            offset: first,
            step: None,
            ..at(state, &c(0))
        },
    );
    let plain = |v: View| View { axes: vec![], ..v };
    let gemm = Gemm {
        name: "z".to_string(),
        lhs: plain(at(state, &old)),
        rhs: view(u, vec![]),
        out: view(z, vec![]),
        batch: vec![],
        m: vec![GemmAxis {
            size: n("B"),
            lhs: h.clone(),
            rhs: c(0),
            out: h.clone(),
        }],
        n: vec![GemmAxis {
            size: h.clone(),
            lhs: c(0),
            rhs: c(1),
            out: c(1),
        }],
        k: vec![GemmAxis {
            size: h.clone(),
            lhs: c(1),
            rhs: h.clone(),
            out: c(0),
        }],
        class: GemmClass::PackedWeight,
        rhs_invariant: true,
        spans: Vec::new(),
    };
    let cell = a_loop(
        &[n("B"), h.clone()],
        vec![step(x), view(z, bh_axes.clone())],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Binary(Binary::Add, e(0), e(1)),
            Expr::Unary(Unary::Tanh, e(2)),
        ],
        vec![false, false],
        vec![
            Effect::Store {
                value: e(3),
                to: at(state, &new),
            },
            Effect::Store {
                value: e(3),
                to: step(out),
            },
        ],
    );
    b.program.tasks.push(Task::Scan(Scan {
        name: "states".to_string(),
        extent: n("T"),
        reverse,
        body: vec![Task::Gemm(gemm), Task::Loop(cell)],
        rows_independent,
        carries: Vec::new(),
        spans: Vec::new(),
    }));
    Rnn { b, hidden }
}

fn expect(x: &[f32], u: &[f32], t: usize, rows: usize, h: usize, reverse: bool) -> Vec<f64> {
    let mut state = vec![0.25f64; rows * h];
    let mut out = vec![0f64; t * rows * h];
    for i in 0..t {
        let step = if reverse { t - 1 - i } else { i };
        let mut next = state.clone();
        for b in 0..rows {
            for j in 0..h {
                let at = (step * rows + b) * h + j;
                let mut z = f64::from(x[at]);
                for k in 0..h {
                    z += state[b * h + k] * f64::from(u[k * h + j]);
                }
                next[b * h + j] = z.tanh();
                out[at] = next[b * h + j];
            }
        }
        state = next;
    }
    out
}

/// Reversed or not, with rows independent or not, the states a history or in place.
fn every_way() -> impl Iterator<Item = [bool; 3]> {
    (0..8).map(|way| [way & 4 != 0, way & 2 != 0, way & 1 != 0])
}

/// Runs a scan of `hidden` units for each of `sizes`, steps and rows; weights `scale` times normal ones, contracting, so
/// that rounding is not amplified over many steps.
fn as_expected(
    [reverse, independent, history]: [bool; 3],
    hidden: usize,
    scale: f32,
    sizes: &[(usize, usize)],
) -> Build {
    let Rnn { b, hidden: h } = rnn(hidden, reverse, independent, history);
    let u: Vec<f32> = draws(h * h, 1).iter().map(|u| u * scale).collect();
    for &(t, rows) in sizes {
        let x = draws(t * rows * h, 2);
        let (got, _) = same_for_any_threads(&b, &[t, rows], &u, &[Arg::F32(&x)]);
        close(&got[0], &expect(&x, &u, t, rows, h, reverse), 2e-6);
    }
    b
}

#[test]
fn scans_run_both_ways_with_history_or_in_place() {
    for way in every_way() {
        as_expected(way, 12, 0.3, &[(9, 5), (1, 1), (0, 3), (4, 0), (300, 33)]);
    }
}

/// A state in place is read whole by the product and written by shares, so workers meet twice a step; a history once.
#[test]
fn workers_share_the_steps_of_few_rows() {
    for way in every_way() {
        let b = as_expected(way, 200, 0.1, &[(200, 1), (7, 2), (1, 1), (0, 1), (3, 0)]);
        let plan = emit::texts(&b.program, Cpu::detect()).unwrap().plan;
        let [_, _, history] = way;
        let says = format!("meeting {}× a step", if history { 1 } else { 2 });
        assert!(plan.contains(&says), "{says} in\n{plan}");
    }
}

#[test]
fn time_is_known_inside_and_sums_can_be_carried() {
    // s += t·x[t] by rows; a scan whose rows mix runs on one worker.
    let mut b = Build::new(&["T", "B"]);
    let x = b.input(&[n("T"), n("B"), c(3)]);
    let s = b.output(&[n("B")]);
    let row = vec![axis(&n("B"), &c(1))];
    b.map(
        &[n("B")],
        vec![],
        vec![Expr::Const(0.0)],
        view(s, row.clone()),
    );
    let part = b.temp(&[n("B")]);
    let fold = a_loop(
        &[n("B"), c(3)],
        vec![View {
            step: Some(times(&n("B"), &c(3))),
            ..view(x, dense(&[n("B"), c(3)]))
        }],
        vec![
            Expr::Load(0),
            Expr::Time,
            Expr::Binary(Binary::Mul, e(0), e(1)),
        ],
        vec![false, true],
        vec![Effect::Fold {
            op: FoldOp::Sum,
            value: e(2),
            to: view(part, row.clone()),
        }],
    );
    let add = a_loop(
        &[n("B")],
        vec![view(s, row.clone()), view(part, row.clone())],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Binary(Binary::Add, e(0), e(1)),
        ],
        vec![false],
        vec![Effect::Store {
            value: e(2),
            to: view(s, row.clone()),
        }],
    );
    b.program.tasks.push(Task::Scan(Scan {
        name: "sum".to_string(),
        extent: n("T"),
        reverse: false,
        body: vec![Task::Loop(fold), Task::Loop(add)],
        rows_independent: true,
        carries: Vec::new(),
        spans: Vec::new(),
    }));
    let (t, rows) = (700, 30);
    let xs = draws(t * rows * 3, 4);
    let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &[Arg::F32(&xs)]);
    let mut want = vec![0f64; rows];
    for i in 0..t {
        for r in 0..rows {
            for j in 0..3 {
                want[r] += i as f64 * f64::from(xs[(i * rows + r) * 3 + j]);
            }
        }
    }
    close(&got[0], &want, 1e-5);
}

/// Whose memory the states of a scan take.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shared {
    Nothing,
    /// That of a copy of x.
    Input,
    /// That of a copy of the weight, which is packed before.
    Weight,
}

/// `p = x·V` over all steps, `h ← tanh(p[t] + h·U)`.
fn projected(reverse: bool, shared: Shared) -> Build {
    let Rnn { mut b, hidden } = rnn(12, reverse, true, true);
    let h = c(hidden as i64);
    let (v, _) = b.weight("v", &[h.clone(), h.clone()], false);
    let rows = times(&n("T"), &n("B"));
    let p = b.temp(&[n("T"), n("B"), h.clone()]);
    let x = BufferId(0);
    let (mut from, mut weight) = (x, v);
    let mut first = Vec::new();
    if shared != Shared::Nothing {
        let steps = n("T").checked_add(&c(1)).unwrap();
        let copied = b.temp(&[steps, n("B"), h.clone()]);
        let state = |b: &Buffer| matches!(b.home, Home::Temp(_)) && b.shape.len() == 3;
        let states = b.program.buffers.iter().position(state).unwrap();
        let (of, sizes) = match shared {
            Shared::Weight => (&mut weight, [h.clone(), h.clone()]),
            Shared::Input | Shared::Nothing => (&mut from, [rows.clone(), h.clone()]),
        };
        let all = dense(&sizes);
        let copy = a_loop(
            &sizes,
            vec![view(*of, all.clone())],
            vec![Expr::Load(0)],
            vec![false, false],
            vec![Effect::Store {
                value: e(0),
                to: view(copied, all),
            }],
        );
        *of = copied;
        first.push(Task::Loop(copy));
        b.program.buffers[copied.0 as usize].home = b.program.buffers[states].home.clone();
    }
    let side = |size: &Dim, [lhs, rhs, out]: [&Dim; 3]| GemmAxis {
        size: size.clone(),
        lhs: lhs.clone(),
        rhs: rhs.clone(),
        out: out.clone(),
    };
    let (zero, one) = (c(0), c(1));
    first.push(Task::Gemm(Gemm {
        name: "p".to_string(),
        lhs: view(from, vec![]),
        rhs: view(weight, vec![]),
        out: view(p, vec![]),
        batch: vec![],
        m: vec![side(&rows, [&h, &zero, &h])],
        n: vec![side(&h, [&zero, &one, &one])],
        k: vec![side(&h, [&one, &h, &zero])],
        class: GemmClass::PackedWeight,
        rhs_invariant: false,
        spans: Vec::new(),
    }));
    let scan = b.program.tasks.len() - 1;
    if let Task::Scan(s) = &mut b.program.tasks[scan]
        && let Task::Loop(l) = &mut s.body[1]
    {
        l.loads[0].buffer = p;
    }
    // Before the states' first step, which would overwrite the copy.
    b.program.tasks.splice(0..0, first);
    b
}

#[test]
fn a_product_is_made_while_its_scan_runs_where_what_it_reads_stays() {
    let h = 12;
    let [u, v] = [1, 5].map(|path| {
        draws(h * h, path)
            .iter()
            .map(|u| u * 0.3)
            .collect::<Vec<_>>()
    });
    for (reverse, shared) in [
        (false, Shared::Nothing),
        (true, Shared::Nothing),
        (false, Shared::Input),
        (false, Shared::Weight),
    ] {
        let b = projected(reverse, shared);
        let mut exec = b.compile(1);
        assert_eq!(exec.ahead.len(), usize::from(shared != Shared::Input));
        for (t, rows) in [
            (9, 17),
            (7, 100),
            (3, 5),
            (1, 40),
            (0, 33),
            (41, 33),
            (40, 16),
        ] {
            let x = draws(t * rows * h, 2);
            let mut p = vec![0f32; x.len()];
            for (i, p) in p.iter_mut().enumerate() {
                let of = |k: usize| f64::from(x[i / h * h + k]) * f64::from(v[k * h + i % h]);
                *p = (0..h).map(of).sum::<f64>() as f32;
            }
            let params = [&u[..], &v[..]].concat();
            let arg = [Arg::F32(&x)];
            let (got, _) = same_for_any_threads(&b, &[t, rows], &params, &arg);
            close(&got[0], &expect(&p, &u, t, rows, h, reverse), 2e-6);
            // Calls of other sizes before leave nothing behind.
            let again = run_with(&mut exec, &[t, rows], &params, &arg).0;
            assert_eq!(bits(&again[0]), bits(&got[0]));
        }
    }
}
