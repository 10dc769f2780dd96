//! A wire format of your own: first only the envelope, with JSON payloads; then the payloads too.
//! The example counts its own lines, so that the promise stays true: at most 40 for an envelope, at
//! most 100 with a payload format.
//!
//! `cargo run --example custom_protocol`

use serde::{Deserialize, Serialize};
use wse_codecs::Json;
use wse_proto::{Protocol, Speaks};
use wse_transport::{Accept, Client, Hello, Server};

// [envelope]
use bytes::{BufMut, Bytes, BytesMut};
use wse_proto::{CodecError, Envelope, Format, Head, Opcode, Text};

/// `type|stamp|payload` as text, around payloads of any format.
#[derive(Clone, Debug)]
struct Pipes<F>(F);

impl<F: Format> Protocol for Pipes<F> {
    type Format = F;

    fn name(&self) -> &'static str {
        "example-pipes"
    }
    fn opcode(&self) -> Opcode {
        Opcode::Text
    }
    fn format(&self) -> F {
        self.0.clone()
    }
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let stamp = head.stamp().map(|stamp| stamp.to_text()).unwrap_or_default();
        out.put_slice(format!("{}|{stamp}|", head.kind(self.internal_types())).as_bytes());
        out.put_slice(payload);
    }
    fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
        let text = std::str::from_utf8(&message).map_err(|error| {
            CodecError::malformed("the message", "not UTF-8").with_source(error)
        })?;
        let mut parts = text.splitn(3, '|');
        let (Some(kind), Some(stamp), Some(payload)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(CodecError::malformed("the message", "not type|stamp|payload"));
        };
        let [kind, stamp] = [kind, stamp].map(|part| Text::slice_of(&message, part));
        let head = Head::from_parts(self.internal_types(), kind, Some(stamp.into()), 0)?;
        Ok(Envelope { head, payload: message.slice_ref(payload.as_bytes()) })
    }
}
// [/envelope]

// [format]
use wse_proto::{Decode, Encode, Fault, Hi};

/// Payloads as lines of text, without serde.
#[derive(Clone, Debug)]
struct Lines;

/// What can be written as lines.
trait Record: Sized {
    fn lines(&self) -> Vec<String>;
    fn from_lines(lines: &[&str]) -> Option<Self>;
}

impl<T: Record> Encode<T> for Lines {
    fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
        out.put_slice(value.lines().join("\n").as_bytes());
        Ok(())
    }
}

impl<T: Record> Decode<T> for Lines {
    fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
        let text = std::str::from_utf8(payload).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        T::from_lines(&lines).ok_or(CodecError::value("a payload", "not the record expected"))
    }
}

/// The session's own two payloads; their members are already lines.
impl Format for Lines {
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        out.put_slice(format!("{}\n", hi.identity.len()).as_bytes());
        out.put_slice(&hi.identity);
        out.put_slice(&hi.meta);
    }
    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let wrong = || CodecError::shape("the greeting", "not a length, identity and meta");
        let end = payload.iter().position(|byte| *byte == b'\n').ok_or_else(wrong)?;
        let len = std::str::from_utf8(&payload[..end]).ok().and_then(|len| len.parse().ok());
        let mut identity = payload.slice(end + 1..);
        let len = len.filter(|len| *len <= identity.len()).ok_or_else(wrong)?;
        let meta = identity.split_off(len);
        Ok(Hi { identity, meta })
    }
    fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
        let message = fault.message.as_deref().unwrap_or_default();
        out.put_slice(format!("{}\n{message}", fault.code).as_bytes());
    }
    fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
        let text = std::str::from_utf8(payload).unwrap_or_default();
        let (code, message) = text.split_once('\n').unwrap_or((text, ""));
        Ok(Fault::new(code).message(message))
    }
}
// [/format]

#[derive(Serialize, Deserialize)]
struct Add {
    a: i64,
    b: i64,
}

impl Record for Add {
    fn lines(&self) -> Vec<String> {
        vec![self.a.to_string(), self.b.to_string()]
    }
    fn from_lines(lines: &[&str]) -> Option<Self> {
        let [a, b] = lines else { return None };
        Some(Self { a: a.parse().ok()?, b: b.parse().ok()? })
    }
}

impl Record for i64 {
    fn lines(&self) -> Vec<String> {
        vec![self.to_string()]
    }
    fn from_lines(lines: &[&str]) -> Option<Self> {
        lines.first()?.parse().ok()
    }
}

impl Record for String {
    fn lines(&self) -> Vec<String> {
        vec![self.clone()]
    }
    fn from_lines(lines: &[&str]) -> Option<Self> {
        Some(lines.join("\n"))
    }
}

impl Record for () {
    fn lines(&self) -> Vec<String> {
        Vec::new()
    }
    fn from_lines(_: &[&str]) -> Option<Self> {
        Some(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("own envelope, JSON payloads: {}", app(Pipes(Json)).await?);
    println!("own envelope, own payloads:  {}", app(Pipes(Lines)).await?);

    let envelope = count("envelope");
    let both = envelope + count("format");
    println!("lines of code: {envelope} for the envelope, {both} with the format");
    assert!(envelope <= 40 && both <= 100);
    Ok(())
}

/// The same endpoints as for any shipped protocol.
async fn app<P>(protocol: P) -> Result<String, Box<dyn std::error::Error>>
where
    P: Protocol + Speaks<Add> + Speaks<i64> + Speaks<String> + Speaks<()>,
{
    let server = Server::builder(protocol.clone())
        .identify(|_, hello: Hello<String>| async move { Ok(Accept::user(hello.identity)) })
        .procedure("add", |_, Add { a, b }: Add| async move { Ok(a + b) })
        .bind("127.0.0.1:0")
        .await?;
    let url = server.url().ok_or("not listening")?;
    let client = Client::builder(protocol, url).identity("ann".to_owned()).connect().await?;
    let sum: i64 = client.call("add", &Add { a: 5, b: 3 }).await?;
    Ok(format!("5 + 3 = {sum}"))
}

/// Lines of code between the marks, without comments and blank lines.
fn count(part: &str) -> usize {
    let source = include_str!("custom_protocol.rs");
    let (_, rest) = source.split_once(&format!("// [{part}]\n")).expect("it begins");
    let (body, _) = rest.split_once(&format!("// [/{part}]")).expect("it ends");
    body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
