//! What the grammar expected and what it found, in plain words.
//!
//! In: pest's account of a failure. Out: where it is, and the diagnostic. pest knows the rules that were tried at the
//! place it could not pass; a reader knows names, values, operators and lines.

use pest::error::ErrorVariant;

use super::grammar::Rule;
use super::{RESERVED, wrong};
use crate::diagnostics::{Diagnostic, nearest};
use crate::span::{FileId, Span};

const HEADS: [&str; 10] = [
    "time", "dim", "cell", "block", "fn", "model", "data", "train", "generate", "tune",
];

/// What could have stood there, as coarse as a message should be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Expected {
    Item,
    Statement,
    Setting,
    Value,
    Name,
    Layer,
    Type,
    Selector,
    Braces,
    Equals,
    Operator,
}

fn expected(rule: Rule) -> Option<Expected> {
    Some(match rule {
        Rule::time
        | Rule::dim
        | Rule::definition
        | Rule::model
        | Rule::function
        | Rule::settings => Expected::Item,
        Rule::def_kind | Rule::settings_kind | Rule::kw_time | Rule::kw_dim | Rule::kw_model => {
            Expected::Item
        }
        Rule::kw_fn | Rule::kw_train | Rule::item | Rule::alone => Expected::Item,
        Rule::decl | Rule::output | Rule::watch | Rule::predict | Rule::penalty => {
            Expected::Statement
        }
        Rule::equation | Rule::decl_kind | Rule::kw_output | Rule::kw_watch => Expected::Statement,
        Rule::kw_predict | Rule::kw_penalty | Rule::statement => Expected::Statement,
        Rule::set | Rule::params | Rule::entry | Rule::kw_given | Rule::kw_params => {
            Expected::Setting
        }
        Rule::expr | Rule::element | Rule::logic | Rule::element_logic | Rule::operand => {
            Expected::Value
        }
        Rule::element_operand | Rule::primary | Rule::number | Rule::string | Rule::primed => {
            Expected::Value
        }
        Rule::paren | Rule::list | Rule::prefix | Rule::arg => Expected::Value,
        Rule::name | Rule::time_name | Rule::dim_name | Rule::size | Rule::fn_param | Rule::lhs => {
            Expected::Name
        }
        Rule::key | Rule::bind | Rule::arg_name => Expected::Name,
        Rule::callee | Rule::kw_scan | Rule::direction => Expected::Layer,
        Rule::type_of | Rule::shape | Rule::unit => Expected::Type,
        Rule::selector => Expected::Selector,
        Rule::body | Rule::entries => Expected::Braces,
        Rule::value | Rule::element_value | Rule::bind_value => Expected::Equals,
        Rule::infix
        | Rule::pipe
        | Rule::pipe_op
        | Rule::over
        | Rule::element_over
        | Rule::kw_over => Expected::Operator,
        Rule::kw_where | Rule::with | Rule::from | Rule::kw_with | Rule::kw_from => {
            Expected::Operator
        }
        // These may be left out, so that their absence never is the mistake.
        Rule::WHITESPACE
        | Rule::newline
        | Rule::EOI
        | Rule::sizes
        | Rule::fn_params
        | Rule::init => return None,
        Rule::indices | Rule::index | Rule::args | Rule::field | Rule::postfix | Rule::prime => {
            return None;
        }
        Rule::blank | Rule::name_char | Rule::reserved | Rule::kw_as | Rule::kw_on => return None,
    })
}

