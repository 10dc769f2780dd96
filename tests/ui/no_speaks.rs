//! A function for any protocol that does not say what the protocol must carry.

use wse::{Client, Negotiate, SendError};

fn greet<P: Negotiate>(client: &Client<P>) -> Result<(), SendError> {
    client.send("greet", &"hello".to_owned())
}

fn main() {
    let _ = greet::<wse::JsonArray>;
}
