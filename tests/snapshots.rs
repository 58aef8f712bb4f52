//! What the compiler makes of every program, stage by stage, as text to read in review.
//!
//! Three cells are kept whole; of the others the pass table and the plan. The counts that matter are
//! asserted too, so that no snapshot can be accepted which loses a fusion.

mod common;

use std::path::Path;

use common::binary::seqc;
use common::models::programs;
use seqc::check::program::Model;
use seqc::ir::{Func, OpKind, Region};
use seqc::lower::Options;
use seqc::pipeline::{Build, Stages, with_stand_in_sizes};
use seqc::rewrite::Row;
use seqc::schedule::program::{Program, Task};
use seqc::schedule::schedule;
use seqc::targets::cpu::emit::texts;
use seqc::targets::cpu::isa::Isa;

fn snapshot(folder: &str, stage: &str, text: &str) {
    for line in text.lines() {
        let columns = line.chars().count();
        assert!(
            columns <= 100,
            "{folder}/{stage}: {columns} columns: {line}"
        );
    }
    kept(folder, stage, text);
}

/// The same for texts with lines of any length.
fn kept(folder: &str, stage: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new("../snapshots").join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(stage, text));
}

/// The models of a program with their sizes as written.
fn models(path: &Path) -> Vec<Model> {
    common::models::checked(path)
        .iter()
        .map(with_stand_in_sizes)
        .collect()
}

fn model(name: &str) -> Model {
    let cells = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cells");
    models(&cells.join(format!("{name}.seq"))).remove(0)
}

fn stages(model: &Model) -> Stages {
    Build::default()
        .stages(model, Options::TRAIN, true)
        .unwrap()
}

fn plan(stages: &Stages) -> Program {
    schedule(&stages.optimized).unwrap()
}

/// A plan without its table of buffers.
fn tasks(plan: &Program) -> String {
    let buffer = |l: &&str| {
        let kinds = ["par ", "in ", "out ", "grad ", "tmp "];
        kinds.iter().any(|k| l.trim_start().starts_with(k))
    };
    let text = plan.to_string();
    let mut lines: Vec<&str> = text.lines().filter(|l| !buffer(l)).collect();
    lines.push("");
    lines.join("\n")
}

const WHOLE: [&str; 2] = ["lstm", "gru2014"];

#[test]
fn golden_cells_whole() {
    for name in WHOLE {
        let model = model(name);
        let stages = stages(&model);
        snapshot(name, "checked", &model.to_string());
        snapshot(name, "ir", &stages.lowered.to_string());
        snapshot(name, "grad", &stages.gradient.as_ref().unwrap().to_string());
        let opt = format!("{}\n{}", Row::table(&stages.table), stages.optimized);
        snapshot(name, "opt", &opt);
        snapshot(name, "plan", &plan(&stages).to_string());
    }
}

/// What its normalisations make of one cell is too long to read op by op.
#[test]
fn a_cell_with_normalisation() {
    let name = "layernormlstm";
    let model = model(name);
    let stages = stages(&model);
    snapshot(name, "checked", &model.to_string());
    snapshot(name, "passes", &Row::table(&stages.table));
    snapshot(name, "plan", &tasks(&plan(&stages)));
}

/// The plan of one instruction set, equal on every machine that has it.
#[test]
fn plans_of_the_machine() {
    let isa = Isa::Avx2;
    for name in ["lstm", "gru2014", "layernormlstm"] {
        let plan = plan(&stages(&model(name)));
        match texts(&plan, isa.into()) {
            Ok(texts) => snapshot(name, "cpu-plan", &texts.plan),
            Err(d) if d.code == "compile::target" && !Isa::available().contains(&isa) => {
                println!("{name}: not compared, for this machine has no {isa}");
            }
            Err(d) => panic!("{name}: {d:?}"),
        }
    }
}

#[test]
fn passes_and_plans_of_every_program() {
    for path in programs() {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let models = models(&path);
        for model in &models {
            let folder = match models.len() {
                1 => stem.clone(),
                _ => format!("{stem}-{}", model.name.to_lowercase()),
            };
            let stages = stages(model);
            let text = format!("{}\n{}", Row::table(&stages.table), tasks(&plan(&stages)));
            if !WHOLE.contains(&stem.as_str()) && stem != "layernormlstm" {
                snapshot(&folder, "plan", &text);
            }
        }
    }
}

