//! Endpoints over byte streams in memory, and peers that write lines.

use std::io;

use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_util::codec::{Framed, LinesCodec};
use wse::{Client, ClientBuilder, Connector, Negotiate, Server, Transport};

use super::endpoints::{Talk, ms};

/// A URL for clients whose connector does not look at it.
pub const URL: &str = "tcp://memory:1";

/// Gives clients byte streams to a server, which hold so many bytes.
struct Memory<P: Negotiate>(Server<P>, usize);

#[async_trait]
impl<P: Negotiate> Connector for Memory<P> {
    async fn connect(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Transport>> {
        let (near, far) = tokio::io::duplex(self.1);
        tokio::spawn(self.0.clone().serve_framed(far, None));
        Ok(Box::new(near))
    }
}

/// One end of a byte stream to a server, and the task that serves it.
pub fn serve<P: Negotiate>(server: &Server<P>) -> (DuplexStream, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    (near, tokio::spawn(server.clone().serve_framed(far, None)))
}

/// A framed client of `server`, to be connected as `user`.
pub fn client<P: Talk>(protocol: &P, server: &Server<P>, user: &str) -> ClientBuilder<P> {
    narrow_client(protocol, server, user, 64 * 1024)
}

/// As [`client`], over a byte stream that holds so many bytes.
pub fn narrow_client<P: Talk>(
    protocol: &P,
    server: &Server<P>,
    user: &str,
    bytes: usize,
) -> ClientBuilder<P> {
    Client::builder(protocol.clone(), URL)
        .framed()
        .connector(Memory(server.clone(), bytes))
        .identity(format!("secret of {user}"))
}

/// A peer that writes and reads lines.
pub struct Lines(pub Framed<DuplexStream, LinesCodec>);

impl Lines {
    pub fn over(io: DuplexStream) -> Self {
        Self(Framed::new(io, LinesCodec::new()))
    }

    /// A peer of the server that has not greeted.
    pub fn to<P: Negotiate>(server: &Server<P>) -> Self {
        Self::over(serve(server).0)
    }

    /// A peer of the server that has greeted, and was welcomed.
    pub async fn user<P: Negotiate>(server: &Server<P>, user: &str) -> Self {
        let mut lines = Self::to(server);
        lines.greet(user).await;
        assert_eq!(lines.hear().await, super::endpoints::welcome(user));
        lines
    }

    pub async fn greet(&mut self, user: &str) {
        self.say(&format!(r#"["~wse:hi",{{"identity":"secret of {user}","meta":{{}}}}]"#)).await;
    }

    pub async fn say(&mut self, line: &str) {
        self.0.send(line).await.unwrap();
    }

    /// The next line, or `end`.
    pub async fn hear(&mut self) -> String {
        match self.0.next().await {
            Some(Ok(line)) => line,
            Some(Err(error)) => format!("failed: {error}"),
            None => "end".to_owned(),
        }
    }

    /// The lines that arrive without time passing.
    pub async fn hear_all(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(line) = tokio::time::timeout(ms(1), self.hear()).await {
            let end = line == "end";
            heard.push(line);
            if end {
                break;
            }
        }
        heard
    }
}
