//! Elementary functions against f64, at both widths and on every instruction set.

use super::*;
use crate::targets::cpu::isa::{Cpu, Isa};

fn unary(op: Unary, cpu: Cpu) -> CpuExecutable {
    let mut b = Build::new(&["N"]);
    let (x, y) = (b.input(&[n("N")]), b.output(&[n("N")]));
    b.map(
        &[n("N")],
        vec![view(x, dense(&[n("N")]))],
        vec![Expr::Load(0), Expr::Unary(op, e(0))],
        view(y, dense(&[n("N")])),
    );
    let options = Options {
        threads: 1,
        cpu,
        ..Options::default()
    };
    exec::compile(&b.program, &options).unwrap()
}

fn apply(x: &mut CpuExecutable, values: &[f32]) -> Vec<f32> {
    let whole = run(x, &[values.len()], &[Arg::F32(values)]).remove(0);
    // Cut elsewhere, so that every element is once in a vector and once alone.
    for cut in [1, 2, 3] {
        let part = run(x, &[3], &[Arg::F32(&values[cut..cut + 3])]).remove(0);
        assert_eq!(bits(&part), bits(&whole[cut..cut + 3]));
    }
    whole
}

/// Spread over the range evenly, and over magnitudes.
fn spread(low: f64, high: f64, count: usize) -> Vec<f32> {
    let mut out = Vec::new();
    for i in 0..count {
        let u = i as f64 / (count - 1) as f64;
        out.push((low + (high - low) * u) as f32);
        let small = (10f64.powf(-20.0 + 20.0 * u)) * high;
        out.push(small as f32);
        if low < 0.0 {
            out.push(-small as f32);
        }
    }
    out
}

/// The largest error relative to the true value, over normal results, on machines that fuse multiply-adds or do not.
fn worst(op: Unary, f: fn(f64) -> f64, values: &[f32], fused: bool) -> f64 {
    let mut worst = 0f64;
    let all = Cpu::available().into_iter();
    for cpu in all.filter(|cpu| (cpu.isa != Isa::Portable) == fused) {
        let got = apply(&mut unary(op, cpu), values);
        for (x, y) in values.iter().zip(got) {
            let want = f(f64::from(*x));
            if want.abs() < 1.2e-38 || want.abs() > 3.4e38 {
                continue;
            }
            let error = ((f64::from(y) - want) / want).abs();
            assert!(error < 1e-4, "{op:?}({x}) = {y}, not {want}, on {cpu}");
            worst = worst.max(error);
        }
    }
    worst
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Gauss's error function by its series and, far out, its continued fraction.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    let y = if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for k in 1..80 {
            term *= -a * a / f64::from(k);
            sum += term / f64::from(2 * k + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    } else {
        let mut f = 0.0;
        for k in (1..60).rev() {
            f = f64::from(k) / 2.0 / (a + f);
        }
        1.0 - (-a * a).exp() / ((a + f) * std::f64::consts::PI.sqrt())
    };
    y.copysign(x)
}

#[test]
fn functions_are_accurate() {
    type Case = (Unary, fn(f64) -> f64, (f64, f64), f64);
    let all: [Case; 9] = [
        (Unary::Exp, f64::exp, (-87.0, 88.7), 3e-7),
        (Unary::Log, f64::ln, (1e-3, 40.0), 3e-7),
        (Unary::Sqrt, f64::sqrt, (0.0, 1e6), 1e-7),
        (Unary::Tanh, f64::tanh, (-12.0, 12.0), 3e-7),
        (Unary::Sigmoid, sigmoid, (-86.0, 86.0), 3e-7),
        (Unary::Erf, erf, (-5.0, 5.0), 3e-7),
        (Unary::Sin, f64::sin, (-3.0, 3.0), 3e-7),
        (Unary::Cos, f64::cos, (-1.5, 1.5), 3e-7),
        (Unary::Abs, f64::abs, (-3.0, 3.0), 0.0),
    ];
    for (op, f, (low, high), bound) in all {
        for fused in [true, false] {
            let worst = worst(op, f, &spread(low, high, 20_001), fused);
            let bound = match (op, fused) {
                (Unary::Tanh, false) => 3.8e-7,
                _ => bound,
            };
            assert!(worst <= bound, "{op:?}: {worst:e}");
        }
    }
}

/// Few floats are near the bound, where a quotient of polynomials rounds badly: the even spread above misses them.
#[test]
fn one_float_in_nine_has_an_accurate_tanh() {
    let (from, to) = (1e-3f32.to_bits(), 9.1f32.to_bits());
    let values: Vec<f32> = (from..to).step_by(9).map(f32::from_bits).collect();
    for (fused, bound) in [(true, 3e-7), (false, 3.8e-7)] {
        let worst = worst(Unary::Tanh, f64::tanh, &values, fused);
        assert!(worst <= bound, "{worst:e}");
    }
}

