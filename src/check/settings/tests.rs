//! Blocks as text: what each mistake says, and that the examples resolve.

use super::*;
use crate::ast::parse;
use crate::settings::{Batch, Clip, Length, Optimizer, Precision, Schedule};
use crate::span::{FileId, Sources};

/// Each error or warning as one line: code, message, what the labels cover, the help.
fn report(text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let id = sources.add("t.seq", text);
    let file = parse(text, id).expect("the text parses");
    let mut found = Vec::new();
    check(&file, &[], &mut found);
    found
        .iter()
        .map(|d| {
            assert!(d.message.chars().count() <= 72, "{}", d.message);
            let labels: Vec<&str> = d.labels.iter().map(|l| sources.snippet(l.span)).collect();
            let help = d.help.as_ref().map_or(String::new(), |h| format!(" | {h}"));
            format!("{}: {} @ {}{help}", d.code, d.message, labels.join(" ; "))
        })
        .collect()
}

/// All blocks with their defaults, in one text.
fn resolved(experiment: &Experiment) -> String {
    let blocks = super::resolved(experiment);
    let texts: Vec<String> = blocks.into_iter().map(|(_, text)| text).collect();
    texts.join("\n")
}

fn experiment(text: &str) -> Experiment {
    let file = parse(text, FileId(0)).expect("the text parses");
    let mut found = Vec::new();
    let out = check(&file, &[], &mut found);
    let errors: Vec<_> = found.iter().filter(|d| d.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    out
}

/// A train block with these lines, on data that fits them.
fn train(lines: &str) -> String {
    format!(
        "model M {{ target text : [T] token\n predict text = text }}\n\
         data d {{ from = \"x.txt\"\n text = chars() }}\n\
         train M on d {{\n{lines}\n}}"
    )
}

fn data(lines: &str) -> String {
    format!("time T\ndata d {{\n{lines}\n}}")
}

#[test]
fn defaults_are_filled_in() {
    let e = experiment(&train(""));
    let s = &e.trains[0].settings;
    assert_eq!(s.batch, Batch::Rows(32));
    assert_eq!(s.length, Length::Epochs(10));
    assert_eq!(s.schedule, Schedule::Constant { warmup: 0 });
    assert_eq!(s.clip, Clip::None);
    assert_eq!((s.seed, s.stop.clone()), (0, None));
    assert_eq!(
        s.optimizer,
        Optimizer::Adam {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8
        }
    );
}

#[test]
fn a_whole_block_is_read() {
    let e = experiment(&train(
        "batch = 64\nbptt = 128\noptimizer = adamw(lr = 2e-3, decay = 0.1)\n\
         schedule = cosine(warmup = 5*100)\nclip = norm(5)\nsteps = 10 * 1000\n\
         metrics = [perplexity, versus(bigram)]\nstop = patience(3, on = valid.perplexity)\n\
         validate = every(500)\nseed = 42\nparams vectors { decay = 0 }",
    ));
    let s = &e.trains[0].settings;
    assert_eq!(s.length, Length::Steps(10_000));
    assert_eq!(
        s.schedule,
        Schedule::Cosine {
            warmup: 500,
            end: 0.0
        }
    );
    assert_eq!(s.weight("b", 1).decay, 0.0);
    assert_eq!(s.weight("W", 2).decay, 0.1);
    let stop = s.stop.as_ref().unwrap();
    assert_eq!((stop.checks, &*stop.on.key()), (3, "perplexity"));
}

#[test]
fn precision_is_taken_without_a_word() {
    let text = train("precision = bf16");
    assert_eq!(report(&text), [""; 0]);
    let of = |text: &str| experiment(text).trains[0].settings.precision;
    assert_eq!(of(&text), Precision::Bf16);
    assert_eq!(of(&train("")), Precision::F32);
}

#[test]
fn mistakes_in_train() {
    let cases = [
        (
            "optimzer = adam(lr = 1e-3)",
            "setting::unknown: `train` has no setting `optimzer` @ optimzer \
             | did you mean `optimizer`?",
        ),
        (
            "top_k = 3",
            "setting::unknown: `train` has no setting `top_k` @ top_k",
        ),
        (
            "batch = 0",
            "setting::out-of-range: `batch` needs a whole number from 1, found 0 @ 0",
        ),
        (
            "optimizer = adam(lr = 0)",
            "setting::out-of-range: `lr` needs a number above 0, found 0 @ 0",
        ),
        (
            "optimizer = adam(lr = \"a\")",
            "setting::wrong-type: `lr` needs a number, found a quoted text @ \"a\"",
        ),
        (
            "epochs = 3\nsteps = 10",
            "setting::conflict: `epochs` and `steps` both say when to end @ steps ; epochs",
        ),
        (
            "window = 3\nbptt = 10",
            "setting::conflict: `window` cuts a sequence, `bptt` carries states through it \
             @ bptt ; window",
        ),
        (
            "steps = 100\nschedule = cosine(warmup = 100)",
            "setting::conflict: `warmup` of 100 leaves nothing of 100 steps \
             @ cosine(warmup = 100)",
        ),
        (
            "seed = 1\nseed = 2",
            "setting::repeated: `seed` is given twice @ seed ; seed",
        ),
        (
            "stop = patience(3, on = valid.f1)",
            "setting::unknown: `valid.f1` is not measured @ valid.f1 \
             | measured are valid.loss; `metrics` adds more",
        ),
        (
            "stop = patience(3, on = valid.acuracy)\nmetrics = [accuracy]",
            "setting::unknown: `valid.acuracy` is not measured @ valid.acuracy \
             | did you mean `valid.accuracy`?",
        ),
        (
            "stop = patience(3, on = valid.confusion)\nmetrics = [confusion]",
            "setting::unknown: `valid.confusion` is not measured @ valid.confusion \
             | measured are valid.loss; `metrics` adds more",
        ),
        (
            "optimizer = sgd(nesterov = yes)",
            "setting::conflict: `nesterov` looks ahead by `momentum`, which is 0 \
             @ sgd(nesterov = yes)",
        ),
        (
            "metrics = [f1, top(1), f1(micro), top(5), f1(average = macro)]",
            "setting::repeated: metric `f1` is named twice @ f1(average = macro)",
        ),
        (
            "metrics = [accuracy, accuracy]",
            "setting::repeated: metric `accuracy` is named twice @ accuracy",
        ),
        (
            "metrics = [versus(bigram), accuracy, versus(majority)]",
            "setting::conflict: a run has one rival, not `versus(bigram)` and `versus(majority)` \
             @ versus(majority) ; versus(bigram)",
        ),
        (
            "batch = x",
            "setting::unknown: `x` is not a choice of `batch` @ x \
             | `batch` is a whole number or `tokens`",
        ),
        (
            "metrics = [versus(other)]",
            "setting::unknown: `other` is not a column of `data d` @ other \
             | a rival is `bigram`, `majority`, `most_frequent`, `naive_bayes` or a column of the data",
        ),
        (
            "params \"a*\" { decay = 0 }",
            "setting::does-not-fit: `decay` needs `adamw`, the optimizer is `adam` @ decay",
        ),
        (
            "given x = 3",
            "setting::unknown: `given` stands in a `generate` block only @ x",
        ),
        (
            "precision = f16",
            "setting::unknown: `f16` is not a choice of `precision` @ f16 | did you mean `bf16`?",
        ),
        (
            "batch = x |> f",
            "setting::wrong-type: a setting needs a value, found an expression @ x |> f",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(report(&train(lines)), [expected], "{lines}");
    }
}

#[test]
fn mistakes_in_data() {
    let cases = [
        (
            "text = chars()",
            "setting::missing: `data d` does not say where it comes `from` @ d \
             | for example `from = \"text.txt\"` or `from = csv(\"table.csv\")`",
        ),
        (
            "from = \"x\"\ntext = chras()",
            "setting::unknown: `chras` is no step or function of a column @ chras \
             | did you mean `chars`?",
        ),
        (
            "from = \"x\"\ntext = chars()\nsplit = parts(0.7, 0.15, 0.15)",
            "setting::out-of-range: `parts` takes percentages, these add up to 1 of 100 \
             @ parts(0.7, 0.15, 0.15) | write parts(70, 15, 15)",
        ),
        (
            "from = table.csv\ntext = chars()",
            "setting::wrong-type: `from` needs a source or a quoted path, found `table.csv` \
             @ table.csv | write csv(\"table.csv\")",
        ),
        (
            "from = csv(table.csv)\ntext = chars()",
            "setting::wrong-type: `file` needs a quoted text, found `table.csv` \
             @ table.csv | write \"table.csv\"",
        ),
        (
            "from = \"x\"\ntext = chars()\nsplit = parts(90, 10, 10)",
            "setting::out-of-range: `parts` adds up to 110, which is above 100 \
             @ parts(90, 10, 10)",
        ),
        (
            "from = \"x\"\ntext = chars()\ntext = chars()",
            "data::duplicate-column: column `text` is defined twice @ text ; text",
        ),
        (
            "from = csv(\"x.csv\")\na = column(A)\nb = next(aa)",
            "data::unknown-name: `aa` is not a column of `data d` @ aa | did you mean `a`?",
        ),
        (
            "from = csv(\"x.csv\")\na = next(b)\nb = next(a)",
            "data::cycle: column `a` is computed from itself @ a",
        ),
        (
            "from = csv(\"x.csv\", sorted = Date)\na = column(1)",
            "setting::unknown: `csv` has no `sorted` @ sorted | did you mean `sort`?",
        ),
        (
            "from = csv(\"x.csv\")\na = column(0)",
            "setting::out-of-range: `column` needs a whole number from 1, found 0 @ 0",
        ),
        (
            "from = csv(\"x.csv\")\na = column(A) |> window(0)",
            "setting::out-of-range: `steps` needs a whole number from 1, found 0 @ 0",
        ),
        (
            "from = csv(\"x.csv\")\na = column(A)\nsplit = parts(80, 10, 10, by = time, stratify = a)",
            "setting::conflict: `by = time` keeps the order, `stratify` shuffles @ a",
        ),
        (
            "from = idx(images = \"i\", labels = \"l\")\na = pixels()\nsplit = files(valid = \"v\")",
            "setting::conflict: a part of `idx` is two files, this is one @ \"v\" \
             | write `files(valid = idx(images = \"…\", labels = \"…\"))`",
        ),
        (
            "from = csv(\"x.csv\")\na = column(A)\n\
             split = files(test = idx(images = \"i\", labels = \"l\"))",
            "setting::conflict: a part is of the source's form, which is not `idx` \
             @ \"i\" ; csv(\"x.csv\")",
        ),
        (
            "from = csv(\"x.csv\")\na = column(A, missing = previos)",
            "setting::unknown: `previos` is not a choice of `missing` @ previos \
             | did you mean `previous`?",
        ),
        (
            "from = csv(\"x.csv\")\na = next(column(A), 0)",
            "setting::out-of-range: `next` needs a whole number from 1, found 0 @ 0",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(report(&data(lines)), [expected], "{lines}");
    }
}

#[test]
fn blocks_name_what_there_is() {
    let text =
        "model Mine { target y\n predict y = y }\ndata ours { from = \"x\"\n y = chars() }\n";
    assert_eq!(
        report(&format!("{text}train Min on our {{ }}")),
        [
            "name::unknown: there is no `model Min` in this file @ Min | did you mean `Mine`?",
            "name::unknown: there is no `data our` in this file @ our | did you mean `ours`?",
        ]
    );
    assert_eq!(
        report(&format!("{text}train Mine {{ }}")),
        ["setting::missing: `train Mine` does not say on which data @ Mine"]
    );
}

#[test]
fn mistakes_in_generate() {
    let text = "model M { target y\n predict y = y }\n";
    let cases = [
        (
            "search = greedy\ntop_k = 3",
            "setting::conflict: `top_k` narrows draws, `greedy` draws nothing @ top_k ; greedy",
        ),
        (
            "given x = y",
            "setting::wrong-type: `given` needs a text or numbers, found `y` @ y",
        ),
        (
            "top_p = 1.5",
            "setting::out-of-range: `top_p` needs a number above 0 and at most 1, found 1.5 \
             @ 1.5",
        ),
    ];
    for (lines, expected) in cases {
        let text = format!("{text}generate M {{\n{lines}\n}}");
        assert_eq!(report(&text), [expected], "{lines}");
    }
}

/// The examples, and the forms that none of them uses.
fn texts() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut all: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "seq"))
        .map(|p| std::fs::read_to_string(p).unwrap())
        .collect();
    assert!(!all.is_empty());
    all.push(data(
        "from = rows(500, seed = 1)\nv = uniform(-1, 1) over T\ni = randint(10)\n\
         m[t] = choose(t == i or not t < -i ^ 2, 1, 0)\nx = [v, m]\n\
         y = -sum(v * m) over T - (i - (1 - i)) / 2\nkeep = 0 < i <= 5 and max(i, 2) > 1",
    ));
    all.push(data(
        "from = csv(\"a \\\"b\\\".csv\", sort = \"Closing day\", blocks = blank_line)\n\
         a = columns(Open, \"Adj Close\", 3) |> log() |> zscore(fit = train) |> window(30)\n\
         b = next(column(Open) |> scale(-1, 1))\nc = labels()\nd = column(2) |> split(\" \") |> labels()\n\
         split = files(valid = \"v.csv\")",
    ));
    all
}

