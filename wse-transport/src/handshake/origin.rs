//! [`OriginPolicy`] (RFC 6455 §10.2).

use http::{Request, StatusCode, header};
use url::{Origin, Url};

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
    /// A [`Rejection`] with status 403.
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
        let forbidden =
            || Rejection::new(StatusCode::FORBIDDEN, "origin not allowed").over(request.version());
        if matches!(self, Self::Any) {
            return Ok(());
        }
        let Some(origin) = single(request.headers(), header::ORIGIN).map_err(|()| forbidden())?
        else {
            return Ok(());
        };
        let allowed = match self {
            Self::Any => true,
            Self::List(list) => {
                list.iter().any(|it| it.trim_end_matches('/').eq_ignore_ascii_case(origin))
            }
            Self::SameHost => forwarded
                .host
                .as_deref()
                .or_else(|| host(request))
                .is_some_and(|host| same_host(origin, host)),
        };
        if allowed { Ok(()) } else { Err(forbidden()) }
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
