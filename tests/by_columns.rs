//! Scans divided by columns: cells of several kinds, forward and with gradients, have the same bits on one worker and on
//! several, more than there are cores among them.

mod common;

use common::machine::{Data, compiled};
use common::models::written;
use seqc::check::program::Model;
use seqc::ir::Func;
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::schedule::program::Program;
use seqc::schedule::schedule;
use seqc::targets::cpu::emit;
use seqc::targets::cpu::isa::Isa;

/// One layer over four inputs; `{cell}` and `{H}` are put in.
const LAYER: &str = "
time T
dim H = {H}

cell Coupled(N) {
  input x : [X]
  state h, c : [N]
  param Wf, Wg : [N, X]
  param Uf, Ug, Vf : [N, N]
  param bf, bg
  f  = σ(Wf·x + Uf·h + Vf·c + bf)
  g  = tanh(Wg·x + Ug·(f*h) + bg)
  c' = f*c + (1 - f)*g
  h' = tanh(c')
  output h'
}

model Layer {
  input  x : [T, 4]
  target y : number
  h = x |> scan {cell}
  predict y = sum(sum(h*h) over T)
}
";

const CELLS: [&str; 7] = [
    "LSTM(H)",
    "GRU(H)",
    "GRU2014(H)",
    "PeepholeLSTM(H)",
    "Coupled(H)",
    "LayerNormLSTM(H)",
    "both LSTM(H)",
];

fn layer(cell: &str, h: usize) -> Model {
    let text = LAYER.replace("{cell}", cell).replace("{H}", &h.to_string());
    written(cell, &text).remove(0)
}

fn functions(model: &Model) -> [(Func, Program); 2] {
    [(Options::TRAIN, true), (Options::PREDICT, false)].map(|(options, gradients)| {
        let func = Build::default()
            .stages(model, options, gradients)
            .unwrap()
            .optimized;
        let program = schedule(&func).unwrap();
        (func, program)
    })
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn workers_that_share_a_step_do_not_change_a_bit() {
    for cell in CELLS {
        // Whole panels in every gate; gates that end within a panel.
        for h in [192, 75] {
            for (func, program) in functions(&layer(cell, h)) {
                for isa in [Isa::Portable, Isa::detect()] {
                    for (rows, steps) in [(1, 6), (3, 2)] {
                        let lens: Vec<usize> = (0..rows).map(|i| steps - i % steps).collect();
                        let data = Data::new(&func, rows as i64, steps as i64, &lens);
                        let one = data.call(&func, &mut compiled(&program, isa, 1, false));
                        for threads in [2, 5] {
                            let mut many = compiled(&program, isa, threads, true);
                            let what =
                                format!("{cell} of {h}, {isa}, {rows} rows, {threads} threads");
                            // Twice: workers' counts begin anew with every call.
                            for _ in 0..2 {
                                let many = data.call(&func, &mut many);
                                for (a, b) in one.0.iter().zip(&many.0) {
                                    assert_eq!(bits(a), bits(b), "{what}");
                                }
                                assert_eq!(bits(&one.1), bits(&many.1), "{what}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn workers_meet_as_often_as_a_cell_needs() {
    // Forward and backward: once for each product that needs another's result. A layer's own sum needs all columns.
    for (cell, meets) in [
        ("LSTM(H)", [1, 1]),
        ("RNN(H)", [1, 1]),
        ("GRU2014(H)", [2, 2]),
        ("Coupled(H)", [2, 2]),
    ] {
        let [(_, program), _] = functions(&layer(cell, 192));
        let plan = emit::texts(&program, Isa::Portable.into()).unwrap().plan;
        let found: Vec<&str> = plan.lines().filter(|l| l.contains(" scan ")).collect();
        assert_eq!(found.len(), 2, "{plan}");
        for (line, meets) in found.iter().zip(meets) {
            let says = format!("meeting {meets}× a step");
            assert!(line.contains(&says), "{cell}: {says} in\n{plan}");
        }
    }
}
