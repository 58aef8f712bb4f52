//! Values that are missing in a table.

use super::load::floats;
use super::*;

/// The rows of `x = column(x, missing = …)` with `y = next(x, ahead)`, of the training part: 4 of 6.
fn rows(file: &str, missing: Missing, ahead: usize) -> Result<Vec<[f32; 2]>, Vec<Diagnostic>> {
    let x = e(ColumnKind::Filled {
        columns: named("x").into(),
        missing,
    });
    let y = e(ColumnKind::Next(name("x").into(), ahead));
    let split = Split::Parts {
        shares: [66.7, 33.3, 0.0],
        by: SplitBy::Time,
        span: Span::default(),
    };
    let source = SourceKind::Csv(table("x.csv", true));
    let spec = spec(source, vec![set("x", x), set("y", y)], split);
    let fields = vec![
        input("x", Unit::Number, None),
        target("y", Unit::Number, None),
    ];
    let files = [("x.csv", file.as_bytes())];
    let d = load_with(&files, &spec, &wanted(fields, None), |_| {})?;
    let [x, y] = ["x", "y"].map(|name| floats(&d, Part::Train, name));
    Ok(x.into_iter().zip(y).map(|(x, y)| [x, y]).collect())
}

#[test]
fn a_missing_number_is_filled_or_its_row_left_out() {
    let file = "day,x\n1,10\n2,\n3, NA\n4,40\n5,\n6,60\n";
    let of = |missing, ahead| rows(file, missing, ahead).unwrap();
    let carried = [[10., 10.], [10., 10.], [10., 40.]];
    assert_eq!(of(Missing::Previous, 1), carried);
    // The mean of 10 and 40: the 60 is not of the training part.
    let mean = [[10., 25.], [25., 25.], [25., 40.]];
    assert_eq!(of(Missing::Mean, 1), mean);
    let number = [[10., -1.], [-1., -1.], [-1., 40.]];
    assert_eq!(of(Missing::Number(-1.0), 1), number);
    // Rows 10, 40 and 60 are left; two of the three train.
    assert_eq!(of(Missing::Drop, 1), [[10., 40.]]);
    assert_eq!(of(Missing::Previous, 3), [[10., 40.]]);
}

/// The labels of `x = column(x, missing = …) |> lower() |> labels()`.
fn labels(missing: Missing) -> Vec<String> {
    let x = e(ColumnKind::Filled {
        columns: named("x").into(),
        missing,
    });
    let split = Split::Parts {
        shares: [100.0, 0.0, 0.0],
        by: SplitBy::Time,
        span: Span::default(),
    };
    let source = SourceKind::Csv(table("x.csv", true));
    let x = x.to(Step::Lower).to(Step::Labels);
    let spec = spec(source, vec![set("x", x)], split);
    let fields = vec![target("x", Unit::Class, None)];
    let files = [("x.csv", "x,y\nNA,1\n,2\nB,3\n\" \",4\n".as_bytes())];
    let d = load_with(&files, &spec, &wanted(fields, None), |_| {}).unwrap();
    let text = |i| d.text(Part::Train, "x", i).unwrap();
    (0..d.len(Part::Train)).map(text).collect()
}

#[test]
fn a_missing_label_is_filled_or_its_row_left_out() {
    assert_eq!(labels(Missing::Drop), ["na", "b"]);
    assert_eq!(labels(Missing::Previous), ["na", "na", "b", "b"]);
    let none = Missing::Text("None".to_string());
    assert_eq!(labels(none), ["na", "none", "b", "none"]);
    assert_eq!(labels(Missing::Number(0.5)), ["na", "0.5", "b", "0.5"]);
}

#[test]
fn nothing_to_fill_with_is_said_with_its_place() {
    let wrong = |file, missing| rows(file, missing, 1).unwrap_err().remove(0);
    let d = wrong("x\n\"\"\n2\n3\n4\n", Missing::Previous);
    assert_eq!(d.code, "data::missing");
    assert!(format!("{d:?}").contains("x.csv:2:1"), "{d:?}");
    let d = wrong("day,x\n1,\n2,\n3,\n4,\n5,5\n6,6\n", Missing::Mean);
    assert_eq!(d.code, "data::missing");
    let d = wrong("day,x\n1,\n2,\n", Missing::Drop);
    assert_eq!(d.code, "data::nothing-kept");
}

#[test]
fn every_missing_number_is_told_in_the_order_of_the_file() {
    // Rows 1 to 6 train, 7 and 8 validate; two cells of one row, another field.
    let rows: Vec<String> = (0..10)
        .map(|i| match i {
            1 => ",,1".to_string(),
            4 => ",5,".to_string(),
            7 => "7,,1".to_string(),
            9 => "9,9,".to_string(),
            _ => format!("{i},{i},1"),
        })
        .collect();
    let file = format!("a,b,y\n{}\n", rows.join("\n"));
    let both = || columns(&["a", "b"]);
    let label = |x: ColumnExpr, by| {
        let split = Split::Parts {
            shares: [60.0, 20.0, 20.0],
            by,
            span: Span::default(),
        };
        let source = SourceKind::Csv(table("x.csv", true));
        let spec = spec(source, vec![set("x", x), set("y", named("y"))], split);
        let fields = vec![
            input("x", Unit::Number, None).sized(&[2]),
            target("y", Unit::Number, None),
        ];
        let files = [("x.csv", file.as_bytes())];
        let found = load_with(&files, &spec, &wanted(fields, None), |_| {}).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        let label = found[0].labels[0].text.clone();
        let places = label.split(", ").map(|p| p.rsplit('/').next().unwrap());
        places.collect::<Vec<_>>().join(", ")
    };
    let all = "x.csv:3:1, x.csv:3:2, x.csv:6:1 and 3 more, 6 in all";
    assert_eq!(label(both(), SplitBy::Shuffle), all);
    assert_eq!(label(both(), SplitBy::Time), all);
    // What is fitted on the training part is held against the others as well, and so are other fields.
    let fitted = both().to(Step::Zscore);
    assert_eq!(label(fitted, SplitBy::Shuffle), all);
}
