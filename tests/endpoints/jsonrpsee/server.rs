//! Our client, jsonrpsee's server.

use std::future::Future;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::try_join_all;
use jsonrpsee::server::middleware::rpc::{
    Batch, Notification, Request, RpcServiceBuilder, RpcServiceT,
};
use jsonrpsee::server::{RpcModule, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use wse::{Backoff, Connector, Status, Transport};

use super::*;

/// Writes down what jsonrpsee's server is asked.
#[derive(Clone)]
struct Tap<S> {
    service: S,
    log: Log,
}

impl<S: RpcServiceT> RpcServiceT for Tap<S> {
    type MethodResponse = S::MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(
        &self,
        request: Request<'a>,
    ) -> impl Future<Output = S::MethodResponse> + Send + 'a {
        let params = request.params.as_ref().map_or("-", |it| it.get());
        self.log.add(format!("call {} {params}", request.method));
        self.service.call(request)
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = S::BatchResponse> + Send + 'a {
        self.log.add("batch");
        self.service.batch(batch)
    }

    fn notification<'a>(
        &self,
        it: Notification<'a>,
    ) -> impl Future<Output = S::NotificationResponse> + Send + 'a {
        let params = it.params.as_ref().map_or("-", |it| it.get());
        self.log.add(format!("notification {} {params}", it.method));
        self.service.notification(it)
    }
}

/// A slow procedure: it tells that it has begun, and goes on when it may.
#[derive(Clone)]
struct Slow {
    begun: mpsc::UnboundedSender<()>,
    go_on: Arc<Notify>,
}

/// jsonrpsee's server, its URL, and what it is asked.
async fn jsonrpsee(addr: &str, slow: Slow) -> (ServerHandle, String, Log) {
    let log = Log::default();
    let tapped = log.clone();
    let tap =
        RpcServiceBuilder::new().layer_fn(move |service| Tap { service, log: tapped.clone() });
    let server = jsonrpsee::server::Server::builder().set_rpc_middleware(tap);
    let server = server.build(addr).await.unwrap();
    let url = format!("ws://{}", server.local_addr().unwrap());
    let mut module = RpcModule::new(slow);
    module
        .register_method("subtract", |params, _, _| {
            let Subtract { minuend, subtrahend } = params.parse()?;
            Ok::<_, ErrorObjectOwned>(minuend - subtrahend)
        })
        .unwrap();
    module
        .register_method("sum", |params, _, _| {
            let numbers: Vec<i64> = params.parse()?;
            Ok::<_, ErrorObjectOwned>(numbers.iter().sum::<i64>())
        })
        .unwrap();
    module
        .register_method("upper", |params, _, _| {
            params.one::<String>().map(|text| text.to_uppercase())
        })
        .unwrap();
    module.register_method("nothing", |_, _, _| ()).unwrap();
    module
        .register_method("withdraw", |params, _, _| {
            let amount: u64 = params.one()?;
            let data = Some(json!({ "missing": amount }));
            Err::<(), _>(ErrorObjectOwned::owned(1001, "not enough", data))
        })
        .unwrap();
    module
        .register_method("internal", |_, _, _| {
            Err::<(), _>(ErrorObjectOwned::owned(-32603, "Internal error", None::<()>))
        })
        .unwrap();
    module
        .register_async_method("slow", |_, slow, _| async move {
            let _ = slow.begun.send(());
            slow.go_on.notified().await;
            "late"
        })
        .unwrap();
    (server.start(module), url, log)
}

fn slow() -> (Slow, mpsc::UnboundedReceiver<()>) {
    let (begun, begins) = mpsc::unbounded_channel();
    (Slow { begun, go_on: Arc::default() }, begins)
}

