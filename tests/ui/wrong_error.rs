//! An error type that is no error.

use wse::{JsonArray, Server};

#[derive(Debug)]
enum Failure {
    Empty,
}

fn main() {
    let _ = Server::builder(JsonArray).procedure("len", |_, text: String| async move {
        if text.is_empty() {
            return Err(Failure::Empty);
        }
        Ok(text.len())
    });
}
