//! `GET /docs/errors`: what the `type` of every problem leads to.

use std::fmt::Write as _;

use axum::response::Html;

use crate::problem::Code;

/// Every code with its status and its meaning, as a page; each can be linked to by its name.
pub async fn explain_codes() -> Html<String> {
    let mut page =
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Usher: error codes</title>\
        <h1>Error codes</h1><dl>"
            .to_owned();
    for code in Code::ALL {
        let (word, status, title) = (code.word(), code.status().as_u16(), code.title());
        let _ = write!(page, "<dt id=\"{word}\"><code>{word}</code> ({status})</dt><dd>{title}.</dd>");
    }
    page.push_str("</dl></html>");
    Html(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_code_is_explained_where_its_problem_leads() {
        let Html(page) = explain_codes().await;
        for code in Code::ALL {
            assert!(page.contains(&format!("<dt id=\"{}\">", code.word())), "{code:?}");
        }
    }
}
