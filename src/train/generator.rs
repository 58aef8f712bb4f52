//! The compiled one-step form of a model, driven step by step.
//!
//! In: the functions of [`crate::step`], weights, what each step reads. Out: each step's prediction.
//! States, histories and what the setup made are carried from call to call.

use super::failure::Failure;
use super::feed::{Carried, Feed};
use super::folder::FieldInfo;
use crate::data::{Batch, Tensor};
use crate::dim::{Dim, Sym};
use crate::targets::executable::{Draw, Executable, Role, Signature};

pub struct Generator {
    /// Runs once: its results are states of the step.
    pub setup: Option<Box<dyn Executable>>,
    /// Predicts one step.
    pub step: Box<dyn Executable>,
    /// The launch size of the histories, and the name of the lengths along them, where steps are
    /// counted.
    pub room: Option<String>,
    /// The most steps that a sequence has before it is read again from its last ones: what a table of
    /// positions has rows for, or the window that histories were trained with.
    pub most: Option<usize>,
}

impl Generator {
    /// A step that keeps nothing but the states it returns.
    pub fn plain(step: Box<dyn Executable>) -> Generator {
        Generator {
            setup: None,
            step,
            room: None,
            most: None,
        }
    }

    pub fn signatures(&self) -> Vec<&Signature> {
        let setup = self.setup.iter().map(|s| s.signature());
        setup.chain([self.step.signature()]).collect()
    }
}

/// Gives all rows this number along a time.
fn put(all: &mut Vec<(String, Vec<i32>)>, time: &str, number: i32, rows: usize) {
    match all.iter_mut().find(|(t, _)| t == time) {
        Some((_, numbers)) => {
            numbers.clear();
            numbers.resize(rows, number);
        }
        None => all.push((time.to_string(), vec![number; rows])),
    }
}

/// Sequences being read, all of one length.
pub(super) struct Reader<'a> {
    generator: &'a mut Generator,
    weights: &'a [f32],
    target: &'a FieldInfo,
    batch: Batch,
    feed: Feed,
    /// The result that is written.
    predicts: Role,
    /// States before the first step.
    start: Carried,
    carried: Carried,
    /// Steps read.
    at: usize,
    /// Steps that can be read before the sequences begin again.
    pub room: usize,
}

impl<'a> Reader<'a> {
    /// Runs the setup. `steps` is how many will be read at most.
    pub fn new(
        generator: &'a mut Generator,
        weights: &'a [f32],
        target: &'a FieldInfo,
        mut batch: Batch,
        steps: usize,
    ) -> Result<Reader<'a>, Failure> {
        let room = generator.most.map_or(steps, |m| m.min(steps)).max(1);
        if let Some(name) = &generator.room {
            batch.steps.retain(|(n, _)| n != name);
            batch.steps.push((name.clone(), room));
        }
        batch.previous = vec![(target.name.clone(), Tensor::I32(Vec::new()))];
        generator.step.hold_params(true);
        let (mut feed, mut start) = (Feed::default(), Carried::new());
        if let Some(setup) = &mut generator.setup {
            let draw = Draw::default();
            feed.run(setup.as_mut(), &batch, &start, weights, &mut [], draw)?;
            feed.carry(&mut start);
        }
        Ok(Reader {
            generator,
            weights,
            target,
            batch,
            feed: Feed::default(),
            predicts: Role::Prediction(target.name.clone()),
            carried: start.clone(),
            start,
            at: 0,
            room,
        })
    }

    /// Whether the next step must be the first again.
    pub fn is_full(&self) -> bool {
        self.at >= self.room
    }

    pub fn restart(&mut self) {
        self.carried = self.start.clone();
        self.at = 0;
    }

    /// Reads one step: `previous` of every sequence.
    pub fn step(&mut self, previous: Tensor) -> Result<(), Failure> {
        let rows = self.batch.rows;
        if let Some(name) = &self.generator.room {
            put(&mut self.batch.lengths, name, self.at as i32 + 1, rows);
        }
        if let Some(time) = &self.target.time {
            put(&mut self.batch.begun, time, self.at as i32, rows);
        }
        if let Some((_, read)) = self.batch.previous.first_mut() {
            *read = previous;
        }
        let step = self.generator.step.as_mut();
        let draw = Draw::default();
        self.feed.run(
            step,
            &self.batch,
            &self.carried,
            self.weights,
            &mut [],
            draw,
        )?;
        self.feed.carry(&mut self.carried);
        self.at += 1;
        Ok(())
    }

    /// Row i goes on from what row `from[i]` has read. Rows of one example only may take each other's
    /// place: what the setup made of their inputs stays.
    pub fn follow(&mut self, from: &[usize]) {
        if from.iter().enumerate().all(|(i, f)| i == *f) {
            return;
        }
        let size = |s: &Sym| i64::try_from(self.batch.size(s.name())?).ok();
        for slot in &self.generator.step.signature().outputs {
            let is_batch = |d: &Dim| d.as_sym().is_some_and(|s| s.name() == "B");
            let (Role::Carry(path), Some(at)) = (&slot.role, slot.shape.iter().position(is_batch))
            else {
                continue;
            };
            let Some(values) = self.carried.get_mut(path) else {
                continue;
            };
            let before = slot.shape[..at].iter().map(|d| d.eval(&size));
            let before: i64 = before.map(|d| d.unwrap_or(1)).product();
            let width = values.len() / (from.len() * before.max(1) as usize).max(1);
            let mut moved = Vec::with_capacity(values.len());
            for block in values.chunks(from.len() * width.max(1)) {
                for f in from {
                    moved.extend_from_slice(&block[f * width..(f + 1) * width]);
                }
            }
            *values = moved;
        }
    }

    /// What the last step predicts.
    pub fn prediction(&self) -> Result<&[f32], Failure> {
        let none = || {
            let message = "the model returns no prediction";
            Failure::program("generate::not-possible", message)
        };
        self.feed.output(&self.predicts).ok_or_else(none)
    }
}
