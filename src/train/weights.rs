//! Arenas as safetensors files, each weight under its path.
//!
//! In: an arena and its slots. Out: the bytes of a file; and back, with every difference between
//! the file and the model found: names, shapes, types. Nothing in a file can make this panic.

use std::collections::BTreeSet;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::failure::{Class, Failure};
use crate::diagnostics::{Diagnostic, nearest};
use crate::targets::executable::ParamSlot;

/// The most differences that are listed.
pub(super) const MAX_LISTED: usize = 10;

/// One tensor to be written.
pub struct Named<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// The bytes of a safetensors file.
pub fn encode(tensors: &[Named<'_>]) -> Result<Vec<u8>, Failure> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|t| t.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (t, bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, t.shape.clone(), bytes);
        views.push((t.name.as_str(), view.map_err(unwritable)?));
    }
    safetensors::serialize(views, None).map_err(unwritable)
}

fn unwritable(e: safetensors::SafeTensorError) -> Failure {
    Failure::program("weights::unwritable", format!("cannot write weights: {e}"))
}

/// An arena's weights, by path with `prefix` before it.
pub fn named<'a>(slots: &[ParamSlot], arena: &'a [f32], prefix: &str) -> Vec<Named<'a>> {
    slots
        .iter()
        .map(|s| Named {
            name: format!("{prefix}{}", s.path),
            shape: s.shape.clone(),
            values: &arena[s.offset..s.offset + s.len],
        })
        .collect()
}

/// Where weights come from, for errors.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The file as it is shown: `step-10/weights.safetensors`.
    pub file: &'a str,
    /// What errors about it are.
    pub class: Class,
}

/// One tensor that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The tensors of a file as f32, in the order of their names.
pub fn decode(bytes: &[u8], origin: Origin<'_>) -> Result<Vec<Read>, Failure> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        let d = Diagnostic::error(
            "weights::unreadable",
            format!("{} is not a safetensors file", shown(origin.file)),
        );
        Failure::new(
            origin.class,
            d.help(format!("the format's reader says: {e}")),
        )
    })?;
    if let Some(name) = repeated(bytes) {
        let message = format!("{} has `{}` twice", shown(origin.file), shown(&name));
        let d = Diagnostic::error("weights::repeated", message);
        return Err(Failure::new(origin.class, d));
    }
    let mut out = Vec::new();
    for (name, view) in file.tensors() {
        let values = match view.dtype() {
            Dtype::F32 => (view.data().as_chunks::<4>().0.iter())
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            Dtype::F64 => (view.data().as_chunks::<8>().0.iter())
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect(),
            other => {
                let message = format!("`{}` is {other:?}; weights are F32 or F64", shown(&name));
                let d = Diagnostic::error("weights::type-differs", message);
                return Err(Failure::new(origin.class, d));
            }
        };
        out.push(Read {
            shape: view.shape().to_vec(),
            name,
            values,
        });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// The first name that a file gives to two tensors. The format's reader takes the last of them, and
/// says nothing.
fn repeated(bytes: &[u8]) -> Option<String> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = Option<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the header of a safetensors file")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut twice) = (BTreeSet::new(), None);
            while let Some((name, IgnoredAny)) = map.next_entry::<String, _>()? {
                if twice.is_none() && seen.contains(&name) {
                    twice = Some(name);
                } else {
                    seen.insert(name);
                }
            }
            Ok(twice)
        }
    }

    // The header's length, then the header.
    let (len, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    let mut json = serde_json::Deserializer::from_slice(header);
    json.deserialize_map(Names).ok()?
}

/// Arenas of `len` numbers from a file that must hold exactly the slots' weights, once for each
/// prefix. All differences are reported together.
pub fn arenas(
    bytes: &[u8],
    slots: &[ParamSlot],
    len: usize,
    prefixes: &[&str],
    origin: Origin<'_>,
) -> Result<Vec<Vec<f32>>, Failure> {
    let tensors = decode(bytes, origin)?;
    let mut unused: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    let mut arenas = vec![vec![0.0f32; len]; prefixes.len()];
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for (arena, prefix) in arenas.iter_mut().zip(prefixes) {
        for slot in slots {
            let name = format!("{prefix}{}", slot.path);
            let found = tensors.binary_search_by(|t| t.name.cmp(&name));
            let Ok(i) = found else {
                absent.push(name);
                continue;
            };
            unused.retain(|u| *u != name);
            let Read { shape, values, .. } = &tensors[i];
            if *shape != slot.shape || values.len() != slot.len {
                let message = format!(
                    "`{}` is {shape:?} in the file, {:?} in the model",
                    shown(&name),
                    slot.shape
                );
                wrong.push(Diagnostic::error("weights::shape-differs", message));
                continue;
            }
            arena[slot.offset..slot.offset + slot.len].copy_from_slice(values);
        }
    }
    for name in absent {
        wrong.push(missing(&name, &unused, || {
            format!("the file is {}", origin.file)
        }));
    }
    for name in unused {
        let message = format!("the file's `{}` is not in the model", shown(name));
        wrong.push(Diagnostic::error("weights::unknown", message));
    }
    if wrong.is_empty() {
        return Ok(arenas);
    }
    wrong.truncate(MAX_LISTED);
    let mut failure = Failure {
        class: origin.class,
        diagnostics: wrong,
    };
    if let Some(d) = failure.diagnostics.first_mut().filter(|d| d.help.is_none()) {
        d.help = Some(format!("the file is {}", origin.file));
    }
    Err(failure)
}

