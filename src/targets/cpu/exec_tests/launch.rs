//! Calls: arguments, memory, and code that is given back.

use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::diagnostics::Diagnostic;

/// `y = x·w` elementwise, with a gradient for `w` and none for `v`.
fn scaled() -> Build {
    let mut b = Build::new(&["N"]);
    let shape = [n("N"), c(4)];
    let x = b.input(&shape);
    let (w, gw) = b.weight("w", &[c(4)], true);
    b.weight("v", &[c(3)], false);
    let y = b.output(&shape);
    let row = vec![axis(&n("N"), &c(0)), axis(&c(4), &c(1))];
    b.map(
        &shape,
        vec![view(x, dense(&shape)), view(w, row)],
        vec![
            Expr::Load(0),
            Expr::Load(1),
            Expr::Binary(Binary::Mul, e(0), e(1)),
        ],
        view(y, dense(&shape)),
    );
    b.group(
        &shape,
        vec![view(x, dense(&shape))],
        vec![Expr::Load(0)],
        vec![true, false],
        vec![Effect::Fold {
            op: FoldOp::Sum,
            value: e(0),
            to: view(gw.unwrap(), dense(&[c(4)])),
        }],
    );
    b
}

#[test]
fn gradients_nobody_computes_are_zero() {
    let x = draws(8, 1);
    let w = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let (out, grads) = run_with(&mut scaled().compile(1), &[2], &w, &[Arg::F32(&x)]);
    let want: Vec<f32> = (0..8).map(|i| x[i] * w[i % 4]).collect();
    assert_eq!(out[0], want);
    for j in 0..4 {
        assert_eq!(grads[j], x[j] + x[4 + j]);
    }
    assert_eq!(grads[4..], [0.0; 3]);
}

fn refusal(change: impl FnOnce(&mut Vec<usize>, &mut Vec<f32>, &mut Vec<f32>)) -> Diagnostic {
    let mut x = scaled().compile(1);
    let (mut sizes, mut params, mut data) = (vec![2], vec![0.0; 7], vec![0.0; 8]);
    change(&mut sizes, &mut params, &mut data);
    let (mut outputs, mut grads) = (vec![Vec::new()], vec![0.0; 7]);
    x.run(Call {
        sizes: &sizes,
        params: &params,
        inputs: &[Arg::F32(&data)],
        outputs: &mut outputs,
        grads: &mut grads,
        draw: Draw::default(),
    })
    .unwrap_err()
}

#[test]
fn work_is_lent_all_threads() {
    let called = std::sync::atomic::AtomicUsize::new(0);
    let count = |threads: usize, always_divide: bool, nanoseconds: f64| {
        called.store(0, SeqCst);
        let options = Options {
            threads,
            always_divide,
            ..Options::default()
        };
        let lent = exec::compile(&scaled().program, &options).unwrap();
        lent.together(nanoseconds, &|| {
            called.fetch_add(1, SeqCst);
        });
        called.load(SeqCst)
    };
    assert_eq!(count(3, true, 0.0), 3);
    assert_eq!(count(1, true, 1e9), 1);
    assert_eq!(count(3, false, 1e9), 1, "no call was worth dividing yet");
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    assert_eq!(refusal(|s, _, _| s.push(1)).code, "call::argument");
    assert_eq!(refusal(|_, p, _| p.push(1.0)).code, "call::argument");
    let error = refusal(|_, _, d| d.push(1.0));
    assert_eq!(error.message, "input x: 8 are wanted, 9 are given");
    assert_eq!(refusal(|s, _, _| s[0] = usize::MAX).code, "resource::size");
}

#[test]
fn lengths_beyond_the_axis_are_refused() {
    let mut b = Build::new(&["T", "B"]);
    b.typed_input(Elem::I32, &[n("B")], Role::Lengths("T".to_string()));
    let mut x = b.compile(1);
    for bad in [[1, 4], [-1, 2]] {
        let error = x
            .run(Call {
                sizes: &[3, 2],
                params: &[],
                inputs: &[Arg::I32(&bad)],
                outputs: &mut [],
                grads: &mut [],
                draw: Draw::default(),
            })
            .unwrap_err();
        assert_eq!(error.code, "call::argument");
    }
}

