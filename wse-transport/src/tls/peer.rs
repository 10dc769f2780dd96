//! [`PeerCertificates`].

use std::{fmt, ops::Deref, sync::Arc};

use rustls::pki_types::CertificateDer;
use tokio_rustls::TlsStream;

/// The verified certificates of the peer, its own first, then those up to its certificate authority. A server whose
/// [`ServerTls`](super::ServerTls) asks for them can put them into the
/// [extensions](http::Request::extensions) of the request.
///
/// ```
/// use http::Request;
/// use wse_transport::tls::PeerCertificates;
///
/// fn certificate<B>(request: &Request<B>) -> Option<&[u8]> {
///     let certificates = request.extensions().get::<PeerCertificates>()?;
///     certificates.first().map(AsRef::as_ref) // DER, for an X.509 parser
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// The certificates of the other end of `io`; `None` if it has shown none.
    pub fn of<T>(io: &TlsStream<T>) -> Option<Self> {
        io.get_ref().1.peer_certificates().map(|it| Self(it.into()))
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
