//! Shows one application with three codecs. `app` is all the code there is; the three runs differ in one type. Then one
//! server takes clients of all three on one port.
//!
//! `cargo run --example swap_codec` prints:
//!
//! ```text
//! wse-default-json: 3 teas are 6
//! wse-cbor: 3 teas are 6
//! wse-protobuf: 3 teas are 6
//! one port, JSON and CBOR clients: 5 teas are (10, 10)
//! ```

use serde::{Deserialize, Serialize};
use wse::{Accept, Client, Fault, Hello, Server};
use wse::{Cbor, JsonArray, Negotiated, Protobuf, Protocol, Speaks};

/// Derives for every codec that is to carry it: serde for JSON and CBOR, prost for protobuf.
#[derive(Clone, PartialEq, Serialize, Deserialize, prost::Message)]
struct Order {
    #[prost(string, tag = "1")]
    item: String,
    #[prost(uint32, tag = "2")]
    count: u32,
}

/// What the application needs of a protocol: that it carries these.
trait Shop: Speaks<Order> + Speaks<String> + Speaks<u32> + Speaks<()> {}
impl<P: Speaks<Order> + Speaks<String> + Speaks<u32> + Speaks<()>> Shop for P {}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    println!("{}", app(JsonArray).await?);
    println!("{}", app(Cbor).await?);
    println!("{}", app(Protobuf).await?);
    mixed().await
}

/// A server and a client of any protocol that can carry the messages of the shop.
async fn app<P: Shop + Protocol>(p: P) -> Result<String> {
    let server = serve(p.clone()).await?;
    let url = server.url().ok_or("not listening")?;
    let client = Client::builder(p.clone(), url).identity("ann".to_owned()).connect().await?;
    let price: u32 = client.call("price", &Order { item: "tea".to_owned(), count: 3 }).await?;
    Ok(format!("{}: 3 teas are {price}", p.info().name()))
}

async fn serve<P: Shop>(protocol: P) -> std::io::Result<Server<P>> {
    Server::builder(protocol)
        .connections_per_user(3)
        .identify(|hello: Hello<String>| async move { wse::Ok(Accept::user(hello.identity)) })
        .procedure("price", |_, order: Order| async move {
            match order.item.as_str() {
                "tea" => Ok(order.count * 2),
                other => Err(Fault::new("shop.unknown-item").message(other)),
            }
        })
        .bind("127.0.0.1:0")
        .await
}

/// All of them on one port: each client gets what it offers.
async fn mixed() -> Result<()> {
    let server = serve(Negotiated::new((Protobuf, Cbor, JsonArray))).await?;
    let url = server.url().ok_or("not listening")?;
    let json = Client::builder(JsonArray, &url).identity("ann".to_owned()).connect().await?;
    let cbor = Client::builder(Cbor, &url).identity("ann".to_owned()).connect().await?;
    let order = Order { item: "tea".to_owned(), count: 5 };
    let prices: (u32, u32) = (json.call("price", &order).await?, cbor.call("price", &order).await?);
    println!("one port, JSON and CBOR clients: 5 teas are {prices:?}");
    Ok(())
}
