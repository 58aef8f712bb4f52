//! What the tests of training share: settings, signatures, and models written by hand.

mod beam;
mod checkpoint;
mod folder;
mod generate;
mod init;
mod metrics;
mod models;
mod run;
mod schedules;

use crate::settings::*;
use crate::targets::executable::{ParamSlot, Signature};

/// SGD at rate 0.1 for 10 steps, nothing else.
pub fn settings() -> TrainSettings {
    TrainSettings {
        model: "M".into(),
        data: "d".into(),
        batch: Batch::Rows(4),
        accumulate: 1,
        window: None,
        bptt: None,
        length: Length::Steps(10),
        optimizer: Optimizer::Sgd {
            lr: 0.1,
            momentum: 0.0,
            nesterov: false,
        },
        schedule: Schedule::Constant { warmup: 0 },
        clip: Clip::None,
        losses: Vec::new(),
        metrics: Vec::new(),
        validate: Validate::EveryEpoch,
        stop: None,
        weights: None,
        params: Vec::new(),
        precision: Precision::F32,
        seed: 1,
    }
}

/// A signature with these weights, in this order, and nothing else.
pub fn signature(params: &[(&str, &[usize])]) -> Signature {
    let mut offset = 0;
    let params: Vec<ParamSlot> = params
        .iter()
        .map(|(path, shape)| {
            let len = shape.iter().product();
            offset += len;
            ParamSlot {
                path: path.to_string(),
                shape: shape.to_vec(),
                offset: offset - len,
                len,
            }
        })
        .collect();
    Signature {
        name: "m".into(),
        sizes: Vec::new(),
        params,
        param_len: offset,
        inputs: Vec::new(),
        outputs: Vec::new(),
        has_grads: true,
    }
}
