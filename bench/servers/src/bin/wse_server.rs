//! Our server, defaults throughout: a procedure `add`, and a message `go` upon which everybody gets `news`.
//! `tls=1` listens for `wss://`; `heartbeat=0` sends no pings, for a peer that takes every byte for an answer.

use common::{Add, NEWS, option, port};
use wse_codecs::JsonArray;
use wse_transport::tls::ServerTls;
use wse_transport::{Accept, Heartbeat, Hello, Server};

fn main() {
    common::block_on(async {
        let heartbeat = (option("heartbeat", 1) == 1).then(Heartbeat::default);
        let server = Server::builder(JsonArray)
            .heartbeat(heartbeat)
            .identify(|_, hello: Hello<String>| async move { Ok(Accept::user(hello.identity)) })
            .procedure("add", |_, Add { a, b }| async move { Ok(a + b) })
            .on("go", |conn, (): ()| async move { conn.server().broadcast("news", NEWS).map(drop) })
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
