//! The parser's promises: what is a tree, what is refused and in which words, and that nothing makes it panic.

use super::*;
use crate::ast::node::*;

fn file(text: &str) -> File {
    match parse(text, FileId(0)) {
        Ok(file) => file,
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    match parse(text, FileId(0)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.code).collect(),
    }
}

/// The statements of a model's body.
fn body(text: &str) -> Vec<Stmt> {
    match file(&format!("model M {{\n{text}\n}}")).items.remove(0) {
        Item::Def(def) => def.body,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_body_may_begin_and_end_on_its_braces_lines() {
    assert_eq!(
        file("model A { target y : [T] token\n  predict y = x }\ncell B {}\nblock C() { }")
            .items
            .len(),
        3
    );
}

#[test]
fn a_newline_ends_a_statement_except_beside_an_operator_or_inside_brackets() {
    for text in [
        "a = b\n  + c",
        "a = b +\n  c",
        "a = b\n  |> f\n  # why\n\n  |> g",
        "a = f(\n b,\n c\n)",
        "a = x |> scan C\n with e = f\n from h = h0",
        "a = sum(x[t])\n over t\n where t < 3\n and t > 1",
        "a =\n b",
        "param a,\n b,\n c",
    ] {
        assert_eq!(body(text).len(), 1, "{text}");
    }
    assert_eq!(body("a = b\n\n\nc = d # e\n").len(), 2);
}

#[test]
fn from_before_an_equals_sign_is_a_setting() {
    let file = file("data d {\n  x = a |> b\n  from = \"f\"\n}");
    let Item::Settings(settings) = &file.items[0] else {
        panic!()
    };
    assert_eq!(settings.entries.len(), 2);
}

#[test]
fn a_sum_before_a_pipe_needs_parentheses_outside_brackets() {
    let inside = "model M {\n output (x + y |> f), [x + y |> f], g(x + y |> f)\n}";
    assert_eq!(codes(inside), [""; 0]);
    assert_eq!(
        codes("model M {\n a = x + y |> f |> g\n b = x < y |> f\n}"),
        ["pipe::needs-parentheses"; 2]
    );
}

#[test]
fn arithmetic_at_the_end_of_a_condition_needs_parentheses() {
    assert_eq!(
        codes("model M {\n a = sum(x) over s where 0 <= t - s < 3\n}"),
        [""; 0]
    );
    assert_eq!(
        codes("model M {\n a = sum(x) over s where s <= (t + 1)\n}"),
        [""; 0]
    );
    assert_eq!(
        codes("model M {\n a = (sum(x) over s where s <= t) + 1\n}"),
        [""; 0]
    );
    assert_eq!(
        codes("model M {\n a = sum(x) over s where s <= t + 1\n}"),
        ["where::needs-parentheses"]
    );
}
