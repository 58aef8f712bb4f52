//! Rows' functions, run and held against arithmetic one number at a time.

use cranelift_codegen::ir::AbiParam;
use cranelift_codegen::ir::types::I64;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module, default_libcall_names};

use super::super::isa::{Isa, Reciprocal};
use super::code::{Cmp, Code, FoldKind, Next, Src, Two};
use super::plan::plan;
use super::{encode, float};

/// Runs a row over `n` points with these arguments; `false`, said aloud, where the machine cannot.
fn run(code: &Code, arguments: &mut [u64], n: usize) -> bool {
    if !Isa::available().contains(&Isa::Avx512) {
        println!("not run: this machine has no AVX-512");
        return false;
    }
    let row = encode(code, true).expect("all instructions are known");
    let builder = JITBuilder::new(default_libcall_names()).expect("a machine");
    let mut module = JITModule::new(builder);
    let mut signature = module.make_signature();
    signature.params.extend([AbiParam::new(I64); 2]);
    let id = module
        .declare_function("row", Linkage::Export, &signature)
        .expect("a name");
    module
        .define_function_bytes(id, 64, &row.bytes, &[])
        .expect("bytes");
    module.finalize_definitions().expect("memory");
    let address = module.get_finalized_function(id);
    // SAFETY: the bytes are a function of this signature by the System V convention, and the machine has its instructions.
    let f: extern "sysv64" fn(*mut u64, i64) = unsafe { std::mem::transmute(address) };
    f(arguments.as_mut_ptr(), n as i64);
    // SAFETY: nothing of it runs any more.
    unsafe { module.free_memory() };
    true
}

fn number(x: f32) -> u64 {
    u64::from(x.to_bits())
}

/// More values at once than there are registers, from more rows than there are registers for addresses.
#[test]
fn values_without_a_register_are_kept_elsewhere() {
    const ROWS: usize = 60;
    let mut code = Code::new(ROWS + 1);
    let mut all = Vec::new();
    for k in 0..ROWS {
        let x = code.load(k, 0, false);
        all.push(code.two(Two::Mul, Src::Reg(x), Src::Arg(ROWS + 1)));
    }
    let mut sum = float(0.5);
    for v in all.iter().rev() {
        sum = Src::Reg(code.fma((sum, float(0.75)), Src::Reg(*v), false, true));
    }
    let sum = code.reg(sum);
    code.store(sum, ROWS, 0);
    // Asking for memory that nobody has is harmless.
    code.next = Next::new(vec![Some(1 << 20); ROWS], 100, 3);
    for n in (0..40).chain([64, 100]) {
        let value = |k: usize, i: usize| ((k * 31 + i * 7) % 23) as f32 - 11.0;
        let rows: Vec<Vec<f32>> = (0..ROWS)
            .map(|k| (0..n).map(|i| value(k, i)).collect())
            .collect();
        let mut out = vec![-1.0f32; n + 1];
        let mut arguments: Vec<u64> = rows.iter().map(|r| r.as_ptr() as u64).collect();
        arguments.push(out.as_mut_ptr() as u64);
        arguments.push(number(1.5));
        if !run(&code, &mut arguments, n) {
            return;
        }
        for (i, out) in out[..n].iter().enumerate() {
            let mut sum = 0.5f32;
            for k in (0..ROWS).rev() {
                sum = sum.mul_add(0.75, -(value(k, i) * 1.5));
            }
            assert_eq!(*out, sum, "{i} of {n}");
        }
        assert_eq!(out[n], -1.0, "past the end of {n}");
    }
}

/// A row that is overwritten is read before, also where its old value is stored elsewhere.
#[test]
fn what_is_overwritten_is_read_first() {
    let mut code = Code::new(2);
    let x = code.load(0, 0, false);
    let y = code.two(Two::Add, Src::Reg(x), float(1.0));
    let index = code.index(2);
    let z = code.two(Two::Mul, Src::Reg(x), Src::Reg(index));
    code.store(y, 0, 0);
    code.store(x, 1, 0);
    code.store(z, 1, 4 * 40);
    let mut a: Vec<f32> = (0..37).map(|i| i as f32).collect();
    let mut b = vec![0.0f32; 80];
    let mut arguments = [a.as_mut_ptr() as u64, b.as_mut_ptr() as u64, 100];
    if run(&code, &mut arguments, 37) {
        for i in 0..37 {
            let x = i as f32;
            assert_eq!([a[i], b[i], b[40 + i]], [x + 1.0, x, x * (x + 100.0)]);
        }
        assert_eq!([b[37], b[77]], [0.0; 2]);
    }
}

