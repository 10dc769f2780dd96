//! Requests and responses over a transport. Except for the reads around a refusal, nothing here has a deadline: put
//! one around the whole handshake.

use std::io;

use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::client_request::ClientRequest;
use super::error::ResponseError;
use super::handshake_error::HandshakeError;
use super::rejection::Rejection;
use crate::head::{
    HeadError, HeadLimits, HeadScanner, ResponseReader, encode_request, encode_response,
    parse_request, read_body,
};
use crate::linger::linger;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Does a client's handshake. Returns the verified response, the server's first frames behind it, and the selected
/// subprotocol.
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
        // With TLS 1.3, the server judges a client's certificate after the handshake is done on the client's side.
        #[cfg(feature = "tls")]
        HandshakeError::Io(error) => TlsError::from_io(error, false).into(),
        error => error,
    })?;
    let selected = request.verify(key, &response)?;
    Ok((response, leftover, selected))
}

/// Reads the head of a request. Returns also the bytes behind it, which are the client's first frames.
///
/// Not cancel safe.
///
/// # Errors
///
/// [`HandshakeError::Rejected`] for a malformed head (400), too long a first line (414), and other excesses of the
/// limits (431); [`HandshakeError::Io`], also when the transport ends early.
pub async fn read_request<T: AsyncRead + Unpin>(
    io: &mut T,
    limits: &HeadLimits,
) -> Result<(Request<()>, BytesMut), HandshakeError> {
    let rejected = |error: HeadError| HandshakeError::from(Rejection::from(error));
    let mut received = BytesMut::with_capacity(4096);
    let mut scanner = HeadScanner::default();
    loop {
        receive(io, &mut received).await?;
        if let Some(len) = scanner.scan(&received, limits).map_err(rejected)? {
            let head = received.split_to(len);
            return Ok((parse_request(&head, limits).map_err(rejected)?, received));
        }
    }
}

/// Reads the head of a response, and skips those with a status of 1xx before it (RFC 9110 §15.2); 101 is not skipped.
/// Returns also the bytes behind it, which are the server's first frames.
///
/// Not cancel safe.
///
/// # Errors
///
/// [`HandshakeError::Refused`] for a status other than 101, with the part of the body that arrives within a second,
/// up to 4 KiB; [`ResponseError::Head`]; [`HandshakeError::Io`], also when the transport ends early.
pub async fn read_response<T: AsyncRead + Unpin>(
    io: &mut T,
    limits: &HeadLimits,
) -> Result<(Response<()>, BytesMut), HandshakeError> {
    let mut leftover = BytesMut::with_capacity(4096);
    let mut reader = ResponseReader::new(*limits);
    let response = loop {
        receive(io, &mut leftover).await?;
        if let Some(response) = reader.read(&mut leftover).map_err(ResponseError::Head)? {
            break response;
        }
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((response, leftover));
    }
    let body = read_body(io, leftover, &response).await;
    Err(HandshakeError::Refused(Box::new(response.map(|()| body))))
}

/// Writes a request and flushes. Not cancel safe.
///
/// # Errors
///
/// Those of the transport.
pub async fn write_request<T: AsyncWrite + Unpin>(
    io: &mut T,
    request: &Request<()>,
) -> io::Result<()> {
    io.write_all(&encode_request(request)).await?;
    io.flush().await
}

/// Writes a response with status 101 and flushes. Not cancel safe.
///
/// # Errors
///
/// Those of the transport.
pub async fn write_response<T: AsyncWrite + Unpin>(
    io: &mut T,
    response: &Response<()>,
) -> io::Result<()> {
    io.write_all(&encode_response(response, "")).await?;
    io.flush().await
}

/// Writes a rejection and shuts the write side down, then reads and discards for a second at most. Not cancel safe.
///
/// # Errors
///
/// Those of the transport.
pub async fn write_rejection<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    rejection: &Rejection,
) -> io::Result<()> {
    let (parts, body) = rejection.to_response().into_parts();
    io.write_all(&encode_response(&Response::from_parts(parts, ()), body)).await?;
    linger(io).await
}

/// Receives some bytes.
async fn receive<T: AsyncRead + Unpin>(io: &mut T, received: &mut BytesMut) -> io::Result<()> {
    match io.read_buf(received).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
