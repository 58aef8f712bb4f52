//! Predicted numbers beside the true ones.
//!
//! In: a compiled evaluation, weights, a part of the data whose target is a number. Out: [`Pairs`],
//! in the unit of the data's column, and a picture of them: above, both in the order of the part;
//! below, each prediction over its truth, with the line on which they are equal.

use std::sync::atomic::AtomicBool;

use super::evaluate::{self, each_batch};
use super::failure::Failure;
use super::plan::Stage;
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Batch, Column, Dataset, Part, Tensor};
use crate::settings::TrainSettings;
use crate::targets::executable::Role;

/// The most pairs that are kept: more would be one blot.
const MOST: usize = 5_000;

/// Truth and prediction of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    pub name: String,
    /// `[truth, prediction]`, of steps and examples in the order of the part.
    pub values: Vec<[f64; 2]>,
    /// There were more, left out.
    pub cut: bool,
}

/// The first target of numbers.
pub fn target(dataset: &Dataset) -> Option<&Column> {
    let mut columns = dataset.columns().iter();
    columns.find(|c| c.role == FieldRole::Target && c.unit == Unit::Number)
}

/// The pairs of a part; `None` where no target is a number.
pub fn pairs(
    stage: &mut Stage,
    weights: &[f32],
    settings: &TrainSettings,
    dataset: &Dataset,
    part: Part,
) -> Result<Option<Pairs>, Failure> {
    let Some(column) = target(dataset) else {
        return Ok(None);
    };
    let plan = evaluate::plan(settings, dataset.is_long(), dataset.len(part));
    let mut pairs = Pairs {
        name: column.name.clone(),
        ..Pairs::default()
    };
    let never = AtomicBool::new(false);
    each_batch(
        stage,
        weights,
        dataset,
        part,
        &plan,
        &never,
        |batch, feed| {
            if let (Some(predicted), Some(Tensor::F32(truth))) = (
                feed.output(&Role::Prediction(column.name.clone())),
                batch.data(&column.name),
            ) {
                pairs.add(batch, column, truth, predicted);
            }
            Ok(())
        },
    )?;
    Ok(Some(pairs))
}

impl Pairs {
    /// Those of one batch, example by example; padding is left out. Both are `[T, B, …]` or `[B, …]`.
    fn add(&mut self, batch: &Batch, column: &Column, truth: &[f32], predicted: &[f32]) {
        if truth.len() != predicted.len() {
            return;
        }
        let width = column.features.iter().product::<usize>().max(1);
        let rows = batch.rows.max(1);
        let steps = truth.len() / (rows * width).max(1);
        let lengths = column.time.as_deref().and_then(|t| batch.lengths(t));
        for row in 0..rows {
            let known = lengths.map_or(steps, |l| l.get(row).map_or(0, |l| *l as usize));
            for step in 0..steps.min(known) {
                for feature in 0..width {
                    if self.values.len() == MOST {
                        self.cut = true;
                        return;
                    }
                    let i = (step * rows + row) * width + feature;
                    let value = |x: f32| column.inverse.apply(feature, f64::from(x));
                    self.values.push([value(truth[i]), value(predicted[i])]);
                }
            }
        }
    }
}

#[cfg(feature = "cli")]
mod drawn {
    use plotters::coord::Shift;
    use plotters::prelude::*;

    use super::Pairs;
    use crate::train::picture::{Drawn, Picture};
    use crate::train::plot::{drawable, extent, short};

    const SIZE: (u32, u32) = (800, 900);
    const ABOVE: u32 = 380;
    const TRUTH: RGBColor = RGBColor(110, 120, 135);
    const PREDICTED: RGBColor = RGBColor(200, 60, 30);
    /// Values in the upper part at most: with more, lines hide one another.
    const IN_ORDER: usize = 300;

    impl Picture for Pairs {
        fn size(&self) -> (u32, u32) {
            SIZE
        }

        fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Drawn
        where
            B::ErrorType: 'static,
        {
            root.fill(&WHITE).map_err(|e| e.to_string())?;
            let (above, below) = root.split_vertically(ABOVE);
            let finite: Vec<[f64; 2]> = (self.values.iter().copied())
                .filter(|p| p.iter().all(|v| drawable(*v)))
                .collect();
            self.in_order(&above, &finite)?;
            self.over_truth(&below, &finite)
        }
    }

