//! fastwebsockets as its documentation shows it: hyper upgrade, FragmentCollector,
//! one write per message.

use common::MAX_MESSAGE;
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use tokio::net::TcpStream;

async fn client(fut: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut ws = fut.await?;
    ws.set_max_message_size(MAX_MESSAGE + 1); // exclusive
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn on_request(mut req: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, fut) = upgrade::upgrade(&mut req)?;
    tokio::spawn(tokio::task::unconstrained(async move {
        let _ = client(fut).await;
    }));
    Ok(response)
}

async fn serve(stream: TcpStream) {
    let io = hyper_util::rt::TokioIo::new(stream);
    let _ =
        http1::Builder::new().serve_connection(io, service_fn(on_request)).with_upgrades().await;
}

fn main() {
    common::serve(serve);
}
