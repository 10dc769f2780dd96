//! [`Undelivered`]: a reliable message that has reached no device of its user.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use wse_proto::{CodecError, Decode, Negotiate};

use super::core::CoreUndelivered;

/// A reliable message that no device of its user has confirmed. It may have arrived all the same.
///
/// ```
/// use wse::{Decode, Negotiate, Undelivered};
///
/// fn push<P: Negotiate<Format: Decode<String>>>(message: &Undelivered<P>) {
///     if let Ok(text) = message.payload::<String>() {
///         println!("notify {} of {}: {text}", message.user_id(), message.name());
///     }
/// }
/// ```
pub struct Undelivered<P: Negotiate> {
    core: Arc<CoreUndelivered>,
    protocol_type: PhantomData<fn() -> P>,
}

impl<P: Negotiate> Undelivered<P> {
    pub(super) fn of(core: Arc<CoreUndelivered>) -> Self {
        Self { core, protocol_type: PhantomData }
    }

    /// Returns the id of the user.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.core.user
    }

    /// Returns the name of the message.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Decodes the payload, which was encoded in the first protocol of the server. It is absent if that cannot encode it.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when it is not a `T`.
    pub fn payload<T>(&self) -> Result<T, CodecError>
    where
        P::Format: Decode<T>,
    {
        self.core.server.wire.format::<P::Protocol>().decode(&self.core.payload)
    }
}

impl<P: Negotiate> Clone for Undelivered<P> {
    fn clone(&self) -> Self {
        Self::of(Arc::clone(&self.core))
    }
}

impl<P: Negotiate> fmt::Debug for Undelivered<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("user", &self.core.user)
            .field("name", &self.core.name)
            .finish_non_exhaustive()
    }
}
