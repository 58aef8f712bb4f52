//! Bad data: each fault has its code, and its place where the file has one.

use super::*;

/// Code and first label of the first error.
fn fault(files: &[(&str, &[u8])], spec: &DataSpec, wanted: &Wanted) -> (&'static str, String) {
    match load_with(files, spec, wanted, |_| {}) {
        Ok(_) => ("ok", String::new()),
        Err(errors) => {
            assert!(!errors.is_empty());
            for e in &errors {
                assert!(e.message.chars().count() <= 72, "{}", e.message);
                assert!(!e.message.contains(char::is_control));
            }
            let label = &errors[0].labels[0].text;
            // The folder's name is of no interest.
            let place = label.rsplit('/').next().unwrap_or(label).to_string();
            (errors[0].code, place)
        }
    }
}

fn of_names(bytes: &[u8]) -> (&'static str, String) {
    let spec = spec(
        lines("names.txt"),
        vec![set("name", whole().to(Step::Chars))],
        parts(90.0, 5.0, 5.0),
    );
    let wanted = wanted(vec![target("name", Unit::Token, Some("T")).fed()], None);
    fault(&[("names.txt", bytes)], &spec, &wanted)
}

#[test]
fn bad_text() {
    for (bytes, code, place) in [
        (&b""[..], "data::empty", ""),
        (b"\xef\xbb\xbf", "data::empty", ""),
        (b"\n \n\t\n", "data::empty", ""),
        (b"ab\nc\xffd\n", "data::not-utf8", "names.txt:2:2"),
        (b"ab\nabc\0\n", "data::control-character", "names.txt:2:4"),
        (b"a\x1b[31m\n", "ok", ""),
        ("a\u{96}b\n".as_bytes(), "ok", ""),
        (b"a\rb\n", "ok", ""),
        (b"\xc3\xa9\n\xc3", "data::not-utf8", "names.txt:2:1"),
        (b"\xed\xa0\x80\n", "data::not-utf8", "names.txt:1:1"),
        (b"a\r\nb\r\n", "ok", ""),
        (b"\xef\xbb\xbfa\nb", "ok", ""),
    ] {
        let (found, at) = of_names(bytes);
        assert_eq!(found, code, "{bytes:?}");
        assert!(at.ends_with(place), "{at} for {bytes:?}");
    }
    let long = [b"x".repeat(17 << 20), b"\n".to_vec()].concat();
    assert_eq!(of_names(&long).0, "data::line-too-long");
}

/// A csv file with a number `x` for a class `y`.
fn of_table(
    file: &str,
    x: ColumnExpr,
    y: ColumnExpr,
    keep: Option<ColumnExpr>,
) -> (&'static str, String) {
    let mut spec = spec(
        SourceKind::Csv(table("t.csv", true)),
        vec![set("x", x), set("y", y)],
        parts(100.0, 0.0, 0.0),
    );
    spec.keep = keep;
    let wanted = wanted(
        vec![
            input("x", Unit::Number, None),
            target("y", Unit::Class, None),
        ],
        None,
    );
    fault(&[("t.csv", file.as_bytes())], &spec, &wanted)
}

#[test]
fn bad_tables() {
    let good = "a,b\n1,x\n2,y\n";
    let x = || named("a");
    let y = || named("b").to(Step::Labels);
    let plain = |file: &str| of_table(file, x(), y(), None);
    assert_eq!(plain(good).0, "ok");
    for (file, code, place) in [
        ("a,b\n1,x\n2\n", "data::ragged-row", "t.csv:3:1"),
        ("a,b\n1,x\n2,y,z\n", "data::ragged-row", "t.csv:3:1"),
        ("a,b\n", "data::empty", ""),
        ("a,b,a\n1,2,3\n", "data::duplicate-column", "t.csv:1:5"),
        ("a,b\n1,x\nfoo,y\n", "data::not-a-number", "t.csv:3:1"),
        ("b,a\nx,\n", "data::not-a-number", "t.csv:2:3"),
        ("b,a\n\"x\ny\",q\n", "data::not-a-number", "t.csv:3:4"),
        ("a,b\n1,\"x\n2,y\n", "data::unclosed-quote", "t.csv:2:3"),
        ("a,b\nnan,x\n", "data::not-finite", "t.csv:2:1"),
        ("a,b\n1e300,x\n", "data::not-finite", "t.csv:2:1"),
        ("a,c\n1,x\n", "data::unknown-column", ""),
        ("", "data::empty", ""),
    ] {
        let (found, at) = plain(file);
        assert_eq!(found, code, "{file:?}");
        assert!(at.ends_with(place), "{at} for {file:?}");
    }
    // The logarithm of 0 is found where the 0 stands.
    let log = of_table("a,b\n1,x\n0,y\n", x().to(Step::Log), y(), None);
    assert_eq!(
        (log.0, log.1.ends_with("t.csv:3:1")),
        ("data::not-finite", true)
    );
    let keep = |c| of_table(good, x(), y(), Some(c)).0;
    assert_eq!(keep(number(0.0)), "data::nothing-kept");
    assert_eq!(keep(binary(Binary::Gt, name("x"), number(1.0))), "ok");
    let text = e(ColumnKind::Text("y".into()));
    assert_eq!(keep(binary(Binary::Eq, name("y"), text)), "ok");
    assert_eq!(keep(named("a").to(Step::Zscore)), "data::fitted-too-early");
    assert_eq!(keep(next(named("a"))), "data::fitted-too-early");
    assert_eq!(keep(name("z")), "data::unknown-name");
    // Settings that do not fit.
    let of = |x: ColumnExpr, y: ColumnExpr| of_table(good, x, y, None).0;
    assert_eq!(of(named("A b"), y()), "data::unknown-column");
    assert_eq!(of(at(3), y()), "data::unknown-column");
    assert_eq!(of(name("y"), name("x")), "data::cycle");
    assert_eq!(of(x(), named("b")), "data::no-vocabulary");
    assert_eq!(
        of(x(), binary(Binary::Sub, named("a"), number(2.0))),
        "data::not-a-class"
    );
    // One number of many digits is not taken for so many classes.
    assert_eq!(
        of(x(), binary(Binary::Add, named("a"), number(2e6))),
        "data::not-a-class"
    );
    assert_eq!(of(named("b").to(Step::Pixels), y()), "data::no-images");
    assert_eq!(of(x().to(Step::Window(2)), y()), "data::mixed");
    assert_eq!(of(columns(&["a", "b"]), y()), "data::not-a-number");
    assert_eq!(of(columns(&["a", "a"]), y()), "data::features");
    assert_eq!(of(next(next(x())), y()), "data::empty-part");
    let scale = Step::Scale {
        low: 1.0,
        high: 1.0,
    };
    assert_eq!(of(x().to(scale), y()), "data::scale");
    let twice = x().to(Step::Window(2)).to(Step::Steps(2));
    assert_eq!(of(twice, y()), "data::steps");
}

