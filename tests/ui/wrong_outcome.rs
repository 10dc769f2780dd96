//! A message handler that returns a value, as only a procedure can.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray).on("add", |_, (a, b): (i64, i64)| async move { a + b });
}
