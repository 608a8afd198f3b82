//! QR codes, as squares to draw.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

use super::format::RenderError;

/// Squares that stay white around a code; scanners need them.
pub const QUIET: u16 = 4;

/// A QR code as a square of modules. A sixth of it may be dirty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    side: u16,
    is_dark: Vec<bool>,
}

/// Dark modules side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The column of the first one.
    pub x: u16,
    /// Their row.
    pub y: u16,
    /// How many.
    pub length: u16,
}

impl Qr {
    /// The picture of a text.
    ///
    /// # Errors
    /// It is too long.
    pub fn new(text: &str) -> Result<Self, RenderError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| RenderError::Qr)?;
        let side = u16::try_from(code.width()).map_err(|_| RenderError::Qr)?;
        let is_dark = code.into_colors().into_iter().map(|color| color == Color::Dark).collect();
        Ok(Self { side, is_dark })
    }

    /// Modules in a row, without the quiet zone.
    pub fn side(&self) -> u16 {
        self.side
    }

    /// Whether a module is dark; outside, none is.
    pub fn is_dark(&self, x: u16, y: u16) -> bool {
        let at = usize::from(y) * usize::from(self.side) + usize::from(x);
        x < self.side && self.is_dark.get(at).copied().unwrap_or(false)
    }

    /// The dark modules, row by row.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for y in 0..self.side {
            for x in (0..self.side).filter(|x| self.is_dark(*x, y)) {
                match runs.last_mut() {
                    Some(last) if last.y == y && last.x + last.length == x => last.length += 1,
                    _ => runs.push(Run { x, y, length: 1 }),
                }
            }
        }
        runs
    }

    /// An SVG picture with its quiet zone; it takes the size it is given.
    pub fn svg(&self) -> String {
        let side = self.side + 2 * QUIET;
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><rect width="{side}" height="{side}" fill="#fff"/><path d=""##
        );
        for Run { x, y, length } in self.runs() {
            let _ = write!(svg, "M{} {}h{length}v1h-{length}z", x + QUIET, y + QUIET);
        }
        svg.push_str("\"/></svg>\n");
        svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera reads from a picture of these modules.
    fn scan(side: u16, is_dark: impl Fn(u16, u16) -> bool) -> String {
        const SCALE: u16 = 4;
        let pixels = usize::from((side + 2 * QUIET) * SCALE);
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(pixels, pixels, |x, y| {
            let module = |at: usize| (u16::try_from(at).unwrap_or(0) / SCALE).checked_sub(QUIET);
            let dark = module(x).zip(module(y)).is_some_and(|(x, y)| is_dark(x, y));
            if dark { 0 } else { 255 }
        });
        let grids = picture.detect_grids();
        grids.first().expect("a code in the picture").decode().expect("a readable code").1
    }

    #[test]
    fn a_camera_reads_the_text_from_the_modules_and_from_the_svg() {
        let text = "UT1.".to_owned() + &"aB3_".repeat(90);
        let qr = Qr::new(&text).expect("a code");
        assert_eq!(scan(qr.side(), |x, y| qr.is_dark(x, y)), text);
        let svg = qr.svg();
        let path = svg.split("d=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a path");
        let mut dark = std::collections::HashSet::new();
        for run in path.split('M').skip(1) {
            let (at, rest) = run.split_once('h').expect("a run");
            let (x, y) = at.split_once(' ').expect("two numbers");
            let (x, y): (u16, u16) = (x.parse().expect("x"), y.parse().expect("y"));
            let length: u16 = rest.split('v').next().and_then(|length| length.parse().ok()).expect("length");
            dark.extend((x..x + length).map(|x| (x - QUIET, y - QUIET)));
        }
        assert_eq!(scan(qr.side(), |x, y| dark.contains(&(x, y))), text);
    }

    #[test]
    fn a_dirty_code_is_read_still_and_a_text_that_is_too_long_is_refused() {
        let text = "UT1.".to_owned() + &"aB3_".repeat(90);
        let qr = Qr::new(&text).expect("a code");
        let stain = qr.side() / 2..qr.side() / 2 + 6;
        let read = scan(qr.side(), |x, y| qr.is_dark(x, y) || (stain.contains(&x) && stain.contains(&y)));
        assert_eq!(read, text);
        assert!(matches!(Qr::new(&"x".repeat(10_000)), Err(RenderError::Qr)));
    }
}
