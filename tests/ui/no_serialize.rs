//! A payload without `Serialize`, over JSON.

use serde::Deserialize;
use wse::{JsonArray, Server};

#[derive(Deserialize)]
struct Question {
    text: String,
}

struct Answer {
    text: String,
}

fn main() {
    let _ = Server::builder(JsonArray).procedure("ask", |_, question: Question| async move {
        wse::Ok(Answer { text: question.text })
    });
}