#[tokio::test]
async fn our_client_calls_and_notifies_the_server_of_jsonrpsee() {
    let (slow, mut begins) = slow();
    let (handle, url, log) = jsonrpsee("127.0.0.1:0", slow.clone()).await;
    let client = soon(Client::builder(JsonRpc::default(), url).connect()).await.unwrap();

    let difference: i64 = soon(client.call("subtract", &subtract(5, 3))).await.unwrap();
    assert_eq!(difference, 2);
    let difference: i64 = soon(client.call("subtract", &(5, 3))).await.unwrap();
    assert_eq!(difference, 2);
    let sum: i64 = soon(client.call("sum", &vec![1, 2, 3])).await.unwrap();
    assert_eq!(sum, 6);
    let upper: String = soon(client.call("upper", "scalar")).await.unwrap();
    assert_eq!(upper, "SCALAR");
    soon(client.call::<_, ()>("nothing", &())).await.unwrap();
    client.send("note", "one").unwrap();
    client.send("note", &subtract(1, 0)).unwrap();
    client.send("note", &()).unwrap();
    let ours = &client;
    let sums = (0..200).map(|it| async move { ours.call::<_, i64>("sum", &[it, 1]).await });
    let sums = soon(try_join_all(sums)).await.unwrap();
    assert_eq!(sums, (1..=200).collect::<Vec<_>>());
    let lines = log.take();
    assert_eq!(
        lines[..8],
        [
            r#"call subtract {"minuend":5,"subtrahend":3}"#,
            "call subtract [5,3]",
            "call sum [1,2,3]",
            r#"call upper ["scalar"]"#,
            "call nothing -",
            r#"notification note ["one"]"#,
            r#"notification note {"minuend":1,"subtrahend":0}"#,
            "notification note -",
        ]
    );
    assert_eq!(lines.len(), 208);

    let fault = fault_of(soon(client.call::<_, ()>("no such", &())).await);
    assert_eq!(fault.code, ErrorCode::NotRegistered);
    let fault = fault_of(soon(client.call::<_, ()>("subtract", "five")).await);
    assert_eq!(fault.code, ErrorCode::InvalidPayload);
    let fault = fault_of(soon(client.call::<_, ()>("internal", &())).await);
    assert_eq!(fault.code, ErrorCode::Failed);
    let fault = fault_of(soon(client.call::<_, ()>("withdraw", &7)).await);
    assert_eq!((fault.code.as_str(), fault.message.as_deref()), ("1001", Some("not enough")));
    assert_eq!(client.decode::<Value>(&fault.details).unwrap(), json!({ "missing": 7 }));
    log.take();

    // Nothing says that a call is cancelled: the answer comes late, and is dropped.
    tokio::select! {
        biased;
        outcome = client.call::<_, String>("slow", &()) => panic!("answered: {outcome:?}"),
        begun = soon(begins.recv()) => begun.unwrap(),
    }
    assert_eq!(client.counts(), Counts::default());
    slow.go_on.notify_one();
    eventually("a late answer", || client.counts().unknown_answers == 1).await;
    let timeout = Some(ms(1));
    let outcome = soon(client.call_within::<_, String>(timeout, "slow", &())).await;
    assert!(matches!(outcome, Err(CallError::Timeout)), "{outcome:?}");
    soon(begins.recv()).await.unwrap();
    slow.go_on.notify_one();
    eventually("a late answer", || client.counts().unknown_answers == 2).await;
    let sum: i64 = soon(client.call("sum", &[1])).await.unwrap();
    assert_eq!(sum, 1);
    assert_eq!(log.take(), ["call slow -", "call slow -", "call sum [1]"]);
    // It has sent no error report.
    assert_eq!((client.counts().error_reports, client.counts().unreadable), (0, 0));

    client.close();
    soon(client.closed()).await;
    handle.stop().unwrap();
    soon(handle.stopped()).await;
}

/// To where the server is now, if it is anywhere. (To try its old port would be to risk that the system gives just
/// that one to the client.)
#[derive(Clone, Debug, Default)]
struct Whereabouts(Arc<Mutex<Option<String>>>);

impl Whereabouts {
    fn set(&self, url: Option<&str>) {
        *self.0.lock().unwrap() = url.map(|url| url.trim_start_matches("ws://").to_owned());
    }
}

#[async_trait]
impl Connector for Whereabouts {
    async fn connect(&self, _: &str, _: u16) -> std::io::Result<Box<dyn Transport>> {
        let addr = self.0.lock().unwrap().clone();
        let addr = addr.ok_or(std::io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(TcpStream::connect(addr).await?))
    }
}

#[tokio::test]
async fn our_client_comes_back_when_the_server_of_jsonrpsee_does() {
    let whereabouts = Whereabouts::default();
    // Its runtime ends with all its connections: as if it had crashed. On one thread, since otherwise a connection
    // that is still polled while others end may say farewell; and so it would without the handle.
    let (started, first) = oneshot::channel();
    let (crash, crashed) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _kept = runtime.block_on(async {
            let (kept, url, _) = jsonrpsee("127.0.0.1:0", slow().0).await;
            started.send(url).unwrap();
            crashed.await.unwrap();
            kept
        });
        drop(runtime);
    });
    let url = soon(first).await.unwrap();
    whereabouts.set(Some(&url));
    let client = Client::builder(JsonRpc::default(), &url)
        .connector(whereabouts.clone())
        .reconnect(Backoff::default().base(ms(5)).cap(ms(50)));
    let client = soon(client.connect()).await.unwrap();
    let sum: i64 = soon(client.call("sum", &[1, 2])).await.unwrap();
    assert_eq!(sum, 3);
    let mut statuses = client.statuses();
    whereabouts.set(None);
    crash.send(()).unwrap();
    thread.join().unwrap();
    soon(statuses.by_ref().any(async |it| it == Status::Reconnecting)).await;
    let (_handle, url, log) = soon(jsonrpsee("127.0.0.1:0", slow().0)).await;
    whereabouts.set(Some(&url));
    soon(statuses.by_ref().any(async |it| it == Status::Ready)).await;
    let sum: i64 = soon(client.call("sum", &[3, 4])).await.unwrap();
    assert_eq!((sum, log.take()), (7, vec!["call sum [3,4]".to_owned()]));
}
