//! Beam search: the likeliest sequences, as far as keeping a few at each step finds them.
//!
//! In: the compiled one-step form, a batch whose rows are each example's inputs `width` times side by
//! side, a prompt. Out: for each example its best sequences.
//!
//! At each step every sequence of an example is continued by every symbol, and the `width` likeliest
//! of all these are kept. One that ends in `<end>` leaves the beam and is set aside, so that a beam of
//! one is the greedy choice. A sequence Y with probability P is ranked by
//!
//! ```text
//! ln P / ((5 + |Y|) / 6)^α                  (Wu et al. 2016, equation 14, without coverage)
//! ```
//!
//! where |Y| counts the symbols after the prompt, `<end>` included, and α is the length penalty: 0
//! ranks by probability, which favours short sequences; 0.6 to 1 evens that out. The search of an
//! example ends when nothing in its beam can still outrank what is set aside, or at `length`. What was
//! cut off there ranks behind all that ended. Of equals the continuation of the better sequence goes
//! first, then the lower symbol: nothing is drawn.
//!
//! All examples and their beams are the rows of one call a step; after it, each row's states are those
//! of the sequence that it goes on from.

use super::failure::Failure;
use super::folder::FieldInfo;
use super::generator::{Generator, Reader};
use super::write::{Prompt, before, not_finite, without};
use crate::data::{Batch, Tensor};
use crate::settings::Search as Setting;

/// How wide to search, and how to rank what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beam {
    /// Sequences kept at each step; at least 1.
    pub width: usize,
    /// α ≥ 0.
    pub length_penalty: f64,
}

impl Beam {
    /// What a setting asks for, where it asks for a beam.
    pub fn of(setting: &Setting) -> Option<Beam> {
        match setting {
            Setting::Sample | Setting::Greedy => None,
            Setting::Beam {
                width,
                length_penalty,
            } => Some(Beam {
                width: (*width as usize).max(1),
                length_penalty: *length_penalty,
            }),
        }
    }

    /// The rank of a sequence of `steps` symbols.
    fn rank(&self, log: f64, steps: usize) -> f64 {
        match self.length_penalty > 0.0 {
            true => log / libm::pow((5.0 + steps as f64) / 6.0, self.length_penalty),
            false => log,
        }
    }
}

/// A search, for each of several examples.
pub(super) struct Search<'a> {
    pub beam: &'a Beam,
    /// How many sequences are wanted of each example.
    pub best: usize,
    /// The most steps after the prompt.
    pub length: usize,
}

/// A sequence that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hypothesis {
    /// The prompt first; without `<end>`.
    pub symbols: Vec<i32>,
    /// ln P of what follows the prompt.
    pub log: f64,
    pub rank: f64,
}

/// What is known of one example.
struct Example {
    /// By likelihood; the i-th is row i of the example's.
    live: Vec<Hypothesis>,
    /// Those that ended, best first.
    ended: Vec<Hypothesis>,
}

/// A hypothesis of an example with one more symbol.
struct Candidate {
    parent: usize,
    symbol: usize,
    log: f64,
}

