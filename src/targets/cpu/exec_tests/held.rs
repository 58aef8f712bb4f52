//! Calls with the weights of the call before.

use super::*;

const K: i64 = 24;
const N: i64 = 40;

/// One axis of a product.
fn index(size: Dim, lhs: i64, rhs: i64, out: i64) -> Vec<GemmAxis> {
    vec![GemmAxis {
        size,
        lhs: c(lhs),
        rhs: c(rhs),
        out: c(out),
    }]
}

/// A product named `name` of `lhs` and a matrix made of weights.
fn product(
    b: &mut Build,
    name: &str,
    [lhs, rhs, out]: [BufferId; 3],
    [m, n, k]: [Vec<GemmAxis>; 3],
) {
    b.program.tasks.push(Task::Gemm(Gemm {
        name: name.to_string(),
        lhs: view(lhs, vec![]),
        rhs: view(rhs, vec![]),
        out: view(out, vec![]),
        batch: vec![],
        m,
        n,
        k,
        class: GemmClass::PackedWeight,
        rhs_invariant: false,
        spans: Vec::new(),
    }));
}

/// `z = x + 1` by way of memory in which `freed` lay before.
fn reuse(b: &mut Build, x: BufferId, shape: &[Dim], freed: BufferId) {
    let other = b.temp(shape);
    let slot = b.program.buffer(freed).home.clone();
    b.program.buffers[other.0 as usize].home = slot;
    let add = vec![
        Expr::Load(0),
        Expr::Const(1.0),
        Expr::Binary(Binary::Add, e(0), e(1)),
    ];
    let z = b.output(shape);
    b.map(
        shape,
        vec![view(x, dense(shape))],
        add,
        view(other, dense(shape)),
    );
    b.map(
        shape,
        vec![view(other, dense(shape))],
        vec![Expr::Load(0)],
        view(z, dense(shape)),
    );
}

/// `y = x·(2w)`, where the doubled weights lie in memory that `z = x + 1` takes after the product.
fn doubled() -> Build {
    let mut b = Build::new(&["M"]);
    let x = b.input(&[n("M"), c(K)]);
    let (w, _) = b.weight("w", &[c(K), c(N)], false);
    let twice = b.temp(&[c(K), c(N)]);
    let shape = [c(K), c(N)];
    b.map(
        &shape,
        vec![view(w, dense(&shape))],
        vec![Expr::Load(0), Expr::Binary(Binary::Add, e(0), e(0))],
        view(twice, dense(&shape)),
    );
    let y = b.output(&[n("M"), c(N)]);
    let axes = [
        index(n("M"), K, 0, N),
        index(c(N), 0, 1, 1),
        index(c(K), 1, N, 0),
    ];
    product(&mut b, "y", [x, twice, y], axes);
    reuse(&mut b, x, &[n("M"), c(K)], twice);
    b
}

/// `y = x + u·w`, where the product of two weights lies in memory that `z = x + 1` takes after the sum.
fn summed() -> Build {
    let mut b = Build::new(&["M"]);
    let x = b.input(&[n("M"), c(N)]);
    let (w, _) = b.weight("w", &[c(K), c(N)], false);
    let row = b.temp(&[c(N)]);
    // The first K weights are a row of their own.
    let axes = [vec![], index(c(N), 0, 1, 1), index(c(K), 1, N, 0)];
    product(&mut b, "row", [w, w, row], axes);
    let y = b.output(&[n("M"), c(N)]);
    let shape = [n("M"), c(N)];
    let again = vec![
        Axis {
            size: n("M"),
            stride: c(0),
        },
        Axis {
            size: c(N),
            stride: c(1),
        },
    ];
    b.map(
        &shape,
        vec![view(x, dense(&shape)), view(row, again)],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Binary(Binary::Add, e(0), e(1)),
        ],
        view(y, dense(&shape)),
    );
    b.program.slots[0].push(times(&n("M"), &c(N)));
    reuse(&mut b, x, &shape, row);
    b
}

#[test]
fn what_is_made_of_weights_alone_is_made_once_and_anew_when_they_change() {
    same_as_made_each_time(&doubled(), K);
    same_as_made_each_time(&summed(), N);
}

/// `width`: numbers in a row of the input.
fn same_as_made_each_time(b: &Build, width: i64) {
    let size = (K * N) as usize;
    let weights = [draws(size, 1), draws(size, 2)];
    let mut held = b.compile(1);
    for (round, w) in weights.iter().chain(&weights).enumerate() {
        held.hold_params(round < 3);
        // The same sizes again, fewer rows than are packed for otherwise, and more.
        for (call, m) in [3usize, 3, 1, 1, 20, 20, 3].into_iter().enumerate() {
            let x = draws(m * width as usize, 5 + call as u32);
            let got = run_with(&mut held, &[m], w, &[Arg::F32(&x)]).0;
            let want = run_with(&mut b.compile(1), &[m], w, &[Arg::F32(&x)]).0;
            for (got, want) in got.iter().zip(&want) {
                assert_eq!(bits(got), bits(want), "round {round}, call {call}");
            }
        }
    }
}

#[test]
fn held_weights_are_not_read_again() {
    let b = doubled();
    let w = draws((K * N) as usize, 1);
    let x = draws(2 * K as usize, 5);
    let mut held = b.compile(1);
    held.hold_params(true);
    let first = run_with(&mut held, &[2], &w, &[Arg::F32(&x)]).0;
    // Other weights against what was said show what the second call reads.
    let other = vec![0.0; w.len()];
    let second = run_with(&mut held, &[2], &other, &[Arg::F32(&x)]).0;
    assert_eq!(first, second);
    held.hold_params(false);
    let third = run_with(&mut held, &[2], &other, &[Arg::F32(&x)]).0;
    assert!(third[0].iter().all(|y| *y == 0.0));
}

#[test]
fn what_others_read_of_held_weights_is_not_made_again() {
    let b = summed();
    let w = draws((K * N) as usize, 1);
    let x = draws(2 * N as usize, 5);
    let mut held = b.compile(1);
    held.hold_params(true);
    let first = run_with(&mut held, &[2], &w, &[Arg::F32(&x)]).0;
    let other = vec![0.0; w.len()];
    assert_eq!(first, run_with(&mut held, &[2], &other, &[Arg::F32(&x)]).0);
    held.hold_params(false);
    let third = run_with(&mut held, &[2], &other, &[Arg::F32(&x)]).0;
    assert_eq!(third[0], x);
}
