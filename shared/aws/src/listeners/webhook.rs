//! Somebody's own server: each notification is posted as JSON, signed as <https://www.standardwebhooks.com> has it, so that ready-made
//! libraries check it. Between the two is a queue: what is not taken comes again, and holds nobody up.

use super::to_json;
use crate::errors::Call;
use crate::http;
use crate::machine::SystemClock;
use aws_lc_rs::hmac;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine::clock::Clock;
use engine::error::{Error, Result};
use engine::ops::notify::{Listener, Notification};
use std::fmt;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

const SEND: Call = Call::new("sqs", "SendMessage");
/// A server that takes longer is asked again later.
const TIMEOUT: Duration = Duration::from_secs(15);
/// What a signing key begins with, and the bytes that it has.
const KEY_PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where it is, and the key that signs. Shows nothing of the key, nor of a path that may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookAddress {
    url: Url,
    key: Zeroizing<Vec<u8>>,
}

impl WebhookAddress {
    /// How a right one looks.
    pub const EXAMPLE: &str = "https://whsec_C2FVsBQIhrscChlQIMV%2Bb5sSYspob7oD@ops.example.org/backups";

    /// Reads an URL whose user is the signing key.
    ///
    /// # Errors
    /// `Invalid`, saying which part is wrong and how a right one looks. Never shows the URL.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("the webhook's URL {what}; one looks like {}", Self::EXAMPLE));
        let mut url = Url::parse(text.trim()).map_err(|_| wrong("is not a URL"))?;
        if !crate::settings::is_guarded(&url) {
            return Err(wrong("must begin with https:// (http:// only on this machine)"));
        }
        let key = crate::settings::decoded(url.username()).ok_or_else(|| wrong("has no signing key"))?;
        let key = key.strip_prefix(KEY_PREFIX).ok_or_else(|| wrong("has no signing key that begins with whsec_"))?;
        let key = Zeroizing::new(FORGIVING.decode(key).map_err(|_| wrong("has a signing key that is not base64"))?);
        if !KEY_BYTES.contains(&key.len()) {
            return Err(wrong("has a signing key that has not 24 to 64 bytes"));
        }
        if url.password().is_some() {
            return Err(wrong("may have no password"));
        }
        url.set_username("").map_err(|()| wrong("cannot hold a key"))?;
        Ok(Self { url, key })
    }

    /// What stands in `webhook-signature`.
    fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

impl fmt::Debug for WebhookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookAddress({})", self.url.host_str().unwrap_or_default())
    }
}

/// The server.
#[derive(Debug)]
pub struct Webhook {
    client: Connector,
    address: WebhookAddress,
}

impl Webhook {
    /// The server at an address.
    pub fn new(address: WebhookAddress) -> Self {
        Self { client: http::client(TIMEOUT), address }
    }

    fn request(&self, notification: &Notification) -> Result<HttpRequest> {
        let wrong = || Error::internal("write the request to the webhook");
        let (body, seconds) = (to_json(notification)?, SystemClock.now().as_millis() / 1_000);
        let signature = self.address.sign(&notification.id, seconds, &body);
        let length = body.len();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|e| wrong().with_source(e))?;
        request.set_uri(self.address.url.as_str()).map_err(|e| wrong().with_source(e))?;
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("content-length", length.to_string()),
            ("user-agent", concat!("gasrapido-backup/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("webhook-id", notification.id.clone()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ];
        for (name, value) in headers {
            request.headers_mut().try_insert(name, value).map_err(|e| wrong().with_source(e))?;
        }
        Ok(request)
    }
}

#[async_trait::async_trait]
impl Listener for Webhook {
    fn name(&self) -> &str {
        "the webhook"
    }

    async fn tell(&self, notifications: &[Notification]) -> Result<()> {
        for notification in notifications {
            let host = self.address.url.host_str().unwrap_or_default();
            let answer = self.client.call(self.request(notification)?).await;
            let answer = answer.map_err(|e| Error::unavailable(format!("{host} cannot be reached")).with_source(e))?;
            if !answer.status().is_success() {
                return Err(Error::unavailable(format!("{host} answered {}", answer.status().as_u16())));
            }
        }
        Ok(())
    }
}

/// The queue before the server.
#[derive(Clone, Debug)]
pub struct WebhookQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl WebhookQueue {
    /// The queue of a URL.
    pub fn new(client: aws_sdk_sqs::Client, url: String) -> Self {
        Self { client, url }
    }
}

#[async_trait::async_trait]
impl Listener for WebhookQueue {
    fn name(&self) -> &str {
        "the queue of the webhook"
    }

    async fn tell(&self, notifications: &[Notification]) -> Result<()> {
        for notification in notifications {
            let send = self.client.send_message().queue_url(&self.url).message_body(to_json(notification)?);
            send.send().await.map_err(|e| SEND.failed(&e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_has_it() {
        // The example of the standard's own libraries.
        let address =
            WebhookAddress::parse("https://whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw@example.org/").expect("parses");
        let body = r#"{"test": 2432232314}"#;
        let signature = address.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_wrong_address_is_refused_without_being_shown() {
        for (text, part) in [
            ("canary", "not a URL"),
            ("http://whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw@example.com/canary", "https://"),
            ("https://example.com/canary", "whsec_"),
            ("https://canary@example.com/", "whsec_"),
            ("https://whsec_canary!@example.com/", "base64"),
            ("https://whsec_Y2FuYXJ5@example.com/canary", "24 to 64 bytes"),
            ("https://whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw:canary@example.com/", "password"),
        ] {
            let e = WebhookAddress::parse(text).expect_err(text);
            assert!(e.to_string().contains(part) && !format!("{e} {e:?}").contains("canary"), "{e:?}");
        }
        let address = WebhookAddress::parse("http://whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw@127.0.0.1:8080/canary");
        assert_eq!(format!("{:?}", address.expect("parses")), "WebhookAddress(127.0.0.1)");
        WebhookAddress::parse(WebhookAddress::EXAMPLE).expect("the example is right");
    }
}
