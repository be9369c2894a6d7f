//! TLS to the server: verified, always, against the system's roots or those of a file.

use crate::address::Address;
use engine::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) async fn connect(address: &Address, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal("make the TLS client").with_source(e))?
        .with_root_certificates(roots(address.roots.as_deref())?)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|e| Error::invalid(format!("`{host}` cannot stand in a certificate")).with_source(e))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| {
        let why = e.to_string();
        Error::invalid(format!(
            "the server at {address} did not prove who it is: {why}; give the root certificate of your database (on Supabase: \
             Database settings, SSL) as a PEM file in BACKUP_TLS_ROOTS"
        ))
        .with_source(e)
    })
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let wrong = |why: &str| Error::invalid(format!("BACKUP_TLS_ROOTS: {} {why}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| wrong("cannot be read").with_source(e))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| wrong("is not a PEM file").with_source(e))?;
        roots.add(certificate).map_err(|e| wrong("holds a certificate that cannot be a root").with_source(e))?;
    }
    if roots.is_empty() {
        return Err(wrong("holds no certificate"));
    }
    Ok(roots)
}
