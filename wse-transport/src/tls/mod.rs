//! TLS, with [rustls]. Feature `tls`.
//!
//! [`ClientTls`] is whom a client trusts and who it is; [`ServerTls`] is who a server is and whom it
//! lets in. Without one, clients of `wss://` URLs trust what the system trusts.
//!
//! ```
//! use wse_transport::tls::ClientTls;
//!
//! # fn example(our_ca: &[u8]) -> Result<(), wse_transport::tls::TlsConfigError> {
//! // A server of our own, whose certificate no public authority has signed.
//! let tls = ClientTls::builder().ca_pem(our_ca).build()?;
//! # Ok(()) }
//! ```
//!
//! The cryptography is *ring*, whatever else is compiled in: rustls' choice for the whole process is
//! neither read nor made. Another provider comes with a configuration of your own:
//! [`ClientTls::from_rustls`], [`ServerTls::from_rustls`].

mod client;
mod error;
mod peer;
mod pin;
mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub(crate) use client::or_system;
pub use client::{ClientTls, ClientTlsBuilder};
pub(crate) use error::handshake_error;
pub use error::{TlsConfigError, TlsError};
pub use peer::PeerCertificates;
pub use pin::PinMismatch;
pub use rustls;
pub use server::ServerTls;
pub use tokio_rustls::TlsStream;

/// RFC 7301 §6: a WebSocket begins as HTTP/1.1.
const ALPN: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates of a PEM text; there must be one.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(TlsConfigError::Pem)?;
    if certificates.is_empty() {
        return Err(TlsConfigError::NoCertificate);
    }
    Ok(certificates)
}
