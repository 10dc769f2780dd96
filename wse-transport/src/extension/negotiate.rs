//! Agreement on extensions (RFC 6455 §9.1).

use std::sync::Arc;

use super::agreed::AgreedExtensions;
use super::bits::ReservedBits;
use super::field::{Element, is_valid, write};
use super::traits::{Extension, FrameExtension};

/// A server's answers to the offers, and the extensions that are then in force, in the server's order of
/// preference. `bits` are the reserved bits in use; the bits of these extensions are added.
pub(crate) fn answer(
    extensions: &[Arc<dyn Extension>],
    offers: &[Element<'_>],
    bits: &mut ReservedBits,
) -> (Vec<String>, AgreedExtensions) {
    let (mut answers, mut agreed) = (Vec::new(), AgreedExtensions::default());
    for (index, extension) in extensions.iter().enumerate() {
        // A client that offered an extension once fails on two answers.
        if extensions.iter().take(index).any(|it| it.name() == extension.name()) {
            continue;
        }
        // RFC 6455 §9.1: two extensions cannot use the same bit.
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

/// Why a server's answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// It names an extension that was not offered, or grants more than was offered.
    NotOffered,
    /// It has parameters that the extension does not have.
    Malformed,
}

/// Applies one of a server's answers to the extensions that the client offered.
pub(crate) fn agree(
    extensions: &[Arc<dyn Extension>],
    answer: &Element<'_>,
) -> Result<(Box<dyn FrameExtension>, ReservedBits), AnswerError> {
    let extension =
        extensions.iter().find(|it| it.name() == answer.name).ok_or(AnswerError::NotOffered)?;
    let agreed = extension.agree(&answer.to_params()).ok_or(AnswerError::Malformed)?;
    Ok((agreed, extension.reserved_bits()))
}
