//! [`Check`]: a check and its exceptions.

use crate::{Head, Text};

/// [`check`](super::check) with exceptions, for a wire format that is fixed and cannot carry everything.
///
/// The documentation of the protocol should name each exception.
///
/// ```
/// use wse_proto::testing::Check;
///
/// // A wire format that has no names: every message is a "note", every call a "request".
/// let check = Check::new().fixed_names("note", "request");
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a check does nothing until it runs"]
pub struct Check {
    names: Option<[&'static str; 2]>,
    always_reliable: bool,
    /// Leaves hostile input out: for tests of the checks themselves.
    pub(super) harmless: bool,
}

impl Check {
    /// A check without exceptions.
    pub fn new() -> Self {
        Self::default()
    }

    /// The wire format carries no names: every message is read with the name `message`, every call with the name `call`.
    /// Default: names are read as they were written.
    pub fn fixed_names(mut self, message: &'static str, call: &'static str) -> Self {
        self.names = Some([message, call]);
        self
    }

    /// Every message that wants a receipt is read as a reliable one. Its stamp is then never used again by its
    /// sender. Default: [`Head::Message::reliable`](Head::Message) is read as it was written.
    pub fn always_reliable(mut self) -> Self {
        self.always_reliable = true;
        self
    }

    /// The head that has to be read when this one was written.
    pub(super) fn expected(&self, mut head: Head) -> Head {
        match (&mut head, self.names) {
            (Head::Message { name, .. }, Some([message, _])) => *name = Text::from_static(message),
            (Head::Call { name, .. }, Some([_, call])) => *name = Text::from_static(call),
            _ => {}
        }
        if let Head::Message { receipt: Some(_), reliable, .. } = &mut head {
            *reliable |= self.always_reliable;
        }
        head
    }
}
