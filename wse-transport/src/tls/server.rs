//! [`ServerTls`].

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::crypto::{ALPN, certificates, provider};
use super::error::{TlsConfigError, TlsError};
use crate::linger::linger;

/// TLS settings of a server: its certificate, and which clients it accepts. Clones share them.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    ready_made: bool,
}

impl ServerTls {
    /// Creates settings with a certificate: PEM texts of the chain, starting with the server's certificate, and of its
    /// private key in PKCS #8, PKCS #1 or SEC 1.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`].
    pub fn from_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsConfigError> {
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(TlsConfigError::Pem)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Identity)?
            .with_no_client_auth()
            .with_single_cert(certificates(chain.as_ref())?, key)
            .map_err(TlsConfigError::Identity)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), ready_made: false })
    }

    /// Accepts only clients with a certificate of one of the authorities in this PEM text.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`].
    pub fn client_ca_pem(self, pem: impl AsRef<[u8]>) -> Result<Self, TlsConfigError> {
        if self.ready_made {
            return Err(TlsConfigError::ReadyMade);
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem.as_ref())? {
            roots.add(certificate).map_err(TlsConfigError::Authority)?;
        }
        let provider = provider();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(TlsConfigError::ClientAuthority)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Identity)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::clone(&self.config.cert_resolver));
        config.alpn_protocols.clone_from(&self.config.alpn_protocols);
        Ok(Self { config: Arc::new(config), ready_made: false })
    }

    /// Takes a rustls configuration as it is, for instance one that selects certificates by name or reloads them. Set
    /// its ALPN to `http/1.1`, or leave it empty.
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self { config, ready_made: true }
    }

    /// Does the TLS handshake over a fresh connection, for instance before [`accept`](crate::accept). A failing client
    /// gets an alert with the reason.
    ///
    /// It has no deadline of its own. Not cancel safe.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub async fn accept<T>(&self, io: T) -> Result<TlsStream<T>, TlsError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept(io).into_fallible();
        match accepting.await {
            Ok(io) => Ok(TlsStream::Server(io)),
            Err((error, mut io)) => {
                // Closing at once could destroy the alert on its way.
                let _ = linger(&mut io).await;
                Err(TlsError::from_io(error, true))
            }
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("ready_made", &self.ready_made).finish_non_exhaustive()
    }
}
