//! `idx(images = …, labels = …)`: the format of the MNIST digits (LeCun, Cortes and Burges 1998).
//!
//! In: the bytes of a file of images and of one of labels, where there are any. Out: [`TensorFile`]
//! with the tensors `images`, `[examples, …]`, and `labels`, `[examples]`, or a diagnostic. A file is two zero bytes,
//! the type of its elements, its number of axes, each axis' size as 32 bits with the high byte
//! first, and the elements, the last axis fastest. Images and labels are bytes.

use super::tensors::{Elements, Tensor, TensorFile};
use super::text::shown;
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The code of elements that are bytes without sign.
const BYTES: u8 = 0x08;
/// What a file packed by gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file's bytes and its name in messages.
pub type Named<'a> = (&'a [u8], &'a str);

/// Reads both files.
pub fn parse(images: Named, labels: Option<Named>, span: Span) -> Result<TensorFile, Diagnostic> {
    let fail = |file: &str, message: String| {
        Diagnostic::error("data::bad-idx", message).label(span, format!("in {}", shown(file, 200)))
    };
    let read = |name: &str, (bytes, file): Named| {
        tensor(name, bytes).map_err(|message| {
            let error = fail(file, message);
            match bytes.starts_with(&GZIP) {
                true => error.help("the file is packed: gunzip it first"),
                false => error,
            }
        })
    };
    let pictures = read("images", images)?;
    if pictures.shape.len() < 2 {
        let message = "images need two axes or more, this file has one";
        return Err(fail(images.1, message.to_string()));
    }
    let examples = pictures.shape[0];
    let classes = labels.map(|labels| {
        let classes = read("labels", labels)?;
        match classes.shape[..] {
            [other] if other == examples => Ok(classes),
            [other] => Err(fail(labels.1, format!("{examples} images, {other} labels"))),
            _ => {
                let axes = classes.shape.len();
                let message = format!("labels need one axis, this file has {axes}");
                Err(fail(labels.1, message))
            }
        }
    });
    let classes = classes.transpose()?;
    if pictures.shape.contains(&0) {
        let message = "the file of images holds none";
        return Err(Diagnostic::error("data::empty", message).label(span, "read here"));
    }
    Ok(TensorFile {
        name: images.1.to_string(),
        tensors: std::iter::once(pictures).chain(classes).collect(),
        examples,
    })
}

fn tensor(name: &str, bytes: &[u8]) -> Result<Tensor, String> {
    let short = || format!("the file of {name} ends within its header");
    let [a, b, kind, axes, rest @ ..] = bytes else {
        return Err(short());
    };
    if (*a, *b) != (0, 0) || *axes == 0 {
        return Err(format!(
            "the file of {name} is not idx: it begins {a:02x} {b:02x}"
        ));
    }
    if *kind != BYTES {
        return Err(format!(
            "{name} of type 0x{kind:02x}; bytes, 0x08, are read"
        ));
    }
    let sizes = 4 * usize::from(*axes);
    let (Some(header), Some(elements)) = (rest.get(..sizes), rest.get(sizes..)) else {
        return Err(short());
    };
    let shape: Vec<usize> = header
        .chunks_exact(4)
        .map(|s| s.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
        .collect();
    let count = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    if count != Some(elements.len()) {
        let sizes: Vec<String> = shape.iter().take(4).map(usize::to_string).collect();
        let found = elements.len();
        return Err(format!(
            "{name} of {} in {found} bytes",
            shown(&sizes.join("×"), 40)
        ));
    }
    Ok(Tensor {
        name: name.to_string(),
        shape,
        elements: Elements::Bytes(elements.to_vec()),
        lengths: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: u8, shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, shape.len() as u8];
        for size in shape {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(elements);
        bytes
    }

    fn read(images: &[u8], labels: &[u8]) -> Result<TensorFile, String> {
        parse((images, "i.idx"), Some((labels, "l.idx")), Span::default()).map_err(|d| d.message)
    }

    #[test]
    fn images_and_labels_are_tensors() {
        let images = file(
            8,
            &[2, 2, 3],
            &[0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255],
        );
        let file = read(&images, &file(8, &[2], &[7, 9])).unwrap();
        assert_eq!(file.examples, 2);
        assert_eq!(file.tensors[0].shape, [2, 2, 3]);
        assert_eq!(file.tensors[0].values(6, 9), [250.0, 251.0, 252.0]);
        assert_eq!(file.tensors[1].values(0, 2), [7.0, 9.0]);
    }

    #[test]
    fn faults_are_named() {
        let labels = file(8, &[2], &[1, 2]);
        let images = file(8, &[2, 1, 1], &[1, 2]);
        let fault = |i: &[u8], l: &[u8]| read(i, l).unwrap_err();
        let swapped = fault(&labels, &images);
        assert_eq!(swapped, "images need two axes or more, this file has one");
        assert_eq!(
            fault(&images, &images),
            "labels need one axis, this file has 3"
        );
        let more = file(8, &[3], &[1, 2, 3]);
        assert_eq!(fault(&images, &more), "2 images, 3 labels");
        let short = file(8, &[2, 2, 2], &[1, 2]);
        assert_eq!(fault(&short, &labels), "images of 2×2×2 in 2 bytes");
        let huge = file(8, &[u32::MAX, u32::MAX, u32::MAX], &[1]);
        assert!(fault(&huge, &labels).starts_with("images of 4294967295×"));
        let floats = file(0x0d, &[2], &[0; 8]);
        assert_eq!(
            fault(&images, &floats),
            "labels of type 0x0d; bytes, 0x08, are read"
        );
        assert_eq!(
            fault(b"\x1f\x8b\x08\0\0\0", &labels),
            "the file of images is not idx: it begins 1f 8b"
        );
        assert_eq!(
            fault(&file(8, &[0, 1], &[]), &file(8, &[0], &[])),
            "the file of images holds none"
        );
        for end in 0..images.len() {
            read(&images[..end], &labels).unwrap_err();
        }
    }
}
