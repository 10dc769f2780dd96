//! socketioxide behind axum, as its documentation shows it: an event `add` that is acknowledged with the sum,
//! and an event `go` upon which everybody gets `news`.

use common::{Add, NEWS};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpSocket;

fn main() {
    common::block_on(async {
        let (layer, io) = SocketIo::builder().max_buffer_size(1024).build_layer();
        io.ns("/", async |socket: SocketRef| {
            socket.on("add", async |Data(Add { a, b }), ack: AckSender| {
                let _ = ack.send(&(a + b));
            });
            socket.on("go", async |io: SocketIo| {
                let _ = io.emit("news", NEWS).await;
            });
        });
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], common::port()).into()).unwrap();
        let listener = socket.listen(4096).unwrap();
        use axum::serve::ListenerExt;
        let listener = listener.tap_io(|io| io.set_nodelay(true).unwrap());
        axum::serve(listener, axum::Router::new().layer(layer)).await.unwrap();
    });
}
