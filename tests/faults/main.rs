//! Would the tests notice a wrong compiler? Fifty faults, each put into a stage's output, and what sees it.
//!
//! In: the programs of `tests/faults`, `tests/cells` and `examples` at small sizes. Out: a table of
//! faults and the check that caught each, and a failure where fewer than 45 are caught or a fault
//! found no place in any program. The checks are those of random programs. Long because of the table.

#[path = "../random/choice.rs"]
#[allow(dead_code)]
mod choice;
#[path = "../common/mod.rs"]
mod common;
mod edit;
mod lowering;
#[path = "../random/oracle.rs"]
#[allow(dead_code)]
mod oracle;
#[path = "../random/padding.rs"]
mod padding;
mod reversing;
mod rewriting;
mod tasks;
#[path = "../random/ties.rs"]
mod ties;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use choice::Choice;
use common::machine::{self, Data};
use common::models::{models, programs};
use oracle::{Finding, finding, finite, same_numbers, scheduled, sized, slope};
use padding::{longer, padding};
use seqc::ir::interp::{Draw, Tensor, run};
use seqc::ir::{Func, verify::verify};
use seqc::lower::Options;
use seqc::pipeline::Build;
use seqc::reverse::differentiate;
use seqc::rewrite;
use seqc::schedule::program::Program;
use seqc::schedule::schedule;

/// The stage whose output is wrong.
#[derive(Clone, Copy)]
enum Fault {
    /// Seen by what padding and longer batches must not change.
    Lower(fn(&mut Func) -> bool),
    /// Seen by central differences.
    Reverse(fn(&mut Func) -> bool),
    /// Seen beside the IR before rewrites.
    Rewrite(fn(&mut Func) -> bool),
    /// Seen beside the IR that was scheduled.
    Schedule(fn(&mut Program) -> bool),
}

const FAULTS: [(&str, Fault); 50] = {
    use Fault::{Lower, Reverse, Rewrite, Schedule};
    use lowering::*;
    use reversing::*;
    use rewriting::*;
    use tasks::*;
    [
        ("a sum counts padding", Lower(sum_counts_padding)),
        ("a softmax counts padding", Lower(softmax_counts_padding)),
        (
            "padding is filled with 0 before a softmax",
            Lower(padding_filled_with_zero),
        ),
        ("the loss counts padding", Lower(loss_counts_padding)),
        ("a state is not held after the end", Lower(state_not_held)),
        ("a sequence ends one step later", Lower(end_one_later)),
        (
            "padding is masked along the wrong axis",
            Lower(mask_along_the_rows),
        ),
        (
            "the first step of nothing is padding",
            Lower(first_of_nothing),
        ),
        (
            "a gradient's contribution is dropped",
            Reverse(contribution_dropped),
        ),
        (
            "a gradient's contribution counts twice",
            Reverse(contribution_doubled),
        ),
        ("a derivative loses its minus", Reverse(minus_lost)),
        (
            "a derivative's difference is turned round",
            Reverse(difference_turned_round),
        ),
        (
            "the backward loop runs forwards",
            Reverse(backward_loop_runs_forwards),
        ),
        (
            "the adjoint of a delay delays",
            Reverse(delay_not_turned_round),
        ),
        (
            "the gradient of the last step goes to the first",
            Reverse(last_gets_gradient_at_first),
        ),
        ("a derivative loses its divisor", Reverse(divisor_lost)),
        (
            "a weight's gradient is transposed",
            Reverse(gradient_transposed),
        ),
        (
            "an adjoint is not carried on",
            Reverse(adjoint_reads_its_start),
        ),
        (
            "a stash is of the step before",
            Reverse(stash_of_the_step_before),
        ),
        (
            "a stash is of the state after",
            Reverse(stash_of_the_state_after),
        ),
        (
            "only the last step adds to a gradient",
            Reverse(only_the_last_step_adds),
        ),
        ("an adjoint is not masked", Reverse(adjoint_not_masked)),
        ("a condition is lost", Rewrite(condition_lost)),
        (
            "a condition is one step wider",
            Rewrite(condition_one_wider),
        ),
        ("a sum stands for a maximum", Rewrite(sum_for_max)),
        (
            "the first step is taken for the last",
            Rewrite(first_for_last),
        ),
        ("a delay is one step longer", Rewrite(delay_one_longer)),
        (
            "parts are joined in another order",
            Rewrite(parts_joined_in_another_order),
        ),
        ("a split gives the wrong part", Rewrite(the_wrong_part)),
        ("two numbers are merged", Rewrite(different_numbers_merged)),
        (
            "two random draws are merged",
            Rewrite(different_draws_merged),
        ),
        (
            "what changes each step is hoisted",
            Rewrite(hoisted_though_it_changes),
        ),
        (
            "a scan runs the other way",
            Rewrite(scan_runs_the_other_way),
        ),
        (
            "a softmax reads the scores before their mask",
            Rewrite(softmax_of_the_unmasked),
        ),
        ("a mean loses its 1/n", Rewrite(mean_without_its_count)),
        (
            "the branches of a choice change places",
            Rewrite(branches_exchanged),
        ),
        (
            "a slot is shared by two that live",
            Schedule(slot_shared_while_alive),
        ),
        ("two strides change places", Schedule(strides_exchanged)),
        ("a load stays at the first step", Schedule(step_not_counted)),
        (
            "an epilogue runs before its product",
            Schedule(epilogue_before_its_product),
        ),
        ("a loop is one short", Schedule(loop_one_short)),
        ("a carry in place stays stale", Schedule(carry_stays_stale)),
        (
            "a loop over time is turned round",
            Schedule(loop_over_time_turned_round),
        ),
        (
            "a loop over time is one short",
            Schedule(loop_over_time_one_short),
        ),
        (
            "a fold has the wrong operation",
            Schedule(fold_with_the_wrong_operation),
        ),
        (
            "a product is one term short",
            Schedule(product_one_term_short),
        ),
        (
            "a product's right operand is transposed",
            Schedule(right_operand_transposed),
        ),
        (
            "a load reads another buffer",
            Schedule(load_of_another_buffer),
        ),
        (
            "operands of a difference change places",
            Schedule(operands_exchanged),
        ),
        (
            "a last step is taken without lengths",
            Schedule(taken_without_lengths),
        ),
    ]
};

