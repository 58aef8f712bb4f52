//! Parser and formatter against each other, on programs made at random and on bytes made at random.

use proptest::prelude::*;

use super::*;
use crate::span::FileId;

/// The parts a program may be made of; the words of the language are more likely than anything else.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "cell",
        "block",
        "model",
        "fn",
        "time",
        "dim",
        "data",
        "train",
        "generate",
        "tune",
        "input",
        "context",
        "state",
        "target",
        "param",
        "output",
        "watch",
        "predict",
        "penalty",
        "params",
        "given",
        "scan",
        "reverse",
        "both",
        "over",
        "where",
        "with",
        "from",
        "and",
        "or",
        "not",
        "as",
        "on",
        "token",
        "class",
        "matrices",
        "x",
        "h",
        "T",
        "σ",
        "alpha",
        "α₁",
        "e\u{301}",
        "नाम",
        "1",
        "0.5",
        "2e-3",
        "1e",
        ".5",
        "2x",
        "\"s\"",
        "\"s\\\"",
        "\"",
        "'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "=",
        "==",
        "~",
        "+",
        "-",
        "*",
        "/",
        "·",
        "@",
        "^",
        "<",
        "<=",
        "|>",
        "|",
        ".",
        "#",
        "# c\n",
        "\n",
        "\n",
        "\r\n",
        "\t",
        " ",
        "\u{a0}",
        "\u{202e}",
        "\0",
        "\u{feff}",
        "!",
        "…",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..60).prop_map(|words| {
        // Words run into one another now and then.
        words
            .iter()
            .enumerate()
            .map(|(n, w)| {
                if n % 3 == 0 {
                    w.to_string()
                } else {
                    format!("{w} ")
                }
            })
            .collect()
    })
}

/// Every span inside the text, on character borders, and no message longer than a line.
fn well_formed(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = parse(text, FileId(0)) else {
        return Ok(());
    };
    prop_assert!(!errors.is_empty());
    for error in errors {
        prop_assert!(error.message.chars().count() <= 72, "{}", error.message);
        prop_assert!(!error.message.chars().any(char::is_control));
        prop_assert!(!error.labels.is_empty());
        let fixes = error.fix.iter().map(|fix| fix.span);
        for span in error.labels.iter().map(|label| label.span).chain(fixes) {
            prop_assert!(
                text.get(span.start as usize..span.end as usize).is_some(),
                "{:?}",
                error.labels
            );
        }
    }
    Ok(())
}

/// What the formatter promises of one program.
fn round_trip(text: &str, style: Style) -> Result<(), TestCaseError> {
    let file = match parse(text, FileId(0)) {
        Ok(file) => file,
        Err(errors) => return Err(TestCaseError::fail(format!("{text}\n{errors:?}"))),
    };
    let once = format(&file, text, style);
    let again = match parse(&once, FileId(0)) {
        Ok(file) => file,
        Err(errors) => {
            return Err(TestCaseError::fail(format!(
                "{text}\n--\n{once}\n{errors:?}"
            )));
        }
    };
    prop_assert_eq!(dump(&file), dump(&again), "{}\n--\n{}", text, once);
    let comments = |file: &node::File| {
        file.comments
            .iter()
            .map(|c| c.text.clone())
            .collect::<Vec<_>>()
    };
    prop_assert_eq!(comments(&file), comments(&again), "{}\n--\n{}", text, once);
    prop_assert_eq!(
        &once,
        &format(&again, &once, style),
        "{}\n--\n{}",
        text,
        once
    );
    for line in once.lines() {
        prop_assert_eq!(line.trim_end(), line);
    }
    Ok(())
}

/// A gap between two tokens inside brackets, or beside an operator: anything that blanks can be.
fn gap() -> BoxedStrategy<&'static str> {
    prop_oneof![
        12 => Just(" "),
        6 => Just(""),
        1 => Just("\n"),
        1 => Just(" # why\n  "),
        1 => Just("\n\n  # first\n# second\n\n"),
        1 => Just("  \t"),
        1 => Just("\r\n"),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop::sample::select(vec![
        "x",
        "h",
        "W₁",
        "σ",
        "sigmoid",
        "alpha",
        "a_long_name_of_some_length",
        "नाम",
        "é",
        "e\u{301}",
    ])
    .prop_map(str::to_string)
    .boxed()
}

