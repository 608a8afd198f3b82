//! Somebody who pays on the sandbox's page, and what the sandbox may tell of it.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Lab;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

impl Lab {
    /// Pays by this card on a page of the sandbox, whose own webhook of it is lost; the session as it is shown to shops then.
    pub(crate) async fn pay_unheard(&self, page: &str, card: &str) -> Fallible<Value> {
        let (key, session) = (self.sandbox.key.expose_secret(), page.rsplit('/').next().unwrap_or_default());
        let lost = json!({"on": "webhook", "kind": "lose", "session": session});
        let ordered = self.http.post(format!("{}/faults", self.sandbox.url)).bearer_auth(key);
        ordered.json(&lost).send().await?.error_for_status()?;
        // It leads back to the shop, whose pages need not be there.
        let form = self.http.post(page).header("content-type", "application/x-www-form-urlencoded");
        // The page has no field for a card; a browser may send one all the same.
        form.body(format!("choice=card&number={card}")).send().await?;
        let shown = self.http.get(format!("{}/v1/sessions/{session}", self.sandbox.url)).bearer_auth(key);
        Ok(shown.send().await?.error_for_status()?.json().await?)
    }

    /// Pays on a page of the sandbox by a card, and tells of it in webhooks that speak of the card too: a forged one, two
    /// that make no sense, and the genuine one, which is handed back as it was sent. The card has its `number`, and how it is
    /// `shown`.
    pub(crate) async fn pay_and_tell_of_card(&self, url: &str, page: &str, card: &Value) -> Fallible<String> {
        let [number, shown] = ["number", "shown"].map(|name| card[name].as_str().unwrap_or_default());
        let mut session = self.pay_unheard(page, number).await?;
        session["card"] = card.clone();
        let webhook = |session: &Value| {
            json!({"id": "sbe_with_a_card", "type": "payment.authorized", "session": session, "card": card})
                .to_string()
        };
        let genuine = webhook(&session);
        session["status"] = json!(number);
        assert_eq!(self.tell(url, &genuine, false).await?, StatusCode::BAD_REQUEST, "it is forged");
        for body in [webhook(&session), format!("{number} {shown}")] {
            assert_eq!(self.tell(url, &body, true).await?, StatusCode::BAD_REQUEST, "it makes no sense");
        }
        assert_eq!(self.tell(url, &genuine, true).await?, StatusCode::OK);
        Ok(genuine)
    }

    /// Sends a webhook that is signed as the sandbox signs, or with another secret.
    pub(crate) async fn tell(&self, url: &str, body: &str, is_genuine: bool) -> Fallible<StatusCode> {
        let secret = if is_genuine { self.sandbox.webhook_secret.expose_secret() } else { "another secret" };
        let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let key = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| "no key")?;
        let mac = key.chain_update(format!("{time}.{body}")).finalize().into_bytes();
        let signature = mac.iter().fold(format!("t={time},v1="), |text, byte| format!("{text}{byte:02x}"));
        let webhook = self.http.post(format!("{url}/api/webhook/payment"));
        let webhook =
            webhook.header("content-type", "application/json").header("sandbox-signature", signature);
        Ok(webhook.body(body.to_owned()).send().await?.status())
    }
}
