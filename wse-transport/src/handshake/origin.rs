//! [`OriginPolicy`] (RFC 6455 §10.2).

use http::{Request, header};
use url::{Origin, Url};

use super::refused_origin::{Mismatch, refuse};
use super::rejection::Rejection;
use super::trusted_proxies::Forwarded;
use crate::head::{host, single};

/// Which web pages may connect.
///
/// Browsers let any page open a WebSocket to any host, with the cookies of that host, and send the origin of the page
/// in `Origin`. Programs other than browsers send no `Origin`, or any: the check protects users of browsers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// An `Origin`, if present, must have the host and port of `Host`, or of `:authority` over HTTP/2. The default.
    #[default]
    SameHost,
    /// An `Origin`, if present, must be in this list, for instance `https://example.com`.
    List(Vec<String>),
    /// Any page may connect: for public services without cookies or other ambient credentials.
    Any,
}

impl OriginPolicy {
    /// Checks a request.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 403. Its body, and a line of the log at the level `info`, say which `Origin` and host met.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Rejection> {
        self.check_forwarded(request, &Forwarded::default())
    }

    /// As [`check`](Self::check), behind proxies: compares with the host that a trusted proxy says the client asked
    /// for, if it says so.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 403.
    pub fn check_forwarded<B>(
        &self,
        request: &Request<B>,
        forwarded: &Forwarded,
    ) -> Result<(), Rejection> {
        if matches!(self, Self::Any) {
            return Ok(());
        }
        let Some(origin) = single(request.headers(), header::ORIGIN)
            .map_err(|()| refuse(request, Mismatch::Malformed))?
        else {
            return Ok(());
        };
        let (allowed, mismatch) = match self {
            Self::Any => return Ok(()),
            Self::List(list) => (
                list.iter().any(|it| it.trim_end_matches('/').eq_ignore_ascii_case(origin)),
                Mismatch::NotListed { origin },
            ),
            Self::SameHost => {
                let host = forwarded.host.as_deref().or_else(|| host(request));
                let allowed = host.is_some_and(|host| same_host(origin, host));
                (allowed, Mismatch::OtherHost { origin, host, forwarded: forwarded.host.is_some() })
            }
        };
        if allowed { Ok(()) } else { Err(refuse(request, mismatch)) }
    }
}

/// Whether `host` has the host and port of `origin`. A missing port is that of the origin's scheme: a server behind
/// a TLS proxy does not know its own scheme.
fn same_host(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    let Ok(target) = Url::parse(&format!("{}://{host}/", origin.scheme())) else {
        return false;
    };
    match (origin.origin(), target.origin()) {
        (Origin::Tuple(scheme, host, port), target) => target == Origin::Tuple(scheme, host, port),
        (Origin::Opaque(_), _) => false,
    }
}
