//! TLS, with [rustls]. Feature `tls`.
//!
//! [`ClientTls`] and [`ServerTls`] are the settings of the two sides. Without them, clients of `wss://` URLs
//! trust the certificate authorities of the system.
//!
//! ```
//! use wse_transport::tls::ClientTls;
//!
//! # fn example(our_ca: &[u8]) -> Result<(), wse_transport::tls::TlsConfigError> {
//! // A server with a certificate of a private authority.
//! let tls = ClientTls::builder().ca_pem(our_ca).build()?;
//! # Ok(()) }
//! ```
//!
//! The cryptography is *ring*. The process-wide default provider of rustls is neither used nor set. For another
//! provider, pass a configuration: [`ClientTls::from_rustls`], [`ServerTls::from_rustls`].

mod client;
mod crypto;
mod error;
mod peer;
mod pin;
mod server;

pub(crate) use client::or_system;
pub use client::{ClientTls, ClientTlsBuilder};
pub use error::{TlsConfigError, TlsError};
pub use peer::PeerCertificates;
pub use pin::PinMismatch;
pub use rustls;
pub use server::ServerTls;
pub use tokio_rustls::TlsStream;