/// A program after each stage, with data and what it gives.
struct Subject {
    name: String,
    lowered: Func,
    gradient: Func,
    optimized: Func,
    program: Program,
    data: Vec<Data>,
    /// By data: the gradient function's results, and the optimised one's.
    want: Vec<[Vec<Tensor>; 2]>,
}

fn subjects() -> Vec<Subject> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    let mut paths = vec![own.join("attention.seq"), own.join("decoder.seq")];
    paths.extend(programs());
    let mut all = Vec::new();
    for path in paths {
        for model in models(&path) {
            let off = rewrite::names().iter().map(|n| n.to_string()).collect();
            let plain = Build {
                off,
                ..Build::default()
            };
            let plain = plain.stages(&model, Options::TRAIN, true).unwrap();
            let fast = Build::default()
                .stages(&model, Options::TRAIN, true)
                .unwrap();
            let mut choice = Choice::new(1, "faults");
            let of = |b, t, choice: &mut Choice| {
                let sizes = machine::sizes(&plain.lowered, b, t);
                sized(&plain.lowered, choice, true, sizes)
            };
            let mut data = vec![of(3, 5, &mut choice), of(2, 4, &mut choice)];
            // A sequence of every kind: full, short, empty.
            data.push(with_lengths(
                &plain.lowered,
                of(3, 4, &mut choice),
                &[4.0, 1.0, 0.0],
            ));
            // A maximum over no step is no number, and nothing can be said of it.
            data.retain(|d| finite(&d.expected(&plain.optimized)));
            let results = |d: &Data| [d.expected(&plain.optimized), d.expected(&fast.optimized)];
            let want = data.iter().map(results).collect();
            all.push(Subject {
                name: format!("{} {}", path.file_name().unwrap().display(), model.name),
                want,
                data,
                program: schedule(&fast.optimized).unwrap(),
                lowered: plain.lowered,
                gradient: plain.optimized,
                optimized: fast.optimized,
            });
        }
    }
    all
}

fn with_lengths(func: &Func, mut data: Data, lens: &[f64]) -> Data {
    for (input, t) in func.inputs.iter().zip(&mut data.inputs) {
        if matches!(input.role, seqc::ir::InputRole::Lengths(_)) {
            t.data = lens.to_vec();
        }
    }
    data
}

