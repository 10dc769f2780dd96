//! A payload that serde knows and prost does not, over protobuf.

use serde::Deserialize;
use wse::{Protobuf, Server};

#[derive(Deserialize)]
struct Question {
    text: String,
}

fn main() {
    let _ = Server::builder(Protobuf).on("ask", |_, question: Question| async move {
        println!("{}", question.text);
    });
}
