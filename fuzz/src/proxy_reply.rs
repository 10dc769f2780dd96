//! What a proxy answers: SOCKS 5, and HTTP to CONNECT.

use bytes::{Bytes, BytesMut};
use wse_transport::handshake::ClientRequest;
use wse_transport::proxy::{Connect, Login, Proxy, Socks5, Step};

use super::input::{Input, pieces};

/// `flags, sizes of pieces, bytes from the proxy`
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let sizes = input.sizes();
    let wire = input.rest();
    let [whole, in_pieces] = [vec![wire], pieces(wire, &sizes).collect()].map(|pieces| {
        if flags & 1 == 0 {
            let proxy = Proxy::new("http://me:secret@proxy.example:3128").expect("a url");
            let request = ClientRequest::new("wss://[::1]:4433/").expect("a url");
            let mut connect =
                Connect::new(&proxy, request.host(), request.port()).expect("a host out of a url");
            talk(pieces, |received| connect.step(received).map_err(drop))
        } else {
            let login = Login::new("me", "secret").expect("a login");
            let login = (flags & 2 != 0).then_some(login);
            let mut socks = Socks5::new("example.com", 443, login).expect("a name");
            talk(pieces, |received| socks.step(received).map_err(drop))
        }
    });
    assert_eq!(in_pieces, whole, "the same however it is cut");
}

/// How a dialogue has ended.
#[derive(Debug, PartialEq)]
enum End {
    /// With what came through the tunnel.
    Open(Bytes),
    Failed,
    CutOff,
}

/// What is sent, and how it ends.
fn talk(
    pieces: Vec<&[u8]>,
    mut step: impl FnMut(&mut BytesMut) -> Result<Step, ()>,
) -> (Vec<Bytes>, End) {
    let mut received = BytesMut::new();
    let mut sent = Vec::new();
    let mut pieces = pieces.into_iter();
    loop {
        match step(&mut received) {
            Ok(Step::Send(bytes)) => sent.push(bytes),
            Ok(Step::Receive) => match pieces.next() {
                Some(piece) => received.extend_from_slice(piece),
                None => return (sent, End::CutOff),
            },
            Ok(Step::Open) => {
                assert_eq!(step(&mut received), Ok(Step::Open), "it stays open");
                pieces.for_each(|piece| received.extend_from_slice(piece));
                return (sent, End::Open(received.freeze()));
            }
            Err(()) => return (sent, End::Failed),
        }
        assert!(sent.len() <= 3, "it sends no more than its steps need");
    }
}
