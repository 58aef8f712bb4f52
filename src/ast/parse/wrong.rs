//! Every syntax error in the words a reader of the file would use.
//!
//! In: a place and what stands there. Out: the diagnostic, with an edit where one is sure. The rest of the parser decides
//! that something is wrong; how it is said is decided here.

use super::{MAX_BYTES, MAX_DEPTH, MAX_NAME, MAX_NESTING};
use crate::ast::node::{DefKind, Expr, ExprKind};
use crate::diagnostics::Diagnostic;
use crate::span::{FileId, Span};

/// Characters that are not written as they are: controls, and marks that reverse the direction of text.
pub fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How a piece of source is named in a message: quoted, without what a terminal might act on, and short.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(20)
        .map(|c| if is_unprintable(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().count() > 20 {
        shown.push('…');
    }
    format!("`{shown}`")
}

pub fn not_utf8(file: FileId, at: usize, byte: u8) -> Diagnostic {
    Diagnostic::error(
        "syntax::not-utf8",
        format!("byte {at} (0x{byte:02X}) is not UTF-8 text"),
    )
    .label(Span::new(file, at, at), "the text is readable up to here")
    .help("save the file as UTF-8")
}

pub fn empty_file(file: FileId) -> Diagnostic {
    Diagnostic::error(
        "syntax::empty-file",
        "the file has no items, only blanks or comments",
    )
    .label(
        Span::new(file, 0, 0),
        "expected a `cell`, `block`, `fn`, `model` or `data` somewhere",
    )
}

pub fn too_large(file: FileId, bytes: usize) -> Diagnostic {
    Diagnostic::error(
        "syntax::too-large",
        format!("the file has {bytes} bytes; at most {MAX_BYTES} are read"),
    )
    .label(Span::new(file, 0, 0), "this file")
}

pub fn long_name(name: &str, span: Span) -> Diagnostic {
    let message = format!(
        "a name of {} bytes is too long; {MAX_NAME} are allowed",
        name.len()
    );
    Diagnostic::error("syntax::long-name", message).label(span, "this name")
}

pub fn too_nested(span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::too-deep",
        format!("brackets nest deeper than {MAX_NESTING}"),
    )
    .label(
        span,
        format!("this one would be number {}", MAX_NESTING + 1),
    )
}

pub fn too_long_chain(span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::too-deep",
        format!("this value is more than {MAX_DEPTH} operations deep"),
    )
    .label(
        span,
        "the chain of operators, calls or pipes passes it here",
    )
    .help("name a part of it in an equation of its own")
}

/// A bracket that is still open at `noticed`, or at the end of the text.
pub fn unclosed(open: char, span: Span, noticed: Option<Span>) -> Diagnostic {
    let close = closer(open);
    let code = if open == '{' {
        "syntax::unclosed-brace"
    } else {
        "syntax::unclosed-bracket"
    };
    let message = format!("`{open}` is never closed by `{close}`");
    let error = Diagnostic::error(code, message).label(span, "opened here");
    match noticed {
        Some(noticed) => error.label(noticed, format!("`{close}` is missing before this")),
        None => error,
    }
}

pub fn unopened(close: char, span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::unopened-bracket",
        format!("`{close}` closes nothing"),
    )
    .label(span, "nothing is open here")
    .fix(span, "")
}

pub fn mismatched(text: &str, open: Span, close: Span) -> Diagnostic {
    let opened = text[open.start as usize..].chars().next().unwrap_or('(');
    let closed = text[close.start as usize..].chars().next().unwrap_or(')');
    Diagnostic::error(
        "syntax::mismatched-bracket",
        format!("`{opened}` is closed by `{closed}`"),
    )
    .label(close, format!("expected `{}`", closer(opened)))
    .label(open, "opened here")
    .fix(close, closer(opened))
}

fn closer(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

pub fn unclosed_string(span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::unclosed-string",
        "the text has no closing `\"` on its line",
    )
    .label(span, "begins here")
}

pub fn escape(char: char, span: Span) -> Diagnostic {
    Diagnostic::error(
        "syntax::bad-escape",
        format!("`\\` before {} means nothing", quoted(&char.to_string())),
    )
    .label(span, "expected `\\\"`, `\\\\`, `\\n` or `\\t`")
}

/// `text` begins like a number of `good` bytes and goes on as none does.
pub fn number(text: &str, good: usize, span: Span) -> Diagnostic {
    let (head, tail) = text.split_at(good.min(text.len()));
    let error = |message: String| Diagnostic::error("syntax::bad-number", message);
    if text.starts_with('.') {
        return error(format!("{} is not a number", quoted(text)))
            .label(span, "a digit must stand before the dot")
            .fix(span, format!("0{text}"));
    }
    if tail.is_empty() {
        return error(format!("{} is larger than any number here", quoted(text)))
            .label(span, "the largest is about 1.8e308");
    }
    let error = error(format!("{} is not a number", quoted(text)));
    if tail == "." {
        return error
            .label(span, "a digit must stand after the dot")
            .fix(span, head);
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return error
            .label(span, "digits are written without `_`")
            .fix(span, text.replace('_', ""));
    }
    let names = |text: &str| text.starts_with(unicode_ident::is_xid_start);
    let exponent = tail.starts_with(['e', 'E']) && !names(&tail[1..]);
    let radix = head == "0" && tail.starts_with(['x', 'b', 'o']);
    if names(tail) && !exponent && !radix {
        return error
            .label(span, "a number cannot run into a name")
            .help(format!(
                "a product is written {}",
                quoted(&format!("{head}*{tail}"))
            ));
    }
    error.label(span, "numbers look like `2`, `0.5` or `1e-3`")
}

