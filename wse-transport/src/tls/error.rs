//! What can go wrong with TLS, by who is at fault.

use std::{fmt, io};

use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;
use rustls::{AlertDescription, CertificateError, Error};

use super::pin::PinMismatch;
use crate::handshake::HandshakeError;

/// Certificates or keys that cannot be used. The caller's fault, but for [`NoSystemRoots`](Self::NoSystemRoots).
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// Not PEM, or without the private key that was expected.
    Pem(pem::Error),
    /// PEM without a certificate.
    NoCertificate,
    /// A certificate that cannot be an authority.
    Authority(Error),
    /// A certificate and a private key that are malformed, of no supported kind, or not of each other.
    Identity(Error),
    /// Authorities for clients' certificates that cannot be used.
    ClientAuthority(VerifierBuilderError),
    /// Authorities for clients' certificates, given to a ready-made rustls configuration: they belong in there.
    ReadyMade,
    /// A server's name that no certificate can be for.
    ServerName(String),
    /// The system was to be asked which authorities it trusts, and named none.
    NoSystemRoots,
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerName(name) => {
                return write!(f, "caller gave {name:?}, no host name for tls");
            }
            Self::Pem(_) => "caller gave no valid pem",
            Self::NoCertificate => "caller gave pem without a certificate",
            Self::Authority(_) => "caller gave a certificate that cannot be an authority",
            Self::Identity(_) => "caller gave a certificate and key that cannot be used",
            Self::ClientAuthority(_) => "caller gave unusable authorities for clients",
            Self::ReadyMade => {
                "caller gave authorities for clients to a ready-made rustls configuration: \
                 set its client verifier instead"
            }
            Self::NoSystemRoots => "system names no certificate authority that it trusts",
        })
    }
}

impl std::error::Error for TlsConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Pem(error) => Some(error),
            Self::Authority(error) | Self::Identity(error) => Some(error),
            Self::ClientAuthority(error) => Some(error),
            Self::NoCertificate | Self::ReadyMade | Self::ServerName(_) | Self::NoSystemRoots => {
                None
            }
        }
    }
}

/// A connection did not come to be a TLS one. The source is what [rustls] says.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The caller's fault: a host that no certificate can be for.
    ServerName(String),
    /// The caller's fault: what it trusts, or is, cannot be used.
    Config(TlsConfigError),
    /// The server's fault: its certificate is of no authority that the client trusts, has expired, or the like.
    Untrusted(Error),
    /// The server's fault: its certificate is for another host.
    WrongName(Error),
    /// The server's fault: its key is none of those pinned.
    Pin(PinMismatch),
    /// The client's fault: it showed no certificate, or one that the server refuses.
    ClientCertificate(Error),
    /// The peer's fault: it speaks something else, such as HTTP on a port that is not for TLS.
    NotTls(Error),
    /// Anything else, such as that the peers have no cipher in common.
    Failed(Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerName(name) => write!(f, "caller gave {name:?}, no host name for tls"),
            Self::Config(_) => f.write_str("tls cannot be set up"),
            Self::Untrusted(_) => f.write_str("server's certificate is not trusted"),
            Self::WrongName(_) => f.write_str("server's certificate is for another host"),
            Self::Pin(_) => f.write_str("server's key is none of those pinned"),
            Self::ClientCertificate(_) => {
                f.write_str("client's certificate is missing or was refused")
            }
            Self::NotTls(_) => f.write_str("peer speaks no tls"),
            Self::Failed(_) => f.write_str("tls handshake failed"),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ServerName(_) => None,
            Self::Config(error) => Some(error),
            Self::Pin(error) => Some(error),
            Self::Untrusted(error)
            | Self::WrongName(error)
            | Self::ClientCertificate(error)
            | Self::NotTls(error)
            | Self::Failed(error) => Some(error),
        }
    }
}

/// What a transport said during a handshake: TLS's own errors travel inside of I/O errors.
pub(crate) fn handshake_error(error: io::Error, we_serve: bool) -> HandshakeError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner) => HandshakeError::Tls(blame(inner.clone(), we_serve)),
        None => HandshakeError::Io(error),
    }
}

fn blame(error: Error, we_serve: bool) -> TlsError {
    match &error {
        Error::InvalidMessage(_) => TlsError::NotTls(error),
        Error::NoCertificatesPresented => TlsError::ClientCertificate(error),
        Error::InvalidCertificate(_) if we_serve => TlsError::ClientCertificate(error),
        Error::InvalidCertificate(why) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsError::WrongName(error)
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<PinMismatch>() {
                Some(mismatch) => TlsError::Pin(*mismatch),
                None => TlsError::Untrusted(error),
            },
            _ => TlsError::Untrusted(error),
        },
        // The peer's opinion of our certificate.
        Error::AlertReceived(alert) if is_of_certificate(*alert) => match we_serve {
            true => TlsError::Untrusted(error),
            false => TlsError::ClientCertificate(error),
        },
        _ => TlsError::Failed(error),
    }
}

/// RFC 8446 §6.2.
const fn is_of_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}
