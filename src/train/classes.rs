//! Answers counted class by class.
//!
//! In: true and predicted classes, or units that are on or off. Out: F1 scores and the confusion
//! matrix, as numbers and as JSON.

use serde_json::{Map, Value, json};

/// The most classes whose confusion is counted: more could be neither read nor drawn.
pub const MOST: usize = 256;

/// How often each class is the true one, the predicted one, and both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    names: Vec<String>,
    truth: Vec<u64>,
    predicted: Vec<u64>,
    both: Vec<u64>,
}

impl Counts {
    pub fn new(names: Vec<String>) -> Counts {
        let none = vec![0; names.len()];
        Counts {
            truth: none.clone(),
            predicted: none.clone(),
            both: none,
            names,
        }
    }

    /// One answer. A class out of range is left out.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        for (counts, class) in [(&mut self.truth, truth), (&mut self.predicted, predicted)] {
            if let Some(n) = counts.get_mut(class) {
                *n += 1;
            }
        }
        if truth == predicted
            && let Some(n) = self.both.get_mut(truth)
        {
            *n += 1;
        }
    }

    /// One unit, on or off in truth and as predicted.
    pub fn add_unit(&mut self, unit: usize, truth: bool, predicted: bool) {
        if unit < self.names.len() {
            self.truth[unit] += u64::from(truth);
            self.predicted[unit] += u64::from(predicted);
            self.both[unit] += u64::from(truth && predicted);
        }
    }

    /// 2·precision·recall / (precision + recall) = 2·both / (truth + predicted) of each class that
    /// occurs, in the truth or among the predictions.
    pub fn by_class(&self) -> Vec<(&str, f64)> {
        let all = (self.names.iter().zip(&self.both)).zip(self.truth.iter().zip(&self.predicted));
        all.filter_map(|((name, both), (t, p))| Some((name.as_str(), f1(*both, t + p)?)))
            .collect()
    }

    /// The mean over the classes that occur; `None` where nothing was counted.
    pub fn macro_f1(&self) -> Option<f64> {
        let all = self.by_class();
        let sum: f64 = all.iter().map(|c| c.1).sum();
        (!all.is_empty()).then(|| sum / all.len() as f64)
    }

    /// Of all answers together: where every answer is one class, the share of right ones.
    pub fn micro_f1(&self) -> Option<f64> {
        let sum = |v: &[u64]| v.iter().sum::<u64>();
        f1(sum(&self.both), sum(&self.truth) + sum(&self.predicted))
    }
}

/// `None` where there is neither a truth nor a prediction.
pub fn f1(both: u64, truth_and_predicted: u64) -> Option<f64> {
    (truth_and_predicted > 0).then(|| 2.0 * both as f64 / truth_and_predicted as f64)
}

/// `counts[truth][predicted]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Confusion {
    pub classes: Vec<String>,
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    pub fn new(classes: Vec<String>) -> Confusion {
        Confusion {
            counts: vec![vec![0; classes.len()]; classes.len()],
            classes,
        }
    }

    /// One answer. A class out of range is left out.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        let row = self.counts.get_mut(truth);
        if let Some(n) = row.and_then(|row| row.get_mut(predicted)) {
            *n += 1;
        }
    }
}

/// What a part's measurement says of single classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByClass {
    pub f1: Option<Vec<(String, f64)>>,
    pub confusion: Option<Confusion>,
}

impl ByClass {
    /// `f1.by_class`: an object from class to score; `confusion`: `classes` and `counts`, a row for
    /// each true class.
    pub fn json(&self) -> Map<String, Value> {
        let mut out = Map::new();
        if let Some(f1) = &self.f1 {
            let scores: Map<String, Value> =
                f1.iter().map(|(c, s)| (c.clone(), json!(s))).collect();
            out.insert("f1.by_class".into(), scores.into());
        }
        if let Some(c) = &self.confusion {
            let table = json!({ "classes": c.classes, "counts": c.counts });
            out.insert("confusion".into(), table);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(classes: usize, truth: &[usize], predicted: &[usize]) -> Counts {
        let mut c = Counts::new((0..classes).map(|i| i.to_string()).collect());
        for (t, p) in truth.iter().zip(predicted) {
            c.add(*t, *p);
        }
        c
    }

    #[test]
    fn scores_of_classes_are_those_of_scikit_learn() {
        // The numbers of `sklearn.metrics.f1_score`.
        let c = counted(3, &[0, 1, 2, 0, 1, 2], &[0, 2, 1, 0, 0, 1]);
        assert_eq!(c.by_class(), [("0", 0.8), ("1", 0.0), ("2", 0.0)]);
        assert!((c.macro_f1().unwrap() - 0.266_666_666_666_666_7).abs() < 1e-12);
        assert!((c.micro_f1().unwrap() - 1.0 / 3.0).abs() < 1e-12);
        // A class that neither occurs nor is predicted counts nowhere.
        let c = counted(5, &[0, 0, 3], &[0, 3, 3]);
        let two = 2.0 / 3.0;
        assert_eq!(c.by_class(), [("0", two), ("3", two)]);
        assert_eq!((c.macro_f1(), c.micro_f1()), (Some(two), Some(two)));
        let none = counted(3, &[], &[]);
        assert_eq!((none.macro_f1(), none.micro_f1()), (None, None));
    }

    #[test]
    fn units_are_counted_where_they_are_on() {
        let mut c = Counts::new(vec!["a".into(), "b".into()]);
        for (truth, predicted) in [([1, 0], [1, 1]), ([1, 1], [0, 1]), ([0, 0], [0, 0])] {
            for unit in 0..2 {
                c.add_unit(unit, truth[unit] == 1, predicted[unit] == 1);
            }
        }
        // a: found 1 of 2, nothing wrong; b: found 1 of 1, one wrong.
        let two = 2.0 / 3.0;
        assert_eq!(c.by_class(), [("a", two), ("b", two)]);
        assert_eq!(c.micro_f1(), Some(2.0 * 2.0 / 6.0));
    }

    #[test]
    fn rows_of_a_confusion_are_the_truth() {
        let mut c = Confusion::new(vec!["x".into(), "y".into()]);
        for (t, p) in [(0, 0), (0, 1), (0, 1), (1, 1), (7, 0), (0, 7)] {
            c.add(t, p);
        }
        let by_class = ByClass {
            f1: None,
            confusion: Some(c),
        };
        let text = Value::Object(by_class.json()).to_string();
        let want = r#"{"confusion":{"classes":["x","y"],"counts":[[1,2],[0,1]]}}"#;
        assert_eq!(text, want);
    }
}
