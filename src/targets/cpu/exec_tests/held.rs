//! Calls with the weights of the call before.

use super::*;

const K: i64 = 24;
const N: i64 = 40;

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
    let index = |size: &Dim, lhs: i64, rhs: i64, out: i64| {
        vec![GemmAxis {
            size: size.clone(),
            lhs: c(lhs),
            rhs: c(rhs),
            out: c(out),
        }]
    };
    b.program.tasks.push(Task::Gemm(Gemm {
        name: "y".to_string(),
        lhs: view(x, vec![]),
        rhs: view(twice, vec![]),
        out: view(y, vec![]),
        batch: vec![],
        m: index(&n("M"), K, 0, N),
        n: index(&c(N), 0, 1, 1),
        k: index(&c(K), 1, N, 0),
        class: GemmClass::PackedWeight,
        rhs_invariant: false,
        spans: Vec::new(),
    }));
    let other = b.temp(&[n("M"), c(K)]);
    let slot = b.program.buffer(twice).home.clone();
    b.program.buffers[other.0 as usize].home = slot;
    let shape = [n("M"), c(K)];
    let add = vec![
        Expr::Load(0),
        Expr::Const(1.0),
        Expr::Binary(Binary::Add, e(0), e(1)),
    ];
    b.map(
        &shape,
        vec![view(x, dense(&shape))],
        add,
        view(other, dense(&shape)),
    );
    let z = b.output(&shape);
    b.map(
        &shape,
        vec![view(other, dense(&shape))],
        vec![Expr::Load(0)],
        view(z, dense(&shape)),
    );
    b
}

/// `y = x + u·w`, where the product of two weights lies in memory that `z = x + 1` takes after the sum.
fn summed() -> Build {
    let mut b = Build::new(&["M"]);
    let x = b.input(&[n("M"), c(N)]);
    let (w, _) = b.weight("w", &[c(K), c(N)], false);
    let row = b.temp(&[c(N)]);
    let index = |size: i64, lhs: i64, rhs: i64, out: i64| {
        vec![GemmAxis {
            size: c(size),
            lhs: c(lhs),
            rhs: c(rhs),
            out: c(out),
        }]
    };
    // The first K weights are a row of their own.
    b.program.tasks.push(Task::Gemm(Gemm {
        name: "row".to_string(),
        lhs: view(w, vec![]),
        rhs: view(w, vec![]),
        out: view(row, vec![]),
        batch: vec![],
        m: vec![],
        n: index(N, 0, 1, 1),
        k: index(K, 1, N, 0),
        class: GemmClass::PackedWeight,
        rhs_invariant: false,
        spans: Vec::new(),
    }));
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
    let other = b.temp(&shape);
    let slot = b.program.buffer(row).home.clone();
    b.program.slots[0].push(times(&n("M"), &c(N)));
    b.program.buffers[other.0 as usize].home = slot;
    let add = vec![
        Expr::Load(0),
        Expr::Const(1.0),
        Expr::Binary(Binary::Add, e(0), e(1)),
    ];
    b.map(
        &shape,
        vec![view(x, dense(&shape))],
        add,
        view(other, dense(&shape)),
    );
    let z = b.output(&shape);
    b.map(
        &shape,
        vec![view(other, dense(&shape))],
        vec![Expr::Load(0)],
        view(z, dense(&shape)),
    );
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
