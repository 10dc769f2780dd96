//! [`Role`].

/// The role of this side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Masks what it sends, and rejects masked frames.
    Client,
    /// Rejects unmasked frames.
    Server,
}
