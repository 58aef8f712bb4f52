//! JSON lines and pictures.

use super::*;
use crate::data::{Part, Tensor};

fn jsonl(lines: &str, columns: Vec<ColumnSpec>, fields: Vec<Field>) -> Result<Dataset, String> {
    let mut spec = spec(
        SourceKind::Jsonl(here("r.jsonl".into())),
        columns,
        parts(100.0, 0.0, 0.0),
    );
    let long = binary(Binary::Gt, length(named("text")), number(1.0));
    spec.keep = Some(long);
    let wanted = wanted(fields, None);
    load_with(&[("r.jsonl", lines.as_bytes())], &spec, &wanted, |_| {})
        .map_err(|e| format!("{}: {} | {:?}", e[0].code, e[0].message, e[0].help))
}

#[test]
fn json_lines_are_rows_with_named_columns() {
    let columns = || {
        vec![
            set("review", named("text").to(Step::Chars)),
            set("size", columns(&["a", "b"])),
            set("mood", whole().to(Step::Labels)),
        ]
    };
    let fields = || {
        vec![
            input("review", Unit::Token, Some("T")),
            input("size", Unit::Number, None).sized(&[2]),
            target("mood", Unit::Class, None),
        ]
    };
    let lines = "{\"text\": \"ab\", \"mood\": \"up\", \"a\": 1, \"b\": 2.5}\n\
                 {\"b\": 4, \"a\": 3, \"mood\": \"down\", \"text\": \"ba\"}\n\
                 {\"b\": 4, \"a\": 3, \"mood\": \"down\", \"text\": \"\"}\n";
    let d = jsonl(lines, columns(), fields()).unwrap();
    assert_eq!(d.len(Part::Train), 2);
    let batch = d
        .each(Part::Train, &super::batches::in_order(2))
        .next()
        .unwrap();
    let numbers = Tensor::F32(vec![1.0, 2.5, 3.0, 4.0]);
    assert_eq!(batch.data("size"), Some(&numbers));
    assert_eq!(batch.data("mood"), Some(&Tensor::I32(vec![1, 0])));
    assert_eq!(batch.data("review"), Some(&Tensor::I32(vec![0, 1, 1, 0])));
    let wrong = jsonl(&lines.replace("2.5", "\"x\""), columns(), fields()).unwrap_err();
    assert!(wrong.starts_with("data::not-a-number: `x`"), "{wrong}");
    let wrong = jsonl(&lines.replace("mood", "moods"), columns(), fields()).unwrap_err();
    assert!(wrong.contains("did you mean `moods`?"), "{wrong}");
}

/// Two pictures of two rows of two, and two labels.
fn pictures() -> [(&'static str, &'static [u8]); 2] {
    [
        (
            "images",
            b"\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02\0\0\x64\xc8\0\x64\0\0",
        ),
        ("labels", b"\0\0\x08\x01\0\0\0\x02\x0a\x09"),
    ]
}

fn idx(columns: Vec<ColumnSpec>, fields: Vec<Field>) -> Dataset {
    let kind = SourceKind::Idx {
        images: here("images".into()),
        labels: Some(here("labels".into())),
    };
    let spec = spec(kind, columns, parts(100.0, 0.0, 0.0));
    load_with(&pictures(), &spec, &wanted(fields, None), |_| {}).unwrap()
}

#[test]
fn pixels_are_scaled_together() {
    let scaled = named("images").to(Step::Pixels).to(Step::Scale {
        low: 0.0,
        high: 1.0,
    });
    let columns = || {
        vec![
            set("image", scaled.clone()),
            set("digit", named("labels").to(Step::Labels)),
        ]
    };
    let digit = || target("digit", Unit::Class, None);
    let batch = |image: Field| {
        let d = idx(columns(), vec![image, digit()]);
        assert_eq!(d.vocabulary("digit").unwrap().symbols(), ["9", "10"]);
        let batch = d.each(Part::Train, &super::batches::in_order(2)).next();
        batch.unwrap()
    };
    let flat = batch(input("image", Unit::Number, None).sized(&[4]));
    assert_eq!(flat.data("digit"), Some(&Tensor::I32(vec![1, 0])));
    let values = vec![0.0, 0.0, 0.5, 1.0, 0.0, 0.5, 0.0, 0.0];
    assert_eq!(flat.data("image"), Some(&Tensor::F32(values)));
    // Row by row: [T, B, 2].
    let rows = batch(input("image", Unit::Number, Some("T")).sized(&[2]));
    let values = vec![0.0, 0.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.0];
    assert_eq!(rows.data("image"), Some(&Tensor::F32(values)));
    assert_eq!(rows.lengths("T"), Some(&[2, 2][..]));
}

#[test]
fn a_part_of_pictures_is_a_pair_of_files() {
    let kind = SourceKind::Idx {
        images: here("images".into()),
        labels: Some(here("labels".into())),
    };
    let columns = || {
        vec![
            set("image", named("images").to(Step::Pixels)),
            set("digit", named("labels").to(Step::Labels)),
        ]
    };
    let load = |images: &'static [u8]| {
        let split = Split::Files {
            valid: Some(PartFile {
                path: here("valid-images".into()),
                labels: Some(here("valid-labels".into())),
            }),
            test: None,
            span: Span::default(),
        };
        let fields = vec![
            input("image", Unit::Number, None).sized(&[4]),
            target("digit", Unit::Class, None),
        ];
        let [a, b] = pictures();
        let labels = b"\0\0\x08\x01\0\0\0\x01\x09";
        let files = [a, b, ("valid-images", images), ("valid-labels", labels)];
        let spec = spec(kind.clone(), columns(), split);
        load_with(&files, &spec, &wanted(fields, None), |_| {})
    };
    let d = load(b"\0\0\x08\x03\0\0\0\x01\0\0\0\x02\0\0\0\x02\x01\x02\x03\x04").unwrap();
    assert_eq!(Part::ALL.map(|p| d.len(p)), [2, 1, 0]);
    let batch = d.each(Part::Valid, &super::batches::in_order(1)).next();
    let batch = batch.unwrap();
    assert_eq!(batch.data("digit"), Some(&Tensor::I32(vec![0])));
    let values = vec![1.0, 2.0, 3.0, 4.0];
    assert_eq!(batch.data("image"), Some(&Tensor::F32(values)));
    let wrong = load(b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x02\x01\x02").unwrap_err();
    assert_eq!(
        wrong[0].message,
        "the pictures of the parts are not of one size"
    );
}

#[test]
fn a_folder_is_bound_for_two_files() {
    let kind = SourceKind::Idx {
        images: here("sub/images".into()),
        labels: Some(here("sub/labels".into())),
    };
    let columns = vec![set("digit", named("labels").to(Step::Labels))];
    let spec = spec(kind, columns, parts(100.0, 0.0, 0.0));
    let wanted = wanted(vec![target("digit", Unit::Class, None)], None);
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in pictures() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let bound = |to: &std::path::Path| {
        load_with(&[], &spec, &wanted, |o| {
            o.bindings.insert("d".into(), to.to_path_buf());
        })
    };
    assert_eq!(bound(folder.path()).unwrap().len(Part::Train), 2);
    let errors = bound(&folder.path().join("images")).unwrap_err();
    assert_eq!(errors[0].code, "data::needs-folder");
}
