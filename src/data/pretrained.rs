//! A tokenizer that was made elsewhere: a `tokenizer.json` of the crate `tokenizers`.
//!
//! In: the file's text. Out: [`Pretrained`], which cuts a text into the file's symbols by its own
//! normaliser, pre-tokeniser and model, and makes a text of symbols by its own decoder.
//!
//! Symbols are numbered by rank of the file's numbers, so they are the file's where it leaves out none.
//! Nothing is added to a text (no `[CLS]`), nothing cut off or filled up or left to chance (BPE's
//! dropout), and what reads like a special symbol in a text is text: what the file says of these is left
//! aside. The crate panics on some files
//! it did not write; every call of it is guarded.

use tokenizers::{ModelWrapper, PaddingParams, Tokenizer, TruncationParams};

use super::guarded::guarded;

/// The largest file, in bytes: a run's folder has a copy of it.
pub const MAX_BYTES: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub struct Pretrained {
    json: String,
    tokenizer: Tokenizer,
    /// The file's numbers in ascending order, with their symbols.
    numbers: Vec<u32>,
    symbols: Vec<String>,
    unknown: Option<i32>,
}

impl PartialEq for Pretrained {
    fn eq(&self, other: &Pretrained) -> bool {
        self.json == other.json
    }
}

impl Pretrained {
    /// Errors: no such file, in the crate's words, or a vocabulary that cannot be used.
    pub fn new(json: String) -> Result<Pretrained, String> {
        let crafted = || "its parts do not fit each other".to_string();
        let read = guarded(|| Tokenizer::from_bytes(json.as_bytes()));
        let mut tokenizer = read.ok_or_else(crafted)?.map_err(|e| e.to_string())?;
        let all = guarded(|| {
            tokenizer
                .with_truncation(None::<TruncationParams>)
                .map_err(|e| e.to_string())?;
            tokenizer.with_padding(None::<PaddingParams>);
            tokenizer.set_encode_special_tokens(true);
            if let ModelWrapper::BPE(model) = tokenizer.get_model()
                && model.dropout.is_some()
            {
                let mut model = model.clone();
                model.dropout = None;
                tokenizer.with_model(model);
            }
            Ok::<_, String>(tokenizer.get_vocab(true))
        });
        let mut all: Vec<(u32, String)> = (all.ok_or_else(crafted)??.into_iter())
            .map(|(s, n)| (n, s))
            .collect();
        all.sort_unstable();
        if all.is_empty() {
            return Err("it has no symbols".to_string());
        }
        if let Some(two) = all.windows(2).find(|two| two[0].0 == two[1].0) {
            let (n, a, b) = (two[0].0, &two[0].1, &two[1].1);
            return Err(format!("{a:.20?} and {b:.20?} both have the number {n}"));
        }
        let (numbers, symbols): (Vec<u32>, Vec<String>) = all.into_iter().unzip();
        let mut made = Pretrained {
            unknown: None,
            json,
            tokenizer,
            numbers,
            symbols,
        };
        made.unknown = made.unknown_of_file();
        Ok(made)
    }

    /// The symbol that stands for what the model cannot cut.
    fn unknown_of_file(&self) -> Option<i32> {
        let file: serde_json::Value = serde_json::from_str(&self.json).ok()?;
        let model = file.get("model")?;
        let named = model.get("unk_token").and_then(|t| t.as_str());
        let number = model.get("unk_id").and_then(|n| n.as_u64());
        match (named, number) {
            (Some(name), _) => self.index_of(name),
            (None, Some(n)) => self.rank(u32::try_from(n).ok()?),
            (None, None) => None,
        }
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    /// In order of index.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }

    /// The index of the symbol for what the model cannot cut.
    pub fn unknown(&self) -> Option<i32> {
        self.unknown
    }

    pub fn index_of(&self, symbol: &str) -> Option<i32> {
        let at = self.symbols.iter().position(|s| s == symbol)?;
        i32::try_from(at).ok()
    }

    fn rank(&self, number: u32) -> Option<i32> {
        let at = self.numbers.binary_search(&number).ok()?;
        i32::try_from(at).ok()
    }

    /// The indices of a text's symbols.
    pub fn cut(&self, text: &str) -> Result<Vec<i32>, String> {
        let cut = guarded(|| self.tokenizer.encode_fast(text, false));
        let cut = cut.ok_or_else(|| "it fails on this text".to_string())?;
        let cut = cut.map_err(|e| e.to_string())?;
        let known = cut.get_ids().iter().map(|n| self.rank(*n));
        let all: Option<Vec<i32>> = known.collect();
        all.ok_or_else(|| "it cuts out a symbol that it does not have".to_string())
    }

    /// The text of symbols, without those that are none. What no data file may hold becomes U+FFFD.
    pub fn join(&self, indices: &[i32]) -> String {
        let numbers: Vec<u32> = (indices.iter())
            .filter_map(|i| self.numbers.get(usize::try_from(*i).ok()?).copied())
            .collect();
        let joined = guarded(|| self.tokenizer.decode(&numbers, false));
        let plain = || {
            let parts = indices.iter().filter_map(|i| usize::try_from(*i).ok());
            let parts = parts.filter_map(|i| self.symbols.get(i).map(String::as_str));
            parts.collect::<Vec<&str>>().join(" ")
        };
        let text = joined.and_then(Result::ok).unwrap_or_else(plain);
        let safe = |c: char| !c.is_control() || c == '\n' || c == '\t';
        (text.chars().map(|c| if safe(c) { c } else { '\u{fffd}' })).collect()
    }
}