#[test]
fn what_is_resolved_reads_back_as_itself() {
    for text in texts() {
        let once = resolved(&experiment(&text));
        let mut again = String::from("time T\n");
        for t in experiment(&text).trains {
            let name = t.settings.model;
            if !again.contains(&format!("model {name} ")) {
                again.push_str(&format!("model {name} {{ target y\n predict y = y }}\n"));
            }
        }
        again.push_str(&once);
        assert_eq!(resolved(&experiment(&again)), once);
    }
}

#[test]
fn everything_is_written_out() {
    let text = train("clip = norm(5)\nparams \"a*\" { lr = 1e-4 }");
    let text = resolved(&experiment(&text));
    for line in [
        "  from  = text(\"x.txt\")",
        "  split = parts(90, 5, 5)",
        "  batch      = 32",
        "  epochs     = 10",
        "  optimizer  = adam(lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8)",
        "  schedule   = constant(warmup = 0)",
        "  clip       = norm(5)",
        "  stop       = never",
        "  params \"a*\" {",
        "    lr = 1e-4",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

mod command_line {
    use super::*;

    #[test]
    fn a_column_that_nothing_reads_is_refused() {
        let text = train("");
        let refused = |sets: &[&str]| {
            let mut sources = Sources::default();
            let id = sources.add("t.seq", text.as_str());
            let mut file = parse(&text, id).expect("the text parses");
            let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
            for set in &sets {
                apply_override(&mut file, &mut sources, set).expect("applied");
            }
            refuse_unread(&file, &sources, &sets).err()
        };
        for read in [
            &["data.split=parts(50, 25, 25)", "data.x=chars()"][..],
            &["data.d.keep=length(x) < 9"],
            &["data.more=column(2)", "data.x=column(1) + more"],
            &["train.batch=3"],
        ] {
            assert_eq!(refused(read), None, "{read:?}");
        }
        let d = refused(&["data.spilt=parts(50, 25, 25)"]).expect("refused");
        assert_eq!(d.code, "override::unread-column");
        assert_eq!(d.help.as_deref(), Some("did you mean `split`?"));
        // Its own value is no reader.
        assert!(refused(&["data.splitted=chars()"]).is_some());
    }

    fn set(text: &str, sets: &[&str]) -> Result<Experiment, Vec<String>> {
        let mut sources = Sources::default();
        let id = sources.add("t.seq", text);
        let mut file = parse(text, id).expect("the text parses");
        let mut found = Vec::new();
        for s in sets {
            if let Err(errors) = apply_override(&mut file, &mut sources, s) {
                found.extend(errors);
            }
        }
        let out = check(&file, &[], &mut found);
        if found.is_empty() {
            return Ok(out);
        }
        Err(found
            .iter()
            .map(|d| {
                let at = d.labels.first().map_or("", |l| sources.snippet(l.span));
                format!("{}: {} @ {at}", d.code, d.message)
            })
            .collect())
    }

    #[test]
    fn an_entry_is_replaced_or_added() {
        let text = train("batch = 64\nepochs = 3");
        let e = set(&text, &["train.batch=16", "train.steps = 7"]).unwrap();
        let s = &e.trains[0].settings;
        assert_eq!((s.batch, s.length), (Batch::Rows(16), Length::Steps(7)));
        let e = set(&text, &["train.M.clip=norm(2)", "train.metrics=[accuracy]"]).unwrap();
        let s = &e.trains[0].settings;
        assert_eq!((s.clip, s.metrics.len()), (Clip::Norm(2.0), 1));
        let e = set(&text, &["data.split=parts(50, 25, 25)"]).unwrap();
        assert!(resolved(&e).contains("parts(50, 25, 25)"));
    }

    #[test]
    fn a_bad_value_is_reported_as_in_a_file() {
        let text = train("");
        let cases = [
            (
                "train.batch=0",
                "setting::out-of-range: `batch` needs a whole number from 1, found 0 @ 0",
            ),
            (
                "train.bach=1",
                "setting::unknown: `train` has no setting `bach` @ bach",
            ),
            (
                "batch=1",
                "override::malformed: `--set` takes `block.name=value`, such as `train.batch=16` \
                 @ batch=1",
            ),
            (
                "trian.epochs=3",
                "override::unknown-block: `--set` changes no block `trian` @ trian",
            ),
            (
                "model.x=1",
                "override::unknown-block: `--set` changes no block `model` @ model",
            ),
            (
                "train.batch",
                "override::malformed: `--set` takes `block.name=value`, such as `train.batch=16` \
                 @ train.batch",
            ),
            (
                "train.batch=1 } train N on d { batch = 2",
                "override::malformed: `--set` takes `block.name=value`, such as `train.batch=16` \
                 @ --set train.batch=1 } train N on d { batch = 2",
            ),
            (
                "generate.length=3",
                "override::no-block: the file has no `generate` block to set `length` in \
                 @ --set generate.length=3",
            ),
        ];
        for (arg, expected) in cases {
            match set(&text, &[arg]) {
                Err(found) => assert_eq!(found, [expected], "{arg}"),
                Ok(_) => panic!("`{arg}` is accepted"),
            }
        }
    }

    #[test]
    fn no_text_panics() {
        let text = train("batch = 1");
        for arg in [
            "",
            "=",
            ".",
            "train.=",
            "train..=1",
            "train.batch=",
            "train.batch=\n",
            "train.x[",
            "train.batch=#",
        ] {
            assert!(set(&text, &[arg]).is_err(), "{arg:?}");
        }
    }
}

/// What a train block says of a model that is shaped and sound by itself.
fn trained(model: &str, data: &str, lines: &str) -> Vec<String> {
    let text = format!("time T\n{model}\ndata d {{\n{data}\n}}\ntrain M on d {{\n{lines}\n}}\n");
    let mut sources = Sources::default();
    let id = sources.add("t.seq", text.as_str());
    let file = parse(&text, id).expect("the text parses");
    let checked = crate::check::check(&file, &mut sources);
    assert_eq!(checked.diagnostics, Vec::new());
    let mut found = Vec::new();
    check(&file, &checked.models, &mut found);
    let show = |d: &Diagnostic| {
        let labels: Vec<&str> = d.labels.iter().map(|l| sources.snippet(l.span)).collect();
        let help = d.help.as_ref().map_or(String::new(), |h| format!(" | {h}"));
        format!("{}: {} @ {}{help}", d.code, d.message, labels.join(" ; "))
    };
    found.iter().map(show).collect()
}

const NUMBER: &str =
    "model M {\n input x : [3]\n target y : number\n predict y = x |> Linear(1)\n}";
const SEQUENCE: &str = "model M {\n target text : [T] token\n \
    predict text = previous(text) |> Embed(4) |> scan GRU(8) |> Linear |> softmax\n}";

#[test]
fn settings_are_held_against_the_model() {
    let table = "from = csv(\"t.csv\")\nx = columns(A, B, C)\ny = column(D)";
    let text = "from = \"t.txt\"\ntext = chars()";
    let cases = [
        (
            NUMBER,
            table,
            "metrics = [mae, versus(y)]",
            vec![
                "setting::does-not-fit: `versus(y)`: the rival is the target itself \
                 @ versus(y) ; y",
            ],
        ),
        (
            NUMBER,
            "from = csv(\"t.csv\")\nx = columns(A, B, C)\ny = column(D)\n\
             past = column(D) |> window(30)",
            "metrics = [mae, versus(past)]",
            vec![
                "setting::does-not-fit: `past` is a window of 30, the target `y` has no time \
                 @ versus(past) ; column(D) |> window(30) \
                 | `now = past |> last()` in `data` is its newest value: `versus(now)`",
            ],
        ),
        (
            NUMBER,
            "from = csv(\"t.csv\")\nx = columns(A, B, C)\ny = next(column(D))\n\
             past = column(D) |> window(30)\nnow = past |> last()",
            "metrics = [mae, versus(now)]",
            vec![],
        ),
        (
            SEQUENCE,
            "from = tsv(\"t.tsv\")\ntext = column(1)",
            "",
            vec![
                "data::no-vocabulary: `text` is text without a vocabulary @ column(1) ; text \
                 | add `|> chars()`, `|> words()` or `|> labels()`",
            ],
        ),
        (
            SEQUENCE,
            text,
            "params \"gru.*\" { lr = 1e-4 }\nparams vectors { frozen = yes }",
            vec![],
        ),
        (
            NUMBER,
            table,
            "metrics = [perplexity]",
            vec![
                "setting::does-not-fit: `perplexity` needs a token or class target, no target is one \
                 @ perplexity",
            ],
        ),
        (
            NUMBER,
            table,
            "loss = cross_entropy",
            vec![
                "setting::does-not-fit: `cross_entropy` needs softmax, `y` ends in a plain value \
                 @ cross_entropy ; y",
            ],
        ),
        (
            NUMBER,
            table,
            "loss = hinge",
            vec![
                "setting::does-not-fit: `hinge` needs σ or step, `y` ends in a plain value @ hinge ; y",
            ],
        ),
        (
            NUMBER,
            table,
            "loss = quantile(1)",
            vec!["setting::out-of-range: `q` needs a number above 0 and below 1, found 1 @ 1"],
        ),
        (
            NUMBER,
            table,
            "loss.z = mse",
            vec!["setting::unknown: `z` is not a target of `M` @ loss.z | its targets are y"],
        ),
        (
            SEQUENCE,
            text,
            "params \"gru.Uy\" { lr = 1e-4 }",
            vec![
                "setting::matches-nothing: \"gru.Uy\" matches no weight of `M` @ \"gru.Uy\" \
                 | did you mean \"gru.Un\"?",
            ],
        ),
        (
            SEQUENCE,
            "from = \"t.txt\"\ntext = chars()\nsplit = parts(90, 0, 10)",
            "stop = patience(3)",
            vec![
                "setting::conflict: `stop` needs a validation part, `split` has none \
                 @ patience(3) ; parts(90, 0, 10)",
            ],
        ),
        (
            NUMBER,
            "from = csv(\"t.csv\")\nx = columns(A, B, C)",
            "",
            vec!["data::missing-column: `data d` has no column `y` @ d ; y"],
        ),
        (
            NUMBER,
            "from = csv(\"t.csv\")\nx = columns(A, B, C)\ny = column(D) |> labels()",
            "",
            vec![
                "data::wrong-unit: `y` is a number, its column gives a class \
                 @ column(D) |> labels() ; y",
            ],
        ),
        (
            NUMBER,
            "from = csv(\"t.csv\")\nx = columns(A, B, C)\ny = column(B)",
            "",
            vec!["leak::target-visible: `predict y` sees `y`, its own answer @ x ; x ; y ; y"],
        ),
    ];
    for (model, data, lines, expected) in cases {
        assert_eq!(trained(model, data, lines), expected, "{data}\n{lines}");
    }
}

#[test]
fn a_run_knows_what_it_asks_of_the_data() {
    let text = format!(
        "time T\n{SEQUENCE}\ndata d {{\nfrom = \"t.txt\"\ntext = chars()\n}}\ntrain M on d {{ }}\n"
    );
    let mut sources = Sources::default();
    let id = sources.add("t.seq", text.as_str());
    let file = parse(&text, id).unwrap();
    let models = crate::check::check(&file, &mut sources).models;
    let e = check(&file, &models, &mut Vec::new());
    let t = e.train(Some("M")).unwrap();
    assert_eq!(t.settings.metrics, [Metric::Perplexity]);
    let field = &t.wanted.fields[0];
    assert_eq!(
        (field.name.as_str(), field.time.as_deref()),
        ("text", Some("T"))
    );
    assert!(field.previous && field.feeds_itself && field.features.is_empty());
    assert_eq!((t.wanted.times.len(), t.wanted.times[0].fixed), (1, None));
}
