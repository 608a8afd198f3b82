//! What messages say, in three languages.
//!
//! - [`words`]: money, dates and plural forms.
//! - `letter`: a message as blocks, from which plain text and HTML are both made; all escaping is there.
//! - `parts`: blocks that look alike in every language.
//! - `en`, `uk`, `ru`: the sentences, one function a kind of message, in the same order in each file.

mod en;
mod letter;
mod parts;
mod ru;
#[cfg(test)]
mod tests;
mod uk;
pub mod words;

pub use letter::{Block, Letter, escape};

use super::about::{About, Links};
use crate::domain::Language;

/// What a message says to somebody of that first name (empty: nobody knows it).
pub fn letter(language: Language, name: &str, about: &About, links: &Links) -> Letter {
    let letter = match language {
        Language::En => en::letter(name, about, links),
        Language::Uk => uk::letter(name, about, links),
        Language::Ru => ru::letter(name, about, links),
    };
    Letter { language: language.word(), ..letter }
}