/// Two rows change places.
#[test]
fn all_rows_are_read_before_one_is_written() {
    let mut code = Code::new(2);
    let (x, y) = (code.load(0, 0, false), code.load(1, 0, false));
    code.store(x, 1, 0);
    code.store(y, 0, 0);
    let mut a: Vec<f32> = (0..37).map(|i| i as f32).collect();
    let mut b: Vec<f32> = (0..37).map(|i| 100.0 + i as f32).collect();
    let mut arguments = [a.as_mut_ptr() as u64, b.as_mut_ptr() as u64];
    if run(&code, &mut arguments, 37) {
        for i in 0..37 {
            assert_eq!([a[i], b[i]], [100.0 + i as f32, i as f32]);
        }
    }
}

/// Where a choice does not depend on the point: all ways to say it, more of them than masks.
#[test]
fn choices_of_whole_rows_are_those_of_each_point() {
    let values = [-1.0f32, 0.0, 2.0, f32::NAN];
    let all = [
        Cmp::Less,
        Cmp::LessEqual,
        Cmp::Equal,
        Cmp::NotEqual,
        Cmp::Unordered,
    ];
    let mut code = Code::new(2);
    let x = Src::Reg(code.load(0, 0, false));
    for (k, cmp) in all.into_iter().chain(all).enumerate() {
        let other = if k < 5 { Src::Arg(3) } else { float(2.0) };
        let zero = code.select(cmp, Src::Arg(2), other, x, float(0.0));
        code.store(zero, 1, 3 * k as i32 * 64);
        let one = code.select(cmp, Src::Arg(2), other, float(1.0), x);
        code.store(one, 1, (3 * k + 1) as i32 * 64);
        let again = code.select(cmp, Src::Arg(2), other, x, Src::Reg(one));
        code.store(again, 1, (3 * k + 2) as i32 * 64);
    }
    let row: Vec<f32> = (0..16).map(|i| 3.0 + i as f32).collect();
    for p in values {
        for q in values {
            let mut out = vec![0.0f32; 30 * 16];
            let pointers = [row.as_ptr() as u64, out.as_mut_ptr() as u64];
            let mut arguments = [pointers[0], pointers[1], number(p), number(q)];
            if !run(&code, &mut arguments, 16) {
                return;
            }
            for (k, got) in out.chunks(48).enumerate() {
                let q = if k < 5 { q } else { 2.0 };
                let held = [p < q, p <= q, p == q, p != q, p.is_nan() || q.is_nan()][k % 5];
                for (i, x) in row.iter().enumerate() {
                    let want = if held { [*x, 1.0, *x] } else { [0.0, *x, *x] };
                    assert_eq!(
                        [got[i], got[16 + i], got[32 + i]],
                        want,
                        "{p} {:?} {q}",
                        all[k % 5]
                    );
                }
            }
        }
    }
}

#[test]
fn folds_take_all_points_and_no_more() {
    let mut code = Code::new(1);
    let x = code.load(0, 0, false);
    let inverse = code.two(Two::Div, float(1.0), Src::Reg(x));
    code.fold(FoldKind::Sum, 1, Src::Reg(x), Some(float(2.0)));
    code.fold(FoldKind::Max, 2, Src::Reg(x), None);
    // Lanes past the end divide by zero.
    code.fold(FoldKind::Sum, 3, Src::Reg(inverse), None);
    for n in 0..50usize {
        let mut x: Vec<f32> = (0..n).map(|i| ((i * 13) % 17) as f32 - 30.0).collect();
        let mut arguments = [x.as_ptr() as u64, 0, 0, 0];
        if !run(&code, &mut arguments, n) {
            return;
        }
        let result = |a: &[u64; 4], i: usize| f32::from_bits(a[i] as u32);
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(result(&arguments, 1), 2.0 * x.iter().sum::<f32>(), "{n}");
        assert_eq!(result(&arguments, 2), largest, "{n}");
        let inverses: f32 = x.iter().map(|x| 1.0 / x).sum();
        assert!((result(&arguments, 3) - inverses).abs() < 1e-5, "{n}");
        for i in 0..n {
            let old = std::mem::replace(&mut x[i], f32::NAN);
            arguments[0] = x.as_ptr() as u64;
            run(&code, &mut arguments, n);
            assert!(result(&arguments, 2).is_nan(), "{i} of {n}");
            x[i] = old;
        }
    }
}

