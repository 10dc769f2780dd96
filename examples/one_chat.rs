//! Shows one server with one port and one set of handlers, and clients of five wire formats in one chat: a browser,
//! scripts, and the JSON-RPC client of another crate. Each receives what the others say in its own format.
//!
//! ```text
//! $ cargo run --example one_chat
//! here: browser, jsonrpsee, script
//!
//! script says: MessagePack, in binary
//!     browser    hears script: MessagePack, in binary
//!     jsonrpsee  hears script: MessagePack, in binary
//!     script     hears script: MessagePack, in binary
//!
//! ... two more lines, by the browser and by jsonrpsee
//! 3 clients, 3 formats, 3 lines: all heard all
//!
//! $ cargo run --example one_chat -- --addr 127.0.0.1:4200
//! listening on http://127.0.0.1:4200
//! ```
//!
//! With `--addr` it serves until it is stopped: open `http://127.0.0.1:4200/?name=ann` in a browser.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{Html, Response};
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use jsonrpsee::core::client::{ClientT, SubscriptionClientT};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{HeaderMap, HeaderValue, WsClient, WsClientBuilder};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wse::{Accept, Client, Close, Hello, IdentityFrom, Refuse, Server};
use wse::{Cbor, JsonArray, JsonRpc, MessagePack, Negotiated, Protobuf, Speaks};

/// What a client says. It derives for every format: serde for four of them, prost for protobuf.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Say {
    #[prost(string, tag = "1")]
    text: String,
}

/// What all clients receive.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Said {
    #[prost(string, tag = "1")]
    by: String,
    #[prost(string, tag = "2")]
    text: String,
}

/// Who is there.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Names {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

/// A client gets the first of these that it offers in `Sec-WebSocket-Protocol`. JSON-RPC has no subprotocol: it fits
/// every offer, and clients that offer nothing. So it stands last. A second protocol without a subprotocol
/// (`WsProcessor` is one) would never be selected.
type Formats = Negotiated<(JsonArray, Cbor, MessagePack, Protobuf, JsonRpc)>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

const PAGE: &str = r#"<!doctype html>
<meta charset="utf-8">
<title>One chat</title>
<pre id="lines"></pre>
<form id="form"><input id="text" autocomplete="off" autofocus> <button>say</button></form>
<script>
  const name = new URLSearchParams(location.search).get('name') || 'somebody'
  const url = `${location.protocol.replace('http', 'ws')}//${location.host}/chat`
  const ws = new WebSocket(url, 'wse-default-json')
  const send = (...message) => ws.send(JSON.stringify(message))
  const show = (line) => { document.getElementById('lines').textContent += `${line}\n` }
  ws.onopen = () => send('~wse:hi', { identity: name }, null)
  ws.onmessage = ({ data }) => {
    const [type, payload] = JSON.parse(data)
    if (type === '~wse:welcome') show(`you are ${name}`)
    if (type === 'said') show(`${payload.by}: ${payload.text}`)
  }
  ws.onclose = ({ code, reason }) => show(`closed: ${code} ${reason}`)
  document.getElementById('form').onsubmit = (event) => {
    const text = document.getElementById('text')
    send('say', { text: text.value }, null)
    text.value = ''
    event.preventDefault()
  }
</script>
"#;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["--demo"] => demo().await,
        ["--addr", addr] => {
            let listener = TcpListener::bind(addr).await?;
            println!("listening on http://{}", listener.local_addr()?);
            serve(listener).await
        }
        _ => Err("usage: one_chat [--demo | --addr HOST:PORT]".into()),
    }
}

/// The whole chat. No line of it depends on the format.
fn chat() -> Server<Formats> {
    let formats = (JsonArray, Cbor, MessagePack, Protobuf, JsonRpc::new());
    Server::builder(Negotiated::new(formats))
        .connections_per_user(3)
        // JSON-RPC has no greeting. The identity of such a client comes from its HTTP request.
        .identity_from([IdentityFrom::bearer(), IdentityFrom::query("name")])
        .identify(|hello: Hello<String>| async move {
            match hello.identity.trim() {
                "" => Err(Refuse::with(Close::new(4022, "say who you are"))),
                name => Ok(Accept::user(name)),
            }
        })
        .on("say", |conn, Say { text }: Say| async move {
            let said = Said { by: conn.user_id().to_owned(), text };
            conn.server().all().send("said", &said).map(drop)
        })
        .procedure("who", |conn, (): ()| async move {
            let users = conn.server().users();
            let mut names: Vec<_> = users.iter().map(|user| user.id().to_owned()).collect();
            names.sort();
            wse::Ok(Names { names })
        })
        .build()
}

