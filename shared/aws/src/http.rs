//! The HTTP client of the AWS SDK, for what is not of AWS. It follows no redirection.

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnectorSettings;
use std::time::Duration;

/// One that waits so long for a connection, and for an answer.
pub(crate) fn client(timeout: Duration) -> Connector {
    let settings = HttpConnectorSettings::builder().connect_timeout(timeout).read_timeout(timeout).build();
    let client = Connector::builder().connector_settings(settings).sleep_impl(TokioSleep::new());
    client.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build()
}
