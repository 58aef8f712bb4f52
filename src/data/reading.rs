//! The text of one fit, cut into symbols.
//!
//! In: the files of a `text(f)` source, what is done to the text and how it is cut. Out: [`Coded`]:
//! its symbols by number with a vocabulary, and the steps of each part.
//!
//! The text is read in pieces, never whole: once for characters and words, three times for byte
//! pairs, whose parts are counted in characters.

use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::bpe;
use super::columns::fitted::tokenizer_fails;
use super::columns::plan::{FitKind, Node, NodeKind};
use super::fit::Prepare;
use super::fitting::{byte_pairs, kind_of_words};
use super::intern::Interned;
use super::load::Load;
use super::memory;
use super::segments::segments;
use super::source::TextFile;
use super::source::pieces::Pieces;
use super::source::text::shown;
use super::spec::Split;
use super::split::{Part, cut};
use super::store::{Filling, Store, folder};
use super::vocabulary::{SymbolKind, Vocabulary, words};
use crate::diagnostics::Diagnostic;
use crate::span::Span;

/// The longest word, in bytes.
const MAX_WORD: usize = 1 << 16;

pub(super) type Parts = [Range<usize>; 3];

/// A text's symbols by number, and the index in the vocabulary of each number.
pub(super) struct Coded {
    pub store: Arc<Store>,
    pub index: Arc<Vec<i32>>,
    pub vocabulary: Vocabulary,
}

/// Reads the text of one fit.
pub(super) struct Reader<'a> {
    load: &'a Load<'a>,
    files: &'a [TextFile],
    fit: usize,
    /// In order.
    changes: Vec<Prepare>,
    in_memory: bool,
}

