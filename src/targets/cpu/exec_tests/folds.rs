//! Sums and maxima over every choice of axes.

use super::*;

/// `Σ x·x` and `max x` over the axes marked.
fn fold(shape: &[Dim], launch: &[&str], reduced: &[bool]) -> Build {
    let mut b = Build::new(launch);
    let x = b.input(shape);
    let kept: Vec<Dim> = (0..shape.len())
        .filter(|i| !reduced[*i])
        .map(|i| shape[i].clone())
        .collect();
    let (s, m) = (b.output(&kept), b.output(&kept));
    b.group(
        shape,
        vec![view(x, dense(shape))],
        vec![Expr::Load(0), Expr::Binary(Binary::Mul, e(0), e(0))],
        reduced.to_vec(),
        vec![
            Effect::Fold {
                op: FoldOp::Sum,
                value: e(1),
                to: view(s, dense(&kept)),
            },
            Effect::Fold {
                op: FoldOp::Max,
                value: e(0),
                to: view(m, dense(&kept)),
            },
        ],
    );
    b
}

/// The same by plain loops.
fn expect(x: &[f32], shape: &[usize], reduced: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let kept: usize = (0..shape.len())
        .filter(|i| !reduced[*i])
        .map(|i| shape[i])
        .product();
    let mut sum = vec![0f64; kept];
    let mut max = vec![f64::NEG_INFINITY; kept];
    for (i, x) in x.iter().enumerate() {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for axis in (0..shape.len()).rev() {
            let index = rest % shape[axis];
            rest /= shape[axis];
            if !reduced[axis] {
                at += index * stride;
                stride *= shape[axis];
            }
        }
        sum[at] += f64::from(*x) * f64::from(*x);
        max[at] = max[at].max(f64::from(*x));
    }
    (sum, max)
}

#[test]
fn any_axes_can_be_folded() {
    for width in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 300] {
        for mask in 0..8 {
            let reduced: Vec<bool> = (0..3).map(|i| mask >> i & 1 == 1).collect();
            let b = fold(&[n("T"), n("B"), c(width)], &["T", "B"], &reduced);
            for (t, rows) in [(5usize, 3usize), (1, 6), (4, 1), (2, 8), (1, 17)] {
                let shape = [t, rows, width as usize];
                let x = draws(t * rows * width as usize, 7);
                let got = run(&mut b.compile(1), &[t, rows], &[Arg::F32(&x)]);
                let (sum, max) = expect(&x, &shape, &reduced);
                close(&got[0], &sum, 1e-6);
                close(&got[1], &max, 0.0);
            }
        }
    }
}

/// A group whose partial totals are put back to a number as they are read.
#[test]
fn two_maxima_are_folded_by_columns() {
    let shape = [n("T"), n("B"), c(70)];
    let mut b = Build::new(&["T", "B"]);
    let x = b.input(&shape);
    let results = [b.output(&[c(70)]), b.output(&[c(70)])];
    let effects = results.iter().enumerate().map(|(i, to)| Effect::Fold {
        op: FoldOp::Max,
        value: e(2 * i),
        to: view(*to, dense(&[c(70)])),
    });
    b.group(
        &shape,
        vec![view(x, dense(&shape))],
        vec![
            Expr::Load(0),
            Expr::Const(0.0),
            Expr::Binary(Binary::Sub, e(1), e(0)),
        ],
        vec![true, true, false],
        effects.collect(),
    );
    for (t, rows) in [(5usize, 7usize), (9, 1), (1, 8)] {
        let x = draws(t * rows * 70, 11);
        let negative: Vec<f32> = x.iter().map(|x| -x).collect();
        let reduced = [true, true, false];
        let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &[Arg::F32(&x)]);
        close(&got[0], &expect(&x, &[t, rows, 70], &reduced).1, 0.0);
        close(&got[1], &expect(&negative, &[t, rows, 70], &reduced).1, 0.0);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for mask in 0..8 {
        let reduced: Vec<bool> = (0..3).map(|i| mask >> i & 1 == 1).collect();
        let shape = [n("T"), n("B"), c(75)];
        let b = fold(&shape, &["T", "B"], &reduced);
        let x = draws(90 * 41 * 75, 3);
        same_for_any_threads(&b, &[90, 41], &[], &[Arg::F32(&x)]);
    }
}