/// A character that stands nowhere in the language; `tail` begins with it.
pub fn character(tail: &str, span: Span) -> Diagnostic {
    let char = tail.chars().next().unwrap_or(' ');
    let code = "syntax::unexpected-character";
    if is_unprintable(char) {
        let what = match char {
            '\0' => "a zero byte",
            '\r' => "a carriage return without a newline",
            '\u{1b}' => "an escape character",
            '\u{feff}' => "a byte order mark",
            _ => "an invisible character",
        };
        return Diagnostic::error(
            code,
            format!("{what} (U+{:04X}) inside the text", char as u32),
        )
        .label(span, "here")
        .help("remove it");
    }
    let error = Diagnostic::error(
        code,
        format!("{} has no meaning here", quoted(&char.to_string())),
    );
    let meant = match char {
        '⋅' | '•' | '∙' | '‧' | '・' => Some("·"),
        '×' | '∗' | '⁎' => Some("*"),
        '÷' | '∕' => Some("/"),
        '−' | '–' | '—' => Some("-"),
        '≤' | '⩽' => Some("<="),
        '≥' | '⩾' => Some(">="),
        '≠' => Some("!="),
        '’' | '′' | '`' => Some("'"),
        '‘' | '“' | '”' | '„' | '«' | '»' => Some("\""),
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => Some(" "),
        '￨' | '▷' | '▶' => Some("|>"),
        '（' => Some("("),
        '）' => Some(")"),
        '，' => Some(","),
        '：' => Some(":"),
        '＝' => Some("="),
        '∧' => Some("and"),
        '∨' => Some("or"),
        '¬' => Some("not"),
        _ => None,
    };
    if let Some(meant) = meant {
        let name = if meant == " " {
            "an ordinary blank".to_string()
        } else {
            format!("`{meant}`")
        };
        return error
            .label(span, format!("did you mean {name}?"))
            .fix(span, meant);
    }
    let hint = match char {
        ';' => "a new line ends a statement",
        '&' => "write `and`",
        '|' => "the pipe is `|>`, and the other word is `or`",
        '!' => "write `not`, or `!=`",
        '%' => "the remainder is `mod(a, b)`",
        '_' => "a name begins with a letter",
        '₀'..='₉' => "a name begins with a letter",
        '√' => "write `sqrt(x)`",
        '∑' => "write `sum(x) over i`",
        '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' => "a power is written `x^2`",
        _ => "no name or operator begins like this",
    };
    error.label(span, hint)
}

/// A statement in a body of another kind; `kind` is `None` for a function.
pub fn misplaced(word: &str, kind: Option<DefKind>, span: Span) -> Diagnostic {
    let place = match kind {
        Some(DefKind::Cell) => "cell",
        Some(DefKind::Block) => "block",
        Some(DefKind::Model) => "model",
        None => "fn",
    };
    let why = match word {
        "state" => "only a `cell` has states",
        "target" | "predict" | "penalty" => "only a `model` has targets and predictions",
        "context" => "only a `cell` or `block` has contexts",
        _ => "a `fn` has its parameters, equations and one output",
    };
    Diagnostic::error(
        "syntax::misplaced-statement",
        format!("`{word}` cannot stand in a `{place}`"),
    )
    .label(span, why)
}

/// `x + y |> f` outside brackets.
pub fn piped_sum(source: &str, input: &Expr, pipe: Span) -> Diagnostic {
    let text = snippet(source, input.span);
    let mut error = Diagnostic::error(
        "pipe::needs-parentheses",
        format!("this `|>` would pipe all of {}", quoted(text)),
    )
    .label(pipe, "takes everything on its left")
    .label(input.span, "an operator outside parentheses")
    .fix(input.span, format!("({text})"));
    if let ExprKind::Binary { op_span, right, .. } = &input.kind {
        let (op, right) = (snippet(source, *op_span), snippet(source, right.span));
        let all = quoted(&format!("({text}) |> …"));
        error = error.help(format!(
            "write {all}, or {}",
            quoted(&format!("… {op} ({right} |> …)"))
        ));
    }
    error
}

/// `[x |> C with a = b, y]`.
pub fn bound_pipe(source: &str, value: Span, pipe: Span) -> Diagnostic {
    Diagnostic::error(
        "pipe::needs-parentheses",
        "a pipe with `with` or `from` in a list needs parentheses",
    )
    .label(pipe, "a comma after it could go on with the bindings")
    .fix(value, format!("({})", snippet(source, value)))
}

/// `sum(x) over s where s <= t + 1`.
pub fn open_condition(source: &str, operand: Span, op: Span) -> Diagnostic {
    let sign = snippet(source, op);
    let inside = quoted(&format!("({})", snippet(source, operand)));
    Diagnostic::error(
        "where::needs-parentheses",
        format!("`{sign}` after `where` can be read in two ways"),
    )
    .label(op, "inside the condition, or after the whole reduction?")
    .help(format!(
        "write {inside}, or put parentheses around the reduction with its `where`"
    ))
    .fix(operand, format!("({})", snippet(source, operand)))
}

fn snippet(source: &str, span: Span) -> &str {
    source
        .get(span.start as usize..span.end as usize)
        .unwrap_or("")
}
