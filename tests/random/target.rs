//! What a random model predicts: a target of any unit, fed back or not, and the prediction's end.
//!
//! In: a model's names so far. Out: the target's declaration, and the line that predicts it.

use super::terms::{Gen, Scope};
use super::text::{Line, Shape, Term};

/// What is predicted, and how the prediction must end.
pub struct Target {
    shape: Shape,
    before: String,
    after: String,
}

pub fn target(g: &mut Gen, s: &mut Scope, own: &'static str, feeds: bool) -> Target {
    let size = g.choice.pick(&s.sizes).clone();
    let vector = Shape::new(Some(own), &[&size]);
    if feeds {
        return fed_target(g, s, own, &size);
    }
    let timed = s.vars.iter().any(|v| v.shape.time == Some(own)) && g.choice.chance(50);
    let (axes, shape) = match timed {
        true => (format!("[{own}]"), vector),
        false => (String::new(), Shape::new(None, &[&size])),
    };
    let (unit, after) = match g.choice.below(4) {
        0 => (format!("{axes} class"), " |> Linear |> softmax".to_string()),
        1 => (format!("{axes} number"), " |> Linear(1)".into()),
        2 => (format!("{} binary", shape.written()), " |> σ".into()),
        _ => (shape.written(), String::new()),
    };
    s.declare("y", format!("target y : {}", unit.trim()));
    Target {
        shape,
        before: String::new(),
        after,
    }
}

/// A target that the model sees one step late.
fn fed_target(g: &mut Gen, s: &mut Scope, own: &'static str, size: &str) -> Target {
    let vector = Shape::new(Some(own), &[size]);
    let plain = |after: &str| Target {
        shape: vector.clone(),
        before: String::new(),
        after: after.into(),
    };
    let fed = |name: &str| Term::name(&vector, name, true);
    match g.choice.below(5) {
        0 => {
            s.declare("y", format!("target y : [{own}, {size}]"));
            s.equation("e", fed("previous(y)"));
            plain("")
        }
        1 => {
            s.declare("y", format!("target y : [{own}, {size}] binary"));
            s.equation("e", fed("previous(y)"));
            plain(" |> σ")
        }
        2 => {
            s.declare("y", format!("target y : [{own}] token"));
            let words = s.fresh("words");
            s.lines.push(Line {
                names: vec![words.clone()],
                left: format!("{words} = "),
                value: Term::new(&vector, &format!("Embed({size})"), vec![]),
                right: String::new(),
            });
            s.equation("e", fed(&format!("(previous(y) |> {words})")));
            Target {
                shape: vector.clone(),
                before: format!("softmax({words}.table · "),
                after: ")".into(),
            }
        }
        _ => {
            s.declare("y", format!("target y : [{own}] token"));
            s.equation("e", fed(&format!("(previous(y) |> Embed({size}))")));
            plain(" |> Linear |> softmax")
        }
    }
}

/// The prediction: an expression and every value of its shape that nothing has read yet.
pub fn predict(g: &mut Gen, s: &mut Scope, target: &Target) {
    let shape = &target.shape;
    g.fuel = g.fuel.max(6);
    let mut value = g.term(s, shape, 3);
    if shape.time.is_none() {
        g.clean += 1;
    }
    for i in 0..s.vars.len() {
        if s.vars[i].used || (shape.time.is_none() && s.vars[i].fed) {
            continue;
        }
        let v = s.vars[i].clone();
        let x = Term::name(&v.shape, &v.name, v.fed);
        let x = match (v.shape.time == shape.time, v.shape.time) {
            (true, _) | (false, None) => x,
            (false, Some(t)) => {
                if v.fed {
                    continue;
                }
                let end = Shape {
                    time: None,
                    features: v.shape.features.clone(),
                };
                let form = format!("(mean({{}}) over {t})");
                Term::new(&end, &form, vec![x])
            }
        };
        s.vars[i].used = true;
        let x = match x.shape.features.len() {
            0 if x.shape.time.is_none() => Term::new(&x.shape.clone(), "tanh({})", vec![x]),
            0 => {
                let pair = Shape::new(x.shape.time, &["1+1"]);
                let pair = Term::new(&pair, "[{}, sin({})]", vec![x.clone(), x]);
                g.times_weight(s, shape, pair)
            }
            1 if &x.shape == shape => x,
            1 => {
                let like = Shape {
                    time: x.shape.time,
                    features: shape.features.clone(),
                };
                g.times_weight(s, &like, x)
            }
            _ => continue,
        };
        value = Term::new(shape, "({} + {})", vec![value, x]);
    }
    if shape.time.is_none() {
        g.clean -= 1;
    }
    let open = if target.before.is_empty() { "(" } else { "" };
    let close = if target.before.is_empty() { ")" } else { "" };
    s.lines.push(Line {
        names: Vec::new(),
        left: format!("predict y = {}{open}", target.before),
        value,
        right: format!("{close}{}", target.after),
    });
}
