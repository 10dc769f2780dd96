//! The client for interop tests: it checks a server written in another language. The servers are
//! `tests/interop/js/server.mjs` and `tests/interop/python/server.py`.
//!
//! `cargo run --example interop_client -- --url ws://127.0.0.1:4200 --protocol cbor [--challenge] [--ca FILE]
//! [--proxy URL]`

#[path = "interop/custom.rs"]
mod custom;
#[path = "interop/value.rs"]
#[allow(dead_code)] // the server uses the rest
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use wse::{
    Backoff, BoxError, CallError, Cbor, Client, ClientBuilder, Close, CloseReason, ConnectError,
    ErrorCode, Fault, JsonArray, Negotiate, Protobuf, Protocol, Speaks, Status,
};
use wse::{proxy::Proxy, tls::ClientTls};

use custom::Custom;
use value::{Value, map};

type Failure = BoxError;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Fails the check it stands in, and says how.
macro_rules! check {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) if left == right => {}
            (left, right) => return Err(format!("{left:?} is not {right:?}").into()),
        }
    };
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut url, mut protocol, mut challenge) = (String::new(), String::new(), false);
    let (mut tls, mut proxy) = (None, None);
    use lexopt::prelude::*;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("url") => url = args.value()?.parse()?,
            Long("protocol") => protocol = args.value()?.parse()?,
            Long("challenge") => challenge = true,
            Long("ca") => {
                let authority = std::fs::read(args.value()?)?;
                tls = Some(ClientTls::builder().ca_pem(authority).build()?);
            }
            Long("proxy") => proxy = Some(Proxy::new(&args.value()?.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    let proxy = match (proxy, &tls) {
        (Some(proxy), Some(tls)) => Some(proxy.tls(tls.clone())),
        (proxy, _) => proxy,
    };
    let failed = match protocol.as_str() {
        "json" => Peer { protocol: JsonArray, url, tls, proxy, challenge }.check_all().await,
        "cbor" => Peer { protocol: Cbor, url, tls, proxy, challenge }.check_all().await,
        "protobuf" => Peer { protocol: Protobuf, url, tls, proxy, challenge }.check_all().await,
        "custom" => Peer { protocol: Custom, url, tls, proxy, challenge }.check_all().await,
        other => return Err(format!("unknown protocol {other:?}").into()),
    };
    std::process::exit(i32::from(failed > 0));
}

/// The server under test.
struct Peer<P> {
    protocol: P,
    url: String,
    tls: Option<ClientTls>,
    proxy: Option<Proxy>,
    challenge: bool,
}

impl<P: Protocol + Speaks<Value>> Peer<P> {
    async fn check_all(self) -> u32 {
        let mut outcomes = (0, 0);
        macro_rules! run {
            ($($check:ident),+ $(,)?) => {$(
                let done = tokio::time::timeout(PATIENCE, self.$check()).await;
                match done.unwrap_or_else(|_| Err("it hangs".into())) {
                    Ok(()) => {
                        outcomes.0 += 1;
                        println!("ok - {}: {}", self.protocol.info().name(), stringify!($check));
                    }
                    Err(error) => {
                        outcomes.1 += 1;
                        println!("not ok - {}: {}: {error}", self.protocol.info().name(), stringify!($check));
                    }
                }
            )+};
        }
        run!(
            welcome_and_identity,
            refusal,
            challenge_without_a_solver,
            values_come_back,
            calls_overtake_each_other,
            faults,
            calls_of_the_server,
            late_and_stray_replies,
            closed_and_vanished_connections,
            messages_and_broadcasts,
            eviction,
            reconnects,
            jumps,
        );
        println!("{} passed, {} failed", outcomes.0, outcomes.1);
        outcomes.1
    }

    fn without_solver(&self) -> ClientBuilder<P> {
        let builder = Client::builder(self.protocol.clone(), &self.url).call_timeout(PATIENCE);
        let builder = match &self.tls {
            Some(tls) => builder.tls(tls.clone()),
            None => builder,
        };
        match &self.proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        }
    }

    fn builder(&self) -> ClientBuilder<P> {
        let builder = self.without_solver().identity(Value::from("valid-secret"));
        if self.challenge { builder.solver(solve) } else { builder }
    }

    fn user(&self, id: &str) -> ClientBuilder<P> {
        self.builder().meta(map([("user_id", id.into())]))
    }

    async fn connect(&self) -> Result<Client<P>, ConnectError> {
        self.builder().connect().await
    }

    async fn welcome_and_identity(&self) -> Result<(), Failure> {
        let client = self.user("seven").connect().await?;
        let hey = map([("hey", "some additional data for the client".into())]);
        check!(client.welcome::<Value>()?, hey);
        let who: Value = client.call("whoami", &Value::Null).await?;
        check!(who.get("cid"), &Value::from("seven"));
        check!(client.status(), Status::Ready);
        Ok(())
    }

    async fn refusal(&self) -> Result<(), Failure> {
        let refused = Close::normal(CloseReason::NotAuthorized);
        let wrong = self.builder().identity(Value::from("wrong")).connect().await;
        check!(close_of(wrong), Some(refused.clone()));
        if self.challenge {
            let guess = self.builder().solver(|_: Value| async { wse::Ok(Value::Int(4)) });
            check!(close_of(guess.connect().await), Some(refused));
        }
        Ok(())
    }

    async fn challenge_without_a_solver(&self) -> Result<(), Failure> {
        let without = self.without_solver().identity(Value::from("valid-secret")).connect().await;
        check!(matches!(without, Err(ConnectError::NoSolver)), self.challenge);
        check!(without.is_ok(), !self.challenge);
        Ok(())
    }

    async fn values_come_back(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        let long = "né 😀".repeat(10_000);
        let list = Value::List(vec![Value::Null, Value::Bool(true), map([])]);
        for value in [
            Value::Null,
            Value::Int(0),
            Value::Int(-1),
            // JavaScript writes larger ones as floats.
            Value::Int(1 << 30),
            Value::Float(1.5),
            Value::Text(long),
            map([("a", map([("b", list)]))]),
        ] {
            let back: Value = client.call("echo", &value).await?;
            check!(back, value);
        }
        if self.protocol.info().name() == "wse-cbor" {
            let bytes = Value::Bytes(vec![0, 255]);
            let back: Value = client.call("echo", &bytes).await?;
            check!(back, bytes);
        }
        let nothing: Value = client.call("nothing", &Value::Null).await?;
        check!(nothing, Value::Null);
        Ok(())
    }

    async fn calls_overtake_each_other(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        let (slow, add) = (map([("ms", 200.into())]), map([("a", 5.into()), ("b", 3.into())]));
        let slow = client.call::<_, Value>("slow", &slow);
        tokio::pin!(slow);
        tokio::select! {
            biased;
            _ = &mut slow => return Err("the slow call came first".into()),
            sum = client.call::<_, Value>("add", &add) => check!(sum?, Value::Int(8)),
        }
        check!(slow.await?, Value::Int(1));
        Ok(())
    }

    async fn faults(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        let unknown = fault(client.call("no such", &Value::Null).await)?;
        check!(unknown.code, ErrorCode::NotRegistered);
        let failed = fault(client.call("throw", &map([("x", 1.into())])).await)?;
        check!(failed.code, ErrorCode::Failed);
        check!(failed.message.as_deref(), Some("Vanilla error"));
        let details: Value = client.decode(&failed.details)?;
        check!(details.get("rpc"), &Value::from("throw"));
        check!(details.get("payload"), &map([("x", 1.into())]));
        let coded = fault(client.call("throw-wse", &Value::Int(1)).await)?;
        check!(coded.code.as_str(), "test-err-code");
        check!(client.decode::<Value>(&coded.details)?.get("fun"), &Value::Int(1));
        Ok(())
    }

    async fn calls_of_the_server(&self) -> Result<(), Failure> {
        let client = self
            .builder()
            .procedure("echo", |_, value: Value| async move { wse::Ok(value) })
            .procedure("fail", |client, _: Value| async move {
                let why = client.encode(&map([("why", 1.into())]))?;
                Err::<Value, Failure>(Fault::new("mine").details(why).into())
            })
            .procedure("back", |client, value: Value| async move {
                client.call::<_, Value>("echo", &value).await
            })
            .connect()
            .await?;
        let call = |rp: &str| map([("rp", rp.into()), ("payload", Value::List(vec![1.into()]))]);
        for rp in ["echo", "back"] {
            let ok: Value = client.call("call-me", &call(rp)).await?;
            check!(ok, map([("ok", Value::List(vec![1.into()]))]));
        }
        let failed: Value = client.call("call-me", &call("fail")).await?;
        check!(failed.get("err").get("code"), &Value::from("mine"));
        check!(failed.get("err").get("details").get("why"), &Value::Int(1));
        let unknown: Value = client.call("call-me", &call("none")).await?;
        check!(unknown.get("err").get("code"), &Value::from(ErrorCode::NotRegistered.as_str()));
        Ok(())
    }

    async fn late_and_stray_replies(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        let soon = Some(Duration::from_millis(20));
        let late: Result<Value, _> =
            client.call_within(soon, "late", &map([("ms", 60.into())])).await;
        check!(matches!(late, Err(CallError::Timeout)), true);
        let _: Value = client.call("slow", &map([("ms", 100.into())])).await?;
        let stray: Value = client.call("stray", &Value::Int(5)).await?;
        check!(stray, Value::Int(5));
        // The server would have got more if the client had answered the stray replies.
        let sent = if self.challenge { 6 } else { 5 };
        let received: Value = client.call("received", &Value::Null).await?;
        check!(received, Value::Int(sent));
        Ok(())
    }

    async fn closed_and_vanished_connections(&self) -> Result<(), Failure> {
        let kick = map([("code", 4123.into()), ("reason", "out".into())]);
        let client = self.connect().await?;
        let kicked: Result<Value, _> = client.call("kick", &kick).await;
        check!(end_of(kicked), Some(Close::new(4123, "out")));
        check!(client.closed().await, Some(Close::new(4123, "out")));
        let after: Result<Value, _> = client.call("echo", &Value::Null).await;
        check!(matches!(after, Err(CallError::NotReady)), true);
        let client = self.connect().await?;
        let vanished: Result<Value, _> = client.call("vanish", &Value::Null).await;
        check!(end_of(vanished), Some(Close::VANISHED));
        Ok(())
    }

    async fn messages_and_broadcasts(&self) -> Result<(), Failure> {
        let (heard, mut hears) = mpsc::unbounded_channel();
        let listen = |name: &'static str| {
            let heard = heard.clone();
            move |_: Client<P>, payload: Value| {
                let _ = heard.send((name, payload));
                async {}
            }
        };
        let one = self.builder().on("count", listen("count")).on("announce", listen("one"));
        let one = one.connect().await?;
        let two = self.builder().on("announce", listen("two")).connect().await?;
        one.send("count", &map([("count", 41.into())]))?;
        check!(hears.recv().await, Some(("count", map([("count", 42.into())]))));
        let _: Value = two.call("announce", &Value::from("news")).await?;
        let mut both = [hears.recv().await, hears.recv().await].map(|it| it.unwrap_or_default());
        both.sort_by_key(|(name, _)| *name);
        check!(both, [("one", Value::from("news")), ("two", Value::from("news"))]);
        Ok(())
    }

    async fn eviction(&self) -> Result<(), Failure> {
        let first = self.user("twice").connect().await?;
        let second = self.user("twice").connect().await?;
        check!(first.closed().await, Some(Close::normal(CloseReason::ClientsConcurrency)));
        check!(second.status(), Status::Ready);
        Ok(())
    }

    async fn reconnects(&self) -> Result<(), Failure> {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let backoff = Backoff::default().base(Duration::from_millis(10));
        let client = self.builder().reconnect(backoff).credentials(move || {
            let n = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                wse::Ok((
                    Value::from("valid-secret"),
                    map([("user_id", n.to_string().as_str().into())]),
                ))
            }
        });
        let client = client.connect().await?;
        let kick = map([("code", 1012.into()), ("reason", "restart".into())]);
        let kicked: Result<Value, _> = client.call("kick", &kick).await;
        check!(end_of(kicked), Some(Close::new(1012, "restart")));
        ready(&client).await;
        let who: Value = client.call("whoami", &Value::Null).await?;
        check!(who.get("cid"), &Value::from("1"));
        check!(asked.load(Ordering::Relaxed), 2);
        Ok(())
    }

    async fn jumps(&self) -> Result<(), Failure> {
        let client = self.user("before").connect().await?;
        client.migrate(&self.url).await?;
        let who: Value = client.call("whoami", &Value::Null).await?;
        check!(who.get("cid"), &Value::from("before"));
        let meta = map([("user_id", "after".into())]);
        client.migrate_as(&self.url, Value::from("valid-secret"), meta).await?;
        let who: Value = client.call("whoami", &Value::Null).await?;
        check!(who.get("cid"), &Value::from("after"));
        Ok(())
    }
}

async fn solve(quest: Value) -> Result<Value, Fault> {
    let sum = quest.get("a").number().zip(quest.get("b").number()).map(|(a, b)| a + b);
    sum.map(value::number).ok_or_else(|| Fault::failed("not the quest expected"))
}

async fn ready<P: Negotiate>(client: &Client<P>) {
    use futures::StreamExt;
    let mut statuses = client.statuses();
    while statuses.next().await.is_some_and(|status| status != Status::Ready) {}
}

fn close_of<P: Negotiate>(connected: Result<Client<P>, ConnectError>) -> Option<Close> {
    match connected {
        Err(ConnectError::Refused(close)) => Some(close),
        _ => None,
    }
}

fn end_of(outcome: Result<Value, CallError>) -> Option<Close> {
    match outcome {
        Err(CallError::Disconnected(close)) => Some(close),
        _ => None,
    }
}

fn fault(outcome: Result<Value, CallError>) -> Result<Fault, Failure> {
    match outcome {
        Err(CallError::Fault(fault)) => Ok(fault),
        other => Err(format!("no fault but {other:?}").into()),
    }
}