/// Where the failure is in the file, and how it is said. `text` begins at `base`; `at` is a position in `text`.
pub fn at(
    text: &str,
    base: usize,
    at: usize,
    variant: &ErrorVariant<Rule>,
    file: FileId,
) -> (usize, Diagnostic) {
    let blanks = |c: char| c == ' ' || c == '\t' || c == '\r';
    let start = text.len() - text[at..].trim_start_matches(blanks).len();
    let found = token(&text[start..]);
    let before = text[..start].trim_end_matches(blanks);
    let place = match found {
        // The end of a line is marked where its last token ends.
        None => Span::new(file, base + before.len(), base + before.len()),
        Some(found) => Span::new(file, base + start, base + start + found.len()),
    };
    let mut tried: Vec<Expected> = match variant {
        ErrorVariant::ParsingError { positives, .. } => {
            positives.iter().filter_map(|r| expected(*r)).collect()
        }
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    tried.sort();
    tried.dedup();
    (base + start, describe(found, before, &tried, place))
}

fn describe(found: Option<&str>, line: &str, tried: &[Expected], place: Span) -> Diagnostic {
    let shown = found.map_or("the end of the line".to_string(), wrong::quoted);
    let Some(last) = last_token(line) else {
        return no_item(found, &shown, place);
    };
    let after = wrong::quoted(last);
    let has = |what| tried.contains(&what);
    let missing = |code, what: &str| {
        let error = Diagnostic::error(
            code,
            format!("expected {what} after {after}, found {shown}"),
        );
        error.label(place, format!("{what} is missing here"))
    };
    if let Some(word) = found.filter(|word| RESERVED.contains(word))
        && (has(Expected::Name) || has(Expected::Statement) || has(Expected::Setting))
    {
        let message = format!("`{word}` is a word of the language, not a name");
        return Diagnostic::error("syntax::reserved-word", message)
            .label(place, "choose another name");
    }
    if has(Expected::Layer) {
        return missing("syntax::missing-value", "a layer or function");
    }
    if has(Expected::Selector) {
        return Diagnostic::error(
            "syntax::unknown-weights",
            format!("{shown} is no choice of weights"),
        )
        .label(place, "expected a path in quotes, `matrices` or `vectors`");
    }
    if has(Expected::Operator) {
        let error = Diagnostic::error(
            "syntax::unexpected-token",
            format!("{shown} cannot follow {after}"),
        )
        .label(place, "expected an operator or the end of the value");
        return match found {
            Some("=") => error.help("a statement has one `=`; equality is `==`"),
            Some("with") => error.help("`with` comes before `from`, and once"),
            Some("'") => error.help("`'` only ends a state's name, and text is quoted with `\"`"),
            Some(",") if !in_brackets(line) => {
                error.help("one statement or setting stands on a line")
            }
            _ => error,
        };
    }
    if has(Expected::Value) {
        let error = missing("syntax::missing-value", "a value");
        return match found {
            Some("'") => error.help("text is quoted with `\"`"),
            _ => error,
        };
    }
    if has(Expected::Type) {
        let d = Diagnostic::error(
            "syntax::missing-type",
            format!("expected a type after {after}, found {shown}"),
        )
        .label(
            place,
            "a type is `[T, E]`, `token`, `class`, `number`, `binary`, or both",
        );
        let units = ["token", "class", "number", "binary"];
        let near = found.and_then(|f| nearest(f, units));
        return match near {
            Some(near) => d.help(format!("did you mean `{near}`?")).fix(place, near),
            None => d,
        };
    }
    if has(Expected::Equals) {
        if let Some(help) = foreign_word(last) {
            let message = format!("{after} is not a word of the language");
            return Diagnostic::error("syntax::foreign-word", message)
                .label(place, "expected a declaration or an equation")
                .help(help);
        }
        const NAMING: [&str; 8] = [
            "watch", "predict", "penalty", "input", "context", "state", "target", "param",
        ];
        return match NAMING.contains(&last) {
            true => missing("syntax::missing-name", "a name"),
            false => missing("syntax::missing-equals", "`=`"),
        };
    }
    if has(Expected::Braces) {
        let error = missing("syntax::missing-brace", "`{`");
        return match found {
            Some("(") => error
                .help("only a `cell`, a `block` and a `fn` have something in parentheses there"),
            _ => error,
        };
    }
    if has(Expected::Statement) {
        return missing("syntax::unexpected-token", "a statement");
    }
    if has(Expected::Setting) {
        return missing("syntax::unexpected-token", "a setting");
    }
    if has(Expected::Name) {
        return missing("syntax::missing-name", "a name");
    }
    let code = if found.is_some() {
        "syntax::unexpected-token"
    } else {
        "syntax::unexpected-end"
    };
    Diagnostic::error(code, format!("{shown} cannot follow {after}"))
        .label(place, "not expected here")
}

/// What the language has for a word of other languages.
fn foreign_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "if" | "else" | "elif" | "match" | "switch" => {
            "`choose(condition, a, b)` picks one of two values"
        }
        "for" | "while" | "loop" | "repeat" => {
            "a `scan` runs a cell along a time; `Repeat(3, Layer)` stacks; `sum(…) over i` adds up"
        }
        "let" | "var" | "const" | "def" | "func" | "function" => {
            "an equation is just `name = value`"
        }
        "return" => "`output value` says what comes out",
        "class" | "struct" | "import" | "use" => {
            "a file has cells, blocks, functions, models and settings"
        }
        _ => return None,
    })
}

/// Whether the line ends inside a bracket.
fn in_brackets(line: &str) -> bool {
    let line = &line[line.rfind(['\n', '{', '}']).map_or(0, |n| n + 1)..];
    line.matches(['(', '[']).count() > line.matches([')', ']']).count()
}

/// An item begins with none of the words that items begin with.
fn no_item(found: Option<&str>, shown: &str, place: Span) -> Diagnostic {
    let error = Diagnostic::error(
        "syntax::unknown-item",
        format!("{shown} begins no item of a file"),
    );
    match found.and_then(|word| nearest(word, HEADS)) {
        Some(word) => error
            .label(place, "not a word for an item")
            .help(format!("did you mean `{word}`?"))
            .fix(place, word),
        None => error.label(place, format!("expected one of {}", HEADS.join(", "))),
    }
}

/// The token that `text` begins with; `None` at the end of a line.
fn token(text: &str) -> Option<&str> {
    let first = text.chars().next().filter(|c| *c != '\n')?;
    let end = match first {
        '"' => text[1..].find('"').map_or(text.len(), |n| n + 2),
        _ if is_word(first) => text.find(|c| !is_word(c)).unwrap_or(text.len()),
        _ => ["|>", "<=", ">=", "==", "!="]
            .iter()
            .find(|op| text.starts_with(**op))
            .map_or(first.len_utf8(), |op| op.len()),
    };
    Some(&text[..end])
}

/// The token that `text` ends with.
fn last_token(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let last = text.chars().next_back()?;
    let start = match last {
        '"' => text[..text.len() - 1].rfind('"').unwrap_or(text.len() - 1),
        _ if is_word(last) => text.trim_end_matches(is_word).len(),
        _ => ["|>", "<=", ">=", "==", "!="]
            .iter()
            .find(|op| text.ends_with(**op))
            .map_or(text.len() - last.len_utf8(), |op| text.len() - op.len()),
    };
    Some(&text[start..])
}

fn is_word(char: char) -> bool {
    unicode_ident::is_xid_continue(char) && char != '·' && char != '\u{387}'
        || ('₀'..='₉').contains(&char)
}
