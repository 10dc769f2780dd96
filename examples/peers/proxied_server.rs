//! A server for tests behind proxies: it listens on a port of its own, as behind nginx, and trusts the proxies of this
//! machine.
//!
//!     cargo run --example proxied_server -- --addr 127.0.0.1:4200
//!
//! | path | what is there |
//! | --- | --- |
//! | `/chat` | sessions; the procedures `echo`, and `address`, which tells the caller's |
//! | `/strict` | the same, and no proxy is trusted |
//! | `/events` | a stream of events, one each 500 ms |
//!
//! SIGTERM shuts it down: each connection is closed with 1001.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::{any, get};
use axum::serve::{Listener, ListenerExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wse::handshake::{ProxyNet, TrustedProxies};
use wse::sse::{Config, response};
use wse::{Accept, Hello, JsonArray, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let addr = match (args.next().as_deref(), args.next()) {
        (None, _) => "127.0.0.1:0".to_owned(),
        (Some("--addr"), Some(addr)) => addr,
        _ => return Err("usage: proxied_server [--addr HOST:PORT]".into()),
    };
    // The tests connect from other addresses of this machine, which are no proxies.
    let local: ProxyNet = "127.0.0.1/32".parse()?;
    let chat = server(TrustedProxies::from([local]));
    let strict = server(TrustedProxies::default());

    let app = Router::new()
        .route("/events", get(events))
        .merge(Router::new().route("/chat", any(upgrade)).with_state(chat.clone()))
        .merge(Router::new().route("/strict", any(upgrade)).with_state(strict.clone()));
    let listener = TcpListener::bind(addr).await?.tap_io(|io| {
        let _ = io.set_nodelay(true);
    });
    println!("listening on http://{}", listener.local_addr()?);
    let mut terminated = signal(SignalKind::terminate())?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::select! {
        served = axum::serve(listener, app) => served?,
        _ = terminated.recv() => {
            let grace = Duration::from_secs(5);
            tokio::join!(chat.shutdown(grace), strict.shutdown(grace));
        }
    }
    Ok(())
}

fn server(proxies: TrustedProxies) -> Server<JsonArray> {
    Server::builder(JsonArray)
        .connections_per_user(100)
        .trusted_proxies(proxies)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("echo", |_, text: String| async move { wse::Ok(text) })
        .procedure("address", |conn, (): ()| async move {
            let addr = conn.peer_addr().ok_or("the address is not known")?;
            wse::Ok(addr.ip().to_string())
        })
        .build()
}

async fn upgrade(
    State(server): State<Server<JsonArray>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    server.upgrade(request, Some(peer))
}

async fn events(request: Request) -> Response {
    let (stream, response) = match response(&request, &Config::default()) {
        Ok(accepted) => accepted,
        Err(rejection) => return rejection.to_response().map(Body::from),
    };
    tokio::spawn(async move {
        for number in 1_u64.. {
            if stream.send(number.to_string()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    response.map(Body::new)
}
