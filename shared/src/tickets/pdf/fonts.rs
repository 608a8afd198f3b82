//! The typeface of the documents. It is built in, so that they look the same everywhere; it has Latin and Cyrillic.

use std::sync::LazyLock;

use krilla::text::Font;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider as _};

use crate::tickets::format::RenderError;

static REGULAR: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-Bold.ttf");

static FONTS: LazyLock<Option<Fonts>> =
    LazyLock::new(|| Some(Fonts { regular: Face::new(REGULAR)?, bold: Face::new(BOLD)? }));

/// The weights that there are.
pub(super) struct Fonts {
    pub(super) regular: Face,
    pub(super) bold: Face,
}

/// One weight.
pub(super) struct Face {
    pub(super) font: Font,
    outlines: FontRef<'static>,
}

/// The fonts, read once.
pub(super) fn fonts() -> Result<&'static Fonts, RenderError> {
    FONTS.as_ref().ok_or(RenderError::Font)
}

impl Face {
    fn new(bytes: &'static [u8]) -> Option<Self> {
        Some(Self { font: Font::new(bytes.into(), 0)?, outlines: FontRef::new(bytes).ok()? })
    }

    /// How wide a text is at this size, but for kerning.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        let letters = self.outlines.charmap();
        let metrics = self.outlines.glyph_metrics(Size::new(size), LocationRef::default());
        let width = |letter| metrics.advance_width(letters.map(letter).unwrap_or_default());
        text.chars().filter_map(width).sum()
    }
}
