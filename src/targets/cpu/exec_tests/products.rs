//! Matrix products in every layout.

use super::*;

/// `out[g, m, n] = Σ_k a[…]·b[…]`, strides from the order of each operand's axes.
struct Case {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    /// Order of axes in memory, outermost first, of `gmk`, `gkn`, `gmn`.
    order: [&'static str; 3],
    class: GemmClass,
}

impl Case {
    fn size(&self, axis: char) -> usize {
        match axis {
            'g' => self.batch,
            'm' => self.m,
            'n' => self.n,
            _ => self.k,
        }
    }

    fn stride(&self, operand: usize, axis: char) -> usize {
        let order = self.order[operand];
        match order.find(axis) {
            Some(i) => order[i + 1..].chars().map(|a| self.size(a)).product(),
            None => 0,
        }
    }

    fn len(&self, operand: usize) -> usize {
        self.order[operand].chars().map(|a| self.size(a)).product()
    }

    fn axis(&self, name: char, launch: bool) -> Vec<GemmAxis> {
        let s = |o| c(self.stride(o, name) as i64);
        vec![GemmAxis {
            size: if launch {
                n(&name.to_uppercase().to_string())
            } else {
                c(self.size(name) as i64)
            },
            lhs: s(0),
            rhs: s(1),
            out: s(2),
        }]
    }

    fn build(&self) -> Build {
        let mut b = Build::new(&["M"]);
        let (x, y) = (
            b.input(&[c(self.len(0) as i64)]),
            b.input(&[c(self.len(1) as i64)]),
        );
        let z = b.output(&[c(self.len(2) as i64)]);
        b.program.tasks.push(Task::Gemm(Gemm {
            name: "product".to_string(),
            lhs: view(x, vec![]),
            rhs: view(y, vec![]),
            out: view(z, vec![]),
            batch: if self.batch > 1 {
                self.axis('g', false)
            } else {
                vec![]
            },
            m: self.axis('m', true),
            n: self.axis('n', false),
            k: self.axis('k', false),
            class: self.class,
            rhs_invariant: false,
            spans: Vec::new(),
        }));
        b
    }

    fn check(&self) {
        let b = self.build();
        let (x, y) = (draws(self.len(0), 1), draws(self.len(1), 2));
        let args = [Arg::F32(&x), Arg::F32(&y)];
        let (got, _) = same_for_any_threads(&b, &[self.m], &[], &args);
        let mut want = vec![0f64; self.len(2)];
        for g in 0..self.batch {
            for m in 0..self.m {
                for n in 0..self.n {
                    let at = |o: usize, k: usize| {
                        g * self.stride(o, 'g')
                            + m * self.stride(o, 'm')
                            + n * self.stride(o, 'n')
                            + k * self.stride(o, 'k')
                    };
                    for k in 0..self.k {
                        want[at(2, 0)] += f64::from(x[at(0, k)]) * f64::from(y[at(1, k)]);
                    }
                }
            }
        }
        close(&got[0], &want, 1e-5);
    }
}

#[test]
fn every_layout_multiplies() {
    for class in [GemmClass::PackedWeight, GemmClass::OneShot] {
        for order in [
            ["mk", "kn", "mn"],
            ["km", "kn", "mn"],
            ["mk", "nk", "mn"],
            ["km", "nk", "nm"],
            ["mk", "kn", "nm"],
        ] {
            for (m, n, k) in [
                (1, 1, 1),
                (3, 70, 5),
                (17, 9, 33),
                (40, 130, 20),
                (2, 3, 0),
                (0, 4, 4),
                (45, 1, 70),
                (1, 45, 70),
            ] {
                Case {
                    batch: 1,
                    m,
                    n,
                    k,
                    order,
                    class,
                }
                .check();
            }
        }
    }
}

#[test]
fn batches_of_products_multiply_one_by_one() {
    for order in [
        ["gmk", "gkn", "gmn"],
        ["mgk", "gnk", "mgn"],
        ["gmk", "kn", "gmn"],
    ] {
        for class in [GemmClass::PackedWeight, GemmClass::OneShot] {
            for (n, k) in [(18, 7), (1, 37)] {
                Case {
                    batch: 5,
                    m: 6,
                    n,
                    k,
                    order,
                    class,
                }
                .check();
            }
        }
    }
}

#[test]
fn large_products_are_divided_with_equal_bits() {
    for class in [GemmClass::PackedWeight, GemmClass::OneShot] {
        // Many rows, then few rows and many columns.
        for (m, n) in [(300, 70), (5, 900)] {
            Case {
                batch: 1,
                m,
                n,
                k: 200,
                order: ["mk", "kn", "mn"],
                class,
            }
            .check();
        }
    }
}

#[test]
fn several_indices_a_side_are_looped_over() {
    // out[a, b, p, q] = Σ_{i, j} x[a, i, b, j]·w[j, p, i, q], nothing mergeable.
    let (a, bb, p, q, i, j) = (3usize, 2usize, 4usize, 5usize, 3usize, 6usize);
    let d = |n: usize| c(n as i64);
    let g = |size: usize, lhs: usize, rhs: usize, out: usize| GemmAxis {
        size: d(size),
        lhs: d(lhs),
        rhs: d(rhs),
        out: d(out),
    };
    for class in [GemmClass::PackedWeight, GemmClass::OneShot] {
        let mut b = Build::new(&[]);
        let x = b.input(&[d(a * i * bb * j)]);
        let w = b.input(&[d(j * p * i * q)]);
        let z = b.output(&[d(a * bb * p * q)]);
        b.program.tasks.push(Task::Gemm(Gemm {
            name: "product".to_string(),
            lhs: view(x, vec![]),
            rhs: view(w, vec![]),
            out: view(z, vec![]),
            batch: vec![],
            m: vec![g(a, i * bb * j, 0, bb * p * q), g(bb, j, 0, p * q)],
            n: vec![g(p, 0, i * q, q), g(q, 0, 1, 1)],
            k: vec![g(i, bb * j, q, 0), g(j, 1, p * i * q, 0)],
            class,
            rhs_invariant: false,
            spans: Vec::new(),
        }));
        let (xs, ws) = (draws(a * i * bb * j, 1), draws(j * p * i * q, 2));
        let args = [Arg::F32(&xs), Arg::F32(&ws)];
        let (got, _) = same_for_any_threads(&b, &[], &[], &args);
        let mut want = Vec::new();
        for a in 0..a {
            for b in 0..bb {
                for p_ in 0..p {
                    for q_ in 0..q {
                        let mut sum = 0.0;
                        for i_ in 0..i {
                            for j_ in 0..j {
                                let x = xs[((a * i + i_) * bb + b) * j + j_];
                                let w = ws[((j_ * p + p_) * i + i_) * q + q_];
                                sum += f64::from(x) * f64::from(w);
                            }
                        }
                        want.push(sum);
                    }
                }
            }
        }
        close(&got[0], &want, 1e-5);
    }
}
