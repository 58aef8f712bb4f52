//! What stands behind the end of a sequence changes nothing.
//!
//! Every model runs as machine code with zeros there, and with 1e30 (whose square is no number of f32)
//! or another token: loss, carried states and gradients have the same bits.

mod common;

use common::machine::{Data, compiled};
use common::models::{models, programs};
use seqc::ir::{Elem, Func, InputRole, OutputRole};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;

/// Puts a number, or a token, behind the end of every sequence. Returns how many places that were.
fn fill(func: &Func, data: &mut Data, number: f64, token: f64) -> usize {
    let mut filled = 0;
    let lengths: Vec<_> = func
        .inputs
        .iter()
        .zip(&data.inputs)
        .filter_map(|(i, t)| match &i.role {
            InputRole::Lengths(axis) => Some((axis.clone(), t.data.clone())),
            InputRole::Data(_)
            | InputRole::Previous(_)
            | InputRole::Steps(_)
            | InputRole::Carry(_) => None,
        })
        .collect();
    for (input, tensor) in func.inputs.iter().zip(&mut data.inputs) {
        let ty = &func.value(input.value).ty;
        let axis = ty.shape.first().and_then(|d| d.as_sym());
        let of = |(name, _): &&(String, Vec<f64>)| axis.is_some_and(|a| a.name() == name);
        let timed = matches!(input.role, InputRole::Data(_) | InputRole::Previous(_));
        let Some((_, lens)) = lengths.iter().find(of).filter(|_| timed) else {
            continue;
        };
        let row: usize = tensor.shape[2..].iter().product();
        for (place, chunk) in tensor.data.chunks_mut(row).enumerate() {
            let (t, b) = (place / lens.len(), place % lens.len());
            if t as f64 >= lens[b] {
                chunk.fill(if ty.elem == Elem::I32 { token } else { number });
                filled += 1;
            }
        }
    }
    filled
}

#[test]
fn padding_changes_no_bit() {
    let mut filled = 0;
    for path in programs() {
        for model in models(&path) {
            for (options, gradients) in [(Options::TRAIN, true), (Options::EVALUATE, false)] {
                let build = Build::default();
                let func = build.stages(&model, options, gradients).unwrap().optimized;
                let mut x = compiled(&schedule(&func).unwrap(), Isa::detect(), 1, false);
                let mut zeros = Data::new(&func, 7, 9, &[9, 0, 1, 4, 8, 2, 5]);
                let mut others = zeros.clone();
                fill(&func, &mut zeros, 0.0, 0.0);
                filled += fill(&func, &mut others, 1e30, 3.0);
                let (a, a_grads) = zeros.call(&func, &mut x);
                let (b, b_grads) = others.call(&func, &mut x);
                let what = format!("{} {}, gradients: {gradients}", path.display(), model.name);
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&a_grads), bits(&b_grads), "{what}: gradients");
                let roles = func.outputs.iter().map(|o| &o.role);
                let roles = roles.filter(|r| !matches!(r, OutputRole::Grad(_)));
                for ((role, a), b) in roles.zip(&a).zip(&b) {
                    // A prediction has steps behind the end too, and nobody reads them.
                    if !matches!(role, OutputRole::Prediction(_) | OutputRole::Named(_)) {
                        assert_eq!(bits(a), bits(b), "{what}: {role:?}");
                    }
                }
            }
        }
    }
    assert!(filled > 500, "only {filled} places are padding");
}