/// Serves the page and the chat.
async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/chat", any(upgrade))
        .with_state(chat());
    // Small messages must not wait for acknowledgements of earlier ones.
    let listener = listener.tap_io(|io| {
        let _ = io.set_nodelay(true);
    });
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

async fn upgrade(
    State(chat): State<Server<Formats>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    chat.upgrade(request, Some(peer))
}

/// The client that received it, and what it received.
type Heard = (&'static str, Said);

/// Three clients speak, one after the other. All of them must receive every line.
async fn demo() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/chat", listener.local_addr()?);
    tokio::spawn(serve(listener));

    let (ears, mut heard) = mpsc::unbounded_channel::<Heard>();
    let script = join(MessagePack, &url, "script", ears.clone()).await?;
    let browser = join(JsonArray, &url, "browser", ears.clone()).await?;
    let rpc = join_rpc(&url, "jsonrpsee", ears).await?;
    let Names { names } = script.call("who", &()).await?;
    println!("here: {}\n", names.join(", "));

    script.send("say", &Say { text: "MessagePack, in binary".to_owned() })?;
    all_hear(&mut heard, "script", "MessagePack, in binary").await?;
    browser.send("say", &Say { text: "an array of JSON, as in a browser".to_owned() })?;
    all_hear(&mut heard, "browser", "an array of JSON, as in a browser").await?;
    let mut params = ObjectParams::new();
    params.insert("text", "JSON-RPC 2.0, by jsonrpsee")?;
    rpc.notification("say", params).await?;
    all_hear(&mut heard, "jsonrpsee", "JSON-RPC 2.0, by jsonrpsee").await?;

    println!("3 clients, 3 formats, 3 lines: all heard all");
    Ok(())
}

/// A client of this crate, in any format that can carry the chat.
async fn join<P>(
    protocol: P,
    url: &str,
    name: &'static str,
    ears: mpsc::UnboundedSender<Heard>,
) -> Result<Client<P>, Failure>
where
    P: Speaks<Say> + Speaks<Said> + Speaks<Names> + Speaks<String> + Speaks<()>,
{
    let client = Client::builder(protocol, url)
        .identity(name.to_owned())
        .on("said", move |_, said: Said| {
            let _ = ears.send((name, said));
            async {}
        })
        .connect()
        .await?;
    Ok(client)
}

/// A client of another crate, which only knows JSON-RPC.
async fn join_rpc(
    url: &str,
    name: &'static str,
    ears: mpsc::UnboundedSender<Heard>,
) -> Result<WsClient, Failure> {
    let bearer = HeaderValue::from_str(&format!("Bearer {name}"))?;
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
    let client: WsClient = WsClientBuilder::default().set_headers(headers).build(url).await?;
    let mut said = client.subscribe_to_method::<Said>("said").await?;
    tokio::spawn(async move {
        while let Some(Ok(said)) = said.next().await {
            let _ = ears.send((name, said));
        }
    });
    // There is no welcome: an answer to this shows that the server accepted the connection.
    let _: Names = client.request("who", rpc_params![]).await?;
    Ok(client)
}

/// Waits until all three have heard what was said.
async fn all_hear(
    heard: &mut mpsc::UnboundedReceiver<Heard>,
    by: &str,
    text: &str,
) -> Result<(), Failure> {
    println!("{by} says: {text}");
    let mut names = Vec::new();
    for _ in 0..3 {
        let next = timeout(Duration::from_secs(10), heard.recv()).await;
        let (name, said) =
            next.map_err(|_| "not all have heard it")?.ok_or("the clients have ended")?;
        if said != (Said { by: by.to_owned(), text: text.to_owned() }) {
            return Err(format!("{name} heard {said:?}").into());
        }
        names.push(name);
    }
    names.sort_unstable();
    for name in &names {
        println!("    {name:<10} hears {by}: {text}");
    }
    println!();
    match names[..] {
        ["browser", "jsonrpsee", "script"] => Ok(()),
        _ => Err(format!("it was heard by {names:?}").into()),
    }
}