/// What predicts and what writes, as `seqc emit` shows them for a file whose weights are of 16 bits: what is rounded, what
/// is read as 16 bits, what is looked up.
#[test]
fn functions_that_run_with_weights_of_16_bits() {
    for of in ["infer", "generate"] {
        let file = "examples/names.seq";
        let mut command = seqc(Path::new(env!("CARGO_MANIFEST_DIR")), &["emit", file]);
        command.args(["--model", "Latin", "--set", "train.precision=bf16"]);
        command.args([
            "--emit=opt,plan",
            "--target",
            "portable",
            &format!("--{of}"),
        ]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let text = String::from_utf8(output.stdout).unwrap();
        for part in [
            "= bf16 gru.Wz ",
            "W.2@E·H = bf16(gru.Wr@H)",
            " panels 1, bf16",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let looked_up = text.contains("look-up-products");
        assert_eq!(looked_up, of == "generate", "{text}");
        kept("names-latin", &format!("{of}-bf16"), &text);
    }
}

/// Products before, inside and after the first scan of a function.
fn products(func: &Func) -> [usize; 3] {
    let count = |region: &Region| {
        let product = |op: &&seqc::ir::OpId| matches!(func.op(**op).kind, OpKind::Contract { .. });
        region.ops.iter().filter(product).count()
    };
    let mut counts = [0; 3];
    let mut at = 0;
    for id in &func.body.ops {
        match &func.op(*id).kind {
            OpKind::Scan(scan) if at == 0 => {
                counts[1] = count(&scan.body);
                at = 2;
            }
            OpKind::Contract { .. } => counts[at] += 1,
            _ => {}
        }
    }
    counts
}

/// The cells of the library, and how many products one step of each needs: one for all gates that
/// read the same state, none where no gate does.
const RECURRENT: [(&str, usize); 8] = [
    ("rnn", 1),
    ("lstm", 1),
    ("peepholelstm", 1),
    ("layernormlstm", 1),
    ("gru", 1),
    ("gru2014", 2),
    ("mingru", 0),
    ("given", 1),
];

#[test]
fn one_product_of_the_input_and_as_few_of_the_state_as_can_be() {
    for (name, recurrent) in RECURRENT {
        let stages = stages(&model(name));
        let [before, inside, _] = products(&stages.optimized);
        assert_eq!(before, 1, "{name}: products of the input");
        assert_eq!(inside, recurrent, "{name}: products at each step");
        // The forward rewrites did it: evaluation has the same loop.
        let evaluate = Build::default()
            .stages(&model(name), Options::EVALUATE, false)
            .unwrap();
        let [before, inside, _] = products(&evaluate.optimized);
        assert_eq!((before, inside), (1, recurrent), "{name}: evaluation");
    }
}

#[test]
fn every_product_of_a_step_has_an_epilogue() {
    for (name, recurrent) in RECURRENT {
        let plan = plan(&stages(&model(name)));
        let scan = plan.tasks.iter().find_map(|t| match t {
            Task::Scan(s) => Some(s),
            _ => None,
        });
        let body = &scan.expect("a scan").body;
        let mut products = 0;
        for (i, task) in body.iter().enumerate() {
            if let Task::Gemm(g) = task {
                products += 1;
                assert!(g.rhs_invariant, "{name}: packed at every step");
                let Some(Task::Loop(l)) = body.get(i + 1) else {
                    panic!("{name}: {} is followed by no loop\n{plan}", g.name);
                };
                let reads = l.loads.iter().any(|v| v.buffer == g.out.buffer);
                assert!(reads, "{name}: {} is read later\n{plan}", g.name);
                // A norm needs the sum of a whole row first: no loop over elements can follow.
                let norm = name == "layernormlstm" && l.reduced.contains(&true);
                let epilogue = l.epilogue_of == Some(i);
                assert!(norm || epilogue, "{name}: {} alone\n{plan}", g.name);
            }
        }
        assert_eq!(products, recurrent, "{name}\n{plan}");
    }
}
