//! [`SessionLimits`]: how much may be pending or held.

/// Limits of a session, each with its default.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SessionLimits {
    /// The most calls that may be pending at once. Default: 1,024.
    pub calls: usize,
    /// The most receipts that may be pending at once. Default: 1,024.
    pub receipts: usize,
    /// Server: the most messages that are held while the application decides about an unauthenticated connection; one
    /// more closes it. Together with the size of a message, it limits the memory that such a connection can take.
    /// Default: 8.
    ///
    /// A client without a greeting does not know that it has to wait. For such a protocol raise the limit, or better,
    /// do not read from the connection before the decision.
    pub held: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { calls: 1024, receipts: 1024, held: 8 }
    }
}
