//! Whole files in index form: leaks that are refused, with what is said, and models that are sound.

use super::texts::{found, said};

/// Items, a model's body in which `x` holds the past of `text` as `[T, 8]`, and a last line.
struct Case(&'static str, &'static str, &'static str);

const HEAD: &str = "time T, S\ndim K = 4\n";

impl Case {
    fn text(&self) -> String {
        let Case(_, items, body) = self;
        let end = "predict text = y |> Linear |> softmax";
        let end = if body.contains("predict") { "" } else { end };
        format!(
            "{HEAD}{items}\nmodel M {{\ntarget text : [T] token\nx = previous(text) |> Embed(8)\n\
             {body}\n{end}\n}}\n"
        )
    }
}

const ATTEND: &str = "\
block Attend {
input x : [T, E]
w[t, s] = x[t] · x[s]
α[t, s] = softmax(w[t, s]) over s where s <= t
y[t] = sum(α[t, s] * x[s]) over s
output y
}";

const LEAKS: &[Case] = &[
    Case(
        "no condition",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s\ny[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "one step too far",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s <= (t + 1)\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "the condition on the wrong index",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where t <= s\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "a softmax along the wrong index",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over t where s <= t\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "a stride beside the condition",
        "",
        "w[t, s] = x[t] · x[s]\n\
         α[t, s] = softmax(w[t, s]) over s where s <= t and t - s < K or mod(s, K) == 0\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "a window on both sides",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where -2 < t - s < K\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "a term beside the weights",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s <= t\n\
         y[t] = sum(α[t, s] * x[s] + x[s]) over s",
    ),
    Case(
        "a mask put on after the softmax",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s\n\
         y[t] = sum(α[t, s] * x[s]) over s where s <= t",
    ),
    Case(
        "a mask by the data",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where text[s] == text[t]\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "the mean of all steps",
        "",
        "m[e] = mean(x[t, e]) over t\ny[t, e] = x[t, e] - m[e]",
    ),
    Case(
        "a maximum to scale by",
        "",
        "m[e] = max(x[t, e]) over t\ny[t, e] = x[t, e] / m[e]",
    ),
    Case(
        "tied weights, and the answer itself",
        "",
        "words = Embed(8)\nh = text |> words\n\
         predict text = softmax(words.table · h)",
    ),
    Case(
        "tied weights, and a scan back",
        "",
        "words = Embed(8)\nh = previous(text) |> words |> scan reverse GRU(8)\n\
         predict text = softmax(words.table · h)",
    ),
    Case(
        "a scan over what attention has leaked",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s\nm[t] = sum(α[t, s] * x[s]) over s\n\
         y = m |> scan GRU(8)",
    ),
    Case(
        "an initial state from a sum",
        "",
        "z[e] = sum(x[t, e]) over t\ny = x |> scan GRU(8) from h = z",
    ),
    Case(
        "the answer's own sequence as a context",
        "cell Look(H) {
input y : [E]
context enc : [T, C]
state h : [H]
param W : [H, C]
param U : [H, E]
e[u] = h · (W·enc[u])
α[u] = softmax(e[u]) over u
c = sum(α[u] * enc[u]) over u
h' = tanh(U·y + W·c)
}",
        "y = x |> scan Look(8) with enc = x",
    ),
    Case(
        "two hops, the second too far",
        ATTEND,
        "m = x |> Attend\nw[t, s] = x[t] · m[s]\nα[t, s] = softmax(w[t, s]) over s where s <= (t + 2)\n\
         y[t] = sum(α[t, s] * m[s]) over s",
    ),
    Case(
        "a delay of one against two steps ahead",
        "",
        "d = previous(x, 1)\nw[t, s] = d[t] · d[s]\n\
         α[t, s] = softmax(w[t, s]) over s where s <= (t + 2)\n\
         y[t] = sum(α[t, s] * d[s]) over s",
    ),
    Case(
        "through a sequence of another time",
        "",
        "input src : [S] token\nk = src |> Embed(8)\nw[u, t] = k[u] · x[t]\n\
         m[u] = sum(w[u, t] * x[t]) over t\nv[t, u] = x[t] · k[u]\nβ[t, u] = softmax(v[t, u]) over u\n\
         y[t] = sum(β[t, u] * m[u]) over u",
    ),
    Case(
        "a block of the library that looks both ways",
        "",
        "y = x |> TransformerEncoder(8, heads = 2)",
    ),
];

