//! Work done by precompiled routines.

use super::*;
use crate::philox::{self, Domain};

fn routine(b: &mut Build, routine: Routine) {
    b.program.tasks.push(Task::Routine {
        name: "routine".to_string(),
        routine,
        spans: Vec::new(),
    });
}

/// Rows `[T, B]` of `v`, a quarter of the targets left out.
fn targets(count: usize, v: usize) -> Vec<i32> {
    (0..count)
        .map(|i| if i % 4 == 3 { -1 } else { (i * 7 % v) as i32 })
        .collect()
}

#[test]
fn softmax_and_cross_entropy_agree_with_the_definitions() {
    for v in [1usize, 5, 16, 33] {
        let shape = [n("T"), n("B"), c(v as i64)];
        let rows = [n("T"), n("B")];
        let mut b = Build::new(&["T", "B"]);
        let (x, y, g) = (b.input(&shape), b.integers(&rows), b.input(&rows));
        let (p, loss, grad) = (b.output(&shape), b.output(&rows), b.output(&shape));
        let (x, y, g) = (
            view(x, dense(&shape)),
            view(y, dense(&rows)),
            view(g, dense(&rows)),
        );
        routine(
            &mut b,
            Routine::Softmax {
                x: x.clone(),
                out: view(p, dense(&shape)),
            },
        );
        routine(
            &mut b,
            Routine::CrossEntropy {
                logits: x.clone(),
                target: y.clone(),
                out: view(loss, dense(&rows)),
            },
        );
        routine(
            &mut b,
            Routine::CrossEntropyGrad {
                logits: x,
                target: y,
                g,
                out: view(grad, dense(&shape)),
            },
        );
        let (t, batch) = (60, 9);
        let count = t * batch;
        let xs: Vec<f32> = draws(count * v, 1).iter().map(|x| x * 8.0).collect();
        let (ys, gs) = (targets(count, v), draws(count, 2));
        let args = [Arg::F32(&xs), Arg::I32(&ys), Arg::F32(&gs)];
        let (got, _) = same_for_any_threads(&b, &[t, batch], &[], &args);
        let (mut p, mut loss, mut grad) = (Vec::new(), Vec::new(), Vec::new());
        for r in 0..count {
            let row: Vec<f64> = xs[r * v..][..v].iter().map(|x| f64::from(*x)).collect();
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            let target = usize::try_from(ys[r]).ok();
            loss.push(target.map_or(0.0, |y| sum.ln() - row[y]));
            for (j, x) in row.iter().enumerate() {
                let q = x.exp() / sum;
                p.push(q);
                let hit = if target == Some(j) { 1.0 } else { 0.0 };
                grad.push(target.map_or(0.0, |_| (q - hit) * f64::from(gs[r])));
            }
        }
        close(&got[0], &p, 1e-6);
        close(&got[1], &loss, 1e-6);
        close(&got[2], &grad, 1e-6);
    }
}

#[test]
fn tables_are_read_and_added_to() {
    for width in [1usize, 3, 16, 21] {
        let v = 11usize;
        let (vd, wd) = (c(v as i64), c(width as i64));
        let rows = [n("T"), n("B")];
        let shape = [n("T"), n("B"), wd.clone()];
        let mut b = Build::new(&["T", "B"]);
        let (table, grad) = b.weight("table", &[vd.clone(), wd.clone()], true);
        let index = b.integers(&rows);
        let g = b.input(&shape);
        let out = b.output(&shape);
        let index = view(index, dense(&rows));
        routine(
            &mut b,
            Routine::Gather {
                table: view(table, dense(&[vd.clone(), wd.clone()])),
                index: index.clone(),
                out: view(out, dense(&shape)),
            },
        );
        routine(
            &mut b,
            Routine::ScatterAdd {
                grad: view(g, dense(&shape)),
                index,
                out: view(grad.unwrap(), dense(&[vd, wd])),
            },
        );
        for (t, batch) in [(40, 25), (0, 4), (1, 1)] {
            let count = t * batch;
            let w = draws(v * width, 1);
            let (ys, gs) = (targets(count, v), draws(count * width, 2));
            let args = [Arg::I32(&ys), Arg::F32(&gs)];
            let (got, grads) = same_for_any_threads(&b, &[t, batch], &w, &args);
            let mut read = Vec::new();
            let mut added = vec![0f64; v * width];
            for (p, y) in ys.iter().enumerate() {
                for j in 0..width {
                    let at = usize::try_from(*y).ok().map(|y| y * width + j);
                    read.push(at.map_or(0.0, |at| w[at]));
                    if let Some(at) = at {
                        added[at] += f64::from(gs[p * width + j]);
                    }
                }
            }
            assert_eq!(got[0], read);
            close(&grads, &added, 1e-5);
        }
    }
}

