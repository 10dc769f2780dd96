//! Which web pages may connect (RFC 6455 §10.2).

use http::{Request, StatusCode, header};
use url::{Origin, Url};

use super::{
    headers::{host, single},
    proxies::Forwarded,
    rejection::Rejection,
};

/// Whether a request is refused because of the page it comes from.
///
/// Browsers let any page open a WebSocket to any host, with that host's cookies, and say in
/// `Origin` which page it is. Programs that are not browsers send no `Origin`, or any that they
/// like: the check protects the users of browsers and nobody else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// If there is an `Origin`, its host and port must be those of `Host`, or of `:authority` over
    /// HTTP/2. The default.
    #[default]
    SameHost,
    /// If there is an `Origin`, it must be one of these, such as `https://example.com`.
    List(Vec<String>),
    /// Every page may connect: for public services without cookies or other ambient credentials.
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

    /// As [`check`](Self::check), behind proxies: the host is the one that a trusted proxy says the
    /// client asked for, if it says so.
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

/// Whether `Host` names the host and port of `origin`; a missing port is that of the origin's
/// scheme, since a server behind a TLS proxy cannot know its own.
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
