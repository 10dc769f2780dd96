//! A server of this project with its defaults: a procedure `add`, and a message `go` that broadcasts `news`.
//! `tls=1` listens for `wss://`; `heartbeat=0` sends no pings, for a peer that takes every byte for an answer.

use common::{Add, NEWS, option, port};
use wse::{Accept, Heartbeat, Hello, JsonArray, Server, tls::ServerTls};

fn main() {
    common::block_on(async {
        let heartbeat = (option("heartbeat", 1) == 1).then(Heartbeat::default);
        let server = Server::builder(JsonArray)
            .heartbeat(heartbeat)
            .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
            .procedure("add", |_, Add { a, b }| async move { wse::Ok(a + b) })
            .on("go", |conn, (): ()| async move { conn.server().all().send("news", NEWS).map(drop) })
            .build();
        let addr = ("127.0.0.1", port());
        if option("tls", 0) == 1 {
            let (chain, key) = common::certificate();
            server.listen_tls(addr, ServerTls::from_pem(chain, key).unwrap()).await.unwrap();
        } else {
            server.listen(addr).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
}
