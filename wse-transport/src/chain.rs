//! An error and its causes.

use std::error::Error;
use std::fmt;

/// Writes the causes of an error behind its own text, if `{:#}` asks for them: on one line, separated by colons.
pub(crate) fn causes(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut source = error.source().filter(|_| f.alternate());
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}
