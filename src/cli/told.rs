//! Numbers of a run as text.
//!
//! In: a measurement, a metric's value, a duration. Out: what people read of it, with the digits that
//! they compare.

use super::render::printable;
use crate::settings::{Baseline, Metric};
use crate::train::observe::Measured;

/// Loss and metrics on one line, a rival's number beside the model's:
/// `2.1013 (bigram 2.2916)  perplexity 8.18  copied 3.5%`, `0.4810  accuracy 80.2% (naive bayes 79.7%)`.
pub fn measured(m: &Measured, metrics: &[Metric]) -> String {
    let mut text = loss(m.loss);
    let rival = metrics.iter().find_map(|m| match m {
        Metric::Versus(rival) => Some(rival),
        _ => None,
    });
    let beside = |key: &str| match (rival, m.metric(key)) {
        (Some(rival), Some(value)) => Some((named(rival), value)),
        _ => None,
    };
    // In the unit of the loss, so beside it.
    if let (Some(Baseline::Bigram), Some((name, nats))) = (rival, beside("rival")) {
        text.push_str(&format!(" ({name} {nats:.4})"));
    }
    for metric in metrics {
        if let Metric::Versus(rival) = metric {
            text.push_str(&versus(m, rival, metrics));
            continue;
        }
        let Some(value) = m.metric(&metric.key()) else {
            continue;
        };
        let name = match metric {
            Metric::EntityF1 => metric.key().into_owned(),
            _ => metric.key().replace('_', " "),
        };
        text.push_str(&format!("  {name} {}", amount(metric, value)));
        if let Some((name, value)) = beside(&format!("rival.{}", metric.key())) {
            text.push_str(&format!(" ({name} {})", amount(metric, value)));
        }
    }
    text
}

/// What is said of a rival by itself: nothing where its numbers stand beside the model's.
fn versus(m: &Measured, rival: &Baseline, metrics: &[Metric]) -> String {
    let beside = |metric: &Metric| m.metric(&format!("rival.{}", metric.key())).is_some();
    if *rival == Baseline::Bigram || metrics.iter().any(beside) {
        return String::new();
    }
    let of = |key: &str| m.metric(key);
    match (of("rival.accuracy"), of("versus"), of("rival")) {
        (Some(accuracy), _, _) => {
            let accuracy = amount(&Metric::Accuracy, accuracy);
            format!("  {} accuracy {accuracy}", named(rival))
        }
        (None, Some(share), Some(error)) => {
            let (share, error) = (readable(share), readable(error));
            format!(
                "  squared error {share} of that of {} ({error})",
                named(rival)
            )
        }
        (None, _, _) => String::new(),
    }
}

fn named(rival: &Baseline) -> String {
    match rival {
        Baseline::Column(name) => printable(name),
        counted => counted.name().replace('_', " "),
    }
}

/// A metric's value with the digits that people compare.
pub fn amount(metric: &Metric, value: f64) -> String {
    match metric {
        Metric::Copied | Metric::Accuracy | Metric::Mape | Metric::Top(_) => {
            format!("{:.1}%", 100.0 * value)
        }
        Metric::Perplexity | Metric::Bleu => format!("{value:.2}"),
        Metric::BitsPerChar => format!("{value:.3}"),
        Metric::Mae
        | Metric::Mse
        | Metric::Rmse
        | Metric::F1(_)
        | Metric::EntityF1
        | Metric::Versus(_)
        | Metric::Confusion => readable(value),
    }
}

/// A loss with the digits that are compared, small ones in full.
pub fn loss(x: f64) -> String {
    match x.abs() {
        a if a < 1e-3 && a > 0.0 => format!("{x:.3e}"),
        _ => format!("{x:.4}"),
    }
}

/// Four digits that say something, whatever the size.
fn readable(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if !(1e-3..1e6).contains(&a) => format!("{x:.3e}"),
        a if a < 1.0 => format!("{x:.4}"),
        a if a < 100.0 => format!("{x:.3}"),
        _ => format!("{x:.1}"),
    }
}

/// A duration as people say it.
pub fn time(seconds: f64) -> String {
    if seconds < 90.0 {
        return format!("{seconds:.1} s");
    }
    format!("{} min {:.0} s", (seconds / 60.0) as u64, seconds % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_reads_as_a_sentence() {
        let m = Measured {
            loss: 2.10134,
            count: 1.0,
            metrics: vec![
                ("perplexity".into(), 8.1774),
                ("versus".into(), 0.917),
                ("rival".into(), 2.29161),
                ("copied".into(), 0.035),
            ],
            by_class: Default::default(),
        };
        let asked = [
            Metric::Perplexity,
            Metric::Versus(Baseline::Bigram),
            Metric::Copied,
        ];
        assert_eq!(
            measured(&m, &asked),
            "2.1013 (bigram 2.2916)  perplexity 8.18  copied 3.5%"
        );
        let rivals = |entries: &[(&str, f64)], asked: &[Metric]| {
            let metrics = entries.iter().map(|(k, v)| (k.to_string(), *v));
            let metrics = metrics.collect();
            measured(
                &Measured {
                    metrics,
                    ..m.clone()
                },
                asked,
            )
        };
        let bayes = Metric::Versus(Baseline::NaiveBayes);
        let entries = [
            ("accuracy", 0.802),
            ("versus", 0.975),
            ("rival", 0.203),
            ("rival.accuracy", 0.797),
        ];
        assert_eq!(
            rivals(&entries, &[Metric::Accuracy, bayes.clone()]),
            "2.1013  accuracy 80.2% (naive bayes 79.7%)"
        );
        assert_eq!(
            rivals(&entries, &[bayes]),
            "2.1013  naive bayes accuracy 79.7%"
        );
        let today = Metric::Versus(Baseline::Column("today".into()));
        let entries = [
            ("rmse", 31.4),
            ("versus", 1.02),
            ("rival", 0.5),
            ("rival.rmse", 31.1),
        ];
        assert_eq!(
            rivals(&entries, &[today.clone(), Metric::Rmse]),
            "2.1013  rmse 31.400 (today 31.100)"
        );
        assert_eq!(
            rivals(&entries, &[today]),
            "2.1013  squared error 1.020 of that of today (0.5000)"
        );
        assert_eq!(readable(0.0000123), "1.230e-5");
        assert_eq!(readable(12.3456), "12.346");
    }
}
