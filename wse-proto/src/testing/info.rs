//! The protocol's description of itself.

use super::report::{Failure, Report, Section};
use super::tester::Tester;
use crate::Protocol;

impl<P: Protocol> Tester<'_, P> {
    /// Names that are empty or used twice, descriptions that change, and the subprotocol.
    pub(super) fn info(&self, report: &mut Report) {
        let mut section = Section::new("info");
        let types = self.info.types();
        let names = [
            ("hi", types.hi),
            ("challenge", types.challenge),
            ("welcome", types.welcome),
            ("reply", types.reply),
            ("fault", types.fault),
            ("receipt", types.receipt),
            ("ping", types.ping),
            ("pong", types.pong),
            ("cancel", types.cancel),
            ("error_report", types.error_report),
            ("session", types.session),
            ("seen", types.seen),
            ("drain", types.drain),
            ("expires", types.expires),
            ("renew", types.renew),
            ("renewed", types.renewed),
        ];
        for (index, (field, name)) in names.iter().enumerate() {
            section.case();
            if name.is_empty() {
                section.fail(
                    Failure::new(format!("the internal type `{field}` is empty"))
                        .with_advice("give every field of InternalTypes a name"),
                );
            }
            if let Some((other, _)) = names[..index].iter().find(|(_, other)| other == name) {
                section.fail(
                    Failure::new(format!(
                        "the internal types `{other}` and `{field}` have the same name {name:?}"
                    ))
                    .with_advice("give every field of InternalTypes a name of its own"),
                );
            }
        }
        section.case();
        if self.protocol.info() != self.info || self.protocol.clone().info() != self.info {
            section.fail(
                Failure::new("a second call of `info`, or one of a clone, returns something else")
                    .with_advice("return a constant"),
            );
        }
        section.case();
        // RFC 9110 §5.6.2: the characters of a token.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if let Some(name) = self.info.subprotocol()
            && (name.is_empty() || !name.bytes().all(token))
        {
            section.fail(
                Failure::new(format!("the subprotocol {name:?} is not a token")).with_advice(
                    "use letters, digits and hyphens, or ProtocolInfo::no_subprotocol",
                ),
            );
        }
        report.add(section);
    }
}
