//! From a request to a stream of events.

use std::{future::Future, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, Version, header};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use super::{
    body::EventBody,
    config::Config,
    connection::{Framing, run},
    error::OpenError,
    event::Event,
    request::{check, check_http, head, last_event_id},
    shared::Shared,
    stream::EventStream,
};
use crate::handshake::{HandshakeError, Rejection, read_request, write_rejection, write_response};

/// Accepts a stream of events on a fresh connection, and returns it with the request. Other requests get an HTTP response
/// with an error status, as do pages that [`Config::origin`] does not allow.
///
/// A task in the current tokio runtime then writes the events, and reads, to notice when the peer leaves. It ends with the
/// stream. The caller sets the options of TCP: set `TCP_NODELAY`.
///
/// Not cancel safe: dropping the future drops the transport.
///
/// # Errors
///
/// [`OpenError`]; [`OpenError::Timeout`] after [`Config::handshake_timeout`].
pub async fn accept<T>(io: T, config: Config) -> Result<(EventStream, Request<()>), OpenError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    accept_with(io, config, |_, config| Ok(config)).await
}

/// [`accept`] with a decision of the caller's: `decide` gets a request for events, and returns the configuration of this
/// stream, for instance with other header fields, or a [`Rejection`]. A rejection with the status 204 tells a browser not
/// to reconnect.
///
/// Not cancel safe: dropping the future drops the transport.
///
/// # Errors
///
/// [`OpenError`]; [`OpenError::Timeout`] after [`Config::handshake_timeout`].
pub async fn accept_with<T, F>(
    mut io: T,
    config: Config,
    decide: F,
) -> Result<(EventStream, Request<()>), OpenError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: FnOnce(&Request<()>, Config) -> Result<Config, Rejection>,
{
    within(config.handshake_timeout, async {
        let (request, leftover) = match read_request(&mut io, &config.head).await {
            Ok(read) => read,
            Err(HandshakeError::Rejected(rejection)) => return refuse(&mut io, rejection).await,
            Err(HandshakeError::Io(error)) => return Err(error.into()),
            // Reading a request has no other errors.
            Err(error) => return Err(std::io::Error::other(error).into()),
        };
        let asked = check_http(&request).and_then(|()| check(&request));
        match asked.and_then(|()| decide(&request, config)) {
            Ok(config) => Ok((open(io, &leftover, &request, &config).await?, request)),
            Err(rejection) => refuse(&mut io, rejection).await,
        }
    })
    .await
}

/// Answers a request that [`read_request`] has read, with the bytes behind it: [`accept`] without reading. HTTP/1.1 gets
/// chunks, HTTP/1.0 everything up to the end of the connection, which is closed with the stream.
///
/// Not cancel safe: dropping the future drops the transport.
///
/// # Errors
///
/// [`OpenError`]; [`OpenError::Timeout`] after [`Config::handshake_timeout`].
pub async fn respond<T>(
    io: T,
    leftover: BytesMut,
    request: &Request<()>,
    config: &Config,
) -> Result<EventStream, OpenError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    within(config.handshake_timeout, open(io, &leftover, request, config)).await
}

/// Creates the stream and the response to return from a handler of an HTTP server. With the feature `hyper` the body fits
/// hyper 1 and axum 0.8.
///
/// ```no_run
/// # #[cfg(feature = "hyper")]
/// # fn example(request: http::Request<()>)
/// #     -> Result<http::Response<wse_transport::sse::EventBody>, wse_transport::handshake::Rejection> {
/// use wse_transport::sse::{self, Config};
///
/// let (stream, response) = sse::response(&request, &Config::default())?; // or Rejection::to_response
/// tokio::spawn(async move {
///     while stream.send("tick").await.is_ok() {
///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///     }
/// });
/// Ok(response) // axum: response.map(axum::body::Body::new)
/// # }
/// ```
///
/// # Errors
///
/// [`Rejection`], also for a page that [`Config::origin`] does not allow.
pub fn response<B>(
    request: &Request<B>,
    config: &Config,
) -> Result<(EventStream, Response<EventBody>), Rejection> {
    let response = head(request, config)?;
    let (stream, body) = pair(config, last_event_id(request));
    Ok((stream, response.map(|()| body)))
}

/// Creates a stream and the body with its bytes, without a request or response: the rest of [`response`] is the caller's
/// task.
#[must_use]
pub fn channel(config: &Config) -> (EventStream, EventBody) {
    pair(config, None)
}

fn pair(config: &Config, last_event_id: Option<&str>) -> (EventStream, EventBody) {
    let shared = Arc::new(Shared::new(config));
    if let Some(retry) = config.retry {
        // A new stream has space for everything.
        let _ = shared.push(Bytes::from(Event::default().retry(retry).encode()));
    }
    let stream = EventStream::new(Arc::clone(&shared), last_event_id.map(str::to_owned));
    (stream, EventBody::new(shared, config))
}

async fn open<T>(
    mut io: T,
    leftover: &[u8],
    request: &Request<()>,
    config: &Config,
) -> Result<EventStream, OpenError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut response = match check_http(request).and_then(|()| head(request, config)) {
        Ok(response) => response,
        Err(rejection) => return refuse(&mut io, rejection).await,
    };
    let framing = match request.version() {
        Version::HTTP_10 => Framing::UntilClose,
        _ => Framing::Chunked,
    };
    let fixed = HeaderValue::from_static;
    response.headers_mut().insert(header::CONNECTION, fixed("close"));
    if framing == Framing::Chunked {
        response.headers_mut().insert(header::TRANSFER_ENCODING, fixed("chunked"));
    }
    write_response(&mut io, &response).await?;
    let (stream, body) = pair(config, last_event_id(request));
    tokio::spawn(run(io, body, framing, leftover.len()));
    Ok(stream)
}

async fn refuse<T, R>(io: &mut T, rejection: Rejection) -> Result<R, OpenError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    write_rejection(io, &rejection).await?;
    Err(OpenError::Rejected(rejection))
}

async fn within<R>(
    limit: std::time::Duration,
    opening: impl Future<Output = Result<R, OpenError>>,
) -> Result<R, OpenError> {
    timeout(limit, opening).await.map_err(|_| OpenError::Timeout)?
}