    impl Pairs {
        fn in_order<B: DrawingBackend>(
            &self,
            root: &DrawingArea<B, Shift>,
            values: &[[f64; 2]],
        ) -> Drawn
        where
            B::ErrorType: 'static,
        {
            let shown = &values[..values.len().min(IN_ORDER)];
            let range = extent(shown.iter().flatten().copied());
            let mut chart = ChartBuilder::on(root)
                .margin(16)
                .x_label_area_size(44)
                .y_label_area_size(72)
                .build_cartesian_2d(0.0..shown.len().max(2) as f64 - 1.0, range)
                .map_err(|e| e.to_string())?;
            let label = ("sans-serif", 15).into_font().color(&BLACK);
            chart
                .configure_mesh()
                .light_line_style(WHITE)
                .bold_line_style(RGBColor(225, 225, 225))
                .x_desc("place in the part")
                .y_desc(&self.name)
                .x_label_formatter(&|x| format!("{x:.0}"))
                .y_label_formatter(&|y| short(*y))
                .label_style(label)
                .draw()
                .map_err(|e| e.to_string())?;
            for (which, color, name) in [(0, TRUTH, "true"), (1, PREDICTED, "predicted")] {
                let points = shown.iter().enumerate().map(|(i, p)| (i as f64, p[which]));
                let style = color.stroke_width(2);
                chart
                    .draw_series(LineSeries::new(points, style))
                    .map_err(|e| e.to_string())?
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
            }
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE)
                .border_style(RGBColor(200, 200, 200))
                .label_font(("sans-serif", 15))
                .draw()
                .map_err(|e| e.to_string())?;
            Ok(())
        }

        fn over_truth<B: DrawingBackend>(
            &self,
            root: &DrawingArea<B, Shift>,
            values: &[[f64; 2]],
        ) -> Drawn
        where
            B::ErrorType: 'static,
        {
            let range = extent(values.iter().flatten().copied());
            let mut chart = ChartBuilder::on(root)
                .margin(16)
                .x_label_area_size(44)
                .y_label_area_size(72)
                .build_cartesian_2d(range.clone(), range.clone())
                .map_err(|e| e.to_string())?;
            let label = ("sans-serif", 15).into_font().color(&BLACK);
            let cut = if self.cut { " (not all are shown)" } else { "" };
            chart
                .configure_mesh()
                .light_line_style(WHITE)
                .bold_line_style(RGBColor(225, 225, 225))
                .x_desc(format!("{}, true{cut}", self.name))
                .y_desc("predicted")
                .x_label_formatter(&|x| short(*x))
                .y_label_formatter(&|y| short(*y))
                .label_style(label)
                .draw()
                .map_err(|e| e.to_string())?;
            let equal = [(range.start, range.start), (range.end, range.end)];
            chart
                .draw_series(LineSeries::new(equal, TRUTH.stroke_width(1)))
                .map_err(|e| e.to_string())?;
            let dots = values
                .iter()
                .map(|[t, p]| Circle::new((*t, *p), 2, PREDICTED.mix(0.5).filled()));
            chart.draw_series(dots).map_err(|e| e.to_string())?;
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::train::picture::{png, svg};

        #[test]
        fn a_dot_stands_for_each_pair() {
            let pairs = Pairs {
                name: "load".into(),
                values: (0..40)
                    .map(|i| [f64::from(i), f64::from(i) + 0.5])
                    .collect(),
                cut: false,
            };
            let text = svg(&pairs);
            assert_eq!(text.matches("<circle").count(), 40);
            for word in [
                "load",
                "load, true",
                "predicted",
                "true",
                "place in the part",
            ] {
                assert!(text.contains(&format!("\n{word}\n")), "{word} is missing");
            }
            assert!(png(&pairs).starts_with(b"\x89PNG"));
        }

        #[test]
        fn any_values_can_be_drawn() {
            let cases: [&[[f64; 2]]; 4] = [
                &[],
                &[[1.0, 1.0]],
                &[[f64::NAN, 1.0], [f64::INFINITY, 2.0]],
                &[[-1e300, 1e300], [0.0, f64::MAX]],
            ];
            for values in cases {
                let pairs = Pairs {
                    values: values.to_vec(),
                    ..Pairs::default()
                };
                assert!(svg(&pairs).ends_with("</svg>\n"), "{values:?}");
                assert!(png(&pairs).starts_with(b"\x89PNG"), "{values:?}");
            }
        }
    }
}
