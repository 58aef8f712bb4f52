//! `first()` and `last()`: one step of a sequence.
//!
//! In: a value with steps. Out: the value of its first or last step, without steps.

use super::eval::Value;
use super::numbers::Numbers;
use super::plan::End;

impl Value<'_> {
    /// A value of an end of the sequence that this is; `None` where it has no step.
    pub(super) fn one(self, end: End) -> Option<Self> {
        Some(match self {
            Value::Texts(mut all) => Value::Text(match end {
                End::First => all.drain(..).next()?,
                End::Last => all.pop()?,
            }),
            Value::Numbers(n) => {
                let mut steps = n.data.chunks_exact(n.width.max(1));
                let step = match end {
                    End::First => steps.next()?,
                    End::Last => steps.next_back()?,
                };
                Value::Numbers(Numbers {
                    data: step.to_vec(),
                    steps: None,
                    width: n.width,
                })
            }
            // Planned where the input is no text.
            Value::Text(_) | Value::Chars(_) => self,
        })
    }
}
