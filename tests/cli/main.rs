//! The binary itself: exit codes, what goes to stdout and to stderr, and what is left on the disk.
//!
//! Longer than most files: one list of what the command promises, a test for each promise. What
//! `predict` and the folders of runs promise is in files of their own.

use std::fs;
use std::process::Stdio;

use here::{Here, LINE, WORDS, keys};

mod here;
mod next;
mod predict;
mod resumed;
mod rows;
mod runs;

#[test]
fn a_run_is_trained_measured_and_asked() {
    let here = Here::new();
    let trained = here.run(&["train", "words.seq", "--json"]).exits(0);
    let summary = trained.json();
    for key in [
        "run",
        "steps",
        "epochs",
        "seconds",
        "compile_ms",
        "first_step_ms",
        "data_wait",
        "params",
        "train.loss",
        "valid.loss",
        "valid.perplexity",
    ] {
        assert!(summary.get(key).is_some(), "{key} in {summary}");
    }
    assert!(trained.err.contains("bigram"), "{}", trained.err);
    let run = summary["run"].as_str().expect("a path").to_string();
    assert_eq!(run, "runs/words-Small");

    let eval = here.run(&["eval", &run, "--json"]).exits(0);
    assert_eq!(
        keys(&eval.json()),
        [
            "valid.loss",
            "valid.perplexity",
            "valid.rival",
            "valid.versus"
        ]
    );
    assert_eq!(eval.err, "");
    let exact = here
        .run(&["eval", &run, "--json", "--dtype", "f64"])
        .exits(0);
    let (a, b) = (&eval.json()["valid.loss"], &exact.json()["valid.loss"]);
    let apart = a.as_f64().expect("a number") - b.as_f64().expect("a number");
    assert!(apart.abs() < 1e-5, "{a} {b}");
    let weights = format!("{run}/best/weights.safetensors");
    let file = here
        .run(&["eval", "words.seq", "--weights", &weights, "--json"])
        .exits(0);
    assert_eq!(file.json()["valid.loss"], eval.json()["valid.loss"]);
    here.run(&["eval", &run, "--grads", "g.safetensors"])
        .exits(0);
    assert!(here.has("g.safetensors"));

    // A picture changes nothing of what is said.
    let plotted = here.run(&["eval", &run, "--json", "--plot", "classes.png"]);
    assert_eq!(plotted.exits(0).out, eval.out);
    let png = fs::read(here.path().join("classes.png")).expect("a picture");
    assert!(png.starts_with(b"\x89PNG"));
    here.run(&["eval", &run, "--plot", "loss.svg", "--plot-of", "loss"])
        .exits(0);
    let drawn = |path: &str| fs::read_to_string(here.path().join(path)).expect("a picture");
    assert_eq!(drawn("loss.svg"), drawn(&format!("{run}/loss.svg")));
    let weights_of = ["eval", "words.seq", "--weights", &weights, "--plot"];
    let of_a_file = [&weights_of[..], &["x.svg", "--plot-of", "rate"]].concat();
    here.run(&of_a_file).exits(2).says("usage::plot-of");
    here.run(&["eval", &run, "--plot", "x.pdf"])
        .exits(2)
        .says("usage::plot-form");
    assert!(!here.has("x.svg") && !here.has("x.pdf"));

    let write = |seed: &str| {
        let args = ["generate", &run, "-n", "6", "--seed", seed, "--json"];
        here.run(&args).exits(0).json()["generated"].clone()
    };
    assert_eq!(write("1").as_array().map(Vec::len), Some(6));
    assert_eq!(write("1"), write("1"));
    assert_ne!(write("1"), write("2"));
    let plain = here
        .run(&["generate", &run, "-n", "2", "--length", "5"])
        .exits(0);
    assert_eq!(plain.out.lines().count(), 2);

    here.write("new.txt", "ban\nkal\n");
    let csv = here.run(&["predict", &run, "new.txt"]).exits(0);
    assert!(csv.out.starts_with("example,step,word,word.p\n"));
    let csv = here
        .run(&["predict", &run, "new.txt", "--probabilities"])
        .exits(0);
    assert!(csv.out.starts_with("example,step,word,word.p,word.a,"));
    let json = here
        .run(&["predict", &run, "new.txt", "--json", "--probabilities"])
        .exits(0)
        .json();
    let first = &json["predictions"][0];
    assert_eq!(keys(first), ["word", "word.all", "word.p"]);
    assert_eq!(first["word"].as_array().map(Vec::len), Some(4));
    assert!(first["word.all"][0]["<end>"].is_number(), "{first}");

    // Nothing is overwritten; what exists can be resumed, and is done.
    let before = fs::read(here.path().join(&weights)).expect("weights");
    here.run(&["train", "words.seq", "--out", &run])
        .exits(2)
        .says("run::exists");
    here.run(&["train", &run]).exits(2).says("--resume");
    here.run(&["train", &run, "--resume"]).exits(0);
    let again = here.run(&["train", "words.seq", "--json"]).exits(0).json();
    assert_eq!(again["run"], "runs/words-Small-2");
    assert_eq!(again["valid.loss"], summary["valid.loss"]);
    assert_eq!(
        fs::read(here.path().join(&weights)).expect("weights"),
        before
    );
}

