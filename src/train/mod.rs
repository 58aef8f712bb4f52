//! Training, evaluation and generation: what drives a compiled model.
//!
//! In: [`Executable`](crate::targets::executable::Executable)s, a dataset, settings. Out: a run
//! folder with checkpoints, metrics and pictures; measurements; texts. A run's numbers depend on
//! its seed, its step and what a checkpoint holds, so a resumed run has the bits of one that was
//! never interrupted.

mod accumulate;
mod ahead;
pub mod beam;
mod begin;
pub mod bleu;
pub mod checkpoint;
pub mod classes;
pub mod clip;
pub mod decode;
mod disk;
mod drawn;
pub mod entities;
mod epoch;
mod errors;
pub mod evaluate;
pub mod failure;
pub mod feed;
pub mod folder;
pub mod follow;
pub mod generate;
pub mod generator;
mod given;
#[cfg(feature = "cli")]
pub mod heat;
pub mod init;
mod lanes;
mod lock;
pub mod log;
pub mod manifest;
pub mod metrics;
pub mod observe;
pub mod optimize;
#[cfg(feature = "cli")]
pub mod picture;
pub mod plan;
#[cfg(feature = "cli")]
pub mod plot;
pub mod progress;
pub mod pytorch;
mod record;
pub mod restore;
mod resumed;
mod rivals;
pub mod run;
pub mod runs;
pub mod sample;
pub mod schedule;
pub mod tensorboard;
#[cfg(test)]
mod tests;
pub mod translated;
pub mod truth;
pub mod usage;
pub mod weights;
mod write;

pub use checkpoint::Which;
pub use failure::{Class, Failure};
pub use folder::{FieldInfo, Record, RunFolder};
pub use generator::Generator;
pub use init::{Init, ParamSpec};
pub use observe::{End, Event, Measured, Observer, Silent, StepReport, Summary};
pub use plan::{Functions, Later, Plan, Stage, Start};
pub use run::train;

pub use ahead::held as batches_held;
