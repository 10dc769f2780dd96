//! Shows a bare WebSocket on a route of an axum application, the same route for HTTP/1.1 and for HTTP/2.
//! It needs no crate of this project but wse-transport.
//!
//! ```text
//! $ cargo run --example axum_echo -- 127.0.0.1:4200
//! listening on ws://127.0.0.1:4200/echo
//! ```
//!
//! A client first gets the text `over HTTP/1.1`, then each of its messages back.

use axum::Router;
use axum::response::Response;
use axum::routing::any;
use axum::serve::{Listener, ListenerExt};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use wse_transport::upgrade::axum::WebSocketUpgrade;
use wse_transport::ws::{Config, Limits, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    // `any`: HTTP/1.1 upgrades with GET, HTTP/2 with CONNECT.
    let app = Router::new().route("/echo", any(echo));
    // Small frames must not wait for acknowledgements of earlier ones.
    let listener = TcpListener::bind(addr).await?.tap_io(|io| {
        let _ = io.set_nodelay(true);
    });
    println!("listening on ws://{}/echo", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    let version = upgrade.request().version();
    let limits = Limits::default().max_message(64 * 1024);
    upgrade.protocols(["echo"]).config(Config::default().limits(limits)).on_upgrade(
        move |mut socket| async move {
            let _ = socket.send(Message::text(format!("over {version:?}"))).await;
            while let Some(Ok(message)) = socket.next().await {
                if matches!(message, Message::Text(_) | Message::Binary(_))
                    && socket.send(message).await.is_err()
                {
                    break;
                }
            }
        },
    )
}
