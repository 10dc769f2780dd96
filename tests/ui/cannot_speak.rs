//! A type that the protocol of the application cannot carry.

use wse::{Client, JsonArray, Speaks};

struct Point;

fn draw<P: Speaks<Point>>(_client: &Client<P>) {}

fn main() {
    let _ = draw::<JsonArray>;
}
