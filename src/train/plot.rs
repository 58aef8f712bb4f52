//! A run's numbers by step as curves: losses, the learning rate, the norm of the gradient.
//!
//! In: points of one or two curves. Out: a [`Picture`] of them.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::log::{Point, Series};
use super::picture::{Drawn, Picture};

const SIZE: (u32, u32) = (800, 480);
const TRAIN: RGBColor = RGBColor(150, 170, 200);
const VALID: RGBColor = RGBColor(200, 60, 30);

/// Curves over the steps of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// What is drawn: the name of the vertical axis.
    pub of: &'static str,
    /// Drawn as a line.
    pub train: Vec<Point>,
    /// Drawn as a line with a dot at each measurement; may be empty.
    pub valid: Vec<Point>,
    /// Whether the vertical axis begins at zero.
    pub from_zero: bool,
}

impl Curves {
    pub fn losses(of: &Series) -> Curves {
        Curves {
            of: "loss",
            train: of.train.clone(),
            valid: of.valid.clone(),
            from_zero: false,
        }
    }

    pub fn rate(of: &Series) -> Curves {
        Curves {
            of: "learning rate",
            train: of.rates.clone(),
            valid: Vec::new(),
            from_zero: true,
        }
    }

    /// Of all gradients, before clipping.
    pub fn grad_norm(of: &Series) -> Curves {
        Curves {
            of: "gradient norm",
            train: of.norms.clone(),
            valid: Vec::new(),
            from_zero: true,
        }
    }
}

impl Picture for Curves {
    fn size(&self) -> (u32, u32) {
        SIZE
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        root.fill(&WHITE).map_err(|e| e.to_string())?;
        let (steps, values) = self.ranges();
        let mut chart = ChartBuilder::on(root)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(steps, values)
            .map_err(|e| e.to_string())?;
        let label = ("sans-serif", 15).into_font().color(&BLACK);
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_desc("step")
            .y_desc(self.of)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| short(*y))
            .label_style(label)
            .draw()
            .map_err(|e| e.to_string())?;
        let points = |p: &[Point]| -> Vec<(f64, f64)> {
            let finite = p.iter().filter(|p| drawable(p.1));
            finite.map(|(s, l)| (*s as f64, *l)).collect()
        };
        let train = TRAIN.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points(&self.train), train))
            .map_err(|e| e.to_string())?
            .label("train")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], train));
        // One curve needs no legend: the axis names it.
        if self.valid.is_empty() {
            return Ok(());
        }
        let valid = VALID.stroke_width(2);
        let line = LineSeries::new(points(&self.valid), valid).point_size(3);
        chart
            .draw_series(line)
            .map_err(|e| e.to_string())?
            .label("valid")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], valid));
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
}

impl Curves {
    /// Axes that hold all points, never without extent.
    fn ranges(&self) -> (std::ops::Range<f64>, std::ops::Range<f64>) {
        let all = || self.train.iter().chain(&self.valid);
        let all = || all().filter(|p| drawable(p.1));
        let last = all().map(|p| p.0).max().unwrap_or(1).max(1);
        let values = extent(all().map(|p| p.1));
        let low = match self.from_zero && values.start >= -values.end {
            true => 0.0,
            false => values.start,
        };
        (0.0..last as f64, low..values.end)
    }
}

/// Whether a number can stand on an axis: neither it nor its distance to another is infinite.
pub(super) fn drawable(x: f64) -> bool {
    x.abs() <= 1e300
}

/// A range that holds these values, all of them [`drawable`], and a little more; never
/// without extent.
pub(super) fn extent(values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let margin = match (high - low) * 0.05 {
        m if m > 0.0 => m,
        _ => (high.abs() * 0.05).max(1e-6),
    };
    low - margin..high + margin
}

/// A number in few characters.
pub(super) fn short(y: f64) -> String {
    match y.abs() {
        a if a == 0.0 || (1e-3..1e5).contains(&a) => {
            let text = format!("{y:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => format!("{y:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::picture::{png, svg};
    use super::*;

    fn losses(train: &[Point], valid: &[Point]) -> Curves {
        Curves {
            of: "loss",
            train: train.to_vec(),
            valid: valid.to_vec(),
            from_zero: false,
        }
    }

    #[test]
    fn the_picture_has_both_curves_axes_and_labels() {
        let train: Vec<Point> = (1..100).map(|i| (i, 3.0 / i as f64)).collect();
        let svg = svg(&losses(&train, &[(50, 0.5), (99, 0.25)]));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for word in ["step", "loss", "train", "valid"] {
            assert!(svg.contains(&format!("\n{word}\n")), "{word} is missing");
        }
        assert!(svg.matches("<polyline").count() >= 2, "two lines");
        assert_eq!(svg.matches("<circle").count(), 2, "a dot a measurement");
    }

    #[test]
    fn any_points_can_be_drawn() {
        let cases: [&[Point]; 5] = [
            &[],
            &[(1, 0.0)],
            &[(1, 5.0), (2, 5.0)],
            &[(u64::MAX, 1e300), (0, -1e300)],
            &[(1, f64::NAN), (2, f64::INFINITY)],
        ];
        for train in cases {
            for from_zero in [true, false] {
                let curves = Curves {
                    from_zero,
                    ..losses(train, &[])
                };
                assert!(svg(&curves).ends_with("</svg>\n"), "{train:?}");
                assert!(png(&curves).starts_with(b"\x89PNG"), "{train:?}");
            }
        }
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 2.5, 0.125, 1e-7, 123456.0].map(short);
        assert_eq!(shown, ["0", "2.5", "0.125", "1.0e-7", "1.2e5"]);
    }
}
