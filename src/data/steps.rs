//! What a step of a field holds.
//!
//! In: the numbers of an example, the field that the model asks for. Out: how wide its steps are, and its
//! values in 32 bits; or what is wrong with them.

use super::columns::numbers::Numbers;
use super::source::text::shown;
use super::spec::{Field, Unit};

/// Checks a step's width against the field's sizes and fills in the one the data decides.
pub(super) fn fit_features(
    features: &mut Vec<usize>,
    width: &mut usize,
    field: &Field,
    found: usize,
) -> Result<(), String> {
    if !features.is_empty() || (field.features.is_empty() && found == 1) {
        return match found == *width {
            true => Ok(()),
            false => Err(format!(
                "`{}` has {found} features here, {width} before",
                shown(&field.name, 20)
            )),
        };
    }
    let known: usize = field.features.iter().flatten().product();
    let free = field.features.iter().filter(|f| f.is_none()).count();
    let size = match free {
        0 if known == found => Some(0),
        1 if known > 0 && found.is_multiple_of(known) => Some(found / known),
        _ => None,
    };
    let Some(size) = size else {
        let asked: Vec<String> = (field.features.iter())
            .map(|f| f.map_or("?".to_string(), |n| n.to_string()))
            .collect();
        return Err(format!(
            "`{}` has {found} features, the model asks for [{}]",
            shown(&field.name, 16),
            asked.join(", ")
        ));
    };
    *features = field.features.iter().map(|f| f.unwrap_or(size)).collect();
    *width = found;
    Ok(())
}

/// Appends numbers as f32; the error is the step, its code and message.
pub(super) fn push_numbers(
    out: &mut Vec<f32>,
    n: &Numbers,
    unit: Unit,
) -> Result<usize, (usize, &'static str, String)> {
    let step = |i: usize| i / n.width.max(1);
    out.reserve(n.data.len());
    for (i, x) in n.data.iter().enumerate() {
        let y = *x as f32;
        if !y.is_finite() {
            let message = match x.is_finite() {
                true => format!("{x:?} is beyond what 32 bits hold, about 3.4e38"),
                false => format!("the value here is {x:?}"),
            };
            return Err((step(i), "data::not-finite", message));
        }
        if unit == Unit::Binary && y != 0.0 && y != 1.0 {
            return Err((
                step(i),
                "data::not-binary",
                format!("{x:?} where a binary value is 0 or 1"),
            ));
        }
        out.push(y);
    }
    Ok(n.steps.unwrap_or(1))
}
