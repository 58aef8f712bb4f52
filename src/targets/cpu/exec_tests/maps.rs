//! Fused elementwise groups.

use super::*;

/// `y = tanh(x·w + b)·x`, where `w` repeats along rows and `b` along columns.
fn fused(f: i64) -> Build {
    let mut b = Build::new(&["B"]);
    let shape = [n("B"), c(f)];
    let (x, w, bias) = (b.input(&shape), b.input(&[c(f)]), b.input(&[n("B")]));
    let y = b.output(&shape);
    b.map(
        &shape,
        vec![
            view(x, dense(&shape)),
            view(w, vec![axis(&n("B"), &c(0)), axis(&c(f), &c(1))]),
            view(bias, vec![axis(&n("B"), &c(1)), axis(&c(f), &c(0))]),
        ],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Load(2),
            Expr::Binary(Binary::Mul, e(0), e(1)),
            Expr::Binary(Binary::Add, e(3), e(2)),
            Expr::Unary(Unary::Tanh, e(4)),
            Expr::Binary(Binary::Mul, e(5), e(0)),
        ],
        view(y, dense(&shape)),
    );
    b
}

#[test]
fn every_width_has_its_tail() {
    for f in 1..40usize {
        let rows = 5;
        let b = fused(f as i64);
        let (x, w, bias) = (draws(rows * f, 1), draws(f, 2), draws(rows, 3));
        let args = [Arg::F32(&x), Arg::F32(&w), Arg::F32(&bias)];
        let (got, _) = same_for_any_threads(&b, &[rows], &[], &args);
        let mut want = Vec::new();
        for r in 0..rows {
            for j in 0..f {
                let v = f64::from(x[r * f + j]);
                want.push((v * f64::from(w[j]) + f64::from(bias[r])).tanh() * v);
            }
        }
        close(&got[0], &want, 1e-6);
    }
}

#[test]
fn one_compile_serves_every_size_and_empty_ones() {
    let mut x = fused(6).compile(2);
    for rows in [3, 0, 1, 200, 2] {
        let (a, w, bias) = (draws(rows * 6, 1), draws(6, 2), draws(rows, 3));
        let args = [Arg::F32(&a), Arg::F32(&w), Arg::F32(&bias)];
        assert_eq!(run(&mut x, &[rows], &args)[0].len(), rows * 6);
    }
}

#[test]
fn large_maps_are_divided_with_equal_bits() {
    let b = fused(33);
    let rows = 5_000;
    let (x, w, bias) = (draws(rows * 33, 1), draws(33, 2), draws(rows, 3));
    let args = [Arg::F32(&x), Arg::F32(&w), Arg::F32(&bias)];
    same_for_any_threads(&b, &[rows], &[], &args);
}

#[test]
fn views_may_be_transposed_strided_and_offset() {
    // y[i, j] = x[j, i] − z[2 + 3·(4·i + j)], stored to every second float.
    let (h, w) = (7usize, 6usize);
    let mut b = Build::new(&["H"]);
    let space = [n("H"), c(w as i64)];
    let x = b.input(&[c(w as i64), n("H")]);
    let z = b.input(&[c(3 * 64)]);
    let y = b.output(&[times(&n("H"), &c(2 * w as i64))]);
    let zv = View {
        offset: c(2),
        ..view(z, vec![axis(&n("H"), &c(12)), axis(&c(w as i64), &c(3))])
    };
    b.map(
        &space,
        vec![
            view(x, vec![axis(&n("H"), &c(1)), axis(&c(w as i64), &n("H"))]),
            zv,
        ],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Binary(Binary::Sub, e(0), e(1)),
        ],
        view(
            y,
            vec![axis(&n("H"), &c(2 * w as i64)), axis(&c(w as i64), &c(2))],
        ),
    );
    let (xs, zs) = (draws(h * w, 1), draws(192, 2));
    let got = run(&mut b.compile(1), &[h], &[Arg::F32(&xs), Arg::F32(&zs)]).remove(0);
    for i in 0..h {
        for j in 0..w {
            let want = xs[j * h + i] - zs[2 + 3 * (4 * i + j)];
            assert_eq!(got[i * 2 * w + 2 * j], want);
        }
    }
}

