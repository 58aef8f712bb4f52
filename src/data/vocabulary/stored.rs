//! A vocabulary in a run's record.
//!
//! In: a [`Vocabulary`]. Out: its form in files, from which the index, the cutting and the joining are
//! made again.

use serde::{Deserialize, Serialize};

use super::super::bpe::Pair;
use super::{SymbolKind, Vocabulary};

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    kind: SymbolKind,
    symbols: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unknown: bool,
    end: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    merges: Vec<Pair>,
    /// The text of a `tokenizer.json`, and the name of its last symbol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

impl TryFrom<Stored> for Vocabulary {
    type Error = String;

    fn try_from(v: Stored) -> Result<Vocabulary, String> {
        match v.kind {
            SymbolKind::Bpe => Vocabulary::of_merges(v.symbols, v.merges, v.end),
            SymbolKind::Pretrained => {
                let none = || "a tokenizer without its file".to_string();
                let json = v.tokenizer.ok_or_else(none)?;
                Vocabulary::of_tokenizer(json, v.last.as_deref(), v.end)
            }
            SymbolKind::Chars
            | SymbolKind::Words
            | SymbolKind::Segments
            | SymbolKind::Labels
            | SymbolKind::Integers => Ok(Vocabulary::ordered(v.kind, v.symbols, v.unknown, v.end)),
        }
    }
}

impl From<Vocabulary> for Stored {
    fn from(v: Vocabulary) -> Stored {
        let (mut symbols, mut tokenizer, mut last) = (Vec::new(), None, None);
        match &v.pretrained {
            // The file has the symbols.
            Some(named) => {
                let end = named.end.and_then(|i| usize::try_from(i).ok());
                last = end.and_then(|i| v.symbols().get(i).cloned());
                tokenizer = Some(named.tokenizer.json().to_string());
            }
            None => symbols = v.symbols().to_vec(),
        }
        Stored {
            kind: v.kind,
            symbols,
            unknown: v.unknown,
            end: v.end,
            merges: v.bpe.map_or(Vec::new(), |b| b.merges().to_vec()),
            tokenizer,
            last,
        }
    }
}
