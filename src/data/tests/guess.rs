//! Answers guessed from counts, against hand-counted ones.

use super::*;
use crate::data::{Part, majority, most_frequent, naive_bayes};

fn files() -> Split {
    Split::Files {
        valid: Some(here("b.tsv".to_string()).into()),
        test: None,
        span: Span::default(),
    }
}

/// Texts with a class: the second column's words and the first column's label.
fn texts(train: &str, valid: &str) -> Dataset {
    let words = Step::Words {
        min_count: 1,
        max: None,
        apart: false,
    };
    let columns = vec![
        set("text", at(2).to(words)),
        set("class", at(1).to(Step::Labels)),
    ];
    let spec = spec(SourceKind::Tsv(table("a.tsv", false)), columns, files());
    let fields = vec![
        input("text", Unit::Token, Some("T")),
        target("class", Unit::Class, None),
    ];
    let wanted = wanted(fields, None);
    load(&[("a.tsv", train), ("b.tsv", valid)], &spec, &wanted)
}

#[test]
fn naive_bayes_is_the_textbooks() {
    // The worked example of Manning, Raghavan and Schütze 2008, section 13.2, with its classes:
    // p(c)·Π = 3/4·(3/7)³·(1/14)² is more than 1/4·(2/9)³·(2/9)².
    let train = "c\tChinese Beijing Chinese\nc\tChinese Chinese Shanghai\nc\tChinese Macao\n\
                 j\tTokyo Japan Chinese\n";
    let of = |valid: &str| naive_bayes(&texts(train, valid), "class", Part::Valid);
    assert_eq!(of("c\tChinese Chinese Chinese Tokyo Japan\n"), Some(1.0));
    // Without the repetition the prior does not suffice: 3/4·3/7·(1/14)² < 1/4·(2/9)³.
    assert_eq!(of("j\tChinese Tokyo Japan\n"), Some(1.0));
    // Words that training never saw say nothing, and a class it never saw is not counted.
    let valid = "c\tOsaka\nj\tOsaka\nx\tOsaka\n";
    assert_eq!(of(valid), Some(0.5));
    let d = texts(train, valid);
    assert_eq!(majority(&d, "class", Part::Valid).unwrap(), Some(0.5));
    assert_eq!(majority(&d, "class", Part::Train).unwrap(), Some(0.75));
    assert_eq!(majority(&d, "class", Part::Test).unwrap(), None);
    assert_eq!(
        most_frequent(&d, "class", Part::Valid).unwrap(),
        None,
        "no tags"
    );
}

#[test]
fn each_word_has_its_most_frequent_tag() {
    let table = Table {
        blocks: true,
        ..table("a.tsv", false)
    };
    let columns = vec![
        set("words", at(1).to(Step::Labels)),
        set("tags", at(2).to(Step::Labels)),
    ];
    let spec = spec(SourceKind::Tsv(table), columns, files());
    let fields = vec![
        input("words", Unit::Token, Some("T")),
        target("tags", Unit::Class, Some("T")),
    ];
    let wanted = wanted(fields, None);
    let train = "fish\tN\nswim\tV\n\nfish\tN\nfish\tV\nfast\tA\n\nfast\tA\ncars\tN\n";
    // `fish` is N, `swim` V; `boats`, unknown, the most frequent of all, N; `fast` is wrong.
    let valid = "fish\tN\nswim\tV\nboats\tN\nfast\tV\n";
    let d = load(&[("a.tsv", train), ("b.tsv", valid)], &spec, &wanted);
    assert_eq!(most_frequent(&d, "tags", Part::Valid).unwrap(), Some(0.75));
    assert_eq!(
        most_frequent(&d, "tags", Part::Train).unwrap(),
        Some(6.0 / 7.0)
    );
    assert_eq!(majority(&d, "tags", Part::Valid).unwrap(), Some(0.5));
    assert_eq!(
        naive_bayes(&d, "tags", Part::Valid),
        None,
        "tags, not a text's class"
    );
}

#[test]
fn units_have_majorities_of_their_own() {
    let columns = vec![set("on", columns(&["a", "b"]))];
    let kind = SourceKind::Csv(table("a.tsv", true));
    let spec = spec(kind, columns, files());
    let wanted = wanted(vec![target("on", Unit::Binary, None).sized(&[2])], None);
    let d = load(
        &[
            ("a.tsv", "a,b\n1,0\n1,0\n0,0\n"),
            ("b.tsv", "a,b\n1,0\n0,1\n"),
        ],
        &spec,
        &wanted,
    );
    assert_eq!(majority(&d, "on", Part::Valid).unwrap(), Some(0.5));
    assert_eq!(majority(&d, "on", Part::Train).unwrap(), Some(5.0 / 6.0));
}
