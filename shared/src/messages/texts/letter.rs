//! A message as blocks, and the two forms of it: plain text, and HTML that loads nothing from anywhere.

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A sentence or two.
    Line(String),
    /// Digits to type.
    Code(String),
    /// A name with lines below it.
    Card(String, Vec<String>),
    /// What each thing costs.
    Prices(Vec<(String, String)>),
    /// A label and an amount.
    Sum(String, String),
    /// A label and where it leads.
    Button(String, String),
}

/// A message. Its parts hold text as it is; both forms are made from them, so they never say different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// ISO 639-1.
    pub language: &'static str,
    /// One line.
    pub subject: String,
    /// All of it in a sentence or two: the text of an SMS or a push message.
    pub short: String,
    /// All of it.
    pub blocks: Vec<Block>,
    /// Why somebody gets it.
    pub footer: String,
}

/// HTML that mail programs show alike: no classes, nothing remote.
const PAGE: &str = "margin:0;padding:24px;background:#f4f4f6;\
    font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:#1c1c22";
const SHEET: &str = "max-width:560px;margin:0 auto;padding:24px 28px;background:#fff;border-radius:12px";
const CARD: &str = "margin:16px 0;padding:12px 16px;border-left:4px solid #5b4bdb;background:#f6f5ff";
const BUTTON: &str = "display:inline-block;padding:10px 20px;border-radius:8px;background:#5b4bdb;color:#fff;\
    text-decoration:none;font-weight:600";
const CODE: &str = "margin:16px 0;font:700 32px/1.2 ui-monospace,Menlo,Consolas,monospace;letter-spacing:6px";
const CELL: &str = "padding:4px 0;border-bottom:1px solid #e6e6ec";
const FOOTER: &str = "max-width:560px;margin:12px auto 0;font-size:13px;color:#6b6b76";

impl Letter {
    /// A message of one sentence.
    pub fn plain(subject: &str, short: &str) -> Self {
        Self {
            language: "en",
            subject: subject.to_owned(),
            short: short.to_owned(),
            blocks: vec![Block::Line(short.to_owned())],
            footer: String::new(),
        }
    }

    /// Where its first button leads.
    pub fn link(&self) -> Option<&str> {
        self.blocks.iter().find_map(|block| match block {
            Block::Button(_, url) => Some(url.as_str()),
            Block::Line(_) | Block::Code(_) | Block::Card(..) | Block::Prices(_) | Block::Sum(..) => None,
        })
    }

    /// As plain text.
    pub fn text(&self) -> String {
        let mut parts: Vec<String> = self.blocks.iter().map(text_of).collect();
        if !self.footer.is_empty() {
            // Mail programs take what follows this line as a signature.
            parts.push(format!("-- \n{}", self.footer));
        }
        parts.join("\n\n") + "\n"
    }

    /// As a page.
    pub fn html(&self) -> String {
        let body: String = self.blocks.iter().map(html_of).collect();
        format!(
            "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{subject}</title></head>\
             <body style=\"{PAGE}\"><div style=\"{SHEET}\">{body}</div><p style=\"{FOOTER}\">{footer}</p></body></html>",
            language = self.language,
            subject = escape(&self.subject),
            footer = escape(&self.footer),
        )
    }
}

fn text_of(block: &Block) -> String {
    match block {
        Block::Line(line) => line.clone(),
        Block::Code(digits) => format!("    {digits}"),
        Block::Card(name, lines) => {
            std::iter::once(name).chain(lines).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        }
        Block::Prices(rows) => {
            rows.iter().map(|(what, price)| format!("  - {what}: {price}")).collect::<Vec<_>>().join("\n")
        }
        Block::Sum(label, amount) => format!("{label}: {amount}"),
        Block::Button(label, url) => format!("{label}: {url}"),
    }
}

fn html_of(block: &Block) -> String {
    match block {
        Block::Line(line) => format!("<p>{}</p>", escape(line)),
        Block::Code(digits) => format!("<p style=\"{CODE}\">{}</p>", escape(digits)),
        Block::Card(name, lines) => {
            let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
            format!("<p style=\"{CARD}\"><strong>{}</strong><br>{}</p>", escape(name), lines.join("<br>"))
        }
        Block::Prices(rows) => {
            let row = |(what, price): &(String, String)| {
                let (what, price) = (escape(what), escape(price));
                format!(
                    "<tr><td style=\"{CELL}\">{what}</td><td align=\"right\" style=\"{CELL}\">{price}</td></tr>"
                )
            };
            let rows: Vec<String> = rows.iter().map(row).collect();
            format!("<table width=\"100%\" cellspacing=\"0\" cellpadding=\"0\">{}</table>", rows.concat())
        }
        Block::Sum(label, amount) => {
            format!("<p>{}: <strong>{}</strong></p>", escape(label), escape(amount))
        }
        Block::Button(label, url) => {
            format!("<p><a href=\"{}\" style=\"{BUTTON}\">{}</a></p>", escape(url), escape(label))
        }
    }
}

/// Text as HTML shows it, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
