//! A procedure that takes its parameters one by one. They are one payload: `(a, b): (i64, i64)`.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray)
        .procedure("add", |_conn, a: i64, b: i64| async move { wse::Ok(a + b) });
}