/// Two vectors at a time, one, and what is left of one.
#[test]
fn vectors_side_by_side_are_those_one_after_the_other() {
    const SCALES: [f32; 4] = [0.5, 1.0, -0.25, 2.0];
    let mut code = Code::new(2);
    code.reciprocal = Reciprocal::Newton;
    let x = code.load(0, 0, false);
    let mut h = x;
    for scale in SCALES {
        let scaled = code.two(Two::Mul, Src::Reg(x), float(scale));
        let gate = code.sigmoid(scaled);
        let y = code.tanh(h);
        h = code.two(Two::Mul, Src::Reg(y), Src::Reg(gate));
    }
    let scaled = code.two(Two::Mul, Src::Reg(h), Src::Arg(2));
    code.store(scaled, 1, 0);
    code.store(h, 0, 0);
    assert!(plan(&code, 32).two.is_some());
    let value = |i: usize| (i as f32 - 40.0) * 0.31;
    let mut alone = Vec::new();
    for i in 0..101 {
        let (mut x, mut y) = (value(i), 0.0f32);
        let mut arguments = [&raw mut x as u64, &raw mut y as u64, number(3.0)];
        if !run(&code, &mut arguments, 1) {
            return;
        }
        let gate = |scale: f32| 1.0 / (1.0 + (-value(i) * scale).exp());
        let h = (SCALES.iter()).fold(value(i), |h, scale| h.tanh() * gate(*scale));
        assert!((x - h).abs() < 1e-6 && y == 3.0 * x, "{x} {h}");
        alone.push([x, y]);
    }
    for n in 0..=alone.len() {
        let mut x: Vec<f32> = (0..101).map(value).collect();
        let mut y = vec![0.0f32; 101];
        let mut arguments = [x.as_mut_ptr() as u64, y.as_mut_ptr() as u64, number(3.0)];
        run(&code, &mut arguments, n);
        for i in 0..101 {
            let want = if i < n { alone[i] } else { [value(i), 0.0] };
            assert_eq!([x[i], y[i]], want, "{i} of {n}");
        }
    }
}

/// All 24-bit divisors; where the exponent is large, too.
#[test]
fn reciprocals_without_a_divider_are_the_nearest_floats() {
    let mut code = Code::new(2);
    code.reciprocal = Reciprocal::Newton;
    let d = code.load(0, 0, false);
    let y = code.reciprocal(d);
    code.store(y, 1, 0);
    for exponent in [0u32, 125] {
        let bits = |m: u32| (127 + exponent) << 23 | m;
        let d: Vec<f32> = (0..1 << 23).map(|m| f32::from_bits(bits(m))).collect();
        let mut y = vec![0.0f32; d.len()];
        let mut arguments = [d.as_ptr() as u64, y.as_mut_ptr() as u64];
        if !run(&code, &mut arguments, d.len()) {
            return;
        }
        for (d, y) in d.iter().zip(&y) {
            assert!(*y == 1.0 / d, "1/{d} is not {y}");
        }
    }
}

/// Every comparison, also with NaN on either side.
#[test]
fn comparisons_are_false_for_nan_and_difference_is_true() {
    let values = [-1.0f32, 0.0, 2.0, f32::NAN, f32::INFINITY];
    let all = [
        Cmp::Less,
        Cmp::LessEqual,
        Cmp::Equal,
        Cmp::NotEqual,
        Cmp::Unordered,
    ];
    let mut code = Code::new(3);
    let (x, y) = (code.load(0, 0, false), code.load(1, 0, false));
    for (k, cmp) in all.into_iter().enumerate() {
        let v = code.select(cmp, Src::Reg(x), Src::Reg(y), float(1.0), float(0.0));
        code.store(v, 2, (k * 25 * 4) as i32);
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for x in values {
        for y in values {
            a.push(x);
            b.push(y);
        }
    }
    let mut out = vec![0.0f32; 125];
    let mut arguments = [
        a.as_ptr() as u64,
        b.as_ptr() as u64,
        out.as_mut_ptr() as u64,
    ];
    if run(&code, &mut arguments, 25) {
        for (i, (x, y)) in a.iter().zip(&b).enumerate() {
            let expected = [x < y, x <= y, x == y, x != y, x.is_nan() || y.is_nan()];
            for (k, e) in expected.into_iter().enumerate() {
                assert_eq!(out[k * 25 + i] == 1.0, e, "{x} {:?} {y}", all[k]);
            }
        }
    }
}
