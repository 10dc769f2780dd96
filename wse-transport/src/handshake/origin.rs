//! [`OriginPolicy`] (RFC 6455 §10.2).

use http::{Request, header};
use url::{Origin, Url};

use super::refused_origin::{Mismatch, refuse};
use super::rejection::Rejection;
use super::trusted_proxies::Forwarded;
use crate::head::{MAX_HOST, host, single};

/// Which web pages may connect.
///
/// Browsers let any page open a WebSocket to any host, with the cookies of that host, and send the origin of the page
/// in `Origin`. Programs other than browsers send no `Origin`, or any: the check protects users of browsers only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginPolicy {
    /// An `Origin`, if present, must have the host and port that the request is for: those of `Host`, of an absolute
    /// target, or of `:authority` over HTTP/2. The default.
    #[default]
    SameHost,
    /// An `Origin`, if present, must be in this list, for instance `https://example.com`, `file://`, `null`, or that of a
    /// browser extension. Both sides are compared as browsers write origins: without the default port of the scheme, and
    /// with the host in lower case. A path in an entry is ignored.
    List(Vec<String>),
    /// Any page may connect: for public services without cookies or other ambient credentials.
    Any,
}

impl OriginPolicy {
    /// Checks a request.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] with status 403. Its body, and a line of the log at the level `debug`, say which `Origin` and host met.
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
            Self::List(list) => {
                let received = received(origin);
                (list.iter().any(|it| entry(it) == received), Mismatch::NotListed { origin })
            }
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
    let Some(origin) = parse(origin).filter(is_bare) else {
        return false;
    };
    let Some(target) = parse(&format!("{}://{host}/", origin.scheme())).filter(is_bare) else {
        return false;
    };
    match (origin.origin(), target.origin()) {
        (Origin::Tuple(scheme, host, port), target) => target == Origin::Tuple(scheme, host, port),
        (Origin::Opaque(_), _) => false,
    }
}

/// An entry of a list as browsers write it. An origin has no path: one in the entry is ignored.
fn entry(text: &str) -> String {
    parse(text).map_or_else(|| text.to_ascii_lowercase(), |url| serialized(&url))
}

/// A received `Origin` as browsers write it. One that is no origin stays as it is, and equals no entry that is one.
fn received(text: &str) -> String {
    let origin = parse(text).filter(is_bare);
    origin.map_or_else(|| text.to_ascii_lowercase(), |url| serialized(&url))
}

/// A URL with a scheme that can have a host; `None` for `null` and for anything too long to be an origin.
fn parse(text: &str) -> Option<Url> {
    let url = (text.len() <= MAX_HOST).then(|| Url::parse(text).ok())??;
    (!url.cannot_be_a_base()).then_some(url)
}

/// Whether a URL has no more than an origin has.
fn is_bare(url: &Url) -> bool {
    matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// The origin of a URL (WHATWG HTML §7.1.1): without the default port, in lower case. Schemes that the URL standard does
/// not know, such as those of browser extensions, and `file` are written like the others.
fn serialized(url: &Url) -> String {
    match url.origin() {
        origin @ Origin::Tuple(..) => origin.ascii_serialization(),
        Origin::Opaque(_) => {
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{host}{port}", url.scheme())
        }
    }
}
