//! The header field `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};

use super::params::ExtensionParams;
use crate::head::{MAX_OFFERS, is_token};

/// Whether name and parameters may appear in the field.
pub(crate) fn is_valid(name: &str, params: &ExtensionParams) -> bool {
    is_token(name)
        && params.iter().all(|(name, value)| is_token(name) && value.is_none_or(is_token))
}

/// Formats an offer or an answer for the field; its parts must be tokens.
pub(crate) fn write(name: &str, params: &ExtensionParams) -> String {
    let mut text = name.to_owned();
    for (name, value) in params.iter() {
        text.push_str("; ");
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

/// The field for these offers or answers; `None` without any.
pub(crate) fn field(elements: &[String]) -> Option<HeaderValue> {
    // Tokens are always a valid field value.
    HeaderValue::try_from(elements.join(", ")).ok().filter(|_| !elements.is_empty())
}

/// One extension of the field, with its parameters.
pub(crate) struct Element<'a> {
    pub(crate) name: &'a str,
    pub(crate) params: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

impl Element<'_> {
    pub(super) fn to_params(&self) -> ExtensionParams {
        self.params.iter().fold(ExtensionParams::default(), |params, (name, value)| match value {
            Some(value) => params.value(*name, value.clone()),
            None => params.flag(*name),
        })
    }
}

/// The most parameters of one extension. Compression has four (RFC 7692 §7.1).
const MAX_PARAMS: usize = 32;

/// A field that does not follow the grammar, or has more than [`MAX_OFFERS`] extensions or [`MAX_PARAMS`] parameters of one:
/// offers are compared with each other.
pub(crate) struct Malformed;

/// Parses all occurrences of the field, in order. Empty list elements are ignored (RFC 9110 §5.6.1.2).
pub(crate) fn parse(headers: &HeaderMap) -> Result<Vec<Element<'_>>, Malformed> {
    let mut found = Vec::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let mut rest = Cursor(value.to_str().map_err(|_| Malformed)?);
        loop {
            rest.skip_space();
            if rest.0.is_empty() {
                break;
            }
            if !rest.eat(',') {
                if found.len() == MAX_OFFERS {
                    return Err(Malformed);
                }
                found.push(rest.extension()?);
            }
        }
    }
    Ok(found)
}

/// The rest of the input.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Parses `extension-token *( ";" extension-param )`, up to the comma or the end.
    fn extension(&mut self) -> Result<Element<'a>, Malformed> {
        let name = self.token()?;
        let mut params = Vec::new();
        loop {
            self.skip_space();
            if self.0.is_empty() || self.0.starts_with(',') {
                return Ok(Element { name, params });
            }
            if !self.eat(';') {
                return Err(Malformed);
            }
            self.skip_space();
            let param = self.token()?;
            self.skip_space();
            let value = if self.eat('=') {
                self.skip_space();
                Some(self.value()?)
            } else {
                None
            };
            if params.len() == MAX_PARAMS {
                return Err(Malformed);
            }
            params.push((param, value));
        }
    }

    fn value(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if !self.eat('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut text = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                // RFC 6455 §9.1: a quoted value must be a token once it is unquoted.
                '"' if is_token(&text) => {
                    self.0 = &self.0[at + 1..];
                    return Ok(Cow::Owned(text));
                }
                '"' => return Err(Malformed),
                '\\' => text.push(chars.next().ok_or(Malformed)?.1),
                char => text.push(char),
            }
        }
        Err(Malformed)
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let ends = |char: char| char.is_ascii_whitespace() || ",;=\"".contains(char);
        let (token, rest) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = rest;
        if is_token(token) { Ok(token) } else { Err(Malformed) }
    }

    fn eat(&mut self, expected: char) -> bool {
        self.0.strip_prefix(expected).is_some_and(|rest| {
            self.0 = rest;
            true
        })
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }
}
