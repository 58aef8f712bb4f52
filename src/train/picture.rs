//! Pictures, as SVG or PNG.
//!
//! In: a [`Picture`], which draws itself on any ground. Out: the text of an SVG file, whose letters
//! are left to whoever shows it; or the bytes of a PNG file. No font of the system is asked for: a
//! PNG's letters are small pictures of Noto Sans Mono that a crate holds, in the Latin alphabets;
//! another sign shows as an empty box.

use std::path::Path;

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind,
};

/// What [`Picture::draw`] comes to.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

pub trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws on a ground of that size.
    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Drawn
    where
        B::ErrorType: 'static;
}

/// The text of an SVG file.
pub fn svg(picture: &impl Picture) -> String {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, picture.size()).into_drawing_area();
    // Drawing into memory fails only on a range without extent, which no picture here has; one that
    // cannot be drawn is left empty rather than ending a run.
    let drawn = picture.draw(&root).is_ok() && root.present().is_ok();
    drop(root);
    if !drawn {
        svg.clear();
    }
    svg
}

/// The bytes of a PNG file.
pub fn png(picture: &impl Picture) -> Vec<u8> {
    let (width, height) = picture.size();
    let mut pixels = vec![255; width as usize * height as usize * 3];
    let ground = BitMapBackend::with_buffer(&mut pixels, (width, height));
    let root = Lettered(ground).into_drawing_area();
    let drawn = picture.draw(&root).is_ok() && root.present().is_ok();
    drop(root);
    let encode = || -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header()?.write_image_data(&pixels)?;
        Ok(bytes)
    };
    match drawn {
        true => encode().unwrap_or_default(),
        false => Vec::new(),
    }
}

/// The form that a file's name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Svg,
    Png,
}

impl Form {
    pub fn of(path: &Path) -> Option<Form> {
        match path.extension()?.to_str()? {
            "svg" => Some(Form::Svg),
            "png" => Some(Form::Png),
            _ => None,
        }
    }

    /// The bytes of the file; none where the picture cannot be drawn.
    pub fn bytes(self, picture: &impl Picture) -> Vec<u8> {
        match self {
            Form::Svg => svg(picture).into_bytes(),
            Form::Png => png(picture),
        }
    }
}

/// Letters of a PNG are this high.
const LETTERS: RasterHeight = RasterHeight::Size16;

/// A ground of pixels, on which text is drawn by pictures of letters.
struct Lettered<B>(B);

impl<B: DrawingBackend> DrawingBackend for Lettered<B> {
    type ErrorType = B::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        self.0.get_size()
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.present()
    }

    fn draw_pixel(
        &mut self,
        point: BackendCoord,
        color: BackendColor,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        self.0.draw_rect(upper_left, bottom_right, style, fill)
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Self::ErrorType>> {
        let (width, height) = extent(text);
        let dx = match style.anchor().h_pos {
            HPos::Left => 0,
            HPos::Center => -width / 2,
            HPos::Right => -width,
        };
        let dy = match style.anchor().v_pos {
            VPos::Top => 0,
            VPos::Center => -height / 2,
            VPos::Bottom => -height,
        };
        let (turn, color) = (style.transform(), style.color());
        let (right, bottom) = self.get_size();
        for (i, c) in text.chars().enumerate() {
            let letter = get_raster(c, FontWeight::Regular, LETTERS);
            let rows = letter.iter().flat_map(|l| l.rows().enumerate());
            for (y, row) in rows {
                for (x, ink) in row.iter().enumerate() {
                    let x = i as i32 * advance() + x as i32;
                    let (x, y) = turn.transform(x + dx, y as i32 + dy);
                    let (x, y) = (at.0 + x, at.1 + y);
                    let inside = (0..right as i32).contains(&x) && (0..bottom as i32).contains(&y);
                    if *ink > 0 && inside {
                        let color = color.mix(f64::from(*ink) / 255.0);
                        self.draw_pixel((x, y), color)?;
                    }
                }
            }
            if letter.is_none() {
                let x = i as i32 * advance();
                let corner = |x, y| {
                    let (x, y) = turn.transform(x + dx, y + dy);
                    (at.0 + x, at.1 + y)
                };
                let (from, to) = (corner(x + 1, 3), corner(x + advance() - 2, height - 4));
                self.draw_rect(from, to, &color, false)?;
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        _: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        let (width, height) = extent(text);
        Ok((width as u32, height as u32))
    }
}

/// Pixels from one letter to the next.
fn advance() -> i32 {
    get_raster_width(FontWeight::Regular, LETTERS) as i32
}

/// Width and height of a text.
fn extent(text: &str) -> (i32, i32) {
    let width = text.chars().count() as i32 * advance();
    (width, LETTERS.val() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::style::text_anchor::Pos;

    /// One word in black, lying or upright, in the middle of 80 by 60 pixels.
    struct Word(&'static str, FontTransform);

    impl Picture for Word {
        fn size(&self) -> (u32, u32) {
            (80, 60)
        }

        fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Drawn
        where
            B::ErrorType: 'static,
        {
            let font = ("sans-serif", 15).into_font().transform(self.1.clone());
            let style = font.color(&BLACK);
            let style = style.pos(Pos::new(HPos::Center, VPos::Center));
            root.draw(&Text::new(self.0, (40, 30), style))
                .map_err(|e| e.to_string())?;
            Ok(())
        }
    }

    /// The box around what is not white: from and to, in x and in y.
    fn inked(png: &[u8]) -> Option<[u32; 4]> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let dark = |i: &usize| pixels[i * 3] < 128;
        let all = (0..(info.width * info.height) as usize).filter(dark);
        let places = all.map(|i| (i as u32 % info.width, i as u32 / info.width));
        places.fold(None, |b: Option<[u32; 4]>, (x, y)| {
            let [a, b, c, d] = b.unwrap_or([x, x, y, y]);
            Some([a.min(x), b.max(x), c.min(y), d.max(y)])
        })
    }

    #[test]
    fn words_of_a_png_lie_or_stand_around_their_place() {
        let lying = inked(&png(&Word("HHHH", FontTransform::None))).unwrap();
        let upright = inked(&png(&Word("HHHH", FontTransform::Rotate270))).unwrap();
        let [left, right, top, bottom] = lying;
        assert!(right - left > 2 * (bottom - top), "{lying:?}");
        assert!(left < 40 && right > 40 && top < 30 && bottom > 30);
        let [left, right, top, bottom] = upright;
        assert!(bottom - top > 2 * (right - left), "{upright:?}");
    }

    #[test]
    fn a_sign_without_a_letter_is_a_box_and_text_past_the_edge_is_cut() {
        assert!(inked(&png(&Word("語", FontTransform::None))).is_some());
        let long = "a very long word that does not fit";
        assert!(inked(&png(&Word(long, FontTransform::None))).is_some());
        assert!(inked(&png(&Word("", FontTransform::None))).is_none());
    }

    #[test]
    fn a_name_says_the_form() {
        let form = |name| Form::of(Path::new(name));
        assert_eq!(form("a/b.png"), Some(Form::Png));
        assert_eq!(form("b.svg"), Some(Form::Svg));
        assert_eq!(form("b.pdf"), None);
        assert_eq!(form("svg"), None);
    }
}
