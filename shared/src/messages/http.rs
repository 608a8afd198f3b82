//! A gateway for SMS or push messages that takes JSON over HTTP.
//!
//! Each message is one POST with a bearer token and an `Idempotency-Key`, the job's id: a gateway that honours it sends
//! a message once, however often it is posted.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::config::HttpTarget;
use super::ports::{Parcel, Port, SendError};
use crate::config::ConfigError;

/// Connecting takes no longer than this.
const CONNECT: Duration = Duration::from_secs(5);

/// A gateway.
#[derive(Clone)]
pub struct HttpGateway {
    client: Client,
    url: Url,
    token: SecretString,
}

impl HttpGateway {
    /// A gateway at this address.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn new(target: &HttpTarget) -> Result<Self, ConfigError> {
        let client = Client::builder()
            .timeout(target.timeout)
            .connect_timeout(CONNECT)
            // The token is for this address alone.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| ConfigError::Invalid(format!("no HTTP client can be made: {error}")))?;
        Ok(Self { client, url: target.url.clone(), token: target.token.clone() })
    }

    /// Posts a message; the status that was answered.
    async fn post<T: Serialize + Sync>(&self, parcel: &Parcel, body: &T) -> Result<StatusCode, SendError> {
        let request = self.client.post(self.url.clone()).bearer_auth(self.token.expose_secret());
        let key = parcel.job.to_string();
        match request.header("idempotency-key", key).json(body).send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) if error.is_timeout() => {
                Err(SendError::Retry("the gateway did not answer in time".to_owned()))
            }
            Err(_) => Err(SendError::Retry("the gateway could not be reached".to_owned())),
        }
    }
}

/// What an answer means: 4xx would be answered again, all but those that say "later".
fn judge(status: StatusCode) -> Result<(), SendError> {
    let told = format!("the gateway answered {}", status.as_u16());
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(SendError::Retry(told))
        }
        status if status.is_client_error() => Err(SendError::Fatal(told)),
        _ => Err(SendError::Retry(told)),
    }
}

/// Sends SMS through a gateway: `{"to": "+380…", "text": "…"}`.
pub struct HttpSms(pub HttpGateway);

#[derive(Serialize)]
struct SmsBody<'a> {
    to: &'a str,
    text: &'a str,
}

impl Port for HttpSms {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), SendError>> {
        async move { judge(self.0.post(parcel, &SmsBody { to: &parcel.to, text: &parcel.letter.short }).await?) }
            .boxed()
    }
}

/// Sends push messages through a gateway that knows the devices of a user:
/// `{"userId": 7, "title": "…", "body": "…", "url": "…"}`.
pub struct HttpPush(pub HttpGateway);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PushBody<'a> {
    user_id: i64,
    title: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

impl Port for HttpPush {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let letter = &parcel.letter;
            let body = PushBody {
                user_id: parcel.user.map_or(0, |user| user.0),
                title: &letter.subject,
                body: &letter.short,
                url: letter.link(),
            };
            match self.0.post(parcel, &body).await? {
                // They have no device, or it is gone: nobody is there to be told, and the mail says it all.
                StatusCode::NOT_FOUND | StatusCode::GONE => Ok(()),
                status => judge(status),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;
    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::domain::UserId;
    use crate::messages::texts::Letter;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn gateway(server: &MockServer) -> Result<HttpGateway, Box<dyn std::error::Error>> {
        let url = Url::parse(&format!("{}/send", server.uri()))?;
        let timeout = Duration::from_millis(300);
        Ok(HttpGateway::new(&HttpTarget { url, token: SecretString::from("a token"), timeout })?)
    }

    fn parcel() -> Parcel {
        Parcel {
            job: Uuid::from_u128(7),
            user: Some(UserId(5)),
            kind: "code",
            name: "Nova".to_owned(),
            to: "+380501112233".to_owned(),
            language: "en",
            letter: Letter::plain("Subject", "Short text"),
            attachments: Vec::new(),
        }
    }

    async fn answering(template: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(method("POST")).and(path("/send")).respond_with(template).mount(&server).await;
        server
    }

    #[tokio::test]
    async fn a_message_is_posted_with_token_and_the_jobs_id_as_its_key() -> TestResult {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/send"))
            .and(header("authorization", "Bearer a token"))
            .and(header("idempotency-key", Uuid::from_u128(7).to_string()))
            .and(body_json(serde_json::json!({"to": "+380501112233", "text": "Short text"})))
            .respond_with(ResponseTemplate::new(202))
            .expect(2)
            .mount(&server)
            .await;
        let sms = HttpSms(gateway(&server)?);
        sms.send(&parcel()).await?;
        sms.send(&parcel()).await?;
        server.verify().await;
        Ok(())
    }

    #[tokio::test]
    async fn push_names_the_user_and_a_user_without_devices_is_no_failure() -> TestResult {
        let server = MockServer::start().await;
        let body = serde_json::json!({"userId": 5, "title": "Subject", "body": "Short text"});
        Mock::given(method("POST"))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(404))
            .expect(1)
            .mount(&server)
            .await;
        HttpPush(gateway(&server)?).send(&parcel()).await?;
        Ok(())
    }

    #[tokio::test]
    async fn refusals_are_for_good_and_faults_are_not() -> TestResult {
        for (status, is_for_good) in [
            (400, true),
            (401, true),
            (404, true),
            (422, true),
            (429, false),
            (500, false),
            (503, false),
            (302, false),
        ] {
            let server = answering(ResponseTemplate::new(status)).await;
            let answered = HttpSms(gateway(&server)?).send(&parcel()).await;
            let told = match answered {
                Err(SendError::Fatal(told)) if is_for_good => told,
                Err(SendError::Retry(told)) if !is_for_good => told,
                other => return Err(format!("{status}: {other:?}").into()),
            };
            assert_eq!(told, format!("the gateway answered {status}"));
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_gateway_that_is_slow_or_away_is_tried_again_and_nobodys_number_is_told() -> TestResult {
        let slow = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(5))).await;
        let answered = HttpSms(gateway(&slow)?).send(&parcel()).await;
        let Err(SendError::Retry(told)) = answered else { return Err(format!("{answered:?}").into()) };
        assert_eq!(told, "the gateway did not answer in time");
        let target = HttpTarget {
            url: Url::parse("http://127.0.0.1:1/send?to=secret")?,
            token: SecretString::from("a token"),
            timeout: Duration::from_secs(1),
        };
        let answered = HttpSms(HttpGateway::new(&target)?).send(&parcel()).await;
        let Err(SendError::Retry(told)) = answered else { return Err(format!("{answered:?}").into()) };
        assert_eq!(told, "the gateway could not be reached");
        Ok(())
    }
}