impl<'a> Reader<'a> {
    pub fn new(
        load: &'a Load<'a>,
        files: &'a [TextFile],
        fit: usize,
        in_memory: bool,
    ) -> Result<Reader<'a>, Diagnostic> {
        let input = &load.plan.fits[fit].input;
        let changes = changes(load, input).ok_or_else(|| {
            let message = "one long text is changed by lower() and nfc() alone";
            Diagnostic::error("data::one-text", message).label(input.span, "cut here".to_string())
        })?;
        Ok(Reader {
            load,
            files,
            fit,
            changes,
            in_memory,
        })
    }

    fn span(&self) -> Span {
        self.load.plan.fits[self.fit].input.span
    }

    fn kind(&self) -> FitKind {
        self.load.plan.fits[self.fit].kind
    }

    /// The symbols of the text, and the steps of each part.
    pub fn coded(&self) -> Result<(Coded, Parts), Vec<Diagnostic>> {
        match self.kind() {
            FitKind::Bpe(_) | FitKind::Pretrained => self.pieces(),
            FitKind::Symbols(_)
            | FitKind::Words { .. }
            | FitKind::Zscore
            | FitKind::Mean
            | FitKind::Range { .. } => {
                let (store, names, lengths) = self.numbered().map_err(|e| vec![e])?;
                let parts = ranges(self.load, &lengths);
                let vocabulary = match self.known()? {
                    Some(known) => known,
                    None => self.fitted(&store, &names, self.train(&parts))?,
                };
                let index = names.iter().map(|n| vocabulary.encode(n)).collect();
                let coded = Coded {
                    store: Arc::new(store),
                    index: Arc::new(index),
                    vocabulary,
                };
                Ok((coded, parts))
            }
        }
    }

    /// Shows the text of each file with the file's number, a piece at a time.
    fn each(
        &self,
        mut show: impl FnMut(usize, Cow<str>) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        for (i, file) in self.files.iter().enumerate() {
            let mut pieces = Pieces::open(file, self.load.spec.source.span)?;
            let mut empty = true;
            while let Some(piece) = pieces.next()? {
                empty = false;
                let mut text: Cow<str> = Cow::Owned(piece);
                for change in &self.changes {
                    text = change.apply(text);
                }
                show(i, text)?;
            }
            if empty {
                let name = match file {
                    TextFile::File(file) => &file.shown,
                    TextFile::Given(text) => &text.name,
                };
                let message = format!("`{}` is empty", shown(name, 40));
                return Err(Diagnostic::error("data::empty", message)
                    .label(self.load.spec.source.span, "read here".to_string()));
            }
        }
        Ok(())
    }

    /// What an earlier run fitted to the text.
    fn known(&self) -> Result<Option<Vocabulary>, Vec<Diagnostic>> {
        let Some(fits) = self.load.options.fits else {
            return Ok(None);
        };
        let key = &self.load.plan.fits[self.fit].key;
        fits.vocabulary(key).cloned().map(Some).ok_or_else(|| {
            let message = format!("the run has nothing fitted for `{key}`");
            vec![
                Diagnostic::error("data::fit-missing", message)
                    .label(self.span(), "fitted here".to_string()),
            ]
        })
    }

    fn train(&self, parts: &Parts) -> Range<usize> {
        parts[self.load.options.only.unwrap_or(Part::Train) as usize].clone()
    }

    /// Characters or words by number in the order of their first place in the text, and how many
    /// each file has.
    fn numbered(&self) -> Result<(Store, Interned, Vec<usize>), Diagnostic> {
        let failed = |e: io::Error| scratch_of(self.load, &e);
        let mut filling = Filling::new(self.in_memory).map_err(failed)?;
        let mut lengths = vec![0; self.files.len()];
        let mut names = Interned::default();
        let mut judged = 0;
        let by_words = match self.kind() {
            FitKind::Words { apart, .. } => Some(apart),
            _ => None,
        };
        // By code point, for a long text has millions; up to the largest it has, for a stream is many
        // short ones.
        let mut chars: Vec<u32> = Vec::new();
        self.each(|file, text| {
            let before = filling.len();
            if let Some(apart) = by_words {
                let mut one = |word: &str| {
                    if word.len() > MAX_WORD {
                        return Err(self.long_word());
                    }
                    filling.push(names.number(word)).map_err(failed)
                };
                match apart {
                    true => segments(&text).try_for_each(&mut one)?,
                    false => words(&text).try_for_each(&mut one)?,
                }
                if names.bytes() > 2 * judged {
                    judged = names.bytes();
                    self.check_memory(judged)?;
                }
            } else {
                for c in text.chars() {
                    if c as usize >= chars.len() {
                        chars.resize(c as usize + 1, u32::MAX);
                    }
                    let symbol = &mut chars[c as usize];
                    if *symbol == u32::MAX {
                        *symbol = names.number(c.encode_utf8(&mut [0; 4]));
                    }
                    filling.push(*symbol).map_err(failed)?;
                }
            }
            lengths[file] += filling.len() - before;
            Ok(())
        })?;
        Ok((filling.done().map_err(failed)?, names, lengths))
    }

    fn long_word(&self) -> Diagnostic {
        let message = format!("a word of more than {MAX_WORD} bytes");
        Diagnostic::error("data::word-too-long", message)
            .label(self.span(), "cut at blanks and line ends".to_string())
            .help("chars() and bpe(n) read a text without blanks")
    }

    /// Different words are all held: refuses those that could not grow once more.
    fn check_memory(&self, held: usize) -> Result<(), Diagnostic> {
        match memory::available() {
            Some(available) if 2 * held as u64 > available => {
                let message = format!("{held} bytes of different words, {available} available");
                Err(Diagnostic::error("resource::memory", message)
                    .label(self.span(), "counted here".to_string())
                    .help("bpe(n) has few symbols, whatever the text"))
            }
            _ => Ok(()),
        }
    }

    /// A vocabulary of the characters or words of the training part.
    fn fitted(
        &self,
        store: &Store,
        names: &Interned,
        train: Range<usize>,
    ) -> Result<Vocabulary, Vec<Diagnostic>> {
        let mut counts = vec![0u64; names.len()];
        let counted = store.each(train, |some| {
            for symbol in some {
                counts[*symbol as usize] += 1;
            }
        });
        counted.map_err(|e| vec![scratch_of(self.load, &e)])?;
        let found = names.iter().zip(counts).filter(|(_, n)| *n > 0);
        Ok(match self.kind() {
            FitKind::Words {
                min_count,
                max,
                apart,
            } => Vocabulary::of_counts(kind_of_words(apart), found, min_count, max, false),
            FitKind::Symbols(_)
            | FitKind::Bpe(_)
            | FitKind::Pretrained
            | FitKind::Zscore
            | FitKind::Mean
            | FitKind::Range { .. } => {
                Vocabulary::of(SymbolKind::Chars, found.map(|(name, _)| name), false)
            }
        })
    }

    /// A vocabulary of pieces: fitted to a range of characters, or made elsewhere.
    fn made(&self, train: Range<usize>) -> Result<Vocabulary, Vec<Diagnostic>> {
        let FitKind::Bpe(size) = self.kind() else {
            let plan = &self.load.plan.fits[self.fit];
            return self.load.tokenizer(plan, false).map_err(|d| vec![d]);
        };
        let mut counts = bpe::Counts::default();
        let added = self.within(&[train], |_, text| {
            counts.add(text);
            Ok(())
        });
        added.map_err(|e| vec![e])?;
        byte_pairs(&counts, size, false, self.span())
    }

    /// Byte pairs and the like: each part's text is cut on its own.
    fn pieces(&self) -> Result<(Coded, Parts), Vec<Diagnostic>> {
        let mut lengths = vec![0; self.files.len()];
        let counted = self.each(|file, text| {
            lengths[file] += text.chars().count();
            Ok(())
        });
        counted.map_err(|e| vec![e])?;
        let parts = ranges(self.load, &lengths);
        let vocabulary = match self.known()? {
            Some(known) => known,
            None => self.made(self.train(&parts))?,
        };
        let failed = |e: io::Error| scratch_of(self.load, &e);
        let cut = || -> Result<(Store, Parts), Diagnostic> {
            let mut filling = Filling::new(self.in_memory).map_err(failed)?;
            let mut lengths = [0; 3];
            self.within(&parts, |part, text| {
                let before = filling.len();
                let symbols = vocabulary.try_cut(text).map_err(|why| {
                    let d = Diagnostic::error("data::tokenizer", tokenizer_fails(&why));
                    d.label(self.span(), "cut here")
                })?;
                for symbol in symbols {
                    // Each is among the symbols that the text is cut into: none is negative.
                    let number = vocabulary.encode(&symbol).unsigned_abs();
                    filling.push(number).map_err(failed)?;
                }
                lengths[part] += filling.len() - before;
                Ok(())
            })?;
            let [a, b, c] = lengths;
            let parts = [0..a, a..a + b, a + b..a + b + c];
            Ok((filling.done().map_err(failed)?, parts))
        };
        let (store, parts) = cut().map_err(|e| vec![e])?;
        let coded = Coded {
            store: Arc::new(store),
            index: Arc::new((0..vocabulary.symbols().len() as i32).collect()),
            vocabulary,
        };
        Ok((coded, parts))
    }

    /// Shows what of the text stands in ranges of characters, with the number of the range. The
    /// ranges are in order and do not overlap.
    fn within(
        &self,
        ranges: &[Range<usize>],
        mut show: impl FnMut(usize, &str) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let mut at = 0;
        self.each(|_, text| {
            let n = text.chars().count();
            for (i, range) in ranges.iter().enumerate() {
                let start = range.start.clamp(at, at + n) - at;
                let end = range.end.clamp(at, at + n) - at;
                if start < end {
                    let offset = |i: usize| match i == n {
                        true => text.len(),
                        false => text.char_indices().nth(i).map_or(text.len(), |(o, _)| o),
                    };
                    show(i, &text[offset(start)..offset(end)])?;
                }
            }
            at += n;
            Ok(())
        })
    }
}

