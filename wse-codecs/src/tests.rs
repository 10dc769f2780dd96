//! Each shipped protocol passes [`wse_proto::testing::check`].

use wse_proto::testing::{Check, check};
use wse_proto::{Negotiate, Negotiated};

use crate::{Cbor, JsonArray, JsonRpc, MessagePack, Protobuf, WsProcessor};

#[test]
fn json_array() {
    check(&JsonArray).assert_ok();
}

#[test]
fn json_rpc() {
    check(&JsonRpc::new()).assert_ok();
}

#[test]
fn cbor() {
    check(&Cbor).assert_ok();
}

#[test]
fn msgpack() {
    check(&MessagePack).assert_ok();
}

#[test]
fn protobuf() {
    check(&Protobuf).assert_ok();
}

/// Its messages and calls have no names, and notes with the same stamp are the same note.
#[test]
fn wsprocessor() {
    let check = Check::new().fixed_names("note", "request").always_reliable();
    check.run(&WsProcessor::new()).assert_ok();
}

#[test]
fn wsprocessor_with_names() {
    Check::new().always_reliable().run(&WsProcessor::named()).assert_ok();
}

#[test]
fn one_of_several() {
    let both = Negotiated::new((JsonArray, Cbor, JsonRpc::new()));
    for offered in [&["wse-default-json"][..], &["wse-cbor"], &[]] {
        check(&both.select(offered).unwrap()).assert_ok();
    }
}
