//! Parses `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Host` and `-Proto`, from the last proxy to the first.
//!
//! Clients can send these fields too. Therefore the item of the nearest proxy is parsed independently of the items
//! before it, which may be malformed.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use http::{
    HeaderMap, HeaderName, header,
    uri::{Authority, Scheme},
};

use crate::head::is_token;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The most parameters of one element. RFC 7239 defines four, and extensions are rare.
const MAX_PARAMETERS: usize = 16;

/// What one proxy says about the request that it received.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hop {
    /// The sender; `None` when the proxy does not tell it. Port 0 stands for an unknown port.
    pub(super) addr: Option<SocketAddr>,
    /// The host and port in the request.
    pub(super) host: Option<String>,
    /// The scheme of the request, in lower case.
    pub(super) proto: Option<String>,
}

/// The hops in `Forwarded`, from the nearest proxy up to the first malformed one.
pub(super) fn standard(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    let lines = headers.get_all(header::FORWARDED).into_iter().rev();
    let elements = lines.flat_map(|line| Elements(Some(line.as_bytes()))).map(text);
    elements.filter(|it| !it.is_empty()).map_while(element)
}

/// The hops in `X-Forwarded-For`, from the nearest proxy up to the first malformed one.
///
/// `X-Forwarded-Host` and `-Proto` have one item for all hops, or one for each hop. Otherwise they cannot be
/// assigned to hops, and are ignored.
pub(super) fn customary<'a>(headers: &'a HeaderMap) -> impl Iterator<Item = Hop> + 'a {
    let nodes = list(headers, &FOR);
    let count = nodes.len();
    let each = move |values: &[&'a str], at: usize| match values.len() {
        1 => values.first().copied(),
        len if len == count => values.get(at).copied(),
        _ => None,
    };
    let (hosts, protos) = (list(headers, &HOST), list(headers, &PROTO));
    nodes.into_iter().enumerate().map_while(move |(at, text)| {
        let host = each(&hosts, at).and_then(authority);
        let proto = each(&protos, at).and_then(scheme);
        Some(Hop { addr: node(text)?, host, proto })
    })
}

/// Whether the headers contain `Forwarded`, and whether they contain `X-Forwarded-For`.
pub(super) fn is_there(headers: &HeaderMap) -> (bool, bool) {
    (headers.contains_key(header::FORWARDED), headers.contains_key(FOR))
}

/// The items of a list, from the last one on. The field may be repeated. The limits of the head bound it, and each byte is
/// looked at once.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).into_iter().rev();
    let items = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')).map(text);
    items.filter(|it| !it.is_empty()).collect()
}

/// An item that is not text becomes invalid, without an effect on others: a single quote is never valid.
fn text(item: &[u8]) -> &str {
    std::str::from_utf8(item).unwrap_or("\"").trim()
}

/// The elements of a list, from the last one on, split at commas outside quotes. A malformed element may include
/// everything before it. Each byte is looked at once, and a backslash twice.
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        let mut quoted = false;
        for (at, byte) in rest.iter().enumerate().rev() {
            let (before, found) = rest.split_at(at);
            match byte {
                b'"' => {
                    // Inside quotes an escaped quote is content; outside it is malformed, which the parser finds.
                    let escapes = before.iter().rev().take_while(|it| **it == b'\\').count();
                    quoted ^= escapes % 2 == 0;
                }
                b',' if !quoted => {
                    self.0 = Some(before);
                    return found.get(1..);
                }
                _ => {}
            }
        }
        Some(rest)
    }
}

/// Parses `[ pair ] *( ";" [ pair ] )` (RFC 7239 §4); `None` if it is malformed.
fn element(text: &str) -> Option<Hop> {
    let mut hop = Hop { addr: None, host: None, proto: None };
    let mut seen = Vec::new();
    let mut rest = text.trim_start_matches([';', ' ', '\t']);
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let name = name.to_ascii_lowercase();
        let (value, behind) = value(behind)?;
        // RFC 7239 §4: each parameter MUST NOT occur more than once.
        if !is_token(&name) || seen.contains(&name) || seen.len() == MAX_PARAMETERS {
            return None;
        }
        match name.as_str() {
            "for" => hop.addr = node(&value)?,
            "host" => hop.host = authority(&value),
            "proto" => hop.proto = scheme(&value),
            _ => {}
        }
        seen.push(name);
        rest = match behind.strip_prefix(';') {
            Some(behind) => behind.trim_start_matches([';', ' ', '\t']),
            None if behind.is_empty() => behind,
            None => return None,
        };
    }
    Some(hop)
}

/// Parses a token or a quoted string; returns it with the rest.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, behind) = text.split_at(text.find(';').unwrap_or(text.len()));
        let token = token.trim_end();
        return is_token(token).then(|| (token.to_owned(), behind));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str().trim_start())),
            '\\' => value.push(chars.next()?),
            char => value.push(char),
        }
    }
}

/// Parses a node (RFC 7239 §6), also IPv6 without brackets. `Some(None)` for a hidden node, `None` for a malformed
/// one.
fn node(text: &str) -> Option<Option<SocketAddr>> {
    if text.eq_ignore_ascii_case("unknown") || (text.starts_with('_') && is_token(text)) {
        return Some(None);
    }
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Some(Some(SocketAddr::new(addr.to_canonical(), 0)));
    }
    let (addr, port): (IpAddr, &str) = match text.strip_prefix('[') {
        Some(text) => {
            let (addr, port) = text.split_once(']')?;
            (IpAddr::V6(addr.parse().ok()?), port)
        }
        None => {
            let (addr, port) = text.split_at(text.find(':')?);
            (IpAddr::V4(addr.parse().ok()?), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 0,
        // RFC 7239 §6.3: a port may be hidden as well.
        Some(port) if port.starts_with('_') && is_token(port) => 0,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        _ => return None,
    };
    Some(Some(SocketAddr::new(addr.to_canonical(), port)))
}

fn authority(text: &str) -> Option<String> {
    let authority = Authority::from_str(text).ok()?;
    (!authority.host().is_empty() && !text.contains('@')).then(|| text.to_owned())
}

fn scheme(text: &str) -> Option<String> {
    Scheme::from_str(text).ok()?;
    Some(text.to_ascii_lowercase())
}
