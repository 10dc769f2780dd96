//! A payload format in the place of a protocol.

use wse::{JsonFormat, Server};

fn main() {
    let _ = Server::builder(JsonFormat);
}
