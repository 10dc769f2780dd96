//! Shows sessions without endpoints and without sockets. `session/mod.rs` drives both sides with the same code, over
//! channels. The server calls its client, and a heartbeat notices a peer that falls silent.
//!
//! `cargo run --example session_memory` prints, and the same again for CBOR:
//!
//! ```text
//! == wse-default-json ==
//! server greeted by ann
//! client welcome: hi, ann
//! server note: good morning
//! client has the receipt
//! client called: QUIET
//! server called: AND BACK
//! server called in vain: the peer answered with a fault: wse.server.rp.not-registered
//! client closed: 1000 wse.by-client; pings were answered: true
//! server closed: 1000 wse.by-client; pings were answered: true
//!
//! == silence ==
//! client Liveness(Late)
//! client closed: 1006 wse.heartbeat-timeout
//! ```

mod session;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::channel::mpsc as channels;
use session::{App, Command, Failure, Frame, Handle, drive};
use tokio::sync::mpsc;
use tokio::time::sleep;
use wse::session::{Close, Event, Heartbeat, Session, SessionLimits};
use wse::{
    Cbor, CloseReason, CodecError, Decode, Encode, ErrorCode, Fault, Hi, JsonArray, Protocol,
};

/// Often and for a short time, as suits a short program.
const HEARTBEAT: Heartbeat =
    Heartbeat::fixed(Duration::from_millis(20), Duration::from_millis(1000));

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    conversation(JsonArray).await?;
    conversation(Cbor).await?;
    silence().await
}

/// A protocol that carries texts.
trait Text: Protocol<Format: Encode<String> + Decode<String>> {}
impl<P: Protocol<Format: Encode<String> + Decode<String>>> Text for P {}

/// One side, which prints what it gets: what it is called, and how it writes.
struct Side<P> {
    name: &'static str,
    protocol: P,
}

impl<P: Text> App for Side<P> {
    fn greeted(&mut self, hi: &Hi) -> Option<Bytes> {
        let identity: String = self.protocol.format().decode(&hi.identity).ok()?;
        println!("{} greeted by {identity}", self.name);
        encoded(&self.protocol, &format!("hi, {identity}")).ok()
    }

    fn message(&mut self, name: &str, payload: Bytes) {
        match self.protocol.format().decode(&payload) {
            Ok(text) => println!("{} {name}: {text}", self.name),
            Err(error) => println!("{} {name}: {error}", self.name),
        }
    }

    fn call(&mut self, name: &str, payload: Bytes) -> Result<Bytes, Fault> {
        let text = self.protocol.format().decode(&payload);
        let text: String = text.map_err(|_| Fault::new(ErrorCode::InvalidPayload))?;
        match name {
            "shout" => encoded(&self.protocol, &text.to_uppercase())
                .map_err(|error| Fault::failed(error.to_string())),
            _ => Err(Fault::new(ErrorCode::NotRegistered)),
        }
    }

    fn other(&mut self, event: Event) {
        match event {
            Event::Ready { welcome } => self.message("welcome", welcome),
            event => println!("{} {event:?}", self.name),
        }
    }
}

fn encoded<P: Text>(protocol: &P, text: &String) -> Result<Bytes, CodecError> {
    let mut out = BytesMut::new();
    protocol.format().encode(text, &mut out)?;
    Ok(out.freeze())
}

fn sessions<P: Text>(protocol: &P) -> Result<[Session; 2], Failure> {
    let hi =
        Hi { identity: encoded(protocol, &"ann".to_owned())?, meta: Bytes::new(), resume: None };
    let info = protocol.info();
    let hi = info.has_greeting().then_some(hi);
    let deadline = Some(Duration::from_secs(10));
    let client = Session::client(info, hi, SessionLimits::default());
    let server = Session::server(info, deadline, SessionLimits::default());
    // A server of many clients gives each a jitter of its own.
    Ok([client, server].map(|side| side.with_heartbeat(HEARTBEAT, None, Duration::ZERO, 0.5)))
}

async fn conversation<P: Text>(protocol: P) -> Result<(), Failure> {
    println!("== {} ==", protocol.info().name());
    let [client, server] = sessions(&protocol)?;
    let (to_server, from_client) = channels::channel(16);
    let (to_client, from_server) = channels::channel(16);
    let side = |name| Side { name, protocol: protocol.clone() };
    let ((ann, ann_does), (remote, remote_does)) = (mpsc::channel(16), mpsc::channel(16));
    let [ann, remote] =
        [ann, remote].map(|commands| Handle { format: protocol.format().clone(), commands });

    let client = drive(protocol.clone(), client, side("client"), ann_does, from_server, to_server);
    let server =
        drive(protocol.clone(), server, side("server"), remote_does, from_client, to_client);
    let talk = async {
        ann.send("note", &"good morning".to_owned()).await?;
        println!("client has the receipt");
        let loud: String = ann.call("shout", &"quiet".to_owned()).await?;
        println!("client called: {loud}");
        let loud: String = remote.call("shout", &"and back".to_owned()).await?;
        println!("server called: {loud}");
        if let Err(fault) = remote.call::<_, String>("whisper", &String::new()).await {
            println!("server called in vain: {fault}");
        }
        sleep(Duration::from_millis(200)).await;
        ann.commands.send(Command::Close(Close::normal(CloseReason::ByClient))).await?;
        Ok::<_, Failure>(())
    };
    let (client, server, talk) = tokio::join!(client, server, talk);
    talk?;
    for (name, (close, liveness)) in [("client", client), ("server", server)] {
        let answered = liveness.map_or(0, |it| it.pongs);
        println!("{name} closed: {close}; pings were answered: {}", answered > 1);
    }
    println!();
    Ok(())
}

/// A server that accepts no client and sends nothing: its ends of the channels are kept open, and that is all.
async fn silence() -> Result<(), Failure> {
    println!("== silence ==");
    let [client, _] = sessions(&JsonArray)?;
    let heartbeat = Heartbeat::fixed(Duration::from_millis(20), Duration::from_millis(100));
    let client = client.with_heartbeat(heartbeat, None, Duration::ZERO, 0.0);
    let (to_server, _unread) = channels::channel(64);
    let (_unsaid, from_server) = channels::channel::<Frame>(1);
    let (_ann, ann_does) = mpsc::channel(1);
    let side = Side { name: "client", protocol: JsonArray };
    let (close, _) = drive(JsonArray, client, side, ann_does, from_server, to_server).await;
    println!("client closed: {close}");
    Ok(())
}
