//! `tensors("x.safetensors")`: examples along the first axis of each tensor.
//!
//! In: the bytes of a safetensors file. Out: [`TensorFile`], or a diagnostic. The format's own
//! library checks offsets and sizes; names that stand twice are found here, for it takes the last.

use std::fmt;

use safetensors::{Dtype, SafeTensors};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::text::shown;
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::Span;

#[derive(Clone, Debug, Default)]
pub struct TensorFile {
    pub name: String,
    /// Sorted by name, without the `<name>.len`.
    pub tensors: Vec<Tensor>,
    /// Size of the first axis, the same for all.
    pub examples: usize,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub elements: Elements,
    /// From `<name>.len`: steps of each example along the second axis.
    pub lengths: Option<Vec<usize>>,
}

#[derive(Clone, Debug)]
pub enum Elements {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Int(Vec<i64>),
    /// Of a picture.
    Bytes(Vec<u8>),
}

impl Tensor {
    pub fn is_integer(&self) -> bool {
        matches!(self.elements, Elements::Int(_))
    }

    /// Elements `from .. to` in row-major order.
    pub fn values(&self, from: usize, to: usize) -> Vec<f64> {
        match &self.elements {
            Elements::F32(v) => v[from..to].iter().map(|x| f64::from(*x)).collect(),
            Elements::F64(v) => v[from..to].to_vec(),
            Elements::Int(v) => v[from..to].iter().map(|x| *x as f64).collect(),
            Elements::Bytes(v) => v[from..to].iter().map(|x| f64::from(*x)).collect(),
        }
    }
}

impl TensorFile {
    pub fn find(&self, name: &str, span: Span) -> Result<usize, Diagnostic> {
        self.tensors
            .iter()
            .position(|t| t.name == name)
            .ok_or_else(|| {
                let error = Diagnostic::error(
                    "data::unknown-tensor",
                    format!("the file has no tensor `{}`", shown(name, 40)),
                )
                .label(span, format!("not in {}", self.name));
                let names = self.tensors.iter().map(|t| t.name.as_str());
                match nearest(name, names.clone()) {
                    Some(near) => error.help(format!("did you mean `{}`?", shown(near, 60))),
                    None => {
                        let all: Vec<String> = names.take(20).map(|n| shown(n, 40)).collect();
                        error.help(format!("its tensors are {}", all.join(", ")))
                    }
                }
            })
    }
}

/// Reads a whole file.
pub fn parse(bytes: &[u8], name: &str, span: Span) -> Result<TensorFile, Diagnostic> {
    let fail = |code, message: String| {
        Diagnostic::error(code, message).label(span, format!("in {}", shown(name, 200)))
    };
    let file = SafeTensors::deserialize(bytes).map_err(|e| {
        fail(
            "data::bad-tensors",
            format!("`{}` is not a safetensors file", shown(name, 40)),
        )
        .help(shown(&e.to_string(), 160))
    })?;
    if let Some(twice) = repeated(bytes) {
        return Err(fail(
            "data::duplicate-tensor",
            format!("two tensors are named `{}`", shown(&twice, 40)),
        ));
    }
    let mut names = file.names();
    names.sort_unstable();
    let mut tensors = Vec::new();
    let mut lengths = Vec::new();
    for name in names {
        let view = file
            .tensor(name)
            .map_err(|e| fail("data::bad-tensors", shown(&e.to_string(), 72)))?;
        let shape = view.shape().to_vec();
        let quoted = shown(name, 30);
        if shape.is_empty() {
            return Err(fail(
                "data::tensor-shape",
                format!("`{quoted}` is a single number, without examples"),
            ));
        }
        let elements = elements(view.dtype(), view.data()).ok_or_else(|| {
            fail(
                "data::tensor-dtype",
                format!("`{quoted}` has elements of type {}", view.dtype()),
            )
            .help("f32, f64 and whole numbers are read")
        })?;
        match (name.strip_suffix(".len"), &elements) {
            (Some(of), Elements::Int(n)) if shape.len() == 1 => {
                lengths.push((of.to_string(), n.clone()));
            }
            (Some(_), _) => {
                return Err(fail(
                    "data::tensor-lengths",
                    format!("`{quoted}` must be a vector of whole numbers"),
                ));
            }
            (None, _) => tensors.push(Tensor {
                name: name.to_string(),
                shape,
                elements,
                lengths: None,
            }),
        }
    }
    let Some(examples) = tensors.first().map(|t| t.shape[0]) else {
        return Err(fail(
            "data::empty",
            format!("`{}` holds no tensor", shown(name, 40)),
        ));
    };
    if let Some(other) = tensors.iter().find(|t| t.shape[0] != examples) {
        let message = format!(
            "`{}` has {examples} examples, `{}` has {}",
            shown(&tensors[0].name, 16),
            shown(&other.name, 16),
            other.shape[0]
        );
        return Err(fail("data::tensor-shape", message));
    }
    if examples == 0 {
        return Err(fail(
            "data::empty",
            format!("`{}` holds no example", shown(name, 40)),
        ));
    }
    for (of, n) in lengths {
        let quoted = shown(&of, 20);
        let Some(tensor) = tensors.iter_mut().find(|t| t.name == of) else {
            return Err(fail(
                "data::tensor-lengths",
                format!("`{quoted}.len` has no tensor `{quoted}`"),
            ));
        };
        let most = tensor.shape.get(1).copied().unwrap_or(0);
        if n.len() != examples {
            return Err(fail(
                "data::tensor-lengths",
                format!("`{quoted}.len` has {} lengths for {examples}", n.len()),
            ));
        }
        if let Some((i, bad)) = n
            .iter()
            .enumerate()
            .find(|(_, n)| usize::try_from(**n).map_or(true, |n| n > most))
        {
            let message = format!("`{quoted}.len`[{i}] is {bad}, the axis has {most} steps");
            return Err(fail("data::tensor-lengths", message));
        }
        tensor.lengths = Some(n.iter().map(|n| *n as usize).collect());
    }
    Ok(TensorFile {
        name: name.to_string(),
        tensors,
        examples,
    })
}