#[test]
fn what_is_refused_leaves_nothing() {
    let here = Here::new();
    here.run(&["train", "line.seq", "--dry-run"]).exits(0);
    here.run(&["train", "line.seq", "--set", "train.batch=0"])
        .exits(2);
    here.run(&["train", "line.seq", "--data", "other=x"])
        .exits(2);
    here.run(&["train", "line.seq", "Nobody"]).exits(2);
    here.run(&["train", "missing.seq"]).exits(3);
    here.run(&["train", "words.seq", "--data", "words=missing.txt"])
        .exits(3);
    here.write("empty.txt", "");
    here.run(&["train", "words.seq", "--data", "words=empty.txt"])
        .exits(1);
    let weights = "train.weights=\"missing.safetensors\"";
    here.run(&["train", "line.seq", "--set", weights, "--out", "run"])
        .exits(3);
    assert!(!here.has("runs") && !here.has("run"));
    here.run(&["train", "line.seq", "--resume"]).exits(2);
    here.run(&["eval", "runs/nothing"]).exits(3);
    here.run(&["generate", "nothing"]).exits(3);
}

#[test]
fn a_step_that_needs_more_memory_than_there_is_is_refused() {
    let here = Here::new();
    // 400,000 × 400,000 weights are 640 GB.
    let wide = LINE.replace("Linear(1)", "Linear(400000) |> Linear(400000) |> Linear(1)");
    here.write("wide.seq", &wide);
    here.run(&["train", "wide.seq"])
        .exits(3)
        .says("resource::memory");
    assert!(!here.has("runs"));
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_gives_its_exit_code() {
    use std::io::{BufRead, BufReader};

    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let here = Here::new();
        let mut child = here
            .command(&[
                "train",
                "line.seq",
                "--set",
                "train.epochs=1000000",
                "--out",
                "run",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("seqc starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        // The first line comes when training begins.
        lines.next().expect("a line").expect("text");
        // SAFETY: the process is our child and has not been waited for, so its id is its own.
        let sent = unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0);
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("ends").code(), Some(code), "{rest:?}");
        assert!(here.path().join("run/latest/weights.safetensors").is_file());
        here.run(&["train", "run", "--resume", "--max-steps", "1"])
            .exits(0);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_drawing_of_weights() {
    use std::io::{BufRead, BufReader};

    let here = Here::new();
    let wide = LINE
        .replace("Linear(1)", "Linear(4000) |> Linear(4000) |> Linear(1)")
        .replace(
            "  metrics   = [mae]",
            "  params \"*\" { init = orthogonal }",
        );
    here.write("wide.seq", &wide);
    let runs = [
        (libc::SIGTERM, 143, "--dry-run"),
        (libc::SIGINT, 130, "--max-steps=1"),
    ];
    for (signal, code, how) in runs {
        let mut child = here
            .command(&["train", "wide.seq", how])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("seqc starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(
            first.starts_with("drawing the initial weights") && first.contains("[4000, 4000]"),
            "{first}"
        );
        // SAFETY: the process is our child and has not been waited for, so its id is its own.
        let sent = unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0);
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("ends").code(), Some(code), "{rest:?}");
        assert!(rest[0].contains("run::interrupted"), "{rest:?}");
        assert!(!here.has("runs"));
    }
}

#[test]
fn check_tells_programs_what_it_tells_people() {
    let here = Here::new();
    let fine = here.run(&["check", "line.seq", "words.seq"]).exits(0);
    assert_eq!((fine.out.lines().count(), fine.err.as_str()), (2, ""));
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    let bad = here.run(&["check", "bad.seq"]).exits(1);
    assert_eq!(bad.out, "");
    assert!(bad.err.contains("bad.seq:4:"), "{}", bad.err);
    let json = here
        .run(&["check", "bad.seq", "line.seq", "--json"])
        .exits(1);
    assert_eq!(json.err, "");
    let json = json.json();
    assert_eq!(keys(&json), ["diagnostics", "files", "ok"]);
    assert_eq!(json["ok"], false);
    assert_eq!(json["files"], serde_json::json!(["line.seq"]));
    let found = &json["diagnostics"][0];
    assert_eq!(
        keys(found),
        ["code", "fix", "help", "labels", "message", "severity"]
    );
    assert_eq!(found["labels"][0]["at"]["line"], 4);
    let cost = here
        .run(&["check", "line.seq", "--cost", "--json"])
        .exits(0)
        .json();
    assert_eq!(cost["cost"]["line.seq"]["Line"]["parameters"]["value"], 3);
}

#[test]
fn costs_are_of_the_model_as_it_is_trained() {
    let here = Here::new();
    let cost = |rule: &str| {
        let file = WORDS.replace("  seed      = 1", &format!("  seed      = 1\n{rule}"));
        here.write("ruled.seq", &file);
        let ran = here.run(&["check", "ruled.seq", "--cost", "--json"]);
        let cost = ran.exits(0).json()["cost"]["ruled.seq"]["Small"].clone();
        let of = |key: &str| cost[key]["numbers"].as_str().expect(key).to_string();
        (of("parameters"), of("backward_flops"))
    };
    let (all, back) = cost("");
    let (more, _) = cost("  params \"gru.*\" { lora = 2 }");
    let (same, less) = cost("  params \"gru.*\" { frozen = yes }");
    // Three W of 6 by 4 and three U of 6 by 6, each with two rows of A and two columns of B.
    let terms = |text: &str| -> i64 {
        let constant = text.split(" + ").filter_map(|t| t.parse::<i64>().ok());
        constant.sum()
    };
    assert_eq!(
        terms(&more) - terms(&all),
        3 * 2 * (4 + 6) + 3 * 2 * (6 + 6)
    );
    assert_eq!(same, all);
    assert_ne!(less, back);
}

#[test]
fn costs_are_formulas() {
    let here = Here::new();
    let lstm = WORDS.replace("GRU(6)", "LSTM(6)");
    here.write("lstm.seq", &lstm);
    let cost = here.run(&["check", "lstm.seq", "--cost"]).exits(0).out;
    let line = "weights of lstm: 4·E·H + 4·H² + 4·H = 264";
    assert!(cost.contains(line), "{cost}");
    assert!(cost.contains("V_word"), "{cost}");
    here.run(&["check", "lstm.seq", "--data", "words=none.txt"])
        .exits(0)
        .says("io::not-found");
}

#[test]
fn offered_edits_are_made() {
    let here = Here::new();
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    let fixed = here.run(&["check", "bad.seq", "--fix"]).exits(0);
    assert!(fixed.err.contains("1 edit made"), "{}", fixed.err);
    let text = fs::read_to_string(here.path().join("bad.seq")).expect("text");
    assert_eq!(text, LINE);
}

#[test]
fn stages_are_printed_for_a_named_machine() {
    let here = Here::new();
    let emit = |stages: &str| {
        let stages = format!("--emit={stages}");
        let args = ["emit", "words.seq", &stages, "--target", "portable"];
        here.run(&args).exits(0).out
    };
    let plan = emit("plan");
    for part in ["pass ", "hoist-input", "plan small", "peak ", "on portable"] {
        assert!(plan.contains(part), "{part} in\n{plan}");
    }
    assert_eq!(plan, emit("plan"));
    assert!(emit("clif").contains("function"));
    assert!(!emit("asm").is_empty());
    here.run(&["emit", "words.seq", "--emit=asm", "--target", "aarch64"])
        .exits(2);
    here.run(&["emit", "words.seq", "--emit=opt", "--without", "nothing"])
        .exits(2);
    here.run(&[
        "emit",
        "words.seq",
        "--emit=opt",
        "--without",
        "round-weights",
    ])
    .exits(0);
    // Predicting and writing have functions of their own.
    let of = |use_: &str| {
        let args = ["emit", "words.seq", "--emit=ir,opt", use_];
        here.run(&args).exits(0).out
    };
    assert!(of("--infer").contains("out prediction") && !of("--infer").contains("out gradient"));
    assert!(of("--generate").contains("_step ["));
    let args = [
        "emit",
        "words.seq",
        "--emit=ir,opt",
        "--generate",
        "-o",
        "texts",
    ];
    here.run(&args).exits(0);
    assert!(here.has("texts/small.generate.opt"), "{:?}", here.path());
    // A step of training has the gradients that the settings leave it.
    let lora = WORDS.replace("  seed ", "  params \"gru.Wz\" { lora = 2 }\n  seed ");
    here.write("lora.seq", &lora);
    let opt = here.run(&["emit", "lora.seq", "--emit=opt"]).exits(0).out;
    assert!(opt.contains("gradient gru.Wz.lora_b"), "{opt}");
    assert!(!opt.contains("gradient gru.Wz "), "{opt}");
    // A file whose names are wrong still has a tree.
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    here.run(&["emit", "bad.seq", "--emit=ast"]).exits(0);
    here.run(&["emit", "bad.seq", "--emit=ast,ir"]).exits(1);
}

#[test]
fn snapshots_fail_where_something_changed() {
    let here = Here::new();
    let read = |name: &str| fs::read_to_string(here.path().join(name)).expect("text");
    let checked = "snapshots/two__Line.checked.snap";
    let plan = "snapshots/two__Other.plan@portable.snap";
    let two =
        LINE.to_string() + &LINE[..LINE.find("data").expect("data")].replace("Line {", "Other {");
    here.write("two.seq", &two);

    // Nothing is recorded yet: it lies in wait, and fails.
    let first = here.run(&["snapshot", "two.seq"]).exits(1);
    assert!(first.out.contains("snapshots: 4 new"), "{}", first.out);
    assert!(here.has(&format!("{checked}.new")) && !here.has(checked));
    let update = here.run(&["snapshot", "two.seq", "--update"]).exits(0);
    assert!(update.out.contains("4 written"), "{}", update.out);
    assert!(here.has(plan) && !here.has(&format!("{checked}.new")));
    let head = "---\nsource: \"two.seq\"\nexpression: \"seqc emit two.seq --emit=checked --model Line\"\n---\nmodel Line\n";
    assert!(read(checked).starts_with(head), "{}", read(checked));
    let same = here.run(&["snapshot", "two.seq"]).exits(0);
    assert_eq!(same.out, "snapshots: 4 same\n");
    // What a checkout on another system does to line ends is no change.
    here.write(checked, &read(checked).replace('\n', "\r\n"));
    here.run(&["snapshot", "two.seq"]).exits(0);

    // A wider layer shows as a difference, and what was recorded stays.
    let before = read(checked);
    let wider = "x |> Linear(7) |> Linear(1)";
    here.write("two.seq", &two.replacen("x |> Linear(1)", wider, 1));
    let changed = here.run(&["snapshot", "two.seq"]).exits(1);
    assert!(
        changed.out.contains("\n+  param linear_2.W"),
        "{}",
        changed.out
    );
    assert!(
        changed.out.contains("snapshots: 2 same, 2 changed"),
        "{}",
        changed.out
    );
    assert_eq!(read(checked), before);
    let json = here.run(&["snapshot", "two.seq", "--json"]).exits(1).json();
    assert_eq!(json["ok"], false);
    assert_eq!(
        keys(&json["snapshots"][0]),
        ["diff", "file", "model", "snapshot", "stage", "state"]
    );
    here.write("two.seq", &two);
    here.run(&["snapshot", "two.seq"]).exits(0);
    assert!(!here.has(&format!("{checked}.new")));
}

#[test]
fn snapshots_keep_to_the_stages_recorded_and_to_their_own_files() {
    let here = Here::new();
    let record = |stages: &str| {
        let args = ["snapshot", "line.seq", "--update", "--stage", stages];
        here.run(&args).exits(0)
    };
    record("ast,ir,clif");
    let clif = format!(
        "snapshots/line__Line.clif@portable-{}.snap",
        std::env::consts::ARCH
    );
    assert!(here.has(&clif) && here.has("snapshots/line__ast.snap"));
    assert_eq!(
        here.run(&["snapshot", "line.seq"]).exits(0).out,
        "snapshots: 3 same\n"
    );
    // A model that is gone keeps its snapshot, and is spoken of.
    here.write(
        "line.seq",
        &LINE
            .replace("Line {", "Linie {")
            .replace("train Line", "train Linie"),
    );
    here.run(&["snapshot", "line.seq"])
        .exits(1)
        .says("snapshot::unused");
    assert!(here.has(&clif));
    // What is no snapshot of this file is never written over.
    for text in ["mine", "---\nsource: other.seq\n---\nmodel Line\n"] {
        here.write("snapshots/line__Linie.opt.snap", text);
        here.run(&["snapshot", "line.seq", "--update", "--stage", "opt"])
            .exits(1)
            .says("snapshot::foreign");
        let kept = fs::read_to_string(here.path().join("snapshots/line__Linie.opt.snap"));
        assert_eq!(kept.expect("text"), text);
    }
    here.write("bad.seq", &LINE.replace("|> Linear", "|> Linaer"));
    here.run(&["snapshot", "bad.seq", "words.seq"])
        .exits(1)
        .says("bad.seq:4:");
    here.run(&["snapshot", "bad.seq", "--stage", "ast", "--update"])
        .exits(0);
    here.run(&["snapshot", "missing.seq"]).exits(3);
    assert!(here.has("snapshots/words__Small.checked.snap.new"));
}

#[test]
fn a_closed_pipe_is_quiet() {
    let here = Here::new();
    let mut child = here
        .command(&["emit", "words.seq", "--emit=clif"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("seqc starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("ends");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(ended.stderr, b"");
}

#[test]
fn odd_files_are_refused_with_their_place() {
    let here = Here::new();
    let deep = format!(
        "model M {{\n predict y = {}1{}\n}}\n",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    let itself = "cell A(H) {\n input x : [X]\n state h : [H]\n h' = x |> A(H)\n}\n\
                  model M {\n input x : [3]\n target y : number\n predict y = x |> A(3) |> Linear(1)\n}\n";
    for (text, place) in [
        (
            LINE.replace("Linear(1)", "Linear(1000000000000)").as_str(),
            "odd.seq:4:",
        ),
        (&deep, "odd.seq:2:"),
        (itself, "odd.seq:4:"),
        ("model M {\0\n}\n", "odd.seq:1:10"),
        ("", "odd.seq:1:1"),
    ] {
        here.write("odd.seq", text);
        let began = std::time::Instant::now();
        here.run(&["check", "odd.seq"]).exits(1).says(place);
        assert!(began.elapsed().as_secs() < 10, "{place}");
    }
    fs::create_dir(here.path().join("folder.seq")).expect("made");
    here.run(&["check", "folder.seq"]).exits(3);
    let missing = here.run(&["check", "missing.seq", "--json"]).exits(3);
    assert_eq!(missing.json()["ok"], false);
}

#[test]
fn names_and_codes_are_explained() {
    let here = Here::new();
    for (name, part) in [
        ("lstm", "c' = f*c + i*g"),
        ("MixtureOfExperts", "#   parameters "),
        ("Linear", "`y = W·x + b`"),
        ("shape::mismatch", "\n# Mended:\n"),
        ("run::locked", "Another process"),
    ] {
        let out = here.run(&["explain", name]).exits(0).out;
        assert!(out.contains(part) && out.ends_with('\n'), "{out}");
    }
    here.run(&["explain", "Liner"]).exits(2).says("`Linear`");
}

#[test]
fn usage_errors_exit_with_2() {
    let here = Here::new();
    for args in [
        &["frobnicate"][..],
        &["train"],
        &["emit", "line.seq", "--emit=nothing"],
        &["check", "line.seq", "--data", "points"],
        &["check", "line.seq", "--set", "train.nothing=1"],
        &["explain", "nothing::at-all"],
    ] {
        let ran = here.run(args).exits(2);
        assert_eq!(ran.out, "", "{}", ran.args);
        assert_ne!(ran.err, "", "{}", ran.args);
    }
    here.run(&["--version"]).exits(0);
}

#[test]
fn a_starter_file_is_sound_and_never_overwrites() {
    let here = Here::new();
    here.run(&["new", "first"]).exits(0);
    here.run(&["check", "first.seq"]).exits(0);
    here.run(&["fmt", "--check", "first.seq"]).exits(0);
    here.run(&["train", "first.seq", "--dry-run"]).exits(0);
    here.run(&["new", "first"]).exits(2);
    let doctor = here.run(&["doctor", "--json"]).exits(0).json();
    assert!(keys(&doctor).contains(&"instructions"));
}
