//! A message handler that takes no connection.

use wse::{JsonArray, Server};

fn main() {
    let _ = Server::builder(JsonArray).on("say", |text: String| async move { println!("{text}") });
}