fn numbers(func: &Func, data: &Data) -> Result<Vec<Tensor>, Finding> {
    let draw = Draw { seed: 1, step: 3 };
    run(func, &data.sizes, &data.inputs, &data.params, draw).map_err(|e| finding("interpreter", e))
}

fn sound(func: &Func) -> Result<(), Finding> {
    verify(func).map_err(|rule| finding("verifier", rule))
}

impl Subject {
    fn lower(&self, lowered: &Func) -> Result<(), Finding> {
        sound(lowered)?;
        let with = differentiate(lowered, &|_| true).map_err(|e| finding("reverse", e))?;
        for data in &self.data {
            let want = numbers(&with, data)?;
            padding("padding", &with, data, &want)?;
            longer("a longer batch", &with, data, &want)?;
        }
        Ok(())
    }

    fn reverse(&self, gradient: &Func) -> Result<(), Finding> {
        sound(gradient)?;
        let mut choice = Choice::new(2, "faults");
        for data in &self.data {
            let got = numbers(gradient, data)?;
            slope(
                "central differences",
                &self.lowered,
                data,
                (gradient, &got),
                &mut choice,
            )?;
        }
        Ok(())
    }

    fn rewrite(&self, optimized: &Func) -> Result<(), Finding> {
        sound(optimized)?;
        for (data, [want, _]) in self.data.iter().zip(&self.want) {
            let got = numbers(optimized, data)?;
            same_numbers(
                "IR before rewrites",
                (&self.gradient, data, want),
                (optimized, &got),
            )?;
        }
        Ok(())
    }

    fn schedule(&self, program: &Program) -> Result<(), Finding> {
        for (data, [_, want]) in self.data.iter().zip(&self.want) {
            let got = scheduled(&self.optimized, program, data);
            let got = got.map_err(|e| finding("plan's interpreter", e))?;
            let of = (&self.optimized, data, want.as_slice());
            same_numbers("IR before the plan", of, (&self.optimized, &got))?;
        }
        Ok(())
    }

    /// What sees the fault here; nothing where it has no place, or goes unseen.
    fn seen(&self, fault: Fault) -> (bool, Option<Finding>) {
        let tried = catch_unwind(AssertUnwindSafe(|| match fault {
            Fault::Lower(apply) => {
                let mut f = self.lowered.clone();
                apply(&mut f).then(|| self.lower(&f))
            }
            Fault::Reverse(apply) => {
                // Ops of the forward pass may be wrong for the backward one: what it saves.
                let mut f = self.gradient.clone();
                apply(&mut f).then(|| self.reverse(&f))
            }
            Fault::Rewrite(apply) => {
                let mut f = self.optimized.clone();
                apply(&mut f).then(|| self.rewrite(&f))
            }
            Fault::Schedule(apply) => {
                let mut p = self.program.clone();
                apply(&mut p).then(|| self.schedule(&p))
            }
        }));
        match tried {
            Ok(None) => (false, None),
            Ok(Some(result)) => (true, result.err()),
            Err(_) => (true, Some(finding("panic", "an index out of range"))),
        }
    }
}

#[test]
fn at_least_45_of_50_faults_are_caught() {
    let subjects = subjects();
    for s in &subjects {
        let sound = s.lower(&s.lowered).and(s.reverse(&s.gradient));
        let sound = sound
            .and(s.rewrite(&s.optimized))
            .and(s.schedule(&s.program));
        sound.unwrap_or_else(|f| panic!("{} without a fault: {}: {}", s.name, f.check, f.what));
    }
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (mut caught, mut without_place) = (0, Vec::new());
    for (name, fault) in FAULTS {
        let mut places = 0;
        let found = subjects.iter().find_map(|s| {
            let (fits, found) = s.seen(fault);
            places += usize::from(fits);
            Some((s, found?))
        });
        match found {
            Some((s, f)) => {
                caught += 1;
                println!("{name:<50} {:<20} {}", f.check, s.name);
            }
            None => println!("{name:<50} NOT SEEN in {places} programs"),
        }
        if places == 0 {
            without_place.push(name);
        }
    }
    std::panic::set_hook(loud);
    println!("{caught} of {} faults are caught", FAULTS.len());
    assert!(without_place.is_empty(), "no place for {without_place:?}");
    assert!(caught >= 45, "only {caught} faults are caught");
}
