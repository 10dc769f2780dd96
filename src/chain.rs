//! An error and its causes.

use std::error::Error;
use std::fmt;
use std::fmt::Write;

use wse_proto::excerpt;

/// Formats the error and its causes on one line, separated by colons, as an excerpt: errors repeat what a peer wrote.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a `String` does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    excerpt(&text).to_string()
}

/// Writes the causes of an error behind its own text, if `{:#}` asks for them.
pub(crate) fn causes(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut source = error.source().filter(|_| f.alternate());
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}

/// Returns the first of the error and its causes that `find` accepts.
pub(crate) fn find_source<'a, T>(
    error: &'a (dyn Error + 'static),
    find: impl Fn(&'a (dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(find)
}
