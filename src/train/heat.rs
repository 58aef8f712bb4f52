//! A confusion matrix as a picture.
//!
//! In: a [`Confusion`]. Out: a [`Picture`]: a row for each true class, a column for each predicted
//! one, darker where more of the row's answers are.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::classes::Confusion;
use super::picture::{Drawn, Picture};

/// Pixels of the matrix at most, and of a cell at most.
const SIDE: u32 = 720;
const CELL: u32 = 64;
/// Room for the classes' names, and for the axes'.
const NAMES: i32 = 110;
const MARGIN: i32 = 28;
/// Numbers stand in cells at least this large, names beside rows at least this high.
const NUMBERS: i32 = 28;
const NAMED: i32 = 14;
/// Characters of a name that are shown.
const SHOWN: usize = 14;

impl Picture for Confusion {
    fn size(&self) -> (u32, u32) {
        let extent = NAMES + MARGIN + self.cell() * self.classes.len() as i32 + MARGIN;
        (extent as u32, extent as u32)
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static,
    {
        let cell = self.cell();
        let failed = |e: DrawingAreaErrorKind<_>| e.to_string();
        root.fill(&WHITE).map_err(failed)?;
        let from = NAMES + MARGIN;
        let middle = |i: usize| from + cell * i as i32 + cell / 2;
        let size = f64::from((cell / 3).clamp(9, 15));
        let font = ("sans-serif", size).into_font();
        for (i, row) in self.counts.iter().enumerate() {
            let total: u64 = row.iter().sum();
            for (j, count) in row.iter().enumerate() {
                let share = *count as f64 / total.max(1) as f64;
                let (x, y) = (from + cell * j as i32, from + cell * i as i32);
                let shape = Rectangle::new([(x, y), (x + cell, y + cell)], shade(share).filled());
                root.draw(&shape).map_err(failed)?;
                if cell >= NUMBERS && *count > 0 {
                    let color = if share > 0.5 { WHITE } else { BLACK };
                    let style = font.color(&color).pos(Pos::new(HPos::Center, VPos::Center));
                    let text = Text::new(count.to_string(), (middle(j), middle(i)), style);
                    root.draw(&text).map_err(failed)?;
                }
            }
        }
        if cell >= NAMED {
            for (i, name) in self.classes.iter().enumerate() {
                let name: String = name.chars().take(SHOWN).collect();
                let style = font.color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
                let text = Text::new(name.clone(), (from - 6, middle(i)), style);
                root.draw(&text).map_err(failed)?;
                let upright = font.transform(FontTransform::Rotate270);
                let style = upright
                    .color(&BLACK)
                    .pos(Pos::new(HPos::Left, VPos::Center));
                let text = Text::new(name, (middle(i), from - 6), style);
                root.draw(&text).map_err(failed)?;
            }
        }
        let font = ("sans-serif", 15.0).into_font();
        let style = font.color(&BLACK).pos(Pos::new(HPos::Left, VPos::Top));
        for (text, at) in [("predicted", (from, 8)), ("true", (8, from))] {
            root.draw(&Text::new(text, at, style.clone()))
                .map_err(failed)?;
        }
        Ok(())
    }
}

impl Confusion {
    /// Pixels of a cell's side.
    fn cell(&self) -> i32 {
        (SIDE / self.classes.len().max(1) as u32).clamp(2, CELL) as i32
    }
}

/// White for none of a row's answers to dark blue for all.
fn shade(share: f64) -> RGBColor {
    let mix = |none: f64, all: f64| (none + (all - none) * share).round() as u8;
    RGBColor(mix(244.0, 20.0), mix(246.0, 60.0), mix(250.0, 120.0))
}

#[cfg(test)]
mod tests {
    use super::super::picture::{png, svg};
    use super::*;

    fn of(n: usize) -> Confusion {
        let mut c = Confusion::new((0..n).map(|i| format!("<c{i}>")).collect());
        for i in 0..n {
            c.counts[i][i] = 7 + i as u64;
        }
        c
    }

    #[test]
    fn a_small_matrix_has_names_and_numbers() {
        let svg = svg(&of(3));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        // Nine cells and the ground; names at rows and at columns, escaped.
        assert_eq!(svg.matches("<rect").count(), 10);
        assert_eq!(svg.matches("&lt;c1&gt;").count(), 2);
        for word in ["7", "8", "9", "true", "predicted"] {
            assert!(svg.contains(&format!("\n{word}\n")), "{word} is missing");
        }
    }

    #[test]
    fn any_number_of_classes_can_be_drawn() {
        for n in [0, 1, 40, super::super::classes::MOST] {
            assert_eq!(svg(&of(n)).matches("<rect").count(), n * n + 1);
            assert!(png(&of(n)).starts_with(b"\x89PNG"));
        }
    }
}
