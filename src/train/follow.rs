//! A series followed step by step, states carried on.
//!
//! In: the one-step form of all that a model returns, weights, the steps of a series one by one, each as
//! a batch of one row. Out: what the model returns for each step.
//!
//! A model that reads nothing along the series but its own earlier values knows step t + 1 as soon as
//! step t is read: it is *ahead* of the series by one.

use super::failure::Failure;
use super::feed::{Carried, Feed};
use super::folder::FieldInfo;
use super::generator::Generator;
use crate::data::{Batch, Tensor};
use crate::targets::executable::{Draw, Role, Signature};

pub struct Follower<'a> {
    generator: Generator,
    weights: Vec<f32>,
    /// The targets whose earlier values are read.
    read: Vec<&'a FieldInfo>,
    /// How many steps the model was trained to see at once, after which its states begin anew.
    window: Option<usize>,
    feed: Feed,
    start: Carried,
    carried: Carried,
    /// Steps since the states began.
    at: usize,
    /// The last value of each target that is read.
    last: Vec<(String, Tensor)>,
}

impl<'a> Follower<'a> {
    /// Errors: the model looks back at every earlier step, and nothing says how many it is made for.
    pub fn new(
        mut generator: Generator,
        weights: Vec<f32>,
        fields: &'a [FieldInfo],
        window: Option<usize>,
    ) -> Result<Follower<'a>, Failure> {
        let seen = window.or(generator.most);
        if generator.room.is_some() && seen.is_none() {
            let message = "the model looks back at all steps, and a stream has no end";
            let f = Failure::program("predict::needs-window", message);
            return Err(f.help("a model trained with `window` reads so many at a time"));
        }
        generator.step.hold_params(true);
        let mut start = Carried::new();
        if let Some(setup) = &mut generator.setup {
            let mut feed = Feed::default();
            let batch = one_row(Vec::new());
            let draw = Draw::default();
            feed.run(setup.as_mut(), &batch, &start, &weights, &mut [], draw)?;
            feed.carry(&mut start);
        }
        let reads = |f: &&FieldInfo| {
            let inputs = &generator.step.signature().inputs;
            let mut roles = inputs.iter().map(|i| &i.role);
            roles.any(|r| matches!(r, Role::Previous(n) if *n == f.name))
        };
        let read: Vec<&FieldInfo> = fields.iter().filter(reads).collect();
        let mut follower = Follower {
            generator,
            weights,
            read,
            window: seen,
            feed: Feed::default(),
            carried: start.clone(),
            start,
            at: 0,
            last: Vec::new(),
        };
        follower.last = follower.read.iter().map(|f| begin(f)).collect();
        Ok(follower)
    }

    pub fn signature(&self) -> &Signature {
        self.generator.step.signature()
    }

    /// Whether the model reads nothing of a step to predict it.
    pub fn is_ahead(&self) -> bool {
        let mut inputs = self.signature().inputs.iter();
        !inputs.any(|i| matches!(i.role, Role::Data(_)))
    }

    /// Whether a step reads the value that a field has there.
    pub fn is_given(&self, name: &str) -> bool {
        let mut inputs = self.signature().inputs.iter();
        inputs.any(|i| matches!(&i.role, Role::Data(n) if n == name))
    }

    /// The targets whose values must be told by [`Follower::tell`].
    pub fn read(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(|f| f.name.as_str())
    }

    /// Runs one step. `data` are the values of its inputs.
    pub fn step(&mut self, data: Vec<(String, Tensor)>) -> Result<(Batch, &Feed), Failure> {
        if self.window.is_some_and(|w| self.at >= w) {
            self.carried = self.start.clone();
            self.at = 0;
        }
        let mut batch = one_row(data);
        batch.previous = self.last.clone();
        if let (Some(name), Some(room)) = (&self.generator.room, self.window) {
            batch.steps.push((name.clone(), room));
            batch.lengths.push((name.clone(), vec![self.at as i32 + 1]));
        }
        let times = self
            .signature()
            .inputs
            .iter()
            .filter_map(|i| match &i.role {
                Role::Steps(time) => Some((time.clone(), vec![self.at as i32])),
                _ => None,
            });
        batch.begun = times.collect();
        let draw = Draw::default();
        let step = self.generator.step.as_mut();
        self.feed
            .run(step, &batch, &self.carried, &self.weights, &mut [], draw)?;
        self.feed.carry(&mut self.carried);
        self.at += 1;
        Ok((batch, &self.feed))
    }

    /// What the step before the next one was.
    pub fn tell(&mut self, last: Vec<(String, Tensor)>) {
        self.last = last;
    }
}

/// What `previous` reads before the first step.
fn begin(field: &FieldInfo) -> (String, Tensor) {
    let width = field.features.iter().product::<usize>().max(1);
    let value = match &field.vocabulary {
        Some(vocabulary) => Tensor::I32(vec![vocabulary.start(); width]),
        None => Tensor::F32(vec![0.0; width]),
    };
    (field.name.clone(), value)
}

fn one_row(data: Vec<(String, Tensor)>) -> Batch {
    Batch {
        epoch: 0,
        index: 0,
        rows: 1,
        steps: Vec::new(),
        lengths: Vec::new(),
        begun: Vec::new(),
        data,
        previous: Vec::new(),
        carries: true,
        examples: vec![0],
    }
}
