//! What each kernel of a call takes.
//!
//! In: a [`Bench`]. Out: [`Row`]s: time (the median over calls), arithmetic, bytes, and the lines of source that a kernel came from. The function
//! is compiled a second time for this, with readings of the clock between kernels; no other figure is taken from it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Bench;
use super::report::{Row, Times};
use crate::cli::Failure;
use crate::cli::session::Backend;
use crate::cost::kernel;
use crate::dim::Sym;
use crate::lower::Options;
use crate::pipeline;
use crate::schedule::schedule;
use crate::span::{Sources, Span};
use crate::targets::cpu::profile::{Kernel, Profiled};
use crate::targets::executable::{Draw, Executable};
use crate::train::feed::{Carried, Feed};

/// Calls that are not counted, and calls that are, at least.
const WARM: usize = 2;
const CALLS: usize = 3;

/// The share of the time for a measurement that is spent on kernels.
const SHARE: f64 = 0.5;

impl Bench<'_> {
    pub(super) fn kernels(&self, options: Options, gradients: bool) -> Result<Vec<Row>, Failure> {
        let Backend::Cpu(pool) = &self.backend else {
            return Ok(Vec::new());
        };
        let stages = self.build().stages(&self.model, options, gradients);
        let program = schedule(&stages.map_err(pipeline::internal)?.optimized)?;
        let mut exec = Profiled::new(&program, pool.clone())?;
        // Predictions are timed so.
        exec.hold_params(!gradients);
        let signature = exec.signature().clone();
        let weights = self.weights(&signature);
        let mut grads = match signature.has_grads {
            true => vec![0.0; signature.param_len],
            false => Vec::new(),
        };
        let (mut feed, none) = (Feed::default(), Carried::new());
        let draw = Draw::default();
        let mut call =
            |exec: &mut Profiled| feed.run(exec, &self.batch, &none, &weights, &mut grads, draw);
        for _ in 0..WARM {
            call(&mut exec)?;
        }
        let length = Duration::from_secs_f64(self.args.seconds * SHARE);
        let (began, mut calls) = (Instant::now(), Vec::new());
        while calls.len() < CALLS || began.elapsed() < length {
            exec.reset();
            call(&mut exec)?;
            calls.push(exec.kernels());
        }
        let size = |s: &Sym| self.size(s);
        let seconds = |i: usize| Times::of(calls.iter().map(|c| c[i].seconds).collect()).median;
        let row = |(i, k): (usize, &Kernel)| {
            // What a matrix is packed for has its cost; packing has none of its own.
            let cost = kernel(&program, &k.place, &size).unwrap_or_default();
            Row {
                depth: k.place.len() - 1,
                kernel: k.line.split_whitespace().collect::<Vec<_>>().join(" "),
                seconds: seconds(i),
                runs: k.runs,
                flops: if k.pack { 0.0 } else { cost.flops },
                bytes: if k.pack { 0.0 } else { cost.bytes },
                from: places(&cost.spans, &self.loaded.sources),
            }
        };
        // Packing is left out where a call needs none.
        let ran = calls[0].iter().enumerate().filter(|(_, k)| k.runs > 0.0);
        Ok(ran.map(row).collect())
    }
}

/// `lstm.seq:14-17, mine.seq:9`.
fn places(spans: &[Span], sources: &Sources) -> String {
    let mut lines: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for span in spans {
        let Some(source) = sources.find(span.file) else {
            continue;
        };
        let before = source.text.get(..span.start as usize).unwrap_or("");
        // Of the library's files the whole name, which no file of a user has.
        let own = source
            .name
            .rsplit('/')
            .next()
            .filter(|_| !source.name.starts_with('<'));
        let name = own.unwrap_or(&source.name);
        lines
            .entry(name)
            .or_default()
            .push(before.matches('\n').count() + 1);
    }
    let file = |(name, mut lines): (&str, Vec<usize>)| {
        lines.sort_unstable();
        lines.dedup();
        let runs = lines.chunk_by(|a, b| a + 1 == *b);
        let runs = runs.map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            [one] => one.to_string(),
            [] => String::new(),
        });
        format!("{name}:{}", runs.collect::<Vec<_>>().join(","))
    };
    lines.into_iter().map(file).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_follow_each_other_are_one_range() {
        let mut sources = Sources::default();
        let a = sources.add("dir/a.seq", "1\n2\n3\n4\n5\n");
        let b = sources.add("<library>/b.seq", "x\ny\n");
        let at = |file, start| Span::new(file, start, start + 1);
        let spans = [at(b, 2), at(a, 4), at(a, 0), at(a, 2), at(a, 8), at(a, 0)];
        assert_eq!(places(&spans, &sources), "<library>/b.seq:2 a.seq:1-3,5");
    }
}
