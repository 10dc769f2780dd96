//! A payload without `Deserialize`, over JSON.

use wse::{JsonArray, Server};

struct Question {
    text: String,
}

fn main() {
    let _ = Server::builder(JsonArray).on("ask", |_, question: Question| async move {
        println!("{}", question.text);
    });
}