const SOUND: &[Case] = &[
    Case("attention", ATTEND, "y = x |> Attend"),
    Case(
        "strictly before",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s < t\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "the answer itself, strictly before",
        "",
        "v = text |> Embed(8)\nw[t, s] = x[t] · v[s]\nα[t, s] = softmax(w[t, s]) over s where s < t\n\
         y[t] = sum(α[t, s] * v[s]) over s",
    ),
    Case(
        "a band",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where 0 <= t - s < K\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "nearby and every so often",
        "",
        "w[t, s] = x[t] · x[s]\n\
         α[t, s] = softmax(w[t, s]) over s where s <= t and (t - s < K or mod(s, K) == 0)\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "at least a size back",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s <= (t - K)\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "the first step and nearby ones",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s == 0 or 0 <= t - s < K\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "the mean so far",
        "",
        "y[t, e] = mean(x[s, e]) over s where s <= t",
    ),
    Case(
        "the maximum so far",
        "",
        "y[t, e] = max(x[s, e]) over s where s <= t",
    ),
    Case(
        "decayed sums of the past",
        "",
        "y[t, e] = sum(0.9^(t - s) * x[s, e]) over s where s <= t",
    ),
    Case(
        "weights that are not a softmax",
        "",
        "w[t, s] = x[t] · x[s]\nu[t] = sum(exp(w[t, s])) over s where s <= t\n\
         m[t] = sum(exp(w[t, s]) * x[s]) over s where s <= t\ny[t] = m[t] / u[t]",
    ),
    Case(
        "a mask by the data and by the step",
        "",
        "w[t, s] = x[t] · x[s]\n\
         p = previous(text)\nα[t, s] = softmax(w[t, s]) over s where s <= t and p[s] == p[t]\n\
         y[t] = sum(α[t, s] * x[s]) over s",
    ),
    Case(
        "a second mask where the first would do",
        "",
        "w[t, s] = x[t] · x[s]\nα[t, s] = softmax(w[t, s]) over s where s <= t\n\
         y[t] = sum(α[t, s] * x[s]) over s where s <= t",
    ),
    Case(
        "two delays against two steps ahead",
        "",
        "d = previous(x, 2)\nw[t, s] = d[t] · d[s]\n\
         α[t, s] = softmax(w[t, s]) over s where s <= (t + 2)\n\
         y[t] = sum(α[t, s] * d[s]) over s",
    ),
    Case("two hops", ATTEND, "y = x |> Attend |> Attend"),
    Case(
        "attention over another sequence, and a scan",
        "",
        "input src : [S] token\nk = src |> Embed(8) |> scan both GRU(4)\n\
         w[t, u] = x[t] · k[u]\nβ[t, u] = softmax(w[t, u]) over u\n\
         c[t] = sum(β[t, u] * k[u]) over u\ny = [x, c] |> scan GRU(8)",
    ),
    Case(
        "tied weights",
        ATTEND,
        "words = Embed(8)\nh = previous(text) |> words |> Attend\n\
         predict text = softmax(words.table · h)",
    ),
    Case(
        "a stack of the library's causal blocks",
        "",
        "input src : [S] token\nmemory = src |> Embed(8) |> TransformerEncoder(8, heads = 2)\n\
         y = x |> TransformerDecoder(8, heads = 2) with memory = memory",
    ),
    Case(
        "a mixture of experts",
        "",
        "y = x |> MixtureOfExperts(4, 8, top = 2)",
    ),
];

#[test]
fn what_is_said_of_index_form() {
    let mut out = String::new();
    for case in LEAKS {
        let (sources, found) = found(&case.text());
        assert!(!found.is_empty(), "{} is taken for sound", case.0);
        out += &said(case.0, &sources, &found);
    }
    insta::with_settings!({
        snapshot_path => "../../../../snapshots/check",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, { insta::assert_snapshot!("leaks-in-index-form", out) });
}

#[test]
fn sound_models_are_not_refused() {
    let refused: Vec<String> = SOUND
        .iter()
        .map(|case| (case, found(&case.text())))
        .filter(|(_, (_, found))| !found.is_empty())
        .map(|(case, (_, found))| format!("{}\n{found:?}", case.text()))
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
