//! What handlers may return: [`HandlerOutput`], [`HandlerError`], [`Ok`].

use std::error::Error;

/// Any error. The `?` of a handler converts errors into it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Returns `Result::Ok` with the error type [`BoxError`], for the last line of a handler.
///
/// A closure does not declare its error type, and the compiler cannot infer it from `Ok(value)`
/// alone. With this function, `?` works on every error.
///
/// ```
/// async fn half(text: &str) -> Result<i64, wse::BoxError> {
///     let number: i64 = text.parse()?;
///     if number % 2 != 0 {
///         return Err("odd".into());
///     }
///     wse::Ok(number / 2)
/// }
/// ```
#[allow(non_snake_case)]
#[allow(clippy::missing_errors_doc)] // it never is one
pub fn Ok<T>(value: T) -> Result<T, BoxError> {
    Result::Ok(value)
}

/// What a handler may return as an error: any [`std::error::Error`], `String`, `&str`, `anyhow::Error`,
/// or [`BoxError`].
///
/// Its text never reaches the peer. The exception is a [`Fault`](crate::Fault), which reaches the peer
/// unchanged. It may be the error itself, the fault in a [`CallError`](crate::CallError), or one of the
/// [causes](std::error::Error::source) of the error.
///
/// `anyhow::Error` hides the error that it was made from, so a fault that becomes an `anyhow::Error` by `?`
/// alone is a generic failure for the peer. With a context, as in `result.context("…")?`, the fault is
/// a cause, and is found. A handler that returns [`BoxError`] needs no context.
#[diagnostic::on_unimplemented(
    message = "a handler cannot fail with `{Self}`",
    note = "an error type of a handler implements `std::error::Error + Send + Sync`, or is `String`, `&str`, `anyhow::Error` or `wse::BoxError`; use `wse::Fault` for what the peer may know"
)]
pub trait HandlerError {
    /// Converts the error into a boxed error.
    fn into_error(self) -> BoxError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> HandlerError for E {
    fn into_error(self) -> BoxError {
        self.into()
    }
}

/// What the future of a message handler may return: nothing, or a [`Result`] of any value. An error becomes an error
/// event; a value is dropped.
#[diagnostic::on_unimplemented(
    message = "a message handler cannot return `{Self}`",
    note = "return `()` or `Result<T, E>` with any `T`, and an `E` that implements `std::error::Error + Send + Sync`, or is `String`, `&str`, `anyhow::Error` or `wse::BoxError`"
)]
pub trait HandlerOutput {
    /// Converts the value into a result.
    #[allow(clippy::missing_errors_doc)]
    fn into_result(self) -> Result<(), BoxError>;
}

impl HandlerOutput for () {
    fn into_result(self) -> Result<(), BoxError> {
        Result::Ok(())
    }
}

impl<T, E: HandlerError> HandlerOutput for Result<T, E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map(drop).map_err(HandlerError::into_error)
    }
}
