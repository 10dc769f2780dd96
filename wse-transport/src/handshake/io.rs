//! Heads over a transport. Nothing here has a deadline of its own but the reading around a refusal:
//! wrap the whole handshake in one.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    client::ClientRequest,
    error::{HandshakeError, ResponseError},
    head::{
        HeadError, HeadLimits, HeadScanner, encode_request, encode_response, parse_request,
        parse_response,
    },
    headers::single,
    rejection::Rejection,
};

/// How much of a refusal's body is kept, in bytes.
const MAX_BODY: usize = 4096;

/// How long a refusal's body is waited for, and a refused peer's end of the connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client's part, from the request to the verified response: the response, the server's first frames
/// behind it, and the subprotocol selected.
pub(crate) async fn ask<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    request: &ClientRequest,
    key: [u8; 16],
) -> Result<(Response<()>, BytesMut, Option<String>), HandshakeError> {
    let asked = async {
        write_request(io, &request.build(key)).await?;
        read_response(io, &HeadLimits::default()).await
    };
    let (response, leftover) = asked.await.map_err(|error| match error {
        // A server judges a client's certificate only when the client is through with TLS.
        #[cfg(feature = "tls")]
        HandshakeError::Io(error) => crate::tls::handshake_error(error, false),
        error => error,
    })?;
    let selected = request.verify(key, &response)?;
    Ok((response, leftover, selected))
}

/// Reads a request's head. Bytes behind it are returned: they are the client's first frames.
///
/// # Errors
///
/// [`HandshakeError::Rejected`] for a malformed head (400), too long a first line (414), and
/// anything else beyond the limits (431); [`HandshakeError::Io`], also when the transport ends
/// early. Not cancel safe.
pub async fn read_request<T: AsyncRead + Unpin>(
    io: &mut T,
    limits: &HeadLimits,
) -> Result<(Request<()>, BytesMut), HandshakeError> {
    let rejected = |error: HeadError| HandshakeError::from(Rejection::from(error));
    let (head, leftover) = read_head(io, limits).await?.map_err(rejected)?;
    Ok((parse_request(&head, limits).map_err(rejected)?, leftover))
}

/// Reads a response's head. Bytes behind it are returned: they are the server's first frames.
///
/// # Errors
///
/// [`HandshakeError::Refused`] for a status other than 101, with what comes of the body within a
/// second, up to 4 KiB; [`ResponseError::Head`]; [`HandshakeError::Io`], also when the transport
/// ends early. Not cancel safe.
pub async fn read_response<T: AsyncRead + Unpin>(
    io: &mut T,
    limits: &HeadLimits,
) -> Result<(Response<()>, BytesMut), HandshakeError> {
    let (head, leftover) = read_head(io, limits).await?.map_err(ResponseError::Head)?;
    let response = parse_response(&head, limits).map_err(ResponseError::Head)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((response, leftover));
    }
    let body = read_body(io, leftover, &response).await;
    Err(HandshakeError::Refused(Box::new(response.map(|()| body))))
}

/// Writes a request and flushes.
///
/// # Errors
///
/// Those of the transport. Not cancel safe.
pub async fn write_request<T: AsyncWrite + Unpin>(
    io: &mut T,
    request: &Request<()>,
) -> io::Result<()> {
    io.write_all(&encode_request(request)).await?;
    io.flush().await
}

/// Writes the response 101 and flushes.
///
/// # Errors
///
/// Those of the transport. Not cancel safe.
pub async fn write_response<T: AsyncWrite + Unpin>(
    io: &mut T,
    response: &Response<()>,
) -> io::Result<()> {
    io.write_all(&encode_response(response, "")).await?;
    io.flush().await
}

/// Writes a refusal and shuts the write side down. Then it reads what still comes, for a second at most.
///
/// # Errors
///
/// Those of the transport. Not cancel safe.
pub async fn write_rejection<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    rejection: &Rejection,
) -> io::Result<()> {
    let (parts, body) = rejection.to_response().into_parts();
    io.write_all(&encode_response(&Response::from_parts(parts, ()), body)).await?;
    linger(io).await
}

/// Shuts the write side down and reads what still comes, for a second at most: closing a socket with
/// unread bytes would reset it, and destroy on its way what was written last.
pub(crate) async fn linger<T: AsyncRead + AsyncWrite + Unpin>(io: &mut T) -> io::Result<()> {
    io.shutdown().await?;
    let _ = timeout(PATIENCE, tokio::io::copy(io, &mut tokio::io::sink())).await;
    Ok(())
}

/// The outer error is the transport's, the inner one the sender's.
async fn read_head<T: AsyncRead + Unpin>(
    io: &mut T,
    limits: &HeadLimits,
) -> io::Result<Result<(BytesMut, BytesMut), HeadError>> {
    let mut buffer = BytesMut::with_capacity(4096);
    let mut scanner = HeadScanner::default();
    loop {
        if io.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match scanner.scan(&buffer, limits) {
            Ok(None) => {}
            Ok(Some(len)) => return Ok(Ok((buffer.split_to(len), buffer))),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Best effort: what has arrived when the body is complete, when the patience or the connection
/// ends, or when it is enough.
pub(crate) async fn read_body<T: AsyncRead + Unpin, B>(
    io: &mut T,
    mut body: BytesMut,
    response: &Response<B>,
) -> Bytes {
    let length = single(response.headers(), header::CONTENT_LENGTH).ok().flatten();
    let wanted = length.and_then(|it| it.parse().ok()).unwrap_or(MAX_BODY).min(MAX_BODY);
    let _ = timeout(PATIENCE, async {
        while body.len() < wanted {
            if !matches!(io.read_buf(&mut body).await, Ok(1..)) {
                break;
            }
        }
    })
    .await;
    body.truncate(wanted);
    body.freeze()
}
