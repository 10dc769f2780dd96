//! [`ServerTls`].

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::error::{TlsConfigError, handshake_error};
use super::{ALPN, certificates, provider};
use crate::handshake::{HandshakeError, linger};

/// Who a server is, and which clients it lets in. Clones share it.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    ready_made: bool,
}

impl ServerTls {
    /// A server with this certificate: PEM texts of the certificate, followed by those between it and the
    /// authority, and of its private key in PKCS #8, PKCS #1 or SEC 1.
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

    /// Lets in only clients that show a certificate of an authority in this PEM text.
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

    /// A rustls configuration of your own, taken as it is, such as one that picks certificates by name or
    /// gets new ones: set its ALPN to `http/1.1` or leave it empty.
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self { config, ready_made: true }
    }

    /// Speaks TLS over a fresh connection. For transports of your own, such as before
    /// [`ws::accept`](crate::ws::accept); [`Server::listen_tls`](crate::Server::listen_tls) does so by itself.
    /// A client that fails is told why.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Tls`] and [`HandshakeError::Io`]. It has no deadline of its own. Not cancel safe.
    pub async fn accept<T>(&self, io: T) -> Result<TlsStream<T>, HandshakeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(Arc::clone(&self.config)).accept(io).into_fallible();
        match accepting.await {
            Ok(io) => Ok(TlsStream::Server(io)),
            Err((error, mut io)) => {
                // The alert must not be destroyed on its way.
                let _ = linger(&mut io).await;
                Err(handshake_error(error, true))
            }
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("ready_made", &self.ready_made).finish_non_exhaustive()
    }
}
