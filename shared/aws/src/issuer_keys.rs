//! The public keys of whoever signs tokens, from where the issuer publishes them.

use crate::http;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use engine::error::{Error, Result};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// A person waits meanwhile.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A set of keys has a few hundred bytes a key.
const BYTES_MAX: usize = 64 * 1024;

/// Where they are.
#[derive(Debug)]
pub struct IssuerKeys {
    client: Connector,
    url: Url,
}

impl IssuerKeys {
    /// At a URL.
    pub fn new(url: Url) -> Self {
        Self { client: http::client(TIMEOUT), url }
    }

    /// The set of keys, as JSON (RFC 7517).
    ///
    /// # Errors
    /// `Unavailable` when the issuer does not answer, or not with a document of a sensible size.
    pub async fn fetch(&self) -> Result<Bytes> {
        let host = self.url.host_str().unwrap_or_default();
        let late = |_| Error::unavailable(format!("{host}, which signs tokens, did not answer in time"));
        tokio::time::timeout(TIMEOUT, self.document()).await.map_err(late)?
    }

    async fn document(&self) -> Result<Bytes> {
        let host = self.url.host_str().unwrap_or_default();
        let failed = |what: String| Error::unavailable(format!("{host}, which signs tokens, {what}"));
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(self.url.as_str()).map_err(|e| Error::internal("write the request").with_source(e))?;
        let answer = self.client.call(request).await;
        let mut answer = answer.map_err(|e| failed("cannot be reached".to_owned()).with_source(e))?;
        if !answer.status().is_success() {
            return Err(failed(format!("answered {}", answer.status().as_u16())));
        }
        let mut document = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(answer.body_mut()).poll_frame(cx)).await {
            let frame = frame.map_err(|e| failed("broke off".to_owned()).with_source(e))?;
            document.extend_from_slice(frame.data_ref().map(AsRef::as_ref).unwrap_or_default());
            if document.len() > BYTES_MAX {
                return Err(failed("answered with more than a set of keys".to_owned()));
            }
        }
        Ok(document.into())
    }
}
