//! Who a client has proven to be.

use std::{fmt, ops::Deref, sync::Arc};

use http::Extensions;
use rustls::pki_types::CertificateDer;
use tokio_rustls::TlsStream;

/// The certificates of a client, its own first, then those that lead to its authority; TLS has verified
/// them. Servers that ask for them ([`ServerTls`](super::ServerTls)) put them among the
/// [extensions](http::Request::extensions) of the request that `identify` sees.
///
/// ```
/// use wse_transport::Stranger;
/// use wse_transport::tls::PeerCertificates;
///
/// fn certificate<P: wse_proto::Protocol>(stranger: &Stranger<P>) -> Option<&[u8]> {
///     let certificates = stranger.request().extensions().get::<PeerCertificates>()?;
///     certificates.first().map(AsRef::as_ref) // DER, for a parser of X.509
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// The extensions of a request that came through `io`.
    pub(crate) fn extensions<T>(io: &TlsStream<T>) -> Extensions {
        let mut extensions = Extensions::new();
        if let Some(certificates) = io.get_ref().1.peer_certificates() {
            extensions.insert(Self(certificates.into()));
        }
        extensions
    }
}

impl Deref for PeerCertificates {
    type Target = [CertificateDer<'static>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.len())
    }
}
