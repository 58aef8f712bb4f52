//! The loss curve of a run as a picture.
//!
//! In: losses by step. Out: the text of an SVG file. Text is left to whoever shows the picture, so
//! no font is needed to draw it.

use plotters::prelude::*;

use super::log::Point;

const SIZE: (u32, u32) = (800, 480);
const TRAIN: RGBColor = RGBColor(150, 170, 200);
const VALID: RGBColor = RGBColor(200, 60, 30);

/// Training's loss as a line, validation's as a line with a dot at each measurement.
pub fn loss_curve(train: &[Point], valid: &[Point]) -> String {
    let mut svg = String::new();
    // Drawing into memory fails only on a range without extent, which `ranges` never gives; a
    // picture that cannot be drawn is left empty rather than ending a run.
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    let drawn = draw(&root, train, valid).is_ok() && root.present().is_ok();
    drop(root);
    if !drawn {
        svg.clear();
    }
    svg
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, train: &[Point], valid: &[Point]) -> Drawn {
    root.fill(&WHITE).map_err(|e| e.to_string())?;
    let (steps, losses) = ranges(train, valid);
    let mut chart = ChartBuilder::on(root)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(steps, losses)
        .map_err(|e| e.to_string())?;
    let label = ("sans-serif", 15).into_font().color(&BLACK);
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_desc("step")
        .y_desc("loss")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| short(*y))
        .label_style(label)
        .draw()
        .map_err(|e| e.to_string())?;
    let points =
        |p: &[Point]| -> Vec<(f64, f64)> { p.iter().map(|(s, l)| (*s as f64, *l)).collect() };
    chart
        .draw_series(LineSeries::new(points(train), TRAIN.stroke_width(2)))
        .map_err(|e| e.to_string())?
        .label("train")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], TRAIN.stroke_width(2)));
    if !valid.is_empty() {
        let line = LineSeries::new(points(valid), VALID.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)
            .map_err(|e| e.to_string())?
            .label("valid")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], VALID.stroke_width(2)));
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

/// Axes that hold all points, never without extent.
fn ranges(train: &[Point], valid: &[Point]) -> (std::ops::Range<f64>, std::ops::Range<f64>) {
    let all = || train.iter().chain(valid).filter(|p| p.1.is_finite());
    let last = all().map(|p| p.0).max().unwrap_or(1).max(1);
    let low = all().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = all().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let margin = match (high - low) * 0.05 {
        m if m > 0.0 => m,
        _ => (high.abs() * 0.05).max(1e-6),
    };
    (0.0..last as f64, low - margin..high + margin)
}

/// A loss in few characters.
fn short(y: f64) -> String {
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
    use super::*;

    #[test]
    fn the_picture_has_both_curves_axes_and_labels() {
        let train: Vec<Point> = (1..100).map(|i| (i, 3.0 / i as f64)).collect();
        let svg = loss_curve(&train, &[(50, 0.5), (99, 0.25)]);
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
            assert!(loss_curve(train, &[]).ends_with("</svg>\n"), "{train:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 2.5, 0.125, 1e-7, 123456.0].map(short);
        assert_eq!(shown, ["0", "2.5", "0.125", "1.0e-7", "1.2e5"]);
    }
}
