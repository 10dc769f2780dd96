//! A server that does not say who its users are.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray)
        .procedure("add", |_, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
        .build();
}
