//! The languages that people are spoken to in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A language that Usher speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English, for everybody who asks for none of the others.
    #[default]
    En,
    /// Ukrainian.
    Uk,
    /// Russian.
    Ru,
}

impl Language {
    /// All three.
    pub const ALL: [Self; 3] = [Self::En, Self::Uk, Self::Ru];

    /// As stored: an ISO 639-1 code.
    pub fn word(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Uk => "uk",
            Self::Ru => "ru",
        }
    }

    /// Reads what [`Self::word`] wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.word() == word)
    }

    /// Reads a language tag such as `ru` or `uk-UA`; `None` for languages that Usher does not speak.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.word().eq_ignore_ascii_case(primary))
    }

    /// The language that somebody likes best of those that Usher speaks, by an `Accept-Language` header
    /// (RFC 9110, section 12.5.4).
    pub fn preferred(accept: &str) -> Self {
        let mut best = (Self::En, 0.0);
        for range in accept.split(',').take(16) {
            let mut parts = range.split(';');
            let Some(language) = parts.next().and_then(|tag| Self::from_tag(tag.trim())) else { continue };
            let quality =
                parts.find_map(|part| part.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            if quality > best.1 {
                best = (language, quality);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_with_the_highest_quality_is_taken() {
        for (header, language) in [
            ("", Language::En),
            ("fr, de;q=0.5", Language::En),
            ("ru", Language::Ru),
            ("uk-UA,uk;q=0.9,en;q=0.8", Language::Uk),
            ("en;q=0.2, ru;q=0.7", Language::Ru),
            ("ru;q=nonsense", Language::Ru),
            ("ru;q=0", Language::En),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