#[test]
fn memory_that_is_not_there_is_refused_with_its_bytes() {
    let mut b = Build::new(&["N", "M"]);
    b.temp(&[n("N"), n("M")]);
    let mut x = b.compile(1);
    let mut call = |n: usize, m: usize| {
        x.run(Call {
            sizes: &[n, m],
            params: &[],
            inputs: &[],
            outputs: &mut [],
            grads: &mut [],
            draw: Draw::default(),
        })
    };
    call(10, 10).unwrap();
    let error = call(2_000_000_000, 1_000).unwrap_err();
    assert_eq!(error.code, "resource::memory");
    assert!(error.message.contains("8.0 TB"), "{}", error.message);
    assert_eq!(
        call(i32::MAX as usize, i32::MAX as usize).unwrap_err().code,
        "resource::memory"
    );
    // And goes on.
    call(10, 10).unwrap();
}

#[test]
fn peak_bytes_are_those_of_the_arena() {
    let mut b = Build::new(&["N"]);
    b.temp(&[n("N"), c(16)]);
    b.temp(&[c(3)]);
    let x = b.compile(1);
    assert_eq!(x.peak_bytes(&[10]), Some((160 + 16) * 4));
    assert_eq!(x.peak_bytes(&[0]), Some(64));
    assert_eq!(x.peak_bytes(&[1, 2]), None);
}

#[test]
fn outputs_may_be_inputs_or_share_a_buffer() {
    let mut b = Build::new(&["N"]);
    let x = b.input(&[n("N")]);
    let i = b.integers(&[n("N")]);
    let y = b.output(&[n("N")]);
    for buffer in [y, x, i] {
        b.program.outputs.push(Port {
            role: Role::Named("again".to_string()),
            buffer,
        });
    }
    let whole = |buffer| view(buffer, dense(&[n("N")]));
    b.map(&[n("N")], vec![whole(i)], vec![Expr::Load(0)], whole(y));
    let args = [Arg::F32(&[0.5, 1.5]), Arg::I32(&[7, -8])];
    let got = run(&mut b.compile(1), &[2], &args);
    assert_eq!(got[0], [7.0, -8.0]);
    assert_eq!(got[1], [7.0, -8.0]);
    assert_eq!(got[2], [0.5, 1.5]);
    assert_eq!(got[3], [7.0, -8.0]);
}

#[test]
fn a_size_without_a_value_is_refused() {
    let mut b = Build::new(&[]);
    b.input(&[n("V")]);
    let error = exec::compile(&b.program, &Options::default())
        .err()
        .unwrap();
    assert_eq!(error.code, "compile::unbound-size");
}

/// Bytes of executable memory that belong to no file; fails on any that can be written too.
#[cfg(target_os = "linux")]
fn executable_bytes() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut bytes = 0;
    for line in maps.lines() {
        let parts: Vec<&str> = line.split_whitespace().collect();
        if parts.len() == 5 && parts[1].contains('x') {
            assert!(!parts[1].contains('w'), "{line}");
            let (from, to) = parts[0].split_once('-').unwrap();
            let address = |s| usize::from_str_radix(s, 16).unwrap();
            bytes += address(to) - address(from);
        }
    }
    bytes
}

#[cfg(target_os = "linux")]
#[test]
fn compiled_code_is_given_back() {
    let b = scaled();
    let pool = std::sync::Arc::new(crate::targets::cpu::pool::Pool::new(1));
    let options = Options::default();
    let kept = exec::compile_on(&b.program, &options, pool.clone()).unwrap();
    assert!(executable_bytes() > 0);
    drop(kept);
    for _ in 0..500 {
        drop(exec::compile_on(&b.program, &options, pool.clone()).unwrap());
    }
    // Leaked, it would be a page a cycle at least. Tests that run beside this one have code too.
    assert!(executable_bytes() < 1 << 20, "{}", executable_bytes());
}

#[test]
fn texts_name_functions_and_are_always_the_same() {
    use crate::targets::cpu::{emit, isa::Isa};
    for isa in Isa::available() {
        let texts = emit::texts(&scaled().program, isa.into()).unwrap();
        if std::env::var_os("SHOW").is_some() {
            println!("{}\n{}\n{}", texts.plan, texts.clif, texts.asm);
        }
        assert!(
            texts
                .plan
                .starts_with(&format!("plan test on {isa}: N known"))
        );
        assert!(texts.clif.contains("function %test.000.loop.group("));
        assert!(texts.asm.contains("; test.001.loop.group\n"));
        let again = emit::texts(&scaled().program, isa.into()).unwrap();
        assert_eq!((texts.clif, texts.asm), (again.clif, again.asm));
    }
}
