//! The sandbox that `usher` starts for itself.

use std::os::unix::fs::PermissionsExt as _;

use secrecy::ExposeSecret as _;
use shared::domain::{Money, OrderId, PaymentId};
use shared::pay::{NewSession, PaymentStatus};
use standalone::sandbox::start_unless_set;
use standalone::settings::{Part, Settings};

use crate::lab::{Lab, TestResult};

const WORDS: [&str; 2] = ["--sandbox-listen=127.0.0.1:0", "--public-url=http://127.0.0.1:1"];

fn new_session() -> NewSession {
    NewSession {
        payment: PaymentId::new(),
        order: OrderId::new(),
        amount: Money { amount: 5_000, currency: "EUR".to_owned() },
        description: "2 × Stalls".to_owned(),
        email: None,
        language: "en".to_owned(),
        return_url: "http://127.0.0.1:1/success".to_owned(),
        cancel_url: "http://127.0.0.1:1/fail".to_owned(),
        pay_until: chrono::Utc::now(),
    }
}

#[tokio::test]
async fn sandbox_is_started_with_keys_that_are_made_once_and_takes_payments() -> TestResult {
    let dir = tempfile::tempdir()?;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut settings = Settings::from_words(WORDS)?;
        let sandbox = start_unless_set(&mut settings, &[], dir.path()).await?.ok_or("a sandbox")?;
        keys.push(sandbox.key.expose_secret().to_owned());
        let provider = shared::pay::connect(&settings.services.pay)?.chosen().clone();
        let session = provider.create_session(&new_session()).await?;
        let state = provider.query(&session.reference).await?.ok_or("a state")?;
        assert_eq!(state.status, PaymentStatus::Open);
        assert!(session.redirect_url.starts_with(&sandbox.url));
        sandbox.stop().await;
    }
    assert_eq!(keys[0], keys[1]);
    let mode = std::fs::metadata(dir.path().join("secrets/sandbox-key"))?.permissions().mode();
    assert_eq!(mode & 0o077, 0, "only its owner may read it");
    Ok(())
}

#[tokio::test]
async fn no_sandbox_is_started_where_another_one_or_another_provider_is_meant() -> TestResult {
    let dir = tempfile::tempdir()?;
    for word in ["--sandbox-url=http://127.0.0.1:1", "--payment-provider=stripe"] {
        let mut settings = Settings::from_words(WORDS.into_iter().chain([word]))?;
        assert!(start_unless_set(&mut settings, &[], dir.path()).await?.is_none(), "{word}");
    }
    // A worker by itself uses the sandbox of whoever has the gateway.
    let mut settings = Settings::from_words(["--sandbox-listen=127.0.0.1:4711"])?;
    assert!(start_unless_set(&mut settings, &[Part::Worker], dir.path()).await?.is_none());
    assert_eq!(settings.services.pay.sandbox.url()?, "http://127.0.0.1:4711");
    Ok(())
}

#[tokio::test]
async fn system_without_its_payment_settings_does_not_start() -> TestResult {
    let lab = Lab::start_with(&[Part::Sweeper], &[]).await?;
    let health = lab.http.get(format!("{}/health", lab.sandbox.url)).send().await?;
    assert!(health.status().is_success());
    let short = Settings::from_words(["--sandbox-key=short", "--sandbox-url=http://127.0.0.1:1"])?;
    assert!(short.check().is_err());
    Ok(())
}
