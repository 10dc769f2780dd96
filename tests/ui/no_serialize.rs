//! A payload without `Serialize`, over JSON.

use serde::Deserialize;
use wse_codecs::JsonArray;
use wse_transport::Server;

#[derive(Deserialize)]
struct Question {
    text: String,
}

struct Answer {
    text: String,
}

fn main() {
    let _ = Server::builder(JsonArray).procedure("ask", |_, question: Question| async move {
        Ok(Answer { text: question.text })
    });
}