/// The error where the scratch file of a long text cannot be written or read.
pub(super) fn scratch(e: &io::Error) -> Diagnostic {
    let folder = folder();
    let name = shown(&folder.to_string_lossy(), 24);
    let message = format!("the text's symbols cannot be kept in `{name}`");
    let why = shown(&e.to_string(), 120);
    Diagnostic::error("io::scratch", message).help(format!(
        "{why}; set TMPDIR to a folder with room for as many bytes as the text has"
    ))
}

pub(super) fn scratch_of(load: &Load, e: &io::Error) -> Diagnostic {
    scratch(e).label(load.spec.source.span, "too long to be held in memory")
}

/// What is done to the text before it is a node's value; `None` where that is something else.
fn changes(load: &Load, node: &Node) -> Option<Vec<Prepare>> {
    let after = |x: &Node, change: Prepare| {
        let mut all = changes(load, x)?;
        all.push(change);
        Some(all)
    };
    match &node.kind {
        NodeKind::Cell(_) => Some(Vec::new()),
        NodeKind::Column(c) => changes(load, &load.plan.columns[*c].node),
        NodeKind::Chars(x) | NodeKind::Words(x, _) => changes(load, x),
        NodeKind::Lower(x) => after(x, Prepare::Lower),
        NodeKind::Nfc(x) => after(x, Prepare::Nfc),
        _ => None,
    }
}

/// The symbols of each part.
fn ranges(load: &Load, lengths: &[usize]) -> Parts {
    let n: usize = lengths.iter().sum();
    let mut out = [0..0, 0..0, 0..0];
    match (load.options.only, &load.spec.split) {
        (Some(part), _) => out[part as usize] = 0..n,
        (None, Split::Parts { shares, .. }) => out = cut(n, *shares),
        (None, Split::Files { valid, .. }) => {
            let mut start = 0;
            for (file, len) in lengths.iter().enumerate() {
                let part = match (file, valid) {
                    (0, _) => Part::Train,
                    (1, Some(_)) => Part::Valid,
                    _ => Part::Test,
                };
                out[part as usize] = start..start + len;
                start += len;
            }
        }
    }
    out
}
