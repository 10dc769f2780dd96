//! A handler that is not async.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray).on("say", |_, text: String| println!("{text}"));
}