#[test]
fn launch_sized_last_axes_fold_too() {
    for reduced in [[true, false], [false, true], [true, true]] {
        let b = fold(&[n("T"), n("S")], &["T", "S"], &reduced);
        let mut x = b.compile(1);
        for (t, s) in [(3, 50), (50, 3), (1, 1), (9, 16)] {
            let xs = draws(t * s, 5);
            let got = run(&mut x, &[t, s], &[Arg::F32(&xs)]);
            let (sum, max) = expect(&xs, &[t, s], &reduced);
            close(&got[0], &sum, 1e-6);
            close(&got[1], &max, 0.0);
        }
    }
}

#[test]
fn nothing_sums_to_zero() {
    let b = fold(&[n("T"), c(5)], &["T"], &[true, false]);
    let got = run(&mut b.compile(2), &[0], &[Arg::F32(&[])]);
    assert_eq!(got[0], [0.0; 5]);
    assert_eq!(got[1], [f32::NEG_INFINITY; 5]);
}

#[test]
fn nan_reaches_the_result_wherever_it_is() {
    for (reduced, width) in [
        ([true, false], 21),
        ([true, false], 37),
        ([false, true], 21),
        ([true, true], 21),
    ] {
        let b = fold(&[c(6), c(width)], &[], &reduced);
        let mut x = b.compile(1);
        let points = 6 * width as usize;
        for at in 0..points {
            let mut xs = draws(points, 2);
            xs[at] = f32::NAN;
            for out in run(&mut x, &[], &[Arg::F32(&xs)]) {
                assert_eq!(out.iter().filter(|v| v.is_nan()).count(), 1);
            }
        }
    }
}

/// Rows are added eight at a time: whole eights, what is left, and fewer; what one of them holds reaches its column alone.
#[test]
fn every_row_of_eight_is_added_once() {
    for rows in [7usize, 8, 9, 17] {
        let b = fold(&[n("T"), c(37)], &["T"], &[true, false]);
        let mut compiled = b.compile(1);
        for at in 0..rows {
            let mut xs = draws(rows * 37, 2);
            xs[at * 37 + at] = f32::NAN;
            for out in run(&mut compiled, &[rows], &[Arg::F32(&xs)]) {
                let bad: Vec<usize> = (0..37).filter(|i| out[*i].is_nan()).collect();
                assert_eq!(bad, [at]);
            }
        }
    }
}

