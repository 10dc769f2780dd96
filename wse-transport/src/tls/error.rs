//! What can go wrong with TLS, and who is at fault.

use std::{fmt, io};

use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;
use rustls::{AlertDescription, CertificateError, Error};

use super::pin::PinMismatch;
use crate::chain::causes;

/// Certificates or keys that cannot be used: a mistake of the caller, except for
/// [`NoSystemRoots`](Self::NoSystemRoots).
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// The text is not PEM, or lacks the expected private key.
    Pem(pem::Error),
    /// The PEM text has no certificate.
    NoCertificate,
    /// The certificate cannot be a certificate authority.
    Authority(Error),
    /// The certificate or the private key is malformed or not supported, or they do not belong together.
    Identity(Error),
    /// The certificate authorities for clients cannot be used.
    ClientAuthority(VerifierBuilderError),
    /// Certificate authorities for clients were given to a rustls configuration: set its client verifier instead.
    ReadyMade,
    /// The server name cannot be in a certificate.
    ServerName(String),
    /// The certificate authorities of the system were asked for, and there are none.
    NoSystemRoots,
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServerName(name) => {
                return write!(f, "caller gave {name:?}, no host name for tls");
            }
            Self::Pem(_) => "caller gave invalid pem",
            Self::NoCertificate => "caller gave pem without a certificate",
            Self::Authority(_) => "caller gave a certificate that cannot be an authority",
            Self::Identity(_) => "caller gave a certificate and key that cannot be used",
            Self::ClientAuthority(_) => "caller gave unusable authorities for clients",
            Self::ReadyMade => {
                "caller gave authorities for clients to a ready-made rustls configuration: \
                 set its client verifier instead"
            }
            Self::NoSystemRoots => "system has no certificate authorities",
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

/// Why the TLS handshake failed. The source is the error of [rustls].
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The caller's mistake: the host cannot be in a certificate.
    ServerName(String),
    /// The caller's mistake: the settings cannot be used.
    Config(TlsConfigError),
    /// The server's certificate is not trusted: an unknown authority, expired, or similar.
    Untrusted(Error),
    /// The server's certificate is for another host.
    WrongName(Error),
    /// The server's public key is not pinned.
    Pin(PinMismatch),
    /// The client has shown no certificate, or the server has rejected it.
    ClientCertificate(Error),
    /// The peer does not speak TLS, such as a port for plain HTTP.
    NotTls(Error),
    /// Anything else, such as no common cipher suite.
    Failed(Error),
    /// The transport failed, or ended during the handshake.
    Io(io::Error),
}

impl TlsError {
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerName(name) => write!(f, "caller gave {name:?}, no host name for tls"),
            Self::Config(_) => f.write_str("tls cannot be set up"),
            Self::Untrusted(error) => {
                f.write_str("server's certificate is not trusted")?;
                advise(error, f)
            }
            Self::WrongName(_) => f.write_str("server's certificate is for another host"),
            Self::Pin(_) => f.write_str("server's public key is not pinned"),
            Self::ClientCertificate(error) => {
                f.write_str("client's certificate is missing or was refused")?;
                advise(error, f)
            }
            Self::NotTls(_) => f.write_str("peer does not speak tls"),
            Self::Failed(_) => f.write_str("tls handshake failed"),
            Self::Io(_) => f.write_str("transport failed during the tls handshake"),
        }
    }
}

impl fmt::Display for TlsError {
    /// This error only; with `{:#}` also its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)?;
        causes(self, f)
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ServerName(_) => None,
            Self::Config(error) => Some(error),
            Self::Pin(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Untrusted(error)
            | Self::WrongName(error)
            | Self::ClientCertificate(error)
            | Self::NotTls(error)
            | Self::Failed(error) => Some(error),
        }
    }
}

impl TlsError {
    /// Classifies what a transport reported during the handshake: errors of TLS are inside I/O errors.
    pub(crate) fn from_io(error: io::Error, we_serve: bool) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => blame(inner.clone(), we_serve),
            None => Self::Io(error),
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Says what to do about a certificate that openssl makes by default, and that no other error text explains.
fn advise(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return Ok(());
    };
    // The type is private to rustls; its name is stable, and a test has it.
    if format!("{:?}", other.0) != "CaUsedAsEndEntity" {
        return Ok(());
    }
    f.write_str(
        " (it is marked as one of a certificate authority, CA:TRUE, which the certificate of a server or client \
         must not be: create it with basicConstraints=CA:FALSE, or let the authority sign another one)",
    )
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
        // The peer has rejected our certificate.
        Error::AlertReceived(alert) if is_of_certificate(*alert) => match we_serve {
            true => TlsError::Untrusted(error),
            false => TlsError::ClientCertificate(error),
        },
        _ => TlsError::Failed(error),
    }
}

/// Whether an alert is about the certificate of its receiver (RFC 8446 §6.2).
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
