//! A mail server (aiosmtpd) that tests send to.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Python with what tests use. Brings it where that is missing.
pub(crate) async fn python() -> Result<Command, Box<dyn std::error::Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/python.sh");
    let python = Command::new(script).stderr(Stdio::inherit()).output().await?;
    if !python.status.success() {
        return Err("scripts/python.sh did not bring what tests use".into());
    }
    Ok(Command::new(String::from_utf8(python.stdout)?.trim()))
}

/// Ends when dropped.
pub(crate) struct MailServer {
    port: u16,
    log_in: Option<(&'static str, &'static str)>,
    mails: Arc<Mutex<Vec<Value>>>,
    _child: Child,
}

impl MailServer {
    /// Starts one; with a user and a password it takes mail from nobody else. Brings what it needs where that is missing.
    pub(crate) async fn start(
        log_in: Option<(&'static str, &'static str)>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut command = python().await?;
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lab/mail_server.py"));
        if let Some((user, password)) = log_in {
            command.args([user, password]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("its output")?).lines();
        let port = lines.next_line().await?.ok_or("its port")?.parse()?;
        let mails = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&mails);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let (Ok(mail), Ok(mut mails)) = (serde_json::from_str(&line), taken.lock()) {
                    mails.push(mail);
                }
            }
        });
        Ok(Self { port, log_in, mails, _child: child })
    }

    /// As `SMTP_URL` takes it.
    pub(crate) fn url(&self) -> String {
        let who = self.log_in.map_or_else(String::new, |(user, password)| format!("{user}:{password}@"));
        format!("smtp://{who}127.0.0.1:{}", self.port)
    }

    /// The mails that it took, oldest first.
    pub(crate) fn mails(&self) -> Vec<Value> {
        self.mails.lock().map(|mails| mails.clone()).unwrap_or_default()
    }
}
