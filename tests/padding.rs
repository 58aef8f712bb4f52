//! What stands behind the end of a sequence changes nothing.
//!
//! Every model runs as machine code with zeros there, and with 1e30 (whose square is no number of f32)
//! or another token: loss, carried states and gradients have the same bits.

mod common;

use common::machine::{Data, compiled};
use common::models::{models, programs};
use seqc::ir::OutputRole;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::schedule;
use seqc::targets::cpu::isa::Isa;

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
                zeros.pad(&func, 0.0, 0.0);
                filled += others.pad(&func, 1e30, 3.0);
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