#[test]
fn masks_by_length_hold_or_clear() {
    // y[t, b, j] = t < len[b] and j < 5 ? x[t, b, j] : −1, with integers as they are given.
    let (steps, rows, f) = (6, 3, 9);
    let mut b = Build::new(&["T", "B"]);
    let space = [n("T"), n("B"), c(f)];
    let x = b.input(&space);
    let len = b.integers(&[n("B")]);
    let y = b.output(&space);
    let lens = [
        axis(&n("T"), &c(0)),
        axis(&n("B"), &c(1)),
        axis(&c(f), &c(0)),
    ];
    b.map(
        &space,
        vec![view(x, dense(&space)), view(len, lens.to_vec())],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Index(0),
            Expr::Binary(Binary::Lt, e(2), e(1)),
            Expr::Index(2),
            Expr::Const(5.0),
            Expr::Binary(Binary::Lt, e(4), e(5)),
            Expr::Binary(Binary::Mul, e(3), e(6)),
            Expr::Const(-1.0),
            Expr::Select(e(7), e(0), e(8)),
        ],
        view(y, dense(&space)),
    );
    let xs = draws(steps * rows * f as usize, 1);
    let lens = [6, 0, 4];
    let args = [Arg::F32(&xs), Arg::I32(&lens)];
    let (got, _) = same_for_any_threads(&b, &[steps, rows], &[], &args);
    let mut at = 0;
    for t in 0..steps {
        for len in lens {
            for j in 0..f {
                let keep = (t as i32) < len && j < 5;
                assert_eq!(got[0][at], if keep { xs[at] } else { -1.0 });
                at += 1;
            }
        }
    }
}

#[test]
fn a_group_may_store_in_place_and_more_than_once() {
    // x → temp; temp = 2·temp in place; y = temp, z = temp².
    let mut b = Build::new(&["N"]);
    let shape = [n("N")];
    let x = b.input(&shape);
    let t = b.temp(&shape);
    let (y, z) = (b.output(&shape), b.output(&shape));
    let whole = |buffer| view(buffer, dense(&shape));
    b.map(&shape, vec![whole(x)], vec![Expr::Load(0)], whole(t));
    b.map(
        &shape,
        vec![whole(t)],
        vec![
            Expr::Load(0),
            Expr::Const(2.0),
            Expr::Binary(Binary::Mul, e(0), e(1)),
        ],
        whole(t),
    );
    b.group(
        &shape,
        vec![whole(t)],
        vec![Expr::Load(0), Expr::Binary(Binary::Mul, e(0), e(0))],
        vec![false],
        vec![
            Effect::Store {
                value: e(0),
                to: whole(y),
            },
            Effect::Store {
                value: e(1),
                to: whole(z),
            },
        ],
    );
    for len in [0, 1, 7, 64] {
        let xs = draws(len, 1);
        let got = run(&mut b.compile(2), &[len], &[Arg::F32(&xs)]);
        let two: Vec<f32> = xs.iter().map(|x| 2.0 * x).collect();
        assert_eq!(got[0], two);
        assert_eq!(got[1], two.iter().map(|x| x * x).collect::<Vec<_>>());
    }
}

#[test]
fn a_point_alone_is_a_map_too() {
    let mut b = Build::new(&[]);
    let (x, y) = (b.input(&[]), b.output(&[]));
    b.map(
        &[],
        vec![view(x, vec![])],
        vec![Expr::Load(0), Expr::Unary(Unary::Neg, e(0))],
        view(y, vec![]),
    );
    assert_eq!(run(&mut b.compile(1), &[], &[Arg::F32(&[4.0])])[0], [-4.0]);
}

#[test]
fn a_call_inside_a_job_runs_on_one_worker() {
    use crate::targets::cpu::pool::Pool;
    use std::sync::{Arc, Mutex};
    let b = fused(5);
    let pool = Arc::new(Pool::new(2));
    let options = Options {
        always_divide: true,
        ..Options::default()
    };
    let x = exec::compile_on(&b.program, &options, pool.clone()).unwrap();
    let (a, w, bias) = (draws(15, 1), draws(5, 2), draws(3, 3));
    let args = [Arg::F32(&a), Arg::F32(&w), Arg::F32(&bias)];
    let x = Mutex::new(x);
    let outside = run(&mut x.lock().unwrap(), &[3], &args);
    pool.run(&|_, _| assert_eq!(run(&mut x.lock().unwrap(), &[3], &args), outside));
}