#[test]
fn sines_of_large_arguments_stay_close() {
    let values = spread(-30_000.0, 30_000.0, 5_001);
    for cpu in Cpu::available() {
        for (op, f) in [
            (Unary::Sin, f64::sin as fn(f64) -> f64),
            (Unary::Cos, f64::cos),
        ] {
            let got = apply(&mut unary(op, cpu), &values);
            for (x, y) in values.iter().zip(got) {
                let want = f(f64::from(*x));
                assert!((f64::from(y) - want).abs() < 3e-7, "{op:?}({x}) = {y}");
            }
        }
    }
}

#[test]
fn edges_are_those_of_ieee() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [inf, -inf, nan, 0.0, -0.0, 1e30, -1e30, 1e-40, -2.0, 89.0];
    let expect = |op: Unary, want: [f32; 10]| {
        for cpu in Cpu::available() {
            let got = apply(&mut unary(op, cpu), &x);
            for ((x, got), want) in x.iter().zip(got).zip(want) {
                let denormal = (got / want - 1.0).abs() < 1e-4 && want.abs() < f32::MIN_POSITIVE;
                let same = got.is_nan() && want.is_nan() || got.to_bits() == want.to_bits();
                // −2 is no edge: there the nearest float or its neighbour will do.
                let near = *x == -2.0 && (got / want - 1.0).abs() < 1.2e-7;
                let same = same || denormal || near;
                assert!(same, "{op:?}({x}) = {got}, not {want}, on {cpu}");
            }
        }
    };
    let tiny_log = (1e-40f32 as f64).ln() as f32;
    expect(
        Unary::Exp,
        [
            inf,
            0.0,
            nan,
            1.0,
            1.0,
            inf,
            0.0,
            1.0,
            (-2f64).exp() as f32,
            inf,
        ],
    );
    expect(
        Unary::Log,
        [
            inf,
            nan,
            nan,
            -inf,
            -inf,
            (1e30f32 as f64).ln() as f32,
            nan,
            tiny_log,
            nan,
            89f64.ln() as f32,
        ],
    );
    expect(
        Unary::Tanh,
        [
            1.0,
            -1.0,
            nan,
            0.0,
            -0.0,
            1.0,
            -1.0,
            1e-40,
            (-2f64).tanh() as f32,
            1.0,
        ],
    );
    expect(
        Unary::Sign,
        [1.0, -1.0, nan, 0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1.0],
    );
    expect(
        Unary::Step,
        [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0],
    );
    expect(
        Unary::Erf,
        [
            1.0,
            -1.0,
            nan,
            0.0,
            -0.0,
            1.0,
            -1.0,
            1.128_38e-40,
            erf(-2.0) as f32,
            1.0,
        ],
    );
    for cpu in Cpu::available() {
        for op in [Unary::Sigmoid, Unary::Sin, Unary::Cos, Unary::Sqrt] {
            assert!(
                apply(&mut unary(op, cpu), &x)[2].is_nan(),
                "{op:?} on {cpu}"
            );
        }
        let s = apply(&mut unary(Unary::Sigmoid, cpu), &x);
        assert!(s[0] == 1.0 && s[1] < 2e-38 && s[3] == 0.5);
    }
}

fn binary(op: Binary, exponent: Option<f64>, cpu: Cpu) -> CpuExecutable {
    let mut b = Build::new(&["N"]);
    let shape = [n("N")];
    let (x, z, y) = (b.input(&shape), b.input(&shape), b.output(&shape));
    let second = exponent.map_or(Expr::Load(1), Expr::Const);
    b.map(
        &shape,
        vec![view(x, dense(&shape)), view(z, dense(&shape))],
        vec![Expr::Load(0), second, Expr::Binary(op, e(0), e(1))],
        view(y, dense(&shape)),
    );
    let options = Options {
        threads: 1,
        cpu,
        ..Options::default()
    };
    exec::compile(&b.program, &options).unwrap()
}

#[test]
fn powers_are_accurate_also_of_negative_bases() {
    let mut pairs: Vec<(f32, f32)> = Vec::new();
    for i in 0..400 {
        for j in 0..200 {
            let base = (i as f32 - 200.0) * 0.11;
            let power = (j as f32 - 100.0) * 0.125;
            pairs.push((base, power));
            pairs.push((base.abs() * 1e5 + 1e-3, power * 0.2));
        }
    }
    let (x, z): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
    for cpu in Cpu::available() {
        let mut p = binary(Binary::Pow, None, cpu);
        let got = run(&mut p, &[x.len()], &[Arg::F32(&x), Arg::F32(&z)]).remove(0);
        for ((x, z), got) in pairs.iter().zip(got) {
            let want = f64::from(*x).powf(f64::from(*z));
            if want.is_nan() {
                assert!(got.is_nan(), "{x}^{z} = {got} on {cpu}");
            } else if want == 0.0 || want.is_infinite() {
                assert_eq!(f64::from(got), want, "{x}^{z} on {cpu}");
            } else if want.abs() > 1.2e-38 && want.abs() < 3.4e38 {
                let error = ((f64::from(got) - want) / want).abs();
                let bound = if cpu.isa == Isa::Portable { 6e-6 } else { 1e-6 };
                assert!(error < bound, "{x}^{z} = {got}, not {want}, on {cpu}");
            }
        }
    }
}

