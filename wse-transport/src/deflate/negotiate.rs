//! Agreement on compression (RFC 7692 §7.1).

use super::agreement::DeflateAgreement;
use super::settings::Deflate;
use crate::extension::{AnswerError, Element};

pub(crate) const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// The window bits when the parameter is absent (RFC 7692 §7.1.2).
const MAX_BITS: u8 = 15;

/// A client's offer.
///
/// It always contains `client_max_window_bits`: without it a server may not ask for a smaller window.
pub(crate) fn offer(deflate: &Deflate) -> String {
    let deflate = deflate.in_bounds();
    let mut text = NAME.to_owned();
    if !deflate.peer_takeover {
        push(&mut text, SERVER_NO_TAKEOVER, None);
    }
    if !deflate.takeover {
        push(&mut text, CLIENT_NO_TAKEOVER, None);
    }
    if deflate.peer_window_bits < MAX_BITS {
        push(&mut text, SERVER_BITS, Some(deflate.peer_window_bits));
    }
    let bits = Some(deflate.window_bits).filter(|bits| *bits < MAX_BITS);
    push(&mut text, CLIENT_BITS, bits);
    text
}

/// A server's answer to the first acceptable offer; `None` without one. An offer with invalid parameters is
/// declined.
pub(crate) fn answer(
    deflate: &Deflate,
    offers: &[Element<'_>],
) -> Option<(String, DeflateAgreement)> {
    offers
        .iter()
        .filter(|offer| offer.name == NAME)
        .filter_map(Params::read)
        .find_map(|offer| accept(&deflate.in_bounds(), &offer))
}

fn accept(deflate: &Deflate, offer: &Params) -> Option<(String, DeflateAgreement)> {
    let mut text = NAME.to_owned();
    let mut agreed = DeflateAgreement::default();
    if offer.server_no_takeover || !deflate.takeover {
        agreed.server_no_context_takeover = true;
        push(&mut text, SERVER_NO_TAKEOVER, None);
    }
    // The client's hint that it does not need takeover is accepted.
    if offer.client_no_takeover || !deflate.peer_takeover {
        agreed.client_no_context_takeover = true;
        push(&mut text, CLIENT_NO_TAKEOVER, None);
    }
    let server_bits = match offer.server_bits {
        // RFC 7692 §7.1.2.1: in an offer the parameter has a value.
        Some(bits) => Some(bits?.min(deflate.window_bits)),
        None => Some(deflate.window_bits).filter(|bits| *bits < MAX_BITS),
    };
    if let Some(bits) = server_bits {
        agreed.server_max_window_bits = bits;
        push(&mut text, SERVER_BITS, Some(bits));
    }
    match offer.client_bits {
        Some(hint) => {
            let bits = hint.unwrap_or(MAX_BITS).min(deflate.peer_window_bits);
            if hint.is_some() || bits < MAX_BITS {
                agreed.client_max_window_bits = bits;
                push(&mut text, CLIENT_BITS, Some(bits));
            }
        }
        // RFC 7692 §7.1.2.2: the answer may have the parameter only if the offer had it.
        None if deflate.peer_window_bits < MAX_BITS => return None,
        None => {}
    }
    Some((text, agreed))
}

/// The agreement in a server's answer to [`offer`].
///
/// # Errors
///
/// [`AnswerError`] for an answer that is malformed, or grants more than was offered.
pub(crate) fn agreed(
    deflate: &Deflate,
    answer: &Element<'_>,
) -> Result<DeflateAgreement, AnswerError> {
    let deflate = deflate.in_bounds();
    let params = Params::read(answer).ok_or(AnswerError::Malformed)?;
    let beyond = Err(AnswerError::NotOffered);
    // RFC 7692 §7.1.1.1, §7.1.2.1: a server that accepts the parameter repeats it.
    if !deflate.peer_takeover && !params.server_no_takeover {
        return beyond;
    }
    // In an answer both parameters have a value.
    let bits = |param: Option<Option<u8>>| match param {
        Some(None) => Err(AnswerError::Malformed),
        Some(bits) => Ok(bits),
        None => Ok(None),
    };
    let server_bits = bits(params.server_bits)?.unwrap_or(MAX_BITS);
    let client_bits = bits(params.client_bits)?.unwrap_or(MAX_BITS);
    if server_bits > deflate.peer_window_bits {
        return beyond;
    }
    if params.client_bits.is_some() && client_bits > deflate.window_bits {
        return beyond;
    }
    Ok(DeflateAgreement {
        server_no_context_takeover: params.server_no_takeover,
        client_no_context_takeover: params.client_no_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    })
}

/// The four parameters of `permessage-deflate`. The window bits are `None` when the parameter is absent, and
/// `Some(None)` without a value.
#[derive(Default)]
struct Params {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<Option<u8>>,
    client_bits: Option<Option<u8>>,
}

impl Params {
    /// Parses the parameters. `None` for one that is unknown, repeated, or has an invalid value: RFC 7692 §7.1
    /// then declines the offer, or fails the connection.
    fn read(extension: &Element<'_>) -> Option<Self> {
        let mut params = Self::default();
        for (name, value) in &extension.params {
            match (*name, value.as_deref()) {
                (SERVER_NO_TAKEOVER, None) => once(&mut params.server_no_takeover)?,
                (CLIENT_NO_TAKEOVER, None) => once(&mut params.client_no_takeover)?,
                (SERVER_BITS, value) if params.server_bits.is_none() => {
                    params.server_bits = Some(window_bits(value)?);
                }
                (CLIENT_BITS, value) if params.client_bits.is_none() => {
                    params.client_bits = Some(window_bits(value)?);
                }
                _ => return None,
            }
        }
        Some(params)
    }
}

fn once(flag: &mut bool) -> Option<()> {
    (!std::mem::replace(flag, true)).then_some(())
}

/// Parses a decimal number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: Option<&str>) -> Option<Option<u8>> {
    match value {
        None => Some(None),
        Some("8") => Some(Some(8)),
        Some("9") => Some(Some(9)),
        Some(text) => {
            let bits = text.strip_prefix('1').filter(|it| it.len() == 1)?.parse::<u8>().ok()?;
            (bits <= 5).then_some(Some(10 + bits))
        }
    }
}

fn push(text: &mut String, name: &str, bits: Option<u8>) {
    text.push_str("; ");
    text.push_str(name);
    if let Some(bits) = bits {
        text.push_str(&format!("={bits}"));
    }
}
