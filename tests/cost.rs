//! What `seqc check --cost` says of attention: the formulas that one derives by hand.

use std::process::Command;

use serde_json::Value;

/// Six layers of width 256 with eight heads of 32; `condition` follows `over s`.
fn gpt(condition: &str) -> String {
    format!(
        "time T
dim  E = 256, N = 8, D = E/N
block Attention {{
  input x : [T, E]
  param Wq, Wk, Wv : [N, D, E]
  param Wo : [N, E, D]
  q = Wq·x
  k = Wk·x
  v = Wv·x
  w[n, t, s] = q[t, n] · k[s, n] / sqrt(D)
  α[n, t, s] = softmax(w[n, t, s]) over s{condition}
  m[t, n] = sum(α[n, t, s] * v[s, n]) over s
  y[t]    = sum(Wo[n] · m[t, n]) over n
  output y
}}
block Layer {{
  input x : [T, E]
  a = x + (x |> LayerNorm |> Attention |> dropout(0.1))
  output a + (a |> LayerNorm |> Linear(4*E) |> gelu |> Linear(E) |> dropout(0.1))
}}
model GPT {{
  input  seen : [T] token
  target text : [T] token
  words = Embed(E)
  h = seen |> words |> AddPosition(max = 256) |> Repeat(6, Layer) |> LayerNorm
  predict text = h |> Linear |> softmax
}}
"
    )
}

/// The model's part of `seqc check --cost --json`, and the text without `--json`.
fn cost(source: &str, model: &str) -> (Value, String) {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("model.seq");
    std::fs::write(&path, source).unwrap();
    let run = |more: &[&str]| {
        let mut seqc = Command::new(env!("CARGO_BIN_EXE_seqc"));
        let out = seqc.arg("check").arg(&path).arg("--cost").args(more);
        let out = out.output().unwrap();
        let shown = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(0), "{shown}");
        String::from_utf8(out.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let files = json["cost"].as_object().unwrap();
    let all = files.values().next().unwrap();
    (all[model].clone(), run(&[]))
}

/// Per token and layer 2·4·256·256 for the projections and 2·8·256·256 for the rest; 2·256 for each
/// of the pairs that the condition leaves, twice a layer.
#[test]
fn a_gpt_costs_what_the_textbook_says() {
    let (causal, text) = cost(&gpt(" where s <= t"), "GPT");
    let flops = &causal["forward_flops"];
    let formula = "B·(512·T·V_text + 3072·T·(T + 1) + 9437184·T)";
    assert_eq!(flops["numbers"], formula);
    assert_eq!(flops["exact"], true);
    assert_eq!(flops["assumes"], serde_json::json!([]));
    assert!(text.contains(&format!(" = {formula} FLOPs\n")), "{text}");
    // Each product has two in the backward pass.
    assert_eq!(
        causal["backward_flops"]["numbers"],
        "B·(1024·T·V_text + 6144·T·(T + 1) + 18874368·T)"
    );
    let (whole, _) = cost(&gpt(""), "GPT");
    assert_eq!(
        whole["forward_flops"]["numbers"],
        "B·(512·T·V_text + 6144·T² + 9437184·T)"
    );
}

#[test]
fn sizes_of_equal_number_keep_their_names() {
    let model = |sizes: &str| {
        format!(
            "time T\ndim {sizes}\nmodel M {{\n  input x : [T, E]\n  target y : [T]\n  \
             predict y = x |> scan GRU(H) |> Linear(K) |> tanh |> Linear\n}}\n"
        )
    };
    let formula = |sizes: &str| {
        let (cost, _) = cost(&model(sizes), "M");
        ["parameters", "forward_flops", "backward_flops"].map(|k| cost[k]["formula"].clone())
    };
    let equal = formula("E = 32, H = 32, K = 32");
    assert_eq!(equal, formula("E = 8, H = 16, K = 24"));
    let parameters = equal[0].as_str().unwrap();
    assert!(
        parameters.contains("E·H") && parameters.contains("H·K"),
        "{parameters}"
    );
    // Where they must be one, they are.
    let sum = model("E = 32, H = 32, K = 32").replace(
        "predict y = x |> scan GRU(H)",
        "h = x |> scan GRU(H)\n  predict y = (h + x)",
    );
    let (sum, _) = cost(&sum, "M");
    let parameters = sum["parameters"]["formula"].as_str().unwrap();
    assert!(parameters.contains("6·E²"), "{parameters}");
}

#[test]
fn strided_attention_is_counted_in_closed_form() {
    let strided = " where s <= t and (t - s < K or mod(s, K) == 0)";
    let source = gpt(strided).replace("D = E/N", "D = E/N, K = 16");
    let (cost, text) = cost(&source, "GPT");
    let flops = &cost["forward_flops"];
    let formula = flops["formula"].as_str().unwrap();
    assert!(
        formula.contains("12·D·N·(T²/K + 2·K·T - T - K² + K)"),
        "{formula}"
    );
    assert_eq!(flops["assumes"], serde_json::json!(["T a multiple of K"]));
    assert!(text.contains(" FLOPs, for T a multiple of K\n"), "{text}");
}
