//! Seconds of one training step of one recurrent layer: loss, gradients and an SGD update.
//!
//! `cargo bench --bench lstm_step -- [CELL B T I H THREADS RUNS]`, by default LSTM 32 100 128 256 1 20.
//! CELL is one of the library, `Coupled` (below), or `both:CELL`. Prints the median, for a ratio with
//! another framework's median taken in turn on the same machine.

use std::sync::Arc;
use std::time::Instant;

use seqc::lower::Options;
use seqc::pipeline::{Build, machine};
use seqc::span::Sources;
use seqc::targets::cpu::pool::Pool;
use seqc::targets::executable::{Arg, Call, Draw, Role};

/// A peephole LSTM with a coupled input and forget gate and a normalised candidate: no library has it.
const COUPLED: &str = "
cell Coupled(H) {
  input x : [X]
  state h, c : [H]
  param Wf, Wg, Wo : [H, X]
  param Uf, Ug, Uo : [H, H]
  param bf, bg, bo, pf, po, shift : [H]
  param scale : [H] ~ ones
  zg = Wg·x + Ug·h + bg
  m  = mean(zg)
  v  = mean((zg - m)^2)
  f  = σ(Wf·x + Uf·h + bf + pf*c)
  g  = tanh(scale * (zg - m) / sqrt(v + 1e-5) + shift)
  c' = f*c + (1 - f)*g
  o  = σ(Wo·x + Uo·h + bo + po*c')
  h' = o * tanh(c')
  output h'
}";

fn main() {
    let given: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let [b, t, i, h, threads, runs] = [(0, 32), (1, 100), (2, 128), (3, 256), (4, 1), (5, 20)]
        .map(|(k, default)| given.get(k).copied().unwrap_or(default));
    let cell = std::env::args()
        .nth(1)
        .filter(|a| a.starts_with(char::is_alphabetic));
    let cell = cell.unwrap_or("LSTM".to_string());
    let (scan, name, wide) = match cell.strip_prefix("both:") {
        Some(name) => ("scan both", name, 2 * h),
        None => ("scan", cell.as_str(), h),
    };
    let text = format!(
        "time T\n{COUPLED}\nmodel Layer {{\n  input x : [T, {i}]\n  target y : [T, {wide}]\n  \
         predict y = x |> {scan} {name}({h})\n}}\n"
    );
    let mut sources = Sources::default();
    let id = sources.add("layer.seq", text.as_str());
    let file = seqc::ast::parse::parse(&text, id).expect("the program parses");
    let checked = seqc::check::check(&file, &mut sources);
    let model = checked.models.first().expect("the program checks");
    let began = Instant::now();
    let func = Build::default()
        .stages(model, Options::TRAIN, true)
        .expect("compiles")
        .optimized;
    let mut exec = machine(&func, Arc::new(Pool::new(threads))).expect("compiles");
    let compile = began.elapsed();

    let signature = exec.signature().clone();
    let noise = |n: usize| -> Vec<f32> {
        (0..n as u32)
            .map(|k| (k.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
            .collect()
    };
    let mut params: Vec<f32> = noise(signature.param_len)
        .iter()
        .map(|x| x * 0.06)
        .collect();
    let (x, y, zeros) = (noise(t * b * i), noise(t * b * wide), vec![0.0; b * h]);
    let lens = vec![t as i32; b];
    let inputs: Vec<Arg<'_>> = signature
        .inputs
        .iter()
        .map(|slot| match &slot.role {
            Role::Lengths(_) => Arg::I32(&lens),
            Role::Carry(_) => Arg::F32(&zeros),
            Role::Data(n) if n == "x" => Arg::F32(&x),
            _ => Arg::F32(&y),
        })
        .collect();
    let sizes: Vec<usize> = signature
        .sizes
        .iter()
        .map(|s| if s.name() == "B" { b } else { t })
        .collect();
    let mut outputs = vec![Vec::new(); signature.outputs.len()];
    let mut grads = vec![0.0; signature.param_len];
    let mut seconds = Vec::new();
    for run in 0..runs + 2 {
        let began = Instant::now();
        exec.run(Call {
            sizes: &sizes,
            params: &params,
            inputs: &inputs,
            outputs: &mut outputs,
            grads: &mut grads,
            draw: Draw::default(),
        })
        .expect("runs");
        params
            .iter_mut()
            .zip(&grads)
            .for_each(|(p, g)| *p -= 1e-7 * g);
        // The first two warm up.
        if run >= 2 {
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let rows = signature.params.iter().filter(|p| p.shape.len() == 2);
    let weights: usize = rows
        .map(|p| p.len * if p.shape[1] == h && i != h { 3 } else { 2 })
        .sum();
    let products = 2.0 * (t * b * weights) as f64;
    println!(
        "median {:.2} ms, {:.1} GFLOP/s of products, compiled in {:.1} ms",
        median * 1e3,
        products / median / 1e9,
        compile.as_secs_f64() * 1e3
    );
}
