//! [`Callback`]: application code that is called at events, and the panics in it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use wse_proto::excerpt;

/// A callback for events, and the hook that it was given to.
pub(crate) struct Callback<E> {
    hook: &'static str,
    run: Arc<dyn Fn(&E) + Send + Sync>,
}

impl<E> Clone for Callback<E> {
    fn clone(&self) -> Self {
        Self { hook: self.hook, run: Arc::clone(&self.run) }
    }
}

impl<E> Callback<E> {
    pub(crate) fn new(hook: &'static str, run: impl Fn(&E) + Send + Sync + 'static) -> Self {
        Self { hook, run: Arc::new(run) }
    }
}

/// A callback that has panicked.
pub(crate) struct Panicked {
    index: usize,
    pub(crate) hook: &'static str,
    /// For people.
    pub(crate) message: String,
}

/// Calls all callbacks. Returns those that have panicked.
pub(crate) fn call_all<E>(callbacks: &[Callback<E>], event: &E) -> Vec<Panicked> {
    let mut panicked = Vec::new();
    for (index, Callback { hook, run }) in callbacks.iter().enumerate() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(event))) {
            let message = format!("`{hook}` panicked{}", text_of(&*panic));
            tracing::error!(hook, message, "an event callback panicked");
            panicked.push(Panicked { index, hook, message });
        }
    }
    panicked
}

/// Calls all callbacks other than the one that has panicked, with the event of that. Further panics are not reported: two
/// callbacks that always panic would go on without end.
pub(crate) fn call_others<E>(callbacks: &[Callback<E>], panicked: &Panicked, event: &E) {
    for (index, Callback { run, .. }) in callbacks.iter().enumerate() {
        if index != panicked.index {
            let _ = catch_unwind(AssertUnwindSafe(|| run(event)));
        }
    }
}

/// The text of a panic, after a colon; empty if it has none.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.map(|text| format!(": {}", excerpt(text))).unwrap_or_default()
}
