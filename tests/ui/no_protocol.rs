//! A payload format where a protocol is asked for.

use wse_codecs::Json;
use wse_transport::Server;

fn main() {
    let _ = Server::builder(Json);
}
