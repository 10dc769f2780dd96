//! Shows one protocol over a WebSocket, a TCP connection and a Unix socket: first its envelopes by themselves, then a
//! server and its clients. Without Unix sockets, their lines are missing.
//!
//! `cargo run --example framed` prints:
//!
//! ```text
//! == envelopes ==
//! websocket  ann says "hello", the other says "and hello to you"
//! tcp        ann says "hello", the other says "and hello to you"
//! unix       ann says "hello", the other says "and hello to you"
//! == endpoints ==
//! websocket  5 + 3 = 8
//! tcp        5 + 3 = 8
//! unix       5 + 3 = 8
//! by hand    ["~wse:hi",{"identity":"bob","meta":{}}] is answered by ["~wse:welcome",null,null]
//! ```

use std::error::Error;

use futures::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, LinesCodec};
use wse::ws::{Config, Role, WebSocket};
use wse::{
    Accept, Client, CodecError, Envelope, FramedError, Head, Hello, JsonArray, ProtocolCodec,
    Server,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    println!("== envelopes ==");
    let codec = ProtocolCodec::new(JsonArray);
    // The opening handshake is left out here: both ends know their role.
    let (near, far) = tcp().await?;
    let near = codec.clone().websocket(WebSocket::new(near, Role::Client, Config::default()));
    let far = codec.clone().websocket(WebSocket::new(far, Role::Server, Config::default()));
    println!("websocket  {}", talk(near, far).await?);
    let (near, far) = tcp().await?;
    println!("tcp        {}", talk_over(near, far, &codec).await?);
    #[cfg(unix)]
    {
        let (near, far) = tokio::net::UnixStream::pair()?;
        println!("unix       {}", talk_over(near, far, &codec).await?);
    }

    println!("== endpoints ==");
    let server = Server::builder(JsonArray)
        .connections_per_user(3)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("add", |_, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;
    println!("websocket  5 + 3 = {}", add(Client::builder(JsonArray, url)).await?);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let serving = server.clone();
    tokio::spawn(async move {
        loop {
            let (io, peer) = wse_transport::accept_tcp(&listener).await;
            tokio::spawn(serving.clone().serve_framed(io, Some(peer)));
        }
    });
    let client = Client::builder(JsonArray, format!("tcp://{addr}")).framed();
    println!("tcp        5 + 3 = {}", add(client).await?);

    #[cfg(unix)]
    {
        let path = std::env::temp_dir().join(format!("wse-framed-{}.sock", std::process::id()));
        let listener = tokio::net::UnixListener::bind(&path)?;
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                // Too many open files, for example: it passes.
                let Ok((io, _)) = listener.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                tokio::spawn(serving.clone().serve_framed(io, None));
            }
        });
        let client = Client::builder(JsonArray, format!("unix:{}", path.display())).framed();
        println!("unix       5 + 3 = {}", add(client).await?);
        std::fs::remove_file(&path)?;
    }

    // A text protocol is lines, which `nc` can write too.
    let mut lines = Framed::new(TcpStream::connect(addr).await?, LinesCodec::new());
    let hi = r#"["~wse:hi",{"identity":"bob","meta":{}}]"#;
    lines.send(hi).await?;
    let welcome = lines.next().await.ok_or("closed")??;
    println!("by hand    {hi} is answered by {welcome}");
    Ok(())
}

/// Greets, calls, and closes: the same over every connection.
async fn add(client: wse::ClientBuilder<JsonArray>) -> Result<i64> {
    let client = client.identity("ann".to_owned()).connect().await?;
    let sum = client.call("add", &(5, 3)).await?;
    client.close();
    client.closed().await;
    Ok(sum)
}

/// Two ends of a byte stream, each with the codec.
async fn talk_over<T>(near: T, far: T, codec: &ProtocolCodec<JsonArray>) -> Result<String>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    talk(Framed::new(near, codec.clone()), Framed::new(far, codec.clone())).await
}

/// One message each way. It does not see what the envelopes travel over.
async fn talk<S>(mut near: S, mut far: S) -> Result<String>
where
    S: Stream<Item = std::result::Result<std::result::Result<Envelope, CodecError>, FramedError>>
        + Sink<Envelope, Error = FramedError>
        + Unpin,
{
    let say = |text: &'static str| Envelope { head: Head::message("say"), payload: text.into() };
    near.send(say("\"hello\"")).await?;
    let said = far.next().await.ok_or("closed")???;
    far.send(say("\"and hello to you\"")).await?;
    let answer = near.next().await.ok_or("closed")???;
    let text = |envelope: Envelope| String::from_utf8_lossy(&envelope.payload).into_owned();
    Ok(format!("ann says {}, the other says {}", text(said), text(answer)))
}

async fn tcp() -> std::io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    Ok((near, listener.accept().await?.0))
}