#[test]
fn powers_at_the_edges_are_those_of_ieee() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let edges = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        0.5,
        -0.5,
        3.0,
        -3.0,
        inf,
        -inf,
        nan,
        1e30,
        -1e30,
        1e-40,
        16_777_217.0,
        8_388_609.0,
        -8_388_609.0,
    ];
    let (mut x, mut z) = (Vec::new(), Vec::new());
    for a in edges {
        for b in edges {
            x.push(a);
            z.push(b);
        }
    }
    for cpu in Cpu::available() {
        let mut p = binary(Binary::Pow, None, cpu);
        let got = run(&mut p, &[x.len()], &[Arg::F32(&x), Arg::F32(&z)]).remove(0);
        for ((x, z), got) in x.iter().zip(&z).zip(got) {
            let want = f64::from(*x).powf(f64::from(*z)) as f32;
            let error = ((got - want) / want).abs();
            let same = got.is_nan() && want.is_nan()
                || got == want && got.is_sign_negative() == want.is_sign_negative()
                || error < 6e-6;
            assert!(same, "{x}^{z} = {got}, not {want}, on {cpu}");
        }
    }
}

#[test]
fn constant_powers_are_products_and_roots() {
    let x = spread(-4.0, 4.0, 300);
    for cpu in Cpu::available() {
        for power in [
            0.0, 1.0, 2.0, 3.0, 4.0, 7.0, -1.0, -2.0, -3.0, 0.5, -0.5, 1.5, 2.5, 17.0, 0.3,
        ] {
            let mut p = binary(Binary::Pow, Some(power), cpu);
            let got = run(&mut p, &[x.len()], &[Arg::F32(&x), Arg::F32(&x)]).remove(0);
            for (x, got) in x.iter().zip(got) {
                let want = f64::from(*x).powf(power);
                if want.is_nan() {
                    assert!(got.is_nan(), "{x}^{power} = {got} on {cpu}");
                } else if want.abs() > 1.2e-38 && want.abs() < 3e38 {
                    let error = ((f64::from(got) - want) / want).abs();
                    assert!(error < 6e-6, "{x}^{power} = {got}, not {want}, on {cpu}");
                }
                if power == 2.0 {
                    assert_eq!(got, x * x);
                }
            }
        }
    }
}

#[test]
fn nan_passes_through_maxima_and_minima() {
    let nan = f32::NAN;
    let (x, z) = ([nan, 1.0, 2.0, nan, -1.0], [1.0, nan, 3.0, nan, -2.0]);
    for cpu in Cpu::available() {
        for (op, at_two, at_four) in [(Binary::Max, 3.0, -1.0), (Binary::Min, 2.0, -2.0)] {
            let mut p = binary(op, None, cpu);
            let got = run(&mut p, &[5], &[Arg::F32(&x), Arg::F32(&z)]).remove(0);
            assert!(got[0].is_nan() && got[1].is_nan() && got[3].is_nan());
            assert_eq!((got[2], got[4]), (at_two, at_four));
            // relu and its mirror image.
            let mut p = binary(op, Some(0.0), cpu);
            let got = run(&mut p, &[5], &[Arg::F32(&x), Arg::F32(&z)]).remove(0);
            assert!(got[0].is_nan() && got[3].is_nan());
        }
    }
}

#[test]
fn quotients_and_comparisons_are_exact() {
    let (x, z) = (draws(37, 1), draws(37, 2));
    for cpu in Cpu::available() {
        for (op, f) in [
            (Binary::Div, (|a, b| a / b) as fn(f32, f32) -> f32),
            (Binary::Add, |a, b| a + b),
            (Binary::Sub, |a, b| a - b),
            (Binary::Mul, |a, b| a * b),
            (Binary::Lt, |a, b| f32::from(u8::from(a < b))),
            (Binary::Le, |a, b| f32::from(u8::from(a <= b))),
            (Binary::Eq, |a, b| f32::from(u8::from(a == b))),
        ] {
            let mut p = binary(op, None, cpu);
            let got = run(&mut p, &[37], &[Arg::F32(&x), Arg::F32(&z)]).remove(0);
            let want: Vec<f32> = x.iter().zip(&z).map(|(a, b)| f(*a, *b)).collect();
            assert_eq!(bits(&got), bits(&want), "{op:?} on {cpu}");
        }
    }
}