#[test]
fn a_step_is_taken_and_put_back() {
    let shape = [n("T"), n("B"), c(7)];
    let mut b = Build::new(&["T", "B"]);
    let x = b.input(&shape);
    let len = b.typed_input(Elem::I32, &[n("B")], Role::Lengths("T".to_string()));
    let (last, first) = (b.output(&[n("B"), c(7)]), b.output(&[n("B"), c(7)]));
    let back = b.output(&shape);
    let len = view(len, dense(&[n("B")]));
    let row = dense(&[n("B"), c(7)]);
    for (out, len) in [(last, Some(len.clone())), (first, None)] {
        routine(
            &mut b,
            Routine::Take {
                x: view(x, dense(&shape)),
                len,
                out: view(out, row.clone()),
            },
        );
    }
    routine(
        &mut b,
        Routine::Put {
            g: view(last, row),
            len: Some(len),
            out: view(back, dense(&shape)),
        },
    );
    for (t, lens) in [(5usize, vec![5, 0, 3, 1]), (0, vec![0, 0])] {
        let rows = lens.len();
        let xs = draws(t * rows * 7, 1);
        let args = [Arg::F32(&xs), Arg::I32(&lens)];
        let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &args);
        for (r, len) in lens.iter().enumerate() {
            for j in 0..7 {
                let at = |t: usize| (t * rows + r) * 7 + j;
                let want = if *len > 0 {
                    xs[at(*len as usize - 1)]
                } else {
                    0.0
                };
                assert_eq!(got[0][r * 7 + j], want);
                let want = if t > 0 { xs[at(0)] } else { 0.0 };
                assert_eq!(got[1][r * 7 + j], want);
                for step in 0..t {
                    let here = step + 1 == *len as usize;
                    assert_eq!(got[2][at(step)], if here { xs[at(step)] } else { 0.0 });
                }
            }
        }
    }
}

#[test]
fn random_draws_are_those_of_philox() {
    for (dist, timed) in [
        (Dist::Uniform, true),
        (Dist::Normal, true),
        (Dist::Uniform, false),
    ] {
        let mut b = Build::new(&["T", "B"]);
        let shape = if timed {
            vec![n("T"), n("B"), c(5)]
        } else {
            vec![n("B"), c(5)]
        };
        let out = b.output(&shape);
        routine(
            &mut b,
            Routine::Random {
                path: "net.dropout".to_string(),
                dist,
                timed,
                out: view(out, dense(&shape)),
            },
        );
        let (t, rows) = (8, 6);
        let (got, _) = same_for_any_threads(&b, &[t, rows], &[], &[]);
        let place = Place {
            key: philox::key(3, Domain::Dropout),
            path: philox::path_hash("net.dropout"),
            step: 5,
        };
        let mut want = Vec::new();
        for step in 0..if timed { t } else { 1 } {
            for r in 0..rows {
                let mut row = [0.0; 5];
                match dist {
                    Dist::Uniform => place.fill_uniform(&mut row, r as u32, step as u32),
                    Dist::Normal => place.fill_normal(&mut row, r as u32, step as u32),
                }
                want.extend(row);
            }
        }
        assert_eq!(got[0], want);
    }
}