/// An expression as text; every operator in parentheses, so that a newline may stand beside it. The strategies are boxed
/// because unoptimised builds would hold all of them on the stack.
fn expression() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        name(),
        name().prop_map(|name| name + "'"),
        name().prop_map(|name| name + ".h'"),
        prop::sample::select(vec!["1", "0.25", "2e-3", "\"a # b\\\"\""]).prop_map(str::to_string),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let op = prop::sample::select(vec!["+", "-", "*", "/", "·", "@", "^", "<=", "==", " and ", " or "]);
        let two = (inner.clone(), gap(), op, gap(), inner.clone());
        prop_oneof![
            3 => two.prop_map(|(a, g, op, h, b)| format!("({a}{g}{op}{h}{b})")),
            3 => (inner.clone(), gap(), gap()).prop_map(|(a, g, h)| format!("({g}{a}{h})")),
            2 => (inner.clone(), gap(), inner.clone(), gap()).prop_map(|(a, g, b, h)| format!("[{g}{a},{g}{b}{h}]")),
            2 => (name(), gap(), inner.clone(), inner.clone()).prop_map(|(f, g, a, b)| format!("{f}({g}{a}, n{g}= {b},)")),
            1 => (name(), inner.clone()).prop_map(|(f, a)| format!("{f}[{a}, t]")),
            1 => inner.clone().prop_map(|a| format!("(-{a})")),
            1 => inner.clone().prop_map(|a| format!("(not {a})")),
            1 => (inner.clone(), gap(), inner.clone())
                .prop_map(|(a, g, b)| format!("(sum({a}) over s, k{g} where {g}{b})")),
            2 => (inner.clone(), gap(), inner.clone(), gap()).prop_map(|(a, g, b, h)| {
                format!("({a}{g}|>{h}scan both C(64){g} with e = {b}{h} from l.h = {b} |> softmax)")
            }),
            1 => (name(), inner.clone()).prop_map(|(f, a)| format!("{f}(6 as i, {a})")),
        ]
    })
    .boxed()
}

fn statement() -> BoxedStrategy<String> {
    prop_oneof![
        (name(), expression())
            .prop_map(|(a, e)| format!("{a} = {e}"))
            .boxed(),
        (name(), gap(), expression())
            .prop_map(|(a, g, e)| format!("{a}'[t, s] ={g}{e}"))
            .boxed(),
        (expression(), gap(), expression())
            .prop_map(|(a, g, b)| format!("y = {a} +{g}{b}"))
            .boxed(),
        (expression(), gap())
            .prop_map(|(a, g)| format!("y = {a}{g} |> Linear(3){g} |> softmax"))
            .boxed(),
        (name(), gap(), name(), expression())
            .prop_map(|(a, g, b, e)| format!("input {a},{g}{b} : [{e}, T] token"))
            .boxed(),
        (name(), expression())
            .prop_map(|(a, e)| format!("param {a} : [E] ~ {e}"))
            .boxed(),
        (expression(), gap(), name())
            .prop_map(|(a, g, b)| format!("output {a},{g}{b}"))
            .boxed(),
        name().prop_map(|a| format!("watch {a}")).boxed(),
    ]
    .boxed()
}

/// A file: statements and settings in bodies, with comments and blank lines between.
fn program() -> impl Strategy<Value = String> {
    let end = prop::sample::select(vec![
        "\n",
        "\n",
        " # c\n",
        "\n\n\n",
        "\n  # own\n",
        "   \r\n",
        "\n# a\n\n# b\n",
    ]);
    let setting = (
        prop::sample::select(vec!["lr", "loss.stars", "given x", "a_very_long_setting"]),
        expression(),
    )
        .prop_map(|(key, e)| format!("{key} = {e}"))
        .boxed();
    let item = prop_oneof![
        prop::collection::vec((statement(), end.clone()), 0..5).prop_map(|body| {
            let body: String = body.into_iter().map(|(s, e)| s + e).collect();
            format!("block B(H, d = 1) {{ {body}}}")
        }).boxed(),
        (prop::collection::vec((setting.clone(), end.clone()), 0..5), setting).prop_map(|(body, one)| {
            let body: String = body.into_iter().map(|(s, e)| s + e).collect();
            format!("train M on d {{ # head\n{body} params \"a*\" {{ {one} }}\nparams vectors {{\n}} }}")
        }).boxed(),
        expression().prop_map(|e| format!("fn f(x : [T], y) = {e}")).boxed(),
        Just("time S, T = 30".to_string()).boxed(),
        expression().prop_map(|e| format!("dim E = 3,\n  D = {e}")).boxed(),
    ];
    prop::collection::vec((item, end), 1..5)
        .prop_map(|items| items.into_iter().map(|(i, e)| i + e).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_tree_or_well_formed_errors(text in soup()) {
        well_formed(&text)?;
        if parse(&text, FileId(0)).is_ok() {
            round_trip(&text, Style::default())?;
        }
    }

    #[test]
    fn any_characters_are_a_tree_or_well_formed_errors(text in "\\PC{0,80}") {
        well_formed(&text)?;
    }

    #[test]
    fn any_bytes_are_text_or_a_place_inside_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match decode(&bytes, FileId(0)) {
            Ok(text) => well_formed(text)?,
            Err(error) => prop_assert!(error.labels[0].span.end as usize <= bytes.len()),
        }
    }

    #[test]
    fn a_broken_program_is_well_formed_errors(text in program(), at in any::<prop::sample::Index>(), bad in soup()) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let (head, tail) = text.split_at(*at.get(&places));
        well_formed(&(head.to_string() + &bad + tail))?;
    }

    #[test]
    fn formatting_is_idempotent_and_keeps_the_tree_and_comments(text in program(), ascii in any::<bool>()) {
        round_trip(&text, Style { ascii })?;
    }

    #[test]
    fn the_ascii_spelling_is_the_same_program(text in program()) {
        let Ok(file) = parse(&text, FileId(0)) else { return Ok(()) };
        let ascii = format(&file, &text, Style { ascii: true });
        let Ok(again) = parse(&ascii, FileId(0)) else { return Err(TestCaseError::fail(ascii)) };
        prop_assert_eq!(dump(&file), dump(&again));
    }
}
