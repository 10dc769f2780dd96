//! [`ClientTls`].

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, TlsStream};

use super::error::{TlsConfigError, TlsError, handshake_error};
use super::pin::Pinned;
use super::{ALPN, certificates, provider};
use crate::handshake::HandshakeError;

/// Whom a client trusts, and who it is. Clones share it, and with it the sessions that TLS resumes:
/// build it once and use it for many clients.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// One to be. By itself it trusts the authorities that the system trusts, or those of Mozilla
    /// where the system names none.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// A rustls configuration of your own, taken as it is: set its ALPN to `http/1.1` or leave it empty.
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self { config, server_name: None }
    }

    /// Speaks TLS over `io`, whose other end must prove to be `host`: a name, or an address without
    /// brackets. For transports of your own; clients of `wss://` URLs do so by themselves.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Tls`] and [`HandshakeError::Io`]. It has no deadline of its own. Not cancel safe.
    pub async fn connect<T>(&self, host: &str, io: T) -> Result<TlsStream<T>, HandshakeError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| TlsError::ServerName(host.to_owned()))?,
        };
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, io);
        let io = connecting.await.map_err(|error| handshake_error(error, false))?;
        Ok(TlsStream::Client(io))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// A [`ClientTls`] to be. What is wrong with what it is given shows in [`build`](Self::build).
#[derive(Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientTlsBuilder {
    system: bool,
    webpki: bool,
    authorities: Vec<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    pins: Vec<[u8; 32]>,
    server_name: Option<String>,
}

impl ClientTlsBuilder {
    /// Trusts the authorities that the system trusts, and fails when it names none. The environment
    /// variables `SSL_CERT_FILE` and `SSL_CERT_DIR` are obeyed.
    pub fn system_roots(mut self) -> Self {
        self.system = true;
        self
    }

    /// Trusts the authorities that Mozilla trusts, as of when `webpki-roots` was compiled in.
    pub fn webpki_roots(mut self) -> Self {
        self.webpki = true;
        self
    }

    /// Trusts the authorities in this PEM text, and no others unless they are asked for too.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Shows this certificate to servers that ask for one: PEM texts of the certificate, followed by those
    /// between it and the authority, and of its private key in PKCS #8, PKCS #1 or SEC 1.
    pub fn client_auth_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((chain.into(), key.into()));
        self
    }

    /// Trusts only a server with this public key: the SHA-256 of its certificate's
    /// `SubjectPublicKeyInfo`. The usual verification takes place too. With several pins any of them
    /// will do: pin the next key before you change keys.
    pub fn pin_spki_sha256(mut self, pin: [u8; 32]) -> Self {
        self.pins.push(pin);
        self
    }

    /// What servers must prove to be, and what they are told in the SNI, instead of the URL's host: a
    /// name or an address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Reads and checks it all. This may read files of the system's: not in a task that others wait for.
    ///
    /// # Errors
    ///
    /// [`TlsConfigError`].
    pub fn build(mut self) -> Result<ClientTls, TlsConfigError> {
        let server_name = match self.server_name.take() {
            Some(name) => {
                let parsed = ServerName::try_from(name.clone());
                Some(parsed.map_err(|_| TlsConfigError::ServerName(name))?)
            }
            None => None,
        };
        Ok(ClientTls { config: Arc::new(self.config()?), server_name })
    }

    fn config(self) -> Result<ClientConfig, TlsConfigError> {
        let provider = provider();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone())
                .build()
                .map_err(|_| TlsConfigError::NoCertificate)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Identity)?
            // rustls' name for any verifier that is made beforehand; this one verifies as its own does.
            .dangerous()
            .with_custom_certificate_verifier(match self.pins.is_empty() {
                true => verifier,
                false => Arc::new(Pinned { usual: verifier, pins: self.pins }),
            });
        let mut config = match self.identity {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(&key).map_err(TlsConfigError::Pem)?;
                builder
                    .with_client_auth_cert(certificates(&chain)?, key)
                    .map_err(TlsConfigError::Identity)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for pem in &self.authorities {
            for certificate in certificates(pem)? {
                roots.add(certificate).map_err(TlsConfigError::Authority)?;
            }
        }
        let unasked = !self.system && !self.webpki && self.authorities.is_empty();
        let system = match self.system || unasked {
            true => roots.add_parsable_certificates(system_roots()).0,
            false => 0,
        };
        if self.system && system == 0 {
            return Err(TlsConfigError::NoSystemRoots);
        }
        if self.webpki || (unasked && system == 0) {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Ok(roots)
    }
}

impl fmt::Debug for ClientTlsBuilder {
    /// Without the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTlsBuilder")
            .field("system_roots", &self.system)
            .field("webpki_roots", &self.webpki)
            .field("authorities", &self.authorities.len())
            .field("client_auth", &self.identity.is_some())
            .field("pins", &self.pins.len())
            .field("server_name", &self.server_name)
            .finish()
    }
}

/// What was chosen, or else a default that is read from the system once per process.
pub(crate) async fn or_system(chosen: Option<&ClientTls>) -> Result<ClientTls, HandshakeError> {
    static SYSTEM: OnceLock<ClientTls> = OnceLock::new();
    if let Some(tls) = chosen.or_else(|| SYSTEM.get()) {
        return Ok(tls.clone());
    }
    // It reads files.
    let built = tokio::task::spawn_blocking(|| ClientTls::builder().build());
    let built = built.await.map_err(std::io::Error::other)?.map_err(TlsError::Config)?;
    Ok(SYSTEM.get_or_init(|| built).clone())
}

fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted certificate of the system's cannot be read");
    }
    found.certs
}
