//! An error and its causes.

use std::error::Error;
use std::fmt::Write;

/// Formats the error and its causes on one line, separated by colons.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a `String` does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// Returns the first of the error and its causes that `find` accepts.
pub(crate) fn find_source<'a, T>(
    error: &'a (dyn Error + 'static),
    find: impl Fn(&'a (dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(find)
}
