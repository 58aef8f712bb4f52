//! Predictions as arrays: safetensors, npy and npz.
//!
//! In: the results of every example. Out: the bytes of a file with a tensor `[examples, steps, values]`
//! for each prediction, zeros after an example's end and `<name>.len` beside it; `[examples, values]`
//! where there is no time.
//!
//! An npy file is `\x93NUMPY`, a version, the length of a header, a Python dictionary that gives type
//! and shape, padded with blanks to a multiple of 64 bytes, and the elements (NumPy's NEP 1). An npz
//! file is a ZIP archive of such files.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::rows::Rows;
use crate::cli::{Failure, from_training};
use crate::diagnostics::Diagnostic;
use crate::train::weights::{Named, encode};

/// An array with its name.
struct Array {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn arrays(all: &[Vec<Rows>], names: &[String]) -> Vec<Array> {
    let mut out = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let of: Vec<&Rows> = all.iter().filter_map(|e| e.get(i)).collect();
        let width = of.first().map_or(1, |r| r.width);
        let timed = of.first().is_some_and(|r| r.timed);
        let steps = of.iter().map(|r| r.steps()).max().unwrap_or(0);
        let mut values = Vec::with_capacity(of.len() * steps * width);
        for r in &of {
            values.extend_from_slice(&r.values);
            values.resize(values.len() + steps * width - r.values.len(), 0.0);
        }
        let shape = match timed {
            true => vec![of.len(), steps, width],
            false => vec![of.len(), width],
        };
        let name = name.clone();
        let lens = timed.then(|| Array {
            name: format!("{name}.len"),
            shape: vec![of.len()],
            values: of.iter().map(|r| r.steps() as f32).collect(),
        });
        out.push(Array {
            name,
            shape,
            values,
        });
        out.extend(lens);
    }
    out
}

pub fn safetensors(all: &[Vec<Rows>], names: &[String]) -> Result<Vec<u8>, Failure> {
    let arrays = arrays(all, names);
    let tensors: Vec<Named<'_>> = arrays
        .iter()
        .map(|a| Named {
            name: a.name.clone(),
            shape: a.shape.clone(),
            values: &a.values,
        })
        .collect();
    encode(&tensors).map_err(from_training)
}

/// The one prediction there is. Several, or sequences of different lengths, need an npz file.
pub fn npy(all: &[Vec<Rows>], names: &[String]) -> Result<Vec<u8>, Failure> {
    let refuse = |message: String| -> Failure {
        let d = Diagnostic::error("usage::one-array", message);
        d.help("--to npz holds several").into()
    };
    if let [_, _, ..] = names {
        let message = format!(
            "an npy file holds one array, the model returns {}",
            names.len()
        );
        return Err(refuse(message));
    }
    let arrays = arrays(all, names);
    if let [_, lens] = &arrays[..]
        && lens.values.iter().any(|n| *n != lens.values[0])
    {
        return Err(refuse("the sequences differ in length".to_string()));
    }
    Ok(arrays.first().map(encoded).unwrap_or_default())
}

/// Every array in a file of its own, not compressed; `labels` are the names of a distribution's classes,
/// in their order, as texts in `<name>.labels`.
pub fn npz(
    all: &[Vec<Rows>],
    names: &[String],
    labels: &[(String, Vec<String>)],
) -> Result<Vec<u8>, Failure> {
    let write = || -> zip::result::ZipResult<Vec<u8>> {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for array in arrays(all, names) {
            archive.start_file(format!("{}.npy", array.name), options)?;
            archive.write_all(&encoded(&array))?;
        }
        for (name, labels) in labels {
            archive.start_file(format!("{name}.labels.npy"), options)?;
            archive.write_all(&texts(labels))?;
        }
        Ok(archive.finish()?.into_inner())
    };
    write().map_err(|e| {
        let message = format!("the archive cannot be made: {e}");
        Diagnostic::error("io::write", message).into()
    })
}

/// An array as an npy file, little-endian and row-major.
fn encoded(array: &Array) -> Vec<u8> {
    let mut out = begun("<f4", &array.shape);
    out.extend(array.values.iter().flat_map(|v| v.to_le_bytes()));
    out
}

/// Texts as an npy file: UTF-32, each filled up with zeros to the longest.
fn texts(all: &[String]) -> Vec<u8> {
    let width = all
        .iter()
        .map(|t| t.chars().count())
        .max()
        .unwrap_or(0)
        .max(1);
    let mut out = begun(&format!("<U{width}"), &[all.len()]);
    for text in all {
        let codes = text.chars().map(u32::from).chain(std::iter::repeat(0));
        out.extend(codes.take(width).flat_map(u32::to_le_bytes));
    }
    out
}

/// The head of an npy file.
fn begun(kind: &str, shape: &[usize]) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!(
        "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}",
        sizes.join(" ")
    );
    // Before it stand the six bytes of the mark, two of the version and two of its length.
    let padding = 64 - (10 + header.len() + 1) % 64;
    header.push_str(&" ".repeat(padding % 64));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_wide_as_the_longest() {
        let bytes = texts(&["ab".to_string(), "ü".to_string()]);
        let text = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(text.starts_with("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }"));
        assert_eq!(bytes.len(), 128 + 16);
        assert_eq!(bytes[128..], *b"a\0\0\0b\0\0\0\xfc\0\0\0\0\0\0\0");
    }

    #[test]
    fn an_array_begins_with_its_type_and_shape() {
        let array = Array {
            name: "y".to_string(),
            shape: vec![2, 1],
            values: vec![1.0, -2.0],
        };
        let bytes = encoded(&array);
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1,), }";
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert_eq!(text.trim_end_matches(['\n', ' ']), header);
        assert!(text.ends_with(" \n"));
        assert_eq!(bytes[128..], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    }
}
