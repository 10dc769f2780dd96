//! [`ClientRequest`] (RFC 6455 §4.1).

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header};
use url::{Host, Url};

use super::accept_key::accept_key;
use super::error::{RequestError, ResponseError};
use crate::deflate::Deflate;
use crate::extension::{Extension, ReservedBits};
use crate::head::{
    BASE64, MAX_OFFERS, basic_auth, concealed, is_credential, is_reserved, is_token, list_has,
    single,
};
use crate::negotiated::Negotiated;
use crate::{deflate, extension};

/// A client's request, which also verifies the response.
///
/// ```
/// use wse_transport::handshake::ClientRequest;
///
/// let request = ClientRequest::new("ws://example.com:8080/chat?room=7")?.subprotocol("wse-cbor")?;
/// assert_eq!(request.build([0; 16]).headers()["host"], "example.com:8080");
/// # Ok::<(), wse_transport::handshake::RequestError>(())
/// ```
#[derive(Clone)]
pub struct ClientRequest {
    secure: bool,
    host: String,
    port: u16,
    uri: Uri,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    require_subprotocol: bool,
    extensions: Vec<Arc<dyn Extension>>,
    deflate: Option<Deflate>,
}

impl ClientRequest {
    /// Creates a request for a `ws://` or `wss://` URL. A user name and password in it become an `Authorization` field
    /// (RFC 7617).
    ///
    /// # Errors
    ///
    /// [`RequestError`] for a URL that is malformed, or has another scheme or a fragment.
    pub fn new(url: &str) -> Result<Self, RequestError> {
        let url = Url::parse(url).map_err(RequestError::Url)?;
        // RFC 6455 §3: port 80 by default, and 443 over TLS.
        let (secure, default_port) = match url.scheme() {
            "ws" => (false, 80),
            "wss" => (true, 443),
            other => return Err(RequestError::Scheme(other.to_owned())),
        };
        // RFC 6455 §3: fragment identifiers MUST NOT be used.
        if url.fragment().is_some() {
            return Err(RequestError::Fragment);
        }
        let host = match url.host().ok_or(RequestError::NoHost)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let malformed = |name: &HeaderName| RequestError::MalformedHeader(name.to_string());
        let mut headers = HeaderMap::new();
        // RFC 6455 §4.1: the port follows the host unless it is the default one.
        let mut authority = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            authority.push_str(&format!(":{port}"));
        }
        let value = HeaderValue::from_str(&authority).map_err(|_| malformed(&header::HOST))?;
        headers.insert(header::HOST, value);
        headers.extend(basic_auth(&url).map(|it| (header::AUTHORIZATION, it)));
        let mut target = url.path().to_owned();
        if let Some(query) = url.query() {
            target.push('?');
            target.push_str(query);
        }
        let uri = Uri::try_from(target).map_err(|_| RequestError::Target)?;
        Ok(Self {
            secure,
            host,
            port: url.port().unwrap_or(default_port),
            uri,
            headers,
            subprotocols: Vec::new(),
            require_subprotocol: true,
            extensions: Vec::new(),
            deflate: None,
        })
    }

    /// Offers a subprotocol, after those offered before.
    ///
    /// # Errors
    ///
    /// [`RequestError::Subprotocol`] for a name that is not a token, and for a repetition;
    /// [`RequestError::TooManyOffers`] beyond 64, which servers may reject.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, RequestError> {
        if !is_token(name) || self.subprotocols.iter().any(|it| it == name) {
            return Err(RequestError::Subprotocol(name.to_owned()));
        }
        if self.subprotocols.len() == MAX_OFFERS {
            return Err(RequestError::TooManyOffers);
        }
        self.subprotocols.push(name.to_owned());
        Ok(self)
    }

    /// Sets whether a server must select one of the offered subprotocols, as browsers demand. Default: true.
    #[must_use]
    pub const fn require_subprotocol(mut self, required: bool) -> Self {
        self.require_subprotocol = required;
        self
    }

    /// Adds a header field, such as `Origin` or `Cookie`. A redirect to another origin does not get it if it may have
    /// credentials: see [`is_credential`].
    ///
    /// # Errors
    ///
    /// [`RequestError`] for a field that belongs to the handshake itself, and for a name or value with characters that
    /// are not allowed.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, RequestError> {
        let malformed = || RequestError::MalformedHeader(name.to_owned());
        let parsed = HeaderName::try_from(name).map_err(|_| malformed())?;
        if is_reserved(&parsed) {
            return Err(RequestError::ReservedHeader(parsed));
        }
        // RFC 9110 §5.5: whitespace around a value is not part of it.
        let value = value.trim_matches([' ', '\t']);
        let value = HeaderValue::from_str(value).map_err(|_| malformed())?;
        let value = concealed(&parsed, value);
        self.headers.try_append(parsed, value).map_err(|_| malformed())?;
        Ok(self)
    }

    /// Offers an extension, after those offered before. For the outcome see [`negotiated`](Self::negotiated).
    ///
    /// # Errors
    ///
    /// [`RequestError::Extension`] for a name or parameter that is not a token, and for a repetition;
    /// [`RequestError::TooManyOffers`] beyond 64, which servers may reject.
    pub fn extension(mut self, extension: Arc<dyn Extension>) -> Result<Self, RequestError> {
        let name = extension.name();
        if !extension::is_valid(name, &extension.offer())
            || self.extensions.iter().any(|it| it.name() == name)
        {
            return Err(RequestError::Extension(name.to_owned()));
        }
        if self.extensions.len() == MAX_OFFERS {
            return Err(RequestError::TooManyOffers);
        }
        self.extensions.push(extension);
        Ok(self)
    }

    /// Whether the URL is `wss`: the request must be sent over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Offers compression (RFC 7692); `None`, the default, offers none. For the outcome see
    /// [`negotiated`](Self::negotiated).
    #[must_use]
    pub const fn deflate(mut self, deflate: Option<Deflate>) -> Self {
        self.deflate = deflate;
        self
    }

    /// Offers compression; `None` keeps what the request offers already.
    pub(crate) const fn or_deflate(self, deflate: Option<Deflate>) -> Self {
        if deflate.is_some() { self.deflate(deflate) } else { self }
    }

    /// The host to connect to: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path and the query.
    pub(super) const fn target(&self) -> &Uri {
        &self.uri
    }

    /// Whether another request goes to the same origin: the same scheme, host and port.
    #[must_use]
    pub fn is_same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// The same request, redirected to where `fresh` goes; to another origin without credentials.
    pub(super) fn moved(&self, fresh: Self) -> Self {
        let mut headers = self.headers.clone();
        if !self.is_same_origin(&fresh) {
            let names: Vec<_> = headers.keys().filter(|it| is_credential(it)).cloned().collect();
            for name in names {
                headers.remove(name);
            }
        }
        if let Some(host) = fresh.headers.get(header::HOST) {
            headers.insert(header::HOST, host.clone());
        }
        let Self { secure, host, port, uri, .. } = fresh;
        Self { secure, host, port, uri, headers, ..self.clone() }
    }

    /// Builds the request to send. `key` is 16 random bytes, new for each connection (RFC 6455 §4.1).
    #[must_use]
    pub fn build(&self, key: [u8; 16]) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        // Base64 and tokens are always valid header values.
        if let Ok(value) = HeaderValue::try_from(BASE64.encode(key)) {
            headers.insert(header::SEC_WEBSOCKET_KEY, value);
        }
        if !self.subprotocols.is_empty()
            && let Ok(value) = HeaderValue::try_from(self.subprotocols.join(", "))
        {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        if let Some(value) = extension::field(&self.offers()) {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, value);
        }
        request
    }

    /// Verifies a response with status 101 to [`build`](Self::build) with the same `key`, and returns the selected
    /// subprotocol.
    ///
    /// # Errors
    ///
    /// [`ResponseError`].
    pub fn verify<B>(
        &self,
        key: [u8; 16],
        response: &Response<B>,
    ) -> Result<Option<String>, ResponseError> {
        let headers = response.headers();
        if response.version() != Version::HTTP_11 {
            return Err(ResponseError::Version);
        }
        if !single(headers, header::UPGRADE)
            .is_ok_and(|it| it.is_some_and(|it| it.eq_ignore_ascii_case("websocket")))
        {
            return Err(ResponseError::Upgrade);
        }
        if !list_has(headers, &header::CONNECTION, "upgrade") {
            return Err(ResponseError::Connection);
        }
        let accept = accept_key(&BASE64.encode(key));
        if single(headers, header::SEC_WEBSOCKET_ACCEPT) != Ok(Some(&accept)) {
            return Err(ResponseError::AcceptMismatch);
        }
        self.agree(headers)?;
        match single(headers, header::SEC_WEBSOCKET_PROTOCOL) {
            Ok(Some(name)) if self.subprotocols.iter().any(|it| it == name) => {
                Ok(Some(name.to_owned()))
            }
            Ok(Some(name)) => Err(ResponseError::SubprotocolNotOffered(name.to_owned())),
            Ok(None) if self.require_subprotocol && !self.subprotocols.is_empty() => {
                Err(ResponseError::SubprotocolMissing)
            }
            Ok(None) => Ok(None),
            Err(()) => Err(ResponseError::SubprotocolMalformed),
        }
    }

    /// The compression and the extensions that a response agrees to, for
    /// [`WebSocket::set_negotiated`](crate::ws::WebSocket::set_negotiated). [`verify`](Self::verify) checks them too.
    ///
    /// # Errors
    ///
    /// [`ResponseError::ExtensionNotOffered`] and [`ResponseError::ExtensionMalformed`].
    pub fn negotiated<B>(&self, response: &Response<B>) -> Result<Negotiated, ResponseError> {
        self.agree(response.headers())
    }

    /// The offers, in order.
    fn offers(&self) -> Vec<String> {
        let own = self.extensions.iter().map(|it| extension::write(it.name(), &it.offer()));
        self.deflate.iter().map(deflate::offer).chain(own).collect()
    }

    fn agree(&self, headers: &HeaderMap) -> Result<Negotiated, ResponseError> {
        let answers = extension::parse(headers)
            .map_err(|extension::Malformed| ResponseError::ExtensionMalformed)?;
        let mut negotiated = Negotiated::default();
        let mut bits = ReservedBits::NONE;
        for (index, answer) in answers.iter().enumerate() {
            if answers.iter().take(index).any(|it| it.name == answer.name) {
                return Err(ResponseError::ExtensionNotOffered);
            }
            if answer.name == deflate::NAME
                && let Some(settings) = self.deflate
            {
                // RFC 6455 §9.1: the first extension is nearest to the application. Compression always is.
                if index != 0 {
                    return Err(ResponseError::ExtensionNotOffered);
                }
                negotiated.deflate = Some((settings, deflate::agreed(&settings, answer)?));
                bits = bits.with(ReservedBits::RSV1).ok_or(ResponseError::ExtensionNotOffered)?;
                continue;
            }
            let (extension, own) = extension::agree(&self.extensions, answer)?;
            bits = bits.with(own).ok_or(ResponseError::ExtensionNotOffered)?;
            negotiated.extensions.push(extension, own);
        }
        Ok(negotiated)
    }
}

impl fmt::Debug for ClientRequest {
    /// Omits the query and the values of header fields, which may be secrets, and subprotocols, which may be tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("secure", &self.secure)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("path", &self.uri.path())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("subprotocols", &self.subprotocols.len())
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}