#[test]
fn faults_of_sequences() {
    let two = |file: &str, x: &str, y: &str| {
        let spec = spec(
            SourceKind::Tsv(table("p.tsv", false)),
            vec![
                set("a", at(1).to(Step::Chars)),
                set("b", at(2).to(Step::Chars)),
            ],
            parts(100.0, 0.0, 0.0),
        );
        let wanted = wanted(
            vec![
                input("a", Unit::Token, Some(x)),
                target("b", Unit::Token, Some(y)),
            ],
            None,
        );
        fault(&[("p.tsv", file.as_bytes())], &spec, &wanted)
    };
    assert_eq!(two("ab\tcd\na\tbc\n", "S", "T").0, "ok");
    assert_eq!(two("ab\tcd\nab\tcd\n", "T", "T").0, "ok");
    let (code, at) = two("ab\tcd\na\tbc\n", "T", "T");
    assert_eq!((code, &at[..]), ("data::unequal-lengths", "p.tsv:2:3"));
    let (code, at) = two("ab\tcd\n\tbc\n", "S", "T");
    assert_eq!((code, &at[..]), ("data::empty-sequence", "p.tsv:2:1"));
    // A fixed time has its length in every example.
    let spec = spec(
        lines("l.txt"),
        vec![set("a", whole().to(Step::Chars))],
        parts(100.0, 0.0, 0.0),
    );
    let wanted = wanted(vec![input("a", Unit::Token, Some("T"))], Some(2));
    let (code, at) = fault(&[("l.txt", b"ab\nabc\n")], &spec, &wanted);
    assert_eq!((code, &at[..]), ("data::length", "l.txt:2:1"));
}

#[test]
fn files_that_are_not_there() {
    let wanted = wanted(vec![target("name", Unit::Token, Some("T")).fed()], None);
    let code = |path: &str| {
        let columns = vec![set("name", whole().to(Step::Chars))];
        fault(
            &[],
            &spec(lines(path), columns, parts(100.0, 0.0, 0.0)),
            &wanted,
        )
        .0
    };
    assert_eq!(code("none.txt"), "io::not-found");
    assert_eq!(code("../none.txt"), "data::path-outside");
    assert_eq!(code("/etc/passwd"), "data::path-outside");
    assert_eq!(code("."), "data::not-a-file");
}

#[test]
fn a_model_that_asks_for_what_the_data_has_not() {
    let spec = spec(
        lines("l.txt"),
        vec![set("name", whole().to(Step::Chars))],
        parts(100.0, 0.0, 0.0),
    );
    let ask = |field: Field| fault(&[("l.txt", b"ab\n")], &spec, &wanted(vec![field], None)).0;
    assert_eq!(
        ask(target("nmae", Unit::Token, Some("T"))),
        "data::missing-column"
    );
    assert_eq!(ask(target("name", Unit::Token, None)), "data::mixed");
    assert_eq!(
        ask(target("name", Unit::Number, Some("T"))),
        "data::not-a-number"
    );
    assert_eq!(ask(target("name", Unit::Token, Some("T"))), "ok");
}

/// The codes of a first look, with whether each is an error.
fn look(files: &[(&str, &str)], spec: &DataSpec, wanted: &Wanted) -> Vec<(&'static str, bool)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let found = crate::data::probe(spec, wanted, &LoadOptions::new(folder.path()));
    found.iter().map(|d| (d.code, d.is_error())).collect()
}

#[test]
fn a_first_look_reads_the_beginning_only() {
    let spec = spec(
        SourceKind::Csv(table("t.csv", true)),
        vec![set("x", named("a"))],
        parts(100.0, 0.0, 0.0),
    );
    let wanted = wanted(vec![input("x", Unit::Number, None)], None);
    let look = |text: &str| look(&[("t.csv", text)], &spec, &wanted);
    assert_eq!(look("a,b\n1,2\n"), []);
    assert_eq!(look("c,b\n1,2\n"), [("data::unknown-column", true)]);
    // The cut falls inside a quoted field of several lines, and what is past it is not seen.
    let long = format!(
        "a,b\n{}7,\"{}\"\n8\n",
        "1,2\n".repeat(10_000),
        "x\n".repeat(60_000)
    );
    assert_eq!(look(&long), []);
    assert_eq!(
        super::faults::look(&[], &spec, &wanted),
        [("io::not-found", false)]
    );
}
