//! `Sec-WebSocket-Extensions` (RFC 6455 §9.1), and the extensions of the user's own.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderValue, header};

use super::{error::ResponseError, headers::is_token};
use crate::ws::{AgreedExtensions, Extension, ExtensionParams, FrameExtension, ReservedBits};

/// Whether everything in an offer or an answer can stand in the field.
pub(super) fn is_valid(name: &str, params: &ExtensionParams) -> bool {
    is_token(name)
        && params.iter().all(|(name, value)| is_token(name) && value.is_none_or(is_token))
}

/// An offer or an answer as it stands in the field; its parts are tokens.
pub(super) fn write(name: &str, params: &ExtensionParams) -> String {
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

/// The field for these offers or answers; `None` for none.
pub(super) fn field(elements: &[String]) -> Option<HeaderValue> {
    // Tokens are always a valid field value.
    HeaderValue::try_from(elements.join(", ")).ok().filter(|_| !elements.is_empty())
}

/// A server's answers to what was offered, and the extensions then in force, in the order of the
/// server's preference. `bits` are in use; those that they use are added.
pub(super) fn answer(
    extensions: &[Arc<dyn Extension>],
    offers: &[Element<'_>],
    bits: &mut ReservedBits,
) -> (Vec<String>, AgreedExtensions) {
    let (mut answers, mut agreed) = (Vec::new(), AgreedExtensions::default());
    for (index, extension) in extensions.iter().enumerate() {
        // A client that offered it once fails upon two answers.
        if extensions.iter().take(index).any(|it| it.name() == extension.name()) {
            continue;
        }
        // RFC 6455 §9.1: two extensions cannot give the same bit a meaning.
        let Some(sum) = bits.with(extension.reserved_bits()) else {
            continue;
        };
        let answer = offers
            .iter()
            .filter(|offer| offer.name == extension.name())
            .find_map(|offer| extension.answer(&offer.to_params()))
            .filter(|(params, _)| is_valid(extension.name(), params));
        if let Some((params, frames)) = answer {
            *bits = sum;
            answers.push(write(extension.name(), &params));
            agreed.push(frames, extension.reserved_bits());
        }
    }
    (answers, agreed)
}

/// What one of a server's answers makes of the extensions that were offered.
pub(super) fn agree(
    extensions: &[Arc<dyn Extension>],
    answer: &Element<'_>,
) -> Result<(Box<dyn FrameExtension>, ReservedBits), ResponseError> {
    let extension = extensions
        .iter()
        .find(|it| it.name() == answer.name)
        .ok_or(ResponseError::ExtensionNotOffered)?;
    let agreed = extension.agree(&answer.to_params()).ok_or(ResponseError::ExtensionMalformed)?;
    Ok((agreed, extension.reserved_bits()))
}

/// An extension with its parameters, as it stands in the field.
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    pub(super) params: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

impl Element<'_> {
    fn to_params(&self) -> ExtensionParams {
        self.params.iter().fold(ExtensionParams::default(), |params, (name, value)| match value {
            Some(value) => params.value(*name, value.clone()),
            None => params.flag(*name),
        })
    }
}

/// A field that does not follow the grammar.
pub(super) struct Malformed;

/// All extensions of all repetitions of the field, in order. Empty elements of a list are passed
/// over (RFC 9110 §5.6.1.2).
pub(super) fn parse(headers: &HeaderMap) -> Result<Vec<Element<'_>>, Malformed> {
    let mut found = Vec::new();
    for value in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let mut rest = Cursor(value.to_str().map_err(|_| Malformed)?);
        loop {
            rest.skip_space();
            if rest.0.is_empty() {
                break;
            }
            if !rest.eat(',') {
                found.push(rest.extension()?);
            }
        }
    }
    Ok(found)
}

/// What is still to be read.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// `extension-token *( ";" extension-param )`, up to the comma or the end.
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
                // RFC 6455 §9.1: what is quoted must be a token when it is unquoted.
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
