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

/// The tree of `x = …` as one line, with all parentheses.
fn grouped(text: &str) -> String {
    fn show(expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Name(name) => name.clone(),
            ExprKind::Number { text, .. } => text.clone(),
            ExprKind::Paren(value) => show(value),
            ExprKind::Prime(value) => show(value) + "'",
            ExprKind::Call { callee, args } => {
                let args: Vec<String> = args.iter().map(|arg| show(&arg.value)).collect();
                format!("{}({})", show(callee), args.join(", "))
            }
            ExprKind::Unary { op, value, .. } => match op {
                UnaryOp::Neg => format!("(-{})", show(value)),
                UnaryOp::Not => format!("(not {})", show(value)),
            },
            ExprKind::Binary {
                op, left, right, ..
            } => format!("({} {op:?} {})", show(left), show(right)),
            ExprKind::Compare { first, rest } => {
                let rest: String = rest
                    .iter()
                    .map(|(op, value)| format!(" {:?} {}", op.node, show(value)))
                    .collect();
                format!("({}{rest})", show(first))
            }
            ExprKind::Over {
                value, axes, cond, ..
            } => {
                let axes: Vec<&str> = axes.iter().map(|axis| axis.node.as_str()).collect();
                let cond = cond
                    .as_ref()
                    .map_or(String::new(), |cond| format!(" where {}", show(cond)));
                format!("({} over {}{cond})", show(value), axes.join(" "))
            }
            ExprKind::Pipe { input, stage, .. } => {
                format!("({} |> {})", show(input), show(&stage.call))
            }
            ExprKind::List(elements) => {
                format!(
                    "[{}]",
                    elements.iter().map(show).collect::<Vec<_>>().join("; ")
                )
            }
            ExprKind::String(_) | ExprKind::Field(..) | ExprKind::Index(..) => panic!("{expr:?}"),
        }
    }
    match &body(&format!("x = {text}"))[0].kind {
        StmtKind::Eq { value, .. } => show(value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn operators_bind_from_loose_to_tight() {
    for (text, tree) in [
        ("a + b * c·d", "(a Add (b Mul (c Dot d)))"),
        ("A·B·x", "(A Dot (B Dot x))"),
        ("a - b - c", "((a Sub b) Sub c)"),
        ("a / b * c", "((a Div b) Mul c)"),
        ("2^3^x", "(2 Pow (3 Pow x))"),
        ("-x^2", "(-(x Pow 2))"),
        ("-a·b", "((-a) Dot b)"),
        ("2^-x·y", "((2 Pow (-x)) Dot y)"),
        ("a - -b", "(a Sub (-b))"),
        ("not a == b and c or d", "(((not (a Eq b)) And c) Or d)"),
        ("0 <= t - s < 16", "(0 Le (t Sub s) Lt 16)"),
        ("a + sum(x) over s * b", "(a Add ((sum(x) over s) Mul b))"),
        ("-sum(x) over s, k", "(-(sum(x) over s k))"),
        (
            "sum(x) over s where s <= t and s > 1 |> f",
            "((sum(x) over s where ((s Le t) And (s Gt 1))) |> f)",
        ),
        (
            "[max(h) over T, x, -y |> f |> g]",
            "[(max(h) over T); x; (((-y) |> f) |> g)]",
        ),
        ("f(a + b |> g)", "f(((a Add b) |> g))"),
        ("h' - h", "(h' Sub h)"),
    ] {
        assert_eq!(grouped(text), tree, "{text}");
    }
}

#[test]
fn a_name_has_one_spelling_in_the_tree() {
    assert_eq!(grouped("sigmoid(alpha@e\u{301})"), grouped("σ(α·é)"));
    assert_eq!(grouped("W₁·β₂"), "(W₁ Dot β₂)");
}

#[test]
fn the_limits_hold_with_an_error_each() {
    let value = |value: String| format!("model M {{\n  x = {value}\n}}");
    let deep = ["syntax::too-deep"];
    assert_eq!(codes(&value("(".repeat(100_000))), deep);
    assert_eq!(
        codes(&value("sum(x) over s where ".repeat(1000) + "a")),
        deep
    );
    assert_eq!(codes(&value("a + ".repeat(100_000) + "a")), deep);
    assert_eq!(codes(&value("not ".repeat(100_000) + "a")), deep);
    assert_eq!(codes(&value("a".to_string() + &".b".repeat(100_000))), deep);
    assert_eq!(
        codes(&value("a".to_string() + &" |> f".repeat(100_000))),
        deep
    );
    assert_eq!(
        codes(&value("x |> a".to_string() + &".b".repeat(100_000))),
        deep
    );
    assert_eq!(codes(&value("a".repeat(300))), ["syntax::long-name"]);
    assert_eq!(codes(&"# \n".repeat(400_000)), ["syntax::too-large"]);
    assert_eq!(
        codes(&"foo\n".repeat(1000)),
        ["syntax::unknown-item"; MAX_ERRORS]
    );
    // Inside the limits a tree of any shape is built, printed and dropped on a test's small stack.
    for fine in [
        value("(".repeat(120) + &"a + ".repeat(200) + "a" + &")".repeat(120)),
        value("a^".repeat(500) + "a"),
        value("f([x[".repeat(42) + "a" + &"]])".repeat(42)),
        value("sum(x) over s where ".repeat(100) + "a"),
    ] {
        let file = file(&fine);
        crate::ast::dump(&file);
        crate::ast::format(&file, &fine, Default::default());
    }
}

#[test]
fn bytes_that_are_not_text_are_refused_at_the_first() {
    let error = decode(b"ti\xffme", FileId(3)).unwrap_err();
    assert_eq!(
        (error.code, error.labels[0].span),
        ("syntax::not-utf8", crate::span::Span::new(FileId(3), 2, 2))
    );
    assert_eq!(decode(b"\xef\xbb\xbftime T", FileId(0)), Ok("time T"));
    assert_eq!(file("\u{feff}time T\r\ntime S\r\n").items.len(), 2);
}

/// Each text below is wrong in the way its first words say; the snapshot is what a user reads about it.
#[test]
fn errors_are_said_in_plain_words() {
    const WRONG: &[&str] = &[
        "",
        "# only comments\n",
        "modle A {\n  y = x\n}\nimport numpy\n",
        "cell L(H {\n  input x : [X\n  h' = tanh(W·x\n  g = 3\n}\ntime T",
        "model A {\n  y = f(x]\n  z = x)\n}}\n",
        "cell A {\n  state h\nblock B {\n  y = x\n}\n",
        "model M {\n  a = 2x\n  b = 1.\n  c = .5\n  d = 1_000\n  e = 1e999\n  f = 0x1f\n}",
        "model M {\n  y = x; z = w\n  c = a && b\n  d = a × b\n  e = “s”\n  f = a\u{a0}+ b\n}",
        "model M {\n  s = \"abc\n  t = \"a\\qb\"\n  u = a\u{202e}\n  v = '3'\n}",
        "model M {\n  a =\n  b = c +\n  d = e f\n  g = = h\n  i = a ** b\n  j = f(a b)\n}",
        "model M {\n  y = x |> scan\n  z = x |> 3\n  w = x |> C with e\n  v = x |> C from h = a with e = b\n}",
        "model M {\n  y = h''\n  z = sum(x) over\n  w = sum(x) over s where\n  over = 3\n  u = a.\n}",
        "model M {\n  if x > 3\n  for i in x\n  return x\n  v += 2\n  x\n  watch\n  output\n}",
        "cell A {\n  input x : X\n  input y : [T] float\n  param W ~\n}\nmodel M(H) {\n}\nfn g(x) x\ndim E\n",
        "block B {\n  state h\n  target y\n}\nfn f(x) {\n  watch x\n}\nmodel M {\n  context c\n}\n",
        "train M on d {\n  batch 32\n  lr = 1, decay = 2\n  params all {\n    lr = 1\n  }\n  optimizer =\n}",
        "block B {\n  output x + x |> LayerNorm\n  y = sum(x) over s where s <= t + 1\n  z = [x |> C with e = f, y]\n}",
    ];
    let mut shown = String::new();
    for text in WRONG {
        let mut sources = crate::span::Sources::default();
        let id = sources.add("wrong.seq", *text);
        shown += &format!(
            "{}\n",
            text.trim_end()
                .escape_debug()
                .to_string()
                .replace("\\n", "\n")
        );
        for error in parse(text, id).unwrap_err() {
            shown += &format!("--- {}: {}\n", error.code, error.message);
            for label in &error.labels {
                let (line, column) = sources.line_column(label.span);
                shown += &format!(
                    "    {line}:{column} `{}` {}\n",
                    sources.snippet(label.span),
                    label.text
                );
            }
            shown += &error
                .help
                .map_or(String::new(), |help| format!("    help: {help}\n"));
            shown += &error.fix.map_or(String::new(), |fix| {
                format!(
                    "    fix: `{}` becomes `{}`\n",
                    sources.snippet(fix.span),
                    fix.text
                )
            });
        }
        shown += "\n====\n";
    }
    // A snapshot is read in editors, and there this would turn a line around.
    let shown = shown
        .replace('\u{202e}', "\\u{202e}")
        .replace('\u{a0}', "\\u{a0}");
    insta::with_settings!({
        snapshot_path => "../../../snapshots/ast",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("errors", shown) });
}
