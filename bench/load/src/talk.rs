//! What is said over a connection: how it opens, what is asked, what the answer must be.

use crate::payload::{self, Rng};
use crate::{Args, die, net};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Talk {
    /// No WebSocket: what comes back are the frames as they were sent.
    Raw,
    /// WebSocket messages that come back.
    Echo,
    /// The same, compressed (RFC 7692); whether the server's compressor keeps its window.
    Deflate { takeover: bool },
    /// Calls of `add`, JSON arrays behind a greeting.
    Wse,
    /// Calls of `add`, JSON-RPC 2.0.
    JsonRpc,
    /// Calls of `add` with acknowledgements, Socket.IO 5 over Engine.IO 4.
    SocketIo,
}

/// A call's id has two digits, so that all requests and all answers have one length.
const FIRST_ID: usize = 10;
pub const MOST_CALLS: usize = 90;

impl Talk {
    pub fn parse(s: &str) -> Option<Self> {
        Some(match s {
            "raw" => Talk::Raw,
            "echo" => Talk::Echo,
            "deflate" => Talk::Deflate { takeover: true },
            "deflate-alone" => Talk::Deflate { takeover: false },
            "wse" => Talk::Wse,
            "jsonrpc" => Talk::JsonRpc,
            "socketio" => Talk::SocketIo,
            _ => return None,
        })
    }

    pub fn calls(self) -> bool {
        matches!(self, Talk::Wse | Talk::JsonRpc | Talk::SocketIo)
    }

    /// The `i`th request and its answer.
    pub fn call(self, i: usize) -> (String, String) {
        let id = FIRST_ID + i;
        match self {
            Talk::Wse => (
                format!(r#"["add",{{"a":1,"b":{id}}},"{id}"]"#),
                format!(r#"["~wse:response",{},"{id}"]"#, 1 + id),
            ),
            Talk::JsonRpc => (
                format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"add","params":{{"a":1,"b":{id}}}}}"#
                ),
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, 1 + id),
            ),
            Talk::SocketIo => {
                (format!(r#"42{id}["add",{{"a":1,"b":{id}}}]"#), format!("43{id}[{}]", 1 + id))
            }
            _ => unreachable!("an echo is no call"),
        }
    }

    /// What makes a broadcasting server send to everybody.
    pub fn go(self) -> &'static str {
        match self {
            Talk::Wse => r#"["go",null,null]"#,
            Talk::SocketIo => r#"42["go"]"#,
            _ => "go",
        }
    }

    /// Everything before the first message.
    pub fn open(self, fd: i32, a: &Args, i: usize) {
        if self == Talk::Raw {
            return;
        }
        let (path, headers) = self.upgrade();
        net::upgrade(fd, a, path, headers);
        match self {
            Talk::Wse => {
                say(fd, &format!(r#"["~wse:hi",{{"identity":"user-{i}","meta":null}},null]"#));
                expect(fd, r#"["~wse:welcome""#);
            }
            Talk::SocketIo => {
                expect(fd, "0{");
                say(fd, "40");
                // Its first ping may come before or behind the answer; there is no other for 25 s.
                let both = [hear(fd), hear(fd)];
                if !both.iter().any(|it| it == "2") || !both.iter().any(|it| it.starts_with("40")) {
                    die(format!("the server said {both:?}"));
                }
                say(fd, "3");
            }
            _ => {}
        }
    }

    /// The path and further headers of the upgrade request.
    pub fn upgrade(self) -> (&'static str, &'static str) {
        match self {
            Talk::Raw | Talk::Echo | Talk::JsonRpc => ("/", ""),
            // Without context takeover the generator can compress its messages before it measures.
            Talk::Deflate { takeover: true } => (
                "/",
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n",
            ),
            Talk::Deflate { takeover: false } => (
                "/",
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n",
            ),
            Talk::Wse => ("/", "Sec-WebSocket-Protocol: wse-default-json\r\n"),
            Talk::SocketIo => ("/socket.io/?EIO=4&transport=websocket", ""),
        }
    }
}

/// A text message, masked.
pub fn say(fd: i32, text: &str) {
    let mut frame = Vec::new();
    payload::frame(1, text.as_bytes(), &mut Rng(7), &mut frame);
    net::send_all(fd, &frame);
}

/// A message of less than 64 KiB: its first byte, and its payload. Pings may come before it.
pub fn receive(fd: i32) -> (u8, Vec<u8>) {
    loop {
        let (first, payload) = frame(fd);
        if first != PING {
            return (first, payload);
        }
    }
}

/// FIN and the opcode of a ping.
const PING: u8 = 0x89;

fn frame(fd: i32) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    net::recv_exact(fd, &mut head);
    let [first, mut len] = head.map(usize::from);
    if len == 126 {
        net::recv_exact(fd, &mut head);
        len = usize::from(u16::from_be_bytes(head));
    }
    let mut payload = vec![0; len];
    net::recv_exact(fd, &mut payload);
    (first as u8, payload)
}

/// A short text message.
fn hear(fd: i32) -> String {
    String::from_utf8_lossy(&receive(fd).1).into_owned()
}

/// A short text message that begins like this.
fn expect(fd: i32, start: &str) {
    let text = hear(fd);
    if !text.starts_with(start) {
        die(format!("the server said {text}"));
    }
}
