//! What a message handler may return.

use wse_proto::Fault;

/// What the future of a message handler may come to: nothing, or a result whose error becomes an error event.
#[diagnostic::on_unimplemented(
    message = "a message handler cannot return `{Self}`",
    note = "return `()` or `Result<(), E>` with an `E` that turns into a `Fault`: any `std::error::Error` does"
)]
pub trait Outcome {
    /// As a result.
    #[allow(clippy::missing_errors_doc)]
    fn into_result(self) -> Result<(), Fault>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<E: Into<Fault>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), Fault> {
        self.map_err(Into::into)
    }
}
