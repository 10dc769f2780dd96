//! A procedure that returns a value instead of a `Result`.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray)
        .procedure("add", |_, (a, b): (i64, i64)| async move { a + b });
}
