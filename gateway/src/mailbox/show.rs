//! `GET /mailbox`

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use shared::messages::texts::escape;
use shared::store::MailboxRecord;

use super::MailboxReader;
use super::list::MailboxQuery;
use crate::app::App;
use crate::caller::Query;
use crate::problem::{Problem, ProblemBody};

/// Nothing is loaded, nothing runs, and whatever a message holds cannot reach this page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'";

const NOTHING: &str =
    "<p class=\"empty\">Nothing yet. What Usher sends by mail, SMS and push shows up here.</p>";

const STYLE: &str = include_str!("mailbox.css");

/// The mailbox as a page, newest first; 404 where it is not open.
#[utoipa::path(get, path = "/mailbox", tag = "mailbox", params(MailboxQuery),
    responses((status = 200, content_type = "text/html", body = String), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody)))]
pub async fn show_mailbox(
    State(app): State<App>,
    _reader: MailboxReader,
    Query(query): Query<MailboxQuery>,
) -> Result<impl IntoResponse, Problem> {
    let messages = app.mailbox.newest(query.before, query.limit).await?;
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, Html(page(&messages))))
}

fn page(messages: &[MailboxRecord]) -> String {
    let list: String = if messages.is_empty() {
        NOTHING.to_owned()
    } else {
        messages.iter().enumerate().map(|(nth, one)| message(one, nth == 0)).collect()
    };
    let older = messages.last().map_or_else(String::new, |last| {
        format!(
            "<nav><a href=\"/mailbox\">Newest</a> <a href=\"/mailbox?before={}\">Older</a></nav>",
            last.id
        )
    });
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Mailbox · Usher</title>\
         <style>{STYLE}</style></head><body><header><h1>Mailbox</h1>\
         <p>What Usher would send, kept here instead. <a href=\"/mailbox\">Look again</a></p></header>\
         <main>{list}</main>{older}</body></html>"
    )
}

fn message(one: &MailboxRecord, is_open: bool) -> String {
    let mut text = format!(
        "<details{open}><summary><span class=\"channel {channel}\">{channel}</span>\
         <strong>{subject}</strong><span class=\"to\">{to}</span>\
         <time datetime=\"{at}\">{shown}</time></summary><pre>{body}</pre>",
        open = if is_open { " open" } else { "" },
        channel = escape(&one.channel),
        subject = escape(&one.subject),
        to = escape(&one.recipient),
        at = one.sent_at.to_rfc3339(),
        shown = one.sent_at.format("%-d %b %H:%M:%S UTC"),
        body = linked(&one.body),
    );
    // Writing to a string cannot fail.
    for file in &one.attachments {
        let _ = write!(text, "<p class=\"file\">📎 {} ({} bytes)</p>", escape(&file.name), file.bytes);
    }
    if let Some(html) = &one.html {
        let _ = write!(
            text,
            "<details><summary>As a mail program shows it</summary>\
             <iframe sandbox title=\"The mail as HTML\" srcdoc=\"{}\"></iframe></details>",
            escape(html)
        );
    }
    text + "</details>"
}

/// Text with what looks like a link made one.
fn linked(text: &str) -> String {
    let part = |part: &str| {
        let word = part.trim_end_matches([' ', '\n']);
        let (shown, space) = (escape(word), &part[word.len()..]);
        if word.starts_with("http://") || word.starts_with("https://") {
            format!("<a href=\"{shown}\" rel=\"noreferrer\">{shown}</a>{space}")
        } else {
            format!("{shown}{space}")
        }
    };
    text.split_inclusive([' ', '\n']).map(part).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_a_message_holds_is_shown_and_not_run() {
        let record = MailboxRecord {
            id: 3,
            job: Uuid::nil(),
            channel: "mail".to_owned(),
            recipient: "\"<b>\"@example.test".to_owned(),
            kind: "code".to_owned(),
            subject: "<script>alert(1)</script>".to_owned(),
            body: "See https://example.test/?a=1&b=\"2\"\nnext </pre>".to_owned(),
            html: Some("<p onclick=\"x\">hi</p>".to_owned()),
            attachments: Vec::new(),
            sent_at: chrono::DateTime::default(),
        };
        let page = page(&[record]);
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"https://example.test/?a=1&amp;b=&quot;2&quot;\" rel=\"noreferrer\">"),
            "{page}"
        );
        assert!(page.contains("</a>\nnext &lt;/pre&gt;"), "{page}");
        assert!(page.contains("srcdoc=\"&lt;p onclick=&quot;x&quot;&gt;hi&lt;/p&gt;\""), "{page}");
        assert!(page.contains("/mailbox?before=3"), "{page}");
    }
}
