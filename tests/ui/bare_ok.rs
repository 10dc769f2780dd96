//! `Ok` without an error type. `wse::Ok` has one.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray)
        .procedure("add", |_, (a, b): (i64, i64)| async move { Ok(a + b) });
}
