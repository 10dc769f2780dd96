//! [`ClientTls`].

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, TlsStream};

use super::crypto::{ALPN, certificates, provider};
use super::error::{TlsConfigError, TlsError};
use super::pin::Pinned;

/// TLS settings of a client: whom it trusts, and its own certificate. Clones share them, and with them the
/// sessions that TLS resumes: build it once for many connections.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTls {
    /// Starts a builder. Without further calls it trusts the certificate authorities of the system, or those of
    /// Mozilla if the system has none.
    pub fn builder() -> ClientTlsBuilder {
        ClientTlsBuilder::default()
    }

    /// Takes a rustls configuration as it is. Set its ALPN to `http/1.1`, or leave it empty.
    #[must_use]
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self { config, server_name: None }
    }

    /// Does the TLS handshake over `io`. The server must prove to be `host`, a name or an address without brackets.
    /// For transports of your own; [`connect`](crate::connect) does it for `wss://` URLs.
    ///
    /// It has no deadline of its own. Not cancel safe.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub async fn connect<T>(&self, host: &str, io: T) -> Result<TlsStream<T>, TlsError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| TlsError::ServerName(host.to_owned()))?,
        };
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, io);
        let io = connecting.await.map_err(|error| TlsError::from_io(error, false))?;
        Ok(TlsStream::Client(io))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Builds a [`ClientTls`]. Errors in its input are reported by [`build`](Self::build).
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
    /// Trusts the certificate authorities of the system, and fails if there are none. The environment variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` are respected.
    pub fn system_roots(mut self) -> Self {
        self.system = true;
        self
    }

    /// Trusts the certificate authorities of Mozilla, as of the version of `webpki-roots` that was compiled in.
    pub fn webpki_roots(mut self) -> Self {
        self.webpki = true;
        self
    }

    /// Trusts the certificate authorities in this PEM text, and no others unless they are added too.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Sets the certificate to show to servers that ask for one: PEM texts of the chain, starting with the client's
    /// certificate, and of its private key in PKCS #8, PKCS #1 or SEC 1.
    pub fn client_auth_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((chain.into(), key.into()));
        self
    }

    /// Trusts only a server with this public key, given as the SHA-256 of its certificate's `SubjectPublicKeyInfo`.
    /// The certificate is verified too. With several pins one must match: pin the next key before you change keys.
    pub fn pin_spki_sha256(mut self, pin: [u8; 32]) -> Self {
        self.pins.push(pin);
        self
    }

    /// Sets the name or address that servers must prove, and that is sent in SNI, in place of the host of the URL.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Builds the settings. This may read files of the system: do not call it in a task that must not block.
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
            // This is how rustls takes a verifier that was built beforehand; it verifies as usual.
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
    /// Omits the private key.
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

/// The given settings, or the default, which is read from the system once per process.
pub(crate) async fn or_system(chosen: Option<&ClientTls>) -> Result<ClientTls, TlsError> {
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
        tracing::warn!(%error, "cannot read a certificate of the system");
    }
    found.certs
}
