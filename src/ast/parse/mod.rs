//! Source text to syntax tree.
//!
//! In: the bytes of a `.seq` file ([`decode`]) and their text ([`parse`]). Out: [`File`], or every syntax error found.
//!
//! ```text
//!  text ─ layout ─▶ flat text ─ recover ─▶ items, one by one ─ seq.pest ─▶ pairs ─ item, expr ─▶ tree
//! ```
//!
//! Each item is parsed alone. After an error its statement is blanked and the item read again, so that one file can show
//! several mistakes. There is no tree for a file with errors: whatever comes later may rely on a whole one.
//!
//! Limits, so that no input can exhaust the stack or the clock, here or in any later pass that walks the tree:
//! [`MAX_BYTES`] of text, names of [`MAX_NAME`] bytes, brackets [`MAX_NESTING`] deep, trees [`MAX_DEPTH`] deep, [`MAX_ERRORS`] errors.
//!
//! Two ambiguities that readers fall into are refused here, since only the text has them: `x + y |> f` outside brackets
//! (`pipe::needs-parentheses`) and `sum(x) over s where s <= t + 1` (`where::needs-parentheses`).

mod bracket;
mod expr;
mod item;
mod layout;
mod literal;
mod operand;
mod recover;
mod stage;
mod unexpected;
mod wrong;

use super::node::File;
use crate::diagnostics::Diagnostic;
use crate::span::FileId;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The longest name, in bytes.
pub const MAX_NAME: usize = 256;

/// Brackets, braces and conditions may nest this deep.
pub const MAX_NESTING: usize = 128;

/// No expression's tree is deeper: `a + a + …` with more operands is refused.
pub const MAX_DEPTH: usize = 512;

/// The errors shown of one file.
pub const MAX_ERRORS: usize = 20;

/// The words that are never names.
pub const RESERVED: [&str; 7] = ["and", "or", "not", "over", "where", "with", "from"];

/// The parser pest makes from the grammar, in a module because its rules need no names here.
mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "../grammar/seq.pest"]
    pub struct Grammar;
}

/// The text of a file's bytes, without a byte order mark.
///
/// # Errors
/// `syntax::not-utf8`, its span at the first byte that is not UTF-8.
pub fn decode(bytes: &[u8], file: FileId) -> Result<&str, Diagnostic> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        wrong::not_utf8(file, at, bytes.get(at).copied().unwrap_or(0))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The tree of a file.
///
/// # Errors
/// At least one and at most [`MAX_ERRORS`], in the order of the text.
pub fn parse(text: &str, file: FileId) -> Result<File, Vec<Diagnostic>> {
    if text.len() > MAX_BYTES {
        return Err(vec![wrong::too_large(file, text.len())]);
    }
    let layout = layout::scan(text, file);
    let mut errors = layout.errors.clone();
    let mut items = Vec::new();
    if !layout.stopped {
        items = recover::items(text, &layout, file, &mut errors);
    }
    if items.is_empty() && errors.is_empty() {
        errors.push(wrong::empty_file(file));
    }
    if errors.is_empty() {
        return Ok(File {
            id: file,
            items,
            comments: layout.comments,
        });
    }
    errors.sort_by_key(|error| error.labels.first().map_or(0, |label| label.span.start));
    errors.truncate(MAX_ERRORS);
    Err(errors)
}

#[cfg(test)]
mod tests;