/// Values that no buffer holds: the number of rows, and sums of what only an outer axis moves.
#[test]
fn rows_of_numbers_are_counted() {
    let columns = c(40);
    for rows in [1usize, 8, 19] {
        let mut b = Build::new(&["T", "B"]);
        let shape = [n("T"), n("B"), columns.clone()];
        let x = b.input(&[n("T")]);
        let results = [b.output(&[c(40)]), b.output(&[c(40)])];
        let sum = |i: usize, value: usize| Effect::Fold {
            op: FoldOp::Sum,
            value: e(value),
            to: view(results[i], dense(&[c(40)])),
        };
        b.group(
            &shape,
            vec![view(
                x,
                vec![
                    axis(&n("T"), &c(1)),
                    axis(&n("B"), &c(0)),
                    axis(&c(40), &c(0)),
                ],
            )],
            vec![
                Expr::Index(2),
                Expr::Load(0),
                Expr::Binary(Binary::Add, e(0), e(1)),
                Expr::Binary(Binary::Mul, e(0), e(0)),
            ],
            vec![true, true, false],
            vec![sum(0, 2), sum(1, 3)],
        );
        let got = run(&mut b.compile(1), &[3, rows], &[Arg::F32(&[1.0, 2.0, 4.0])]);
        for (column, (added, squared)) in got[0].iter().zip(&got[1]).enumerate() {
            let (n, k) = (rows as f64, column as f64);
            assert!((f64::from(*added) - n * (3.0 * k + 7.0)).abs() < 1e-2);
            assert!((f64::from(*squared) - n * 3.0 * k * k).abs() < 1e-2);
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    let b = fold(&[n("T"), n("B"), c(4)], &["T", "B"], &[true, true, false]);
    let (t, rows) = (400, 300);
    let x = draws(t * rows * 4, 9);
    let got = run(&mut b.compile(1), &[t, rows], &[Arg::F32(&x)]);
    let (sum, _) = expect(&x, &[t, rows, 4], &[true, true, false]);
    close(&got[0], &sum, 3e-6);
}

#[test]
fn several_values_are_folded_by_columns() {
    // The sums over T and B of three parts of x, side by side in one result.
    for f in [1i64, 6, 16, 21, 37, 150, 300] {
        let mut b = Build::new(&["T", "B"]);
        let shape = [n("T"), n("B"), c(f)];
        let x = b.input(&[n("T"), n("B"), c(3 * f)]);
        let y = b.output(&[c(3 * f)]);
        let (mut loads, mut exprs, mut effects) = (Vec::new(), Vec::new(), Vec::new());
        for part in 0..3 {
            let steps = times(&n("B"), &c(3 * f));
            loads.push(View {
                offset: c(part * f),
                ..view(
                    x,
                    vec![
                        axis(&n("T"), &steps),
                        axis(&n("B"), &c(3 * f)),
                        axis(&c(f), &c(1)),
                    ],
                )
            });
            exprs.push(Expr::Load(part as usize));
            effects.push(Effect::Fold {
                op: FoldOp::Sum,
                value: e(part as usize),
                to: View {
                    offset: c(part * f),
                    ..view(y, dense(&[c(f)]))
                },
            });
        }
        b.group(&shape, loads, exprs, vec![true, true, false], effects);
        let (t, rows, f) = (40, 30, f as usize);
        let xs = draws(t * rows * 3 * f, 6);
        let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &[Arg::F32(&xs)]);
        let mut want = vec![0f64; 3 * f];
        for (i, x) in xs.iter().enumerate() {
            want[i % (3 * f)] += f64::from(*x);
        }
        close(&got[0], &want, 1e-6);
    }
}

/// `Σ a·x` over T and B and `max (x − w + t)`, where `a` stands for a row and `w` for a column.
#[test]
fn columns_meet_what_stands_for_a_row_or_a_column() {
    let width = 290;
    let mut b = Build::new(&["T", "B"]);
    let shape = [n("T"), n("B"), c(width)];
    let (x, a, w) = (b.input(&shape), b.input(&shape[..2]), b.input(&shape[2..]));
    let (s, m) = (b.output(&shape[2..]), b.output(&shape[2..]));
    let by_row = vec![
        axis(&n("T"), &n("B")),
        axis(&n("B"), &c(1)),
        axis(&c(width), &c(0)),
    ];
    let by_column = vec![
        axis(&n("T"), &c(0)),
        axis(&n("B"), &c(0)),
        axis(&c(width), &c(1)),
    ];
    let loads = vec![view(x, dense(&shape)), view(a, by_row), view(w, by_column)];
    let exprs = vec![
        Expr::Load(0),
        Expr::Load(1),
        Expr::Binary(Binary::Mul, e(1), e(0)),
        Expr::Load(2),
        Expr::Binary(Binary::Sub, e(0), e(3)),
        Expr::Index(0),
        Expr::Binary(Binary::Add, e(4), e(5)),
        Expr::Index(2),
        Expr::Binary(Binary::Mul, e(6), e(7)),
    ];
    let fold = |op, value, to| Effect::Fold {
        op,
        value: e(value),
        to: view(to, dense(&shape[2..])),
    };
    let effects = vec![fold(FoldOp::Sum, 2, s), fold(FoldOp::Max, 8, m)];
    b.group(&shape, loads, exprs, vec![true, true, false], effects);
    for (t, rows) in [(7usize, 5usize), (1, 3), (4, 1)] {
        let k = width as usize;
        let (x, a, w) = (draws(t * rows * k, 4), draws(t * rows, 5), draws(k, 6));
        let args = [Arg::F32(&x), Arg::F32(&a), Arg::F32(&w)];
        let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &args);
        let (mut sum, mut max) = (vec![0f64; k], vec![f64::NEG_INFINITY; k]);
        for (i, x) in x.iter().enumerate() {
            let (row, column) = (i / k, i % k);
            sum[column] += f64::from(*x) * f64::from(a[row]);
            let y = (f64::from(*x) - f64::from(w[column]) + (row / rows) as f64) * column as f64;
            max[column] = max[column].max(y);
        }
        close(&got[0], &sum, 1e-6);
        close(&got[1], &max, 1e-6);
    }
}
