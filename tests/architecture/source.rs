//! Just enough of Rust's grammar to see which parts of the crate a file names.
//!
//! In: the text of a file. Out: its words, the same without tests, and the paths from the root of
//! the crate. A lexer rather than a search: comments, strings and test modules don't count.

/// One lexical unit with the line it stands on. Comments, literals and lifetimes are dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Splits Rust source into words, `::` and single marks.
pub fn tokens(source: &str) -> Vec<Token> {
    let c: Vec<char> = source.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < c.len() {
        let start = i;
        match c[i] {
            '/' if at(i + 1) == '/' => {
                while i < c.len() && c[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= c.len() {
                        break;
                    }
                }
            }
            'r' if at(i + 1) == '"' || (at(i + 1) == '#' && matches!(at(i + 2), '"' | '#')) => {
                let mut hashes = 0;
                while at(i + 1 + hashes) == '#' {
                    hashes += 1;
                }
                i += hashes + 2;
                while i < c.len() && !(c[i] == '"' && (1..=hashes).all(|k| at(i + k) == '#')) {
                    i += 1;
                }
                i += hashes + 1;
            }
            '"' => {
                i += 1;
                while i < c.len() && c[i] != '"' {
                    i += if c[i] == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, unless it is a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < c.len() && c[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            '\'' => i += 1,
            ':' if at(i + 1) == ':' => {
                i += 2;
                out.push(Token {
                    text: "::".into(),
                    line,
                });
            }
            x if is_word(x) => {
                while is_word(at(i)) {
                    i += 1;
                }
                let text = c[start..i].iter().collect();
                out.push(Token { text, line });
            }
            x => {
                i += 1;
                if !x.is_whitespace() {
                    out.push(Token {
                        text: x.into(),
                        line,
                    });
                }
            }
        }
        i = i.min(c.len());
        line += c[start..i].iter().filter(|x| **x == '\n').count();
    }
    out
}

/// The index after the bracket that closes the one at `open`.
fn past_close(t: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in t.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    t.len()
}

/// The source without its `#[cfg(test)]` items, and the number of lines those take.
pub fn without_tests(t: &[Token]) -> (Vec<Token>, usize) {
    let (mut out, mut lines, mut i) = (Vec::new(), 0, 0);
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    while i < t.len() {
        if t[i..].len() >= mark.len() && mark.iter().zip(&t[i..]).all(|(m, t)| *m == t.text) {
            let first = t[i].line;
            i += mark.len();
            while i < t.len() && t[i].text != "{" && t[i].text != ";" {
                i += 1;
            }
            i = if i < t.len() && t[i].text == "{" {
                past_close(t, i)
            } else {
                i + 1
            };
            lines += t.get(i - 1).map_or(0, |last| last.line + 1 - first);
        } else {
            out.push(t[i].clone());
            i += 1;
        }
    }
    (out, lines)
}

/// The paths that begin at `at` in an import tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn tree(t: &[Token], at: &mut usize, prefix: &[String], out: &mut Vec<(Vec<String>, usize)>) {
    let mut path = prefix.to_vec();
    while let Some(token) = t.get(*at) {
        if token.text == "{" {
            *at += 1;
            while t.get(*at).is_some_and(|x| x.text != "}") {
                if t[*at].text == "," {
                    *at += 1;
                } else {
                    let before = *at;
                    tree(t, at, &path, out);
                    *at = (*at).max(before + 1);
                }
            }
            *at += 1;
            return;
        }
        if token.text != "*" && !token.text.starts_with(is_word) {
            break;
        }
        path.push(token.text.clone());
        *at += 1;
        if t.get(*at).is_none_or(|x| x.text != "::") {
            // `a as b`
            if t.get(*at).is_some_and(|x| x.text == "as") {
                *at += 2;
            }
            break;
        }
        *at += 1;
    }
    let line = t.get(at.saturating_sub(1)).map_or(0, |x| x.line);
    out.push((path, line));
}

/// Every path from the root of the crate that the tokens of a file name, `super` resolved.
///
/// `module` is the file's own path: `["data", "spec"]` for `src/data/spec.rs`.
pub fn crate_paths(t: &[Token], module: &[&str]) -> Vec<(Vec<String>, usize)> {
    let mut out = Vec::new();
    let mut scopes: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut i) = (0usize, 0);
    while i < t.len() {
        match t[i].text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if scopes.last().is_some_and(|s| s.1 == depth) {
                    scopes.pop();
                }
            }
            "mod" if t.get(i + 2).is_some_and(|x| x.text == "{") => {
                scopes.push((t[i + 1].text.clone(), depth));
            }
            first @ ("crate" | "super") if t.get(i + 1).is_some_and(|x| x.text == "::") => {
                let here = module.iter().map(|x| x.to_string());
                let mut base: Vec<String> =
                    here.chain(scopes.iter().map(|s| s.0.clone())).collect();
                if first == "crate" {
                    base.clear();
                    i += 2;
                }
                while t.get(i).is_some_and(|x| x.text == "super") {
                    base.pop();
                    i += 2;
                }
                tree(t, &mut i, &base, &mut out);
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    out
}