fn elements(dtype: Dtype, data: &[u8]) -> Option<Elements> {
    fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.chunks_exact(N)
            .map(|c| read(c.try_into().expect("a chunk has N bytes")))
            .collect()
    }
    let ints = |v: Vec<i64>| Some(Elements::Int(v));
    match dtype {
        Dtype::F32 => Some(Elements::F32(each(data, f32::from_le_bytes))),
        Dtype::F64 => Some(Elements::F64(each(data, f64::from_le_bytes))),
        Dtype::I64 => ints(each(data, i64::from_le_bytes)),
        Dtype::I32 => ints(each(data, |b| i32::from_le_bytes(b).into())),
        Dtype::I16 => ints(each(data, |b| i16::from_le_bytes(b).into())),
        Dtype::I8 => ints(each(data, |b| i8::from_le_bytes(b).into())),
        Dtype::U32 => ints(each(data, |b| u32::from_le_bytes(b).into())),
        Dtype::U16 => ints(each(data, |b| u16::from_le_bytes(b).into())),
        Dtype::U8 | Dtype::BOOL => ints(each(data, |b| u8::from_le_bytes(b).into())),
        _ => None,
    }
}

/// A name that stands twice in the header.
fn repeated(bytes: &[u8]) -> Option<String> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of tensors")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<String>, A::Error> {
            let mut seen = std::collections::HashSet::new();
            let mut twice = None;
            while let Some(key) = map.next_key::<String>()? {
                map.next_value::<IgnoredAny>()?;
                if !seen.insert(key.clone()) {
                    twice.get_or_insert(key);
                }
            }
            Ok(twice)
        }
    }
    let n = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let end = usize::try_from(n).ok()?.checked_add(8)?;
    let header = bytes.get(8..end)?;
    serde_json::Deserializer::from_slice(header)
        .deserialize_map(Keys)
        .ok()?
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    /// A file of tensors: name, type, shape, little-endian bytes.
    pub fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors
            .iter()
            .map(|(n, d, s, b)| (*n, TensorView::new(*d, s.to_vec(), b).unwrap()));
        safetensors::serialize(views, None).unwrap()
    }

    pub fn i32s(v: &[i32]) -> Vec<u8> {
        v.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    pub fn f32s(v: &[f32]) -> Vec<u8> {
        v.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn code(bytes: &[u8]) -> &'static str {
        match parse(bytes, "x", Span::default()) {
            Ok(_) => "ok",
            Err(d) => d.code,
        }
    }

    #[test]
    fn tensors_and_their_lengths() {
        let bytes = file(&[
            ("y", Dtype::I32, &[2, 3], i32s(&[1, 2, 0, 4, 5, 6])),
            ("y.len", Dtype::I32, &[2], i32s(&[2, 3])),
            ("x", Dtype::F32, &[2, 1], f32s(&[0.5, -1.0])),
        ]);
        let f = parse(&bytes, "x", Span::default()).unwrap();
        assert_eq!(f.examples, 2);
        let y = &f.tensors[f.find("y", Span::default()).unwrap()];
        assert_eq!(y.lengths.as_deref(), Some(&[2, 3][..]));
        assert_eq!(y.values(3, 6), [4.0, 5.0, 6.0]);
        assert!(y.is_integer());
        assert_eq!(
            f.find("z", Span::default()).unwrap_err().code,
            "data::unknown-tensor"
        );
    }

    #[test]
    fn hostile_files_are_refused() {
        let two = |n: &[i32]| {
            file(&[
                ("y", Dtype::I32, &[2, 3], i32s(&[0; 6])),
                ("y.len", Dtype::I32, &[n.len()], i32s(n)),
            ])
        };
        assert_eq!(code(&two(&[1, 4])), "data::tensor-lengths");
        assert_eq!(code(&two(&[1, -1])), "data::tensor-lengths");
        assert_eq!(code(&two(&[1])), "data::tensor-lengths");
        let uneven = file(&[
            ("a", Dtype::I32, &[2], i32s(&[0; 2])),
            ("b", Dtype::I32, &[3], i32s(&[0; 3])),
        ]);
        assert_eq!(code(&uneven), "data::tensor-shape");
        let half = file(&[("a", Dtype::F16, &[1], vec![0, 0])]);
        assert_eq!(code(&half), "data::tensor-dtype");
        // The same name twice, both on the same bytes.
        let header = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        let mut twice = (header.len() as u64).to_le_bytes().to_vec();
        twice.extend(header.as_bytes());
        twice.push(7);
        assert_eq!(code(&twice), "data::duplicate-tensor");
        let good = two(&[1, 2]);
        assert_eq!(code(&good), "ok");
        for n in 0..good.len() {
            assert_eq!(code(&good[..n]), "data::bad-tensors");
        }
        let mut huge = good.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(code(&huge), "data::bad-tensors");
    }
}
