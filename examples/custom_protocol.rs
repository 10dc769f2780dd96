//! A wire format of your own: first only the envelope, around JSON payloads; then the payloads too. The example tests
//! both with `testing::check`, runs the same endpoints over both, and counts its own lines: at most 40 for an envelope,
//! at most 100 with a payload format.
//!
//! ```text
//! $ cargo run --example custom_protocol
//! own envelope, JSON payloads: 5 + 3 = 8
//! own envelope, own payloads:  5 + 3 = 8
//! lines of code: 39 for the envelope, 85 with the format
//! ```
//!
//! `docs/custom-protocol.md` is the guide to it.

use serde::{Deserialize, Serialize};
use wse::{Accept, Client, Hello, JsonFormat, Server, Speaks, testing};

// [envelope]
use bytes::{BufMut, Bytes, BytesMut};
use wse::{Capabilities, CodecError, Envelope, Format, Head, Packed, Protocol, ProtocolInfo};

const INFO: ProtocolInfo =
    ProtocolInfo::text("example-lengths").capabilities(Capabilities::CONVENTION);

/// `3 2 0 750 adds1{"a":5}`: the lengths of type and stamp, flags, milliseconds; then type, stamp and payload.
#[derive(Clone, Debug)]
struct Lengths<F>(F);

impl<F: Format> Protocol for Lengths<F> {
    type Format = F;

    fn info(&self) -> ProtocolInfo {
        INFO
    }
    fn format(&self) -> &F {
        &self.0
    }
    fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
        let kind = head.kind(INFO.types());
        let stamp = head.stamp().map(|stamp| stamp.to_text()).unwrap_or_default();
        let timeout = head.timeout().map_or(0, |millis| millis.get());
        let numbers = format!("{} {} {} {timeout} ", kind.len(), stamp.len(), head.flags());
        out.put_slice(format!("{numbers}{kind}{stamp}").as_bytes());
        out.put_slice(payload);
    }
    fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
        let text = message.text()?;
        let read = || {
            let mut parts = text.splitn(5, ' ');
            let mut number = || parts.next()?.parse::<u32>().ok();
            let [kind, stamp, flags, timeout] = [number()?, number()?, number()?, number()?];
            let (kind, rest) = parts.next()?.split_at_checked(kind as usize)?;
            let (stamp, payload) = rest.split_at_checked(stamp as usize)?;
            Some((kind, stamp, flags, timeout, payload))
        };
        let cut_off = CodecError::malformed("the message", "a part is missing");
        let (kind, stamp, flags, timeout, payload) = read().ok_or(cut_off)?;
        let stamp = Some(text.part(stamp).into());
        let head = Head::from_parts(INFO.types(), text.part(kind), stamp, flags)?;
        Ok(Envelope { head: head.with_timeout(timeout), payload: text.slice(payload) })
    }
}
// [/envelope]

// [format]
use wse::{Decode, Encode, Fault, Hi};

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
        T::from_lines(&lines).ok_or(CodecError::value("the payload", "not the record expected"))
    }
}

/// The two payloads of the session itself. Their members are already lines.
impl Format for Lines {
    fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
        out.put_slice(format!("{}\n", hi.identity.len()).as_bytes());
        out.put_slice(&hi.identity);
        out.put_slice(&hi.meta);
    }
    fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
        let read = || {
            let end = payload.iter().position(|byte| *byte == b'\n')?;
            let len: usize = std::str::from_utf8(&payload[..end]).ok()?.parse().ok()?;
            let mut identity = payload.slice(end + 1..);
            let meta = (len <= identity.len()).then(|| identity.split_off(len))?;
            Some(Hi { identity, meta, resume: None })
        };
        read().ok_or(CodecError::shape("the greeting", "not a length, identity and meta"))
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
    // In a project of your own these two lines are a test.
    testing::check(&Lengths(JsonFormat)).assert_ok();
    testing::check(&Lengths(Lines)).assert_ok();

    println!("own envelope, JSON payloads: {}", app(Lengths(JsonFormat)).await?);
    println!("own envelope, own payloads:  {}", app(Lengths(Lines)).await?);

    let envelope = count("envelope");
    let both = envelope + count("format");
    println!("lines of code: {envelope} for the envelope, {both} with the format");
    assert!(envelope <= 40 && both <= 100);
    Ok(())
}

/// The same endpoints as over any shipped protocol.
async fn app<P>(protocol: P) -> Result<String, Box<dyn std::error::Error>>
where
    P: Protocol + Speaks<Add> + Speaks<i64> + Speaks<String> + Speaks<()>,
{
    let server = Server::builder(protocol.clone())
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("add", |_conn, Add { a, b }: Add| async move { wse::Ok(a + b) })
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
    let (_, rest) = source.split_once(&format!("// [{part}]\n")).expect("the part begins");
    let (body, _) = rest.split_once(&format!("// [/{part}]")).expect("the part ends");
    body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
