//! A client as WHATWG HTML §9.2 has it, which shares no code with the server: what it says about the
//! stream is what a browser's script would see.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a script is told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub name: String,
    pub data: String,
    pub last_event_id: String,
}

/// An event as most are.
pub fn heard(name: &str, data: &str, last_event_id: &str) -> Heard {
    Heard { name: name.into(), data: data.into(), last_event_id: last_event_id.into() }
}

/// §9.2.6, for bytes that come in pieces.
#[derive(Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    after_first_line: bool,
    name: String,
    data: String,
    id: String,
    pub last_event_id: String,
    pub retry: Option<u64>,
    pub comments: Vec<String>,
    pub events: Vec<Heard>,
}

impl Parser {
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let is_second_half = std::mem::take(&mut self.after_cr) && byte == b'\n';
            match byte {
                _ if is_second_half => {}
                b'\r' | b'\n' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.line(&String::from_utf8_lossy(&line));
                }
                byte => self.line.push(byte),
            }
        }
    }

    fn line(&mut self, line: &str) {
        let is_first = !std::mem::replace(&mut self.after_first_line, true);
        let line = if is_first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.comments.push(value.to_owned()),
            "event" => self.name = value.to_owned(),
            "data" => self.data += &format!("{value}\n"),
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|it| it.is_ascii_digit()) => {
                self.retry = Some(value.parse().unwrap());
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id.clone_from(&self.id);
        let (mut data, mut name) = (std::mem::take(&mut self.data), std::mem::take(&mut self.name));
        if data.pop().is_none() {
            return;
        }
        if name.is_empty() {
            name = "message".to_owned();
        }
        self.events.push(Heard { name, data, last_event_id: self.last_event_id.clone() });
    }
}

/// How a response goes on after its head, and whether it came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The last chunk came, or the connection ended where nothing else says so.
    Whole,
    /// The connection ended before the last chunk, or was reset.
    Broken,
}

/// A browser's end of a connection.
pub struct Browser<T> {
    pub io: T,
    pub head: String,
    pub parser: Parser,
    chunked: bool,
    /// Read and not yet understood.
    rest: Vec<u8>,
    ended: Option<Ending>,
}

pub fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n{fields}\r\n")
}

impl<T: AsyncRead + AsyncWrite + Unpin> Browser<T> {
    /// Sends a request and reads the head of the response.
    pub async fn open(mut io: T, request: &str) -> Self {
        io.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(io.read_u8().await.expect("a whole head"));
        }
        let head = String::from_utf8(head).unwrap();
        let chunked = head.contains("\r\ntransfer-encoding: chunked\r\n");
        let parser = Parser::default();
        Self { io, head, parser, chunked, rest: Vec::new(), ended: None }
    }

    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The value of a field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The next event, or how the stream ended.
    pub async fn next(&mut self) -> Result<Heard, Ending> {
        loop {
            if !self.parser.events.is_empty() {
                return Ok(self.parser.events.remove(0));
            }
            self.read().await?;
        }
    }

    /// Reads once from the connection.
    pub async fn read(&mut self) -> Result<(), Ending> {
        if let Some(ending) = self.ended {
            return Err(ending);
        }
        let mut some = vec![0; 8192];
        let read = self.io.read(&mut some).await;
        let Ok(len @ 1..) = read else {
            let whole = read.is_ok() && !self.chunked;
            let ending = if whole { Ending::Whole } else { Ending::Broken };
            self.ended = Some(ending);
            return Err(ending);
        };
        self.rest.extend_from_slice(&some[..len]);
        if !self.chunked {
            self.parser.push(&std::mem::take(&mut self.rest));
            return Ok(());
        }
        while let Some(end) = self.rest.windows(2).position(|it| it == b"\r\n") {
            let size = std::str::from_utf8(&self.rest[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            let Some(chunk) = self.rest.get(end + 2..end + 2 + size + 2) else { break };
            assert_eq!(&chunk[size..], b"\r\n");
            if size == 0 {
                self.ended = Some(Ending::Whole);
            }
            self.parser.push(&chunk[..size]);
            self.rest.drain(..end + 2 + size + 2);
        }
        Ok(())
    }
}
