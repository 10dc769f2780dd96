//! Shows a server inside an axum application: HTTP routes as usual, and a WebSocket route that the server takes over.
//!
//! ```text
//! $ cargo run --example axum_mount -- 127.0.0.1:4200
//! listening on ws://127.0.0.1:4200/chat
//!
//! $ curl http://127.0.0.1:4200/
//! 0 users are connected to /chat
//! ```

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use axum::serve::{Listener, ListenerExt};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use wse::{Accept, Cbor, Hello, JsonArray, Negotiated, Server};

type Chat = Server<Negotiated<(JsonArray, Cbor)>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let chat: Chat = Server::builder(Negotiated::new((JsonArray, Cbor)))
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("shout", |_, text: String| async move { wse::Ok(text.to_uppercase()) })
        .build();

    let app = Router::new()
        .route(
            "/",
            get(|State(chat): State<Chat>| async move {
                format!("{} users are connected to /chat\n", chat.users().len())
            }),
        )
        .route("/chat", any(upgrade))
        .with_state(chat);
    // Small messages must not wait for acknowledgements of earlier ones.
    let listener = TcpListener::bind(addr).await?.tap_io(|io| {
        let _ = io.set_nodelay(true);
    });
    println!("listening on ws://{}/chat", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn upgrade(
    State(chat): State<Chat>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    chat.upgrade(request, Some(peer))
}
