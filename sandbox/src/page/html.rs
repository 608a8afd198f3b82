//! The page itself, without any file beside it.

use std::fmt::Write as _;

use super::words::Words;
use crate::session::{Session, Status};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6475;--paper:#f3f1ec;--card:#fff;--line:#d8d4ca;--go:#0b6b53;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--ink:#eceae4;--soft:#a8b0bf;--paper:#14171d;--card:#1e232c;--line:#39404d;--go:#4cc9a4;--on:#0c1512}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\
main{width:100%;max-width:27rem;background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:1.75rem}\
h1{font-size:1.15rem;margin:0}h2{font-size:1rem;margin:1.5rem 0 .6rem}p{margin:.4rem 0}.soft,small{color:var(--soft)}\
.sum{font-size:2.2rem;font-weight:650;letter-spacing:-.02em;margin:.1rem 0}.label{margin-top:1.2rem}\
form{display:grid;gap:.6rem}button,a.back{display:block;width:100%;text-align:start;font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:.7rem;padding:.75rem 1rem;cursor:pointer;text-decoration:none}\
button strong,button small{display:block}button.go{background:var(--go);border-color:var(--go);color:var(--on)}button.go small{color:inherit}\
button:hover,a.back:hover{border-color:var(--ink)}:focus-visible{outline:3px solid var(--go);outline-offset:2px}a.back{margin-top:1.2rem;text-align:center}";

/// Text inside an element or an attribute.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

fn document(words: &Words, main: &str) -> String {
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>{main}</main></body></html>",
        lang = words.lang,
        title = words.title,
    )
}

/// The page of a session: the choices while it is open, how it ended afterwards.
pub fn session(session: &Session) -> String {
    let words = Words::of(&session.new.language);
    let mut main = format!(
        "<h1>{title}</h1><p class=\"soft\">{notice}</p><p class=\"soft label\">{amount}</p>\
         <p class=\"sum\">{sum}</p><p>{line}</p>",
        title = words.title,
        notice = words.notice,
        amount = words.amount,
        sum = escape(&sum(session.new.amount, &session.new.currency)),
        line = escape(&session.new.description),
    );
    match words.end(session.status) {
        None => main.push_str(&choices(words)),
        Some(end) => {
            let to = match session.status {
                Status::Authorized | Status::Captured | Status::Declined => &session.new.return_url,
                Status::Open | Status::Expired | Status::Released | Status::ChargedBack => {
                    &session.new.cancel_url
                }
            };
            let _ = write!(
                main,
                "<h2 role=\"status\">{end}</h2><a class=\"back\" href=\"{}\">{}</a>",
                escape(to),
                words.back
            );
        }
    }
    document(words, &main)
}

fn choices(words: &Words) -> String {
    let buttons = [
        ("card", words.card, " class=\"go\""),
        ("sbp", words.sbp, " class=\"go\""),
        ("decline", words.decline, ""),
        ("leave", words.leave, ""),
    ];
    let mut form =
        format!("<h2 id=\"choose\">{}</h2><form method=\"post\" aria-labelledby=\"choose\">", words.choose);
    for (value, (name, what), class) in buttons {
        let _ = write!(
            form,
            "<button name=\"choice\" value=\"{value}\"{class}><strong>{name}</strong><small>{what}</small></button>"
        );
    }
    form.push_str("</form>");
    form
}

/// The page of no session.
pub fn unknown() -> String {
    let words = Words::of("en");
    document(words, &format!("<h1>{}</h1>", words.unknown))
}

/// An amount as people write it.
fn sum(minor: i64, currency: &str) -> String {
    match currency {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "XAF" | "XOF" => format!("{minor} {currency}"),
        _ => format!("{}.{:02} {currency}", minor / 100, minor % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::NewSession;

    fn page(language: &str, description: &str, status: Status) -> String {
        let url = "http://shop.test/?a=1&b=\"".to_owned();
        let mut one = Session::open(
            NewSession {
                amount: 123_456,
                currency: "EUR".to_owned(),
                description: description.to_owned(),
                language: language.to_owned(),
                return_url: url.clone(),
                cancel_url: url.clone(),
                webhook_url: url,
                payment_id: None,
                order_id: None,
            },
            0,
        );
        one.status = status;
        session(&one)
    }

    #[test]
    fn page_has_four_buttons_and_no_field_to_type_into() {
        let page = page("en", "Two seats", Status::Open);
        assert_eq!(page.matches("<button").count(), 4);
        for never in ["<input", "<textarea", "<select", "<script", "<link", "<img", "http:", "https:"] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(page.contains("1234.56 EUR"));
    }

    #[test]
    fn page_speaks_the_session_s_language_and_english_otherwise() {
        for (language, lang, word) in
            [("uk", "uk", "Сплатити карткою"), ("ru", "ru", "Оплатить картой"), ("fr", "en", "Pay by card")]
        {
            let page = page(language, "", Status::Open);
            assert!(page.contains(&format!("lang=\"{lang}\"")) && page.contains(word), "{language}");
        }
    }

    #[test]
    fn what_shops_write_is_text_and_never_markup() {
        let page = page("en", "<script>alert('1')</script>", Status::Captured);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        assert!(page.contains("href=\"http://shop.test/?a=1&amp;b=&quot;\""));
    }

    #[test]
    fn closed_page_has_no_buttons_but_a_way_back() {
        for status in
            [Status::Authorized, Status::Captured, Status::Declined, Status::Expired, Status::Released]
        {
            let page = page("en", "", status);
            assert!(!page.contains("<button") && page.contains("Back to the shop"), "{status:?}");
        }
    }
}
