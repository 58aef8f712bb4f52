//! `params … { lora = r }`: low-rank updates of weights that stay as they are.
//!
//! In: the settings and a shaped model. Out: the model with two further weights for each matrix that
//! is adapted: `W.lora_a` and `W.lora_b`.

use crate::check::program::{Adapter, Init, Model, Param, ParamId};
use crate::dim::Dim;
use crate::settings::{ADAPTER_A, ADAPTER_B, TrainSettings};

/// Adds what `lora` asks for. Weights with one axis that a rule selects have no update.
pub fn apply_adapters(settings: &TrainSettings, model: &mut Model) {
    for i in 0..model.params.len() {
        let p = model.params[i].clone();
        let rank = settings.weight(&p.path, p.shape.len()).lora;
        let (Some(rank), Some((last, lead))) = (rank, p.shape.split_last()) else {
            continue;
        };
        if lead.is_empty() {
            continue;
        }
        let rank = Dim::constant(i64::from(rank));
        let mut add = |end: &str, shape: Vec<Dim>, init| {
            model.params.push(Param {
                path: format!("{}{end}", p.path),
                shape,
                init,
                span: p.span,
            });
            ParamId(model.params.len() as u32 - 1)
        };
        let a = add(ADAPTER_A, vec![rank.clone(), last.clone()], Init::He);
        let shape = lead.iter().cloned().chain([rank]).collect();
        let b = add(ADAPTER_B, shape, Init::Zeros);
        let weight = ParamId(i as u32);
        model.adapters.push(Adapter { weight, a, b });
    }
}
