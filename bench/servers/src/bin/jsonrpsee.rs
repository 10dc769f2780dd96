//! jsonrpsee over WebSocket: its server with pings and limits at their defaults, a plain (not async) method,
//! which is answered without a task of its own.

use common::Add;
use jsonrpsee::RpcModule;
use jsonrpsee::server::{Server, ServerConfig};
use jsonrpsee::types::ErrorObjectOwned;

fn main() {
    common::block_on(async {
        let config = ServerConfig::builder().ws_only().max_connections(20_000).build();
        let server = Server::builder()
            .set_config(config)
            .build(("127.0.0.1", common::port()))
            .await
            .unwrap();
        let mut module = RpcModule::new(());
        module
            .register_method("add", |params, (), _| {
                let Add { a, b } = params.parse()?;
                Ok::<_, ErrorObjectOwned>(a + b)
            })
            .unwrap();
        server.start(module).stopped().await;
    });
}
