//! The body of a refusal.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Response, header};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::fields::single;

/// The most bytes of a body that are kept.
const MAX_BODY: usize = 4096;

/// How long to wait for a body.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads a body as far as it arrives: until it is complete, [`MAX_BODY`] or [`PATIENCE`] is reached, or the
/// connection ends.
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