/// A weight that the file has not, with the nearest name among those that nothing took.
pub(super) fn missing(path: &str, unused: &[&str], otherwise: impl Fn() -> String) -> Diagnostic {
    let message = format!("the model's `{}` is not in the file", shown(path));
    let d = Diagnostic::error("weights::missing", message);
    d.help(match nearest(path, unused.iter().copied()) {
        Some(near) => format!("the file has `{near}`: was the weight renamed?"),
        None => otherwise(),
    })
}

/// A name from a file, short and without control characters, for a message.
pub(super) fn shown(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::signature;

    const ORIGIN: Origin<'_> = Origin {
        file: "w.safetensors",
        class: Class::Checkpoint,
    };

    fn codes(f: Failure) -> Vec<&'static str> {
        assert_eq!(f.class, Class::Checkpoint);
        f.diagnostics.iter().map(|d| d.code).collect()
    }

    #[test]
    fn an_arena_comes_back_bit_for_bit() {
        let sig = signature(&[("b", &[3]), ("a.W", &[2, 2]), ("s", &[])]);
        let arena = [
            f32::MIN_POSITIVE,
            -0.0,
            1.0 / 3.0,
            f32::MAX,
            1e-42,
            5.0,
            6.0,
            7.0,
        ];
        let bytes = encode(&named(&sig.params, &arena, "")).unwrap();
        let back = arenas(&bytes, &sig.params, 8, &[""], ORIGIN).unwrap();
        let bits = |a: &[f32]| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back[0]), bits(&arena));
    }

    #[test]
    fn every_difference_is_named() {
        let saved = signature(&[("old.W", &[2]), ("b", &[3])]);
        let bytes = encode(&named(&saved.params, &[0.0; 5], "")).unwrap();
        let model = signature(&[("odd.W", &[2]), ("b", &[3, 1])]);
        let failure = arenas(&bytes, &model.params, 5, &[""], ORIGIN).unwrap_err();
        let messages: Vec<&str> = (failure.diagnostics.iter())
            .map(|d| d.message.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "`b` is [3] in the file, [3, 1] in the model",
                "the model's `odd.W` is not in the file",
                "the file's `old.W` is not in the model",
            ]
        );
        let help = failure.diagnostics[1].help.as_deref().unwrap();
        assert!(help.contains("`old.W`"), "{help}");
    }

    #[test]
    fn types_are_checked_and_doubles_rounded() {
        let model = signature(&[("w", &[2])]);
        let file = |dtype, bytes: &[u8]| {
            let view = TensorView::new(dtype, vec![2], bytes).unwrap();
            safetensors::serialize([("w", view)], None).unwrap()
        };
        let doubles: Vec<u8> = [0.1f64, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = file(Dtype::F64, &doubles);
        let back = arenas(&bytes, &model.params, 2, &[""], ORIGIN).unwrap();
        assert_eq!(back[0], [0.1, 2.0]);
        let bytes = file(Dtype::I64, &doubles);
        let failure = arenas(&bytes, &model.params, 2, &[""], ORIGIN).unwrap_err();
        assert_eq!(codes(failure), ["weights::type-differs"]);
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let one = r#""w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
        // The same name, once spelled with an escape.
        for second in ["w", "\\u0077"] {
            // Both are all of the data; with other places the format's reader notices.
            let two = one.replacen('w', second, 1).replace("[2]", "[1,2]");
            let header = format!("{{{one},{two}}}");
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(&[0; 8]);
            let failure = decode(&bytes, ORIGIN).unwrap_err();
            assert_eq!(codes(failure), ["weights::repeated"], "{second}");
        }
    }

    #[test]
    fn any_prefix_of_a_file_is_refused() {
        let model = signature(&[("w", &[2]), ("v", &[1])]);
        let bytes = encode(&named(&model.params, &[1.0, 2.0, 3.0], "")).unwrap();
        for n in 0..bytes.len() {
            let failure = arenas(&bytes[..n], &model.params, 3, &[""], ORIGIN).unwrap_err();
            assert_eq!(codes(failure), ["weights::unreadable"], "{n} bytes");
        }
    }
}