/// The best sequences of each example, best first, and whether any outgrew what the model reads at
/// once.
pub(super) fn search(
    generator: &mut Generator,
    weights: &[f32],
    target: &FieldInfo,
    batch: Batch,
    prompt: &Prompt,
    search: &Search<'_>,
) -> Result<(Vec<Vec<Hypothesis>>, bool), Failure> {
    let (Prompt::Symbols(prompt), Some(vocabulary)) = (prompt, &target.vocabulary) else {
        let message = format!("`beam` ranks symbols; `{}` has numbers", target.name);
        return Err(Failure::program("generate::not-possible", message));
    };
    let (rows, width) = (batch.rows, search.beam.width);
    let begin = Hypothesis {
        symbols: prompt.clone(),
        log: 0.0,
        rank: 0.0,
    };
    let mut examples: Vec<Example> = (0..rows / width)
        .map(|_| Example {
            live: vec![begin.clone()],
            ended: Vec::new(),
        })
        .collect();
    let steps = prompt.len().saturating_add(search.length);
    let mut reader = Reader::new(generator, weights, target, batch, steps)?;
    let room = reader.room;
    let first = (prompt.len() + 1).saturating_sub(room);
    let mut outgrown = first > 0 && steps > room;
    for t in first..steps {
        if reader.is_full() {
            outgrown = true;
            reader.restart();
            for earlier in t + 1 - room..t {
                reader.step(previous(&examples, width, earlier, target))?;
            }
        }
        reader.step(previous(&examples, width, t, target))?;
        if t < prompt.len() {
            continue;
        }
        let predicted = reader.prediction()?;
        let each = predicted.len() / rows;
        let mut from: Vec<usize> = (0..rows).collect();
        for (e, example) in examples.iter_mut().enumerate() {
            let row = |i: usize| {
                let at = (e * width + i) * each;
                without(&predicted[at..at + each], vocabulary.unknown())
            };
            let mut all = Vec::new();
            for (parent, h) in example.live.iter().enumerate() {
                for (symbol, p) in row(parent).iter().enumerate() {
                    if !p.is_finite() {
                        return Err(not_finite(t));
                    }
                    if *p > 0.0 {
                        // Rounding can leave a probability above 1; no sequence gains by a step.
                        let log = h.log + libm::log(f64::from(*p)).min(0.0);
                        all.push(Candidate {
                            parent,
                            symbol,
                            log,
                        });
                    }
                }
            }
            if all.is_empty() && !example.live.is_empty() {
                return Err(not_finite(t));
            }
            let kept = likeliest(all, width);
            let parents = example.extend(kept, vocabulary.end(), search, prompt.len());
            for (i, parent) in parents.into_iter().enumerate() {
                from[e * width + i] = e * width + parent;
            }
        }
        if examples.iter().all(|e| e.live.is_empty()) {
            break;
        }
        reader.follow(&from);
    }
    let found = examples.into_iter().map(|e| e.best(search, prompt.len()));
    Ok((found.collect(), outgrown))
}

/// The `width` likeliest candidates in order; they come ordered by parent and symbol.
fn likeliest(mut all: Vec<Candidate>, width: usize) -> Vec<Candidate> {
    let order = |a: &Candidate, b: &Candidate| {
        let place = (a.parent, a.symbol).cmp(&(b.parent, b.symbol));
        b.log.total_cmp(&a.log).then(place)
    };
    if all.len() > width {
        all.select_nth_unstable_by(width - 1, order);
        all.truncate(width);
    }
    all.sort_unstable_by(order);
    all
}

/// What step `t` of every row reads of the step before it. Rows without a sequence read anything.
fn previous(examples: &[Example], width: usize, t: usize, target: &FieldInfo) -> Tensor {
    let rows = examples.iter().flat_map(|e| {
        let symbols = |i: usize| e.live.get(i).map_or(&[][..], |h| &h.symbols);
        (0..width).map(move |i| before(symbols(i), t, target))
    });
    Tensor::I32(rows.collect())
}

impl Example {
    /// Goes on with these continuations; gives the row that each of the new beam comes from.
    fn extend(
        &mut self,
        kept: Vec<Candidate>,
        end: Option<i32>,
        search: &Search<'_>,
        prompt: usize,
    ) -> Vec<usize> {
        let mut live = Vec::new();
        let mut parents = Vec::new();
        for c in kept {
            let mut symbols = self.live[c.parent].symbols.clone();
            // `<end>` or another symbol, it counts as a step.
            let rank = search.beam.rank(c.log, symbols.len() - prompt + 1);
            let is_end = Some(c.symbol as i32) == end;
            if !is_end {
                symbols.push(c.symbol as i32);
            }
            let h = Hypothesis {
                symbols,
                log: c.log,
                rank,
            };
            match is_end {
                true => self.ended.push(h),
                false => {
                    live.push(h);
                    parents.push(c.parent);
                }
            }
        }
        // Stable: of equals what ended first.
        self.ended.sort_by(|a, b| b.rank.total_cmp(&a.rank));
        self.ended.truncate(search.best);
        // A sequence only loses likelihood, and ranks best at its longest.
        let worst = self.ended.get(search.best - 1).map(|h| h.rank);
        let hope = |h: &Hypothesis| search.beam.rank(h.log, search.length);
        if worst.is_some_and(|worst| live.iter().all(|h| hope(h) <= worst)) {
            live.clear();
        }
        self.live = live;
        parents
    }

    fn best(mut self, search: &Search<'_>, prompt: usize) -> Vec<Hypothesis> {
        for h in &mut self.live {
            h.rank = search.beam.rank(h.log, h.symbols.len() - prompt);
        }
        self.live.sort_by(|a, b| b.rank.total_cmp(&a.rank));
        self.ended.extend(self.live);
        self.ended.truncate(search.best);
        self.ended
    }
}
