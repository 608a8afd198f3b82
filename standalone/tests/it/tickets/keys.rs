//! The key that signs tickets.

use std::os::unix::fs::PermissionsExt as _;

use standalone::secrets::ticket_key_file;
use standalone::settings::{Part, Settings};

use super::Fallible;
use crate::lab::{Lab, TICKET_KEY, TestResult};

fn keys(words: &[String]) -> Fallible<Vec<String>> {
    let settings = Settings::from_words(words.iter().map(String::as_str))?;
    let set = settings.services.tickets.keys()?.verifier().jwks();
    Ok(set.keys.into_iter().map(|key| key.kid).collect())
}

#[test]
fn the_key_is_made_once_and_only_its_owner_reads_it() -> TestResult {
    let dir = tempfile::tempdir()?;
    let file = ticket_key_file(dir.path())?;
    let word = format!("--ticket-key-file={}", file.display());
    let first = keys(std::slice::from_ref(&word))?;
    assert_eq!(first.len(), 1);
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(ticket_key_file(dir.path())?, file);
    assert_eq!(keys(std::slice::from_ref(&word))?, first, "it stays");
    let rotated = keys(&[
        format!("--ticket-key={TICKET_KEY}"),
        format!("--ticket-key-previous-file={}", file.display()),
    ])?;
    assert_eq!((rotated.len(), &rotated[1]), (2, &first[0]), "the new one signs, the old one is good still");
    Ok(())
}

#[test]
fn what_is_no_key_is_refused() {
    for words in [
        &[][..],
        &["--ticket-key="],
        &["--ticket-key=nonsense"],
        &["--ticket-key-file=/nowhere/at/all"],
        &["--ticket-key", TICKET_KEY, "--ticket-key-previous", "nonsense"],
    ] {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        assert!(keys(&words).is_err(), "{words:?}");
    }
    let empty_previous = [format!("--ticket-key={TICKET_KEY}"), "--ticket-key-previous=".to_owned()];
    assert!(keys(&empty_previous).is_ok_and(|keys| keys.len() == 1), "set but empty means none");
}

#[tokio::test]
async fn neither_gateway_nor_worker_runs_without_a_key() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &["--ticket-key=nonsense"]).await?;
    for part in [Part::Gateway, Part::Worker] {
        let system = lab.start_part(part).await?;
        let ended = tokio::time::timeout(crate::lab::PATIENCE, system.shutdown.cancelled()).await;
        assert!(ended.is_ok(), "{part:?} ends by itself");
        system.stop().await;
    }
    Ok(())
}
