//! A run's events as JSON, for `--log-format json`.
//!
//! In: an event of training. Out: one object, whose `event` says what it tells.

use serde_json::{Map, Value, json};

use crate::train::observe::{End, Event};

/// The object of an event; `None` for one that says nothing by itself.
pub fn json(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::Started {
            folder,
            params,
            trained,
            total_steps,
            steps_an_epoch,
            step,
        } => json!({
            "event": "started", "run": folder.to_string_lossy(), "params": params,
            "trained": trained, "total_steps": total_steps, "steps_an_epoch": steps_an_epoch,
            "step": step,
        }),
        Event::Preparing(text) | Event::Notice(text) => json!({ "event": "notice", "text": text }),
        Event::Step(s) => json!({
            "event": "step", "step": s.step, "epoch": s.epoch, "loss": s.loss, "rate": s.rate,
            "grad_norm": s.grad_norm, "items": s.items, "seconds": s.seconds,
            "waited": s.waited, "computed": s.computed,
        }),
        Event::Validating => return None,
        Event::Validated {
            step,
            epoch,
            train_loss,
            valid,
            best,
        } => {
            let mut o = Map::new();
            o.insert("event".into(), "validated".into());
            o.insert("step".into(), (*step).into());
            o.insert("epoch".into(), (*epoch).into());
            o.insert("train.loss".into(), (*train_loss).into());
            o.insert("valid.loss".into(), valid.loss.into());
            let metrics = valid.metrics.iter();
            o.extend(metrics.map(|(k, v)| (format!("valid.{k}"), (*v).into())));
            o.insert("best".into(), (*best).into());
            o.into()
        }
        Event::Samples { step, texts } => json!({
            "event": "samples", "step": step, "texts": texts,
        }),
        Event::Used { step, usage } => {
            let mut o = Map::new();
            o.insert("event".into(), "usage".into());
            o.insert("step".into(), (*step).into());
            if let Value::Object(readings) = usage.json() {
                o.extend(readings);
            }
            o.into()
        }
        Event::Saved { step, best } => json!({ "event": "saved", "step": step, "best": best }),
        Event::Finished(summary) => {
            let end = match summary.end {
                End::Finished => "finished",
                End::Stopped => "stopped",
                End::MaxSteps => "max_steps",
                End::Interrupted => "interrupted",
            };
            let mut told = json!({
                "event": "finished", "end": end, "steps": summary.steps, "epochs": summary.epochs,
                "seconds": summary.seconds, "data_wait": summary.data_wait,
            });
            if let (Value::Object(o), Some(best)) = (&mut told, &summary.best) {
                o.extend(best.json());
            }
            told
        }
    })
}
