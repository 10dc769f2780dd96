//! Several messages in one, and their answers in one.

use super::*;

fn call(id: impl std::fmt::Display) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"get_data","id":{id}}}"#)
}

fn calls(ids: std::ops::Range<usize>) -> String {
    format!("[{}]", ids.map(call).collect::<Vec<_>>().join(","))
}

fn reply(id: i64) -> Head {
    Head::reply(Stamp::Int(id))
}

const INVALID: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}"#;

#[test]
fn a_batch_is_answered_at_once_when_all_answers_are_there() {
    let rpc = JsonRpc::new();
    let (messages, sent) =
        receive(&rpc, &format!(" \t\n[{}, {}, 1, {}]", call(1), call("\"1\""), call(2)));
    assert_eq!((messages.len(), sent.len()), (3, 0));
    assert_eq!(pack_by(&rpc, &reply(2), "2"), "");
    // Others come between.
    assert_eq!(pack_by(&rpc, &reply(7), "7"), r#"{"jsonrpc":"2.0","result":7,"id":7}"#);
    assert_eq!(pack_by(&rpc, &Head::message("m"), ""), r#"{"jsonrpc":"2.0","method":"m"}"#);
    assert_eq!(
        pack_by(&rpc, &Head::call("m", Stamp::Int(1)), ""),
        r#"{"jsonrpc":"2.0","method":"m","id":1}"#
    );
    let (_, sent) = receive(&rpc, "5");
    assert_eq!(sent, [value(INVALID)]);
    assert_eq!(pack_by(&rpc, &Head::fault(Stamp::Int(1)), r#"{"code":1,"message":""}"#), "");
    let array = pack_by(&rpc, &Head::reply("1".into()), "");
    let expected = [
        INVALID,
        r#"{"jsonrpc":"2.0","result":2,"id":2}"#,
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":""},"id":1}"#,
        r#"{"jsonrpc":"2.0","result":null,"id":"1"}"#,
    ];
    assert_eq!(array, format!("[{}]", expected.join(",")));
    // All is forgotten.
    assert_eq!(pack_by(&rpc, &reply(1), "1"), r#"{"jsonrpc":"2.0","result":1,"id":1}"#);
}

/// An array with a line break could not be sent over a byte stream, and all its answers would be lost.
#[test]
fn line_breaks_in_answers_become_spaces() {
    let rpc = JsonRpc::new();
    receive(&rpc, &format!("[{},{}]", call(1), call(2)));
    assert_eq!(pack_by(&rpc, &reply(1), "[1,\r\n2]"), "");
    let array = pack_by(&rpc, &reply(2), "2");
    assert_eq!(
        array,
        r#"[{"jsonrpc":"2.0","result":[1,  2],"id":1},{"jsonrpc":"2.0","result":2,"id":2}]"#
    );
}

#[test]
fn batches_without_calls_are_not_answered() {
    let rpc = JsonRpc::new();
    let (messages, sent) = receive(
        &rpc,
        r#"[{"jsonrpc":"2.0","method":"m"},{"jsonrpc":"2.0","result":1,"id":1},
            {"jsonrpc":"2.0","error":{"code":1,"message":""},"id":null}]"#,
    );
    let heads: Vec<_> = messages.into_iter().map(|message| message.head).collect();
    assert_eq!(heads, [Head::message("m"), reply(1), Head::ErrorReport]);
    assert!(sent.is_empty());
    assert_eq!(pack_by(&rpc, &reply(1), "1"), r#"{"jsonrpc":"2.0","result":1,"id":1}"#);
}

#[test]
fn members_of_a_batch_are_objects() {
    let rpc = JsonRpc::new();
    let text = format!("[[], [{}], {}, \"x\", {{}}]", call(1), call(2));
    let (messages, sent) = receive(&rpc, &text);
    assert_eq!((messages.len(), sent.len()), (1, 0));
    let result = r#"{"jsonrpc":"2.0","result":0,"id":2}"#;
    let expected = [INVALID, INVALID, INVALID, INVALID, result].join(",");
    assert_eq!(pack_by(&rpc, &reply(2), "0"), format!("[{expected}]"));
    // Taken alone an array is no message.
    assert_eq!(kind(&text), CodecErrorKind::Shape);
}

#[test]
fn members_that_cannot_be_read_are_answered_under_their_ids_or_not_at_all() {
    let rpc = JsonRpc::new();
    let invalid = |id: &str| INVALID.replace("null", id);
    let members = [
        r#"{"jsonrpc":"2.0","method":"m","params":5,"id":7}"#,
        r#"{"jsonrpc":"2.0","result":1,"error":{"code":1},"id":9}"#,
        r#"{"jsonrpc":"2.0","result":1}"#,
        r#"{"method":"m","id":"x"}"#,
        "5",
        // The id of the first one is in use.
        r#"{"jsonrpc":"2.0","method":"m","params":6,"id":7}"#,
        &call(1),
    ];
    let (messages, sent) = receive(&rpc, &format!("[{}]", members.join(",")));
    assert_eq!((messages.len(), sent.len()), (1, 0));
    // The id is in use until the batch is answered, also for a request that cannot be read.
    let (_, sent) = receive(&rpc, members[0]);
    assert_eq!(sent, [value(INVALID)]);
    let array = pack_by(&rpc, &reply(1), "1");
    let result = r#"{"jsonrpc":"2.0","result":1,"id":1}"#.to_owned();
    let expected = [invalid("7"), invalid("\"x\""), INVALID.into(), INVALID.into(), result];
    assert_eq!(array, format!("[{}]", expected.join(",")));
    let (_, sent) = receive(&rpc, members[0]);
    assert_eq!(sent, [value(&invalid("7"))]);
    // Only answers that cannot be read: there is nothing to answer.
    let (messages, sent) = receive(&rpc, &format!("[{},{}]", members[1], members[2]));
    assert_eq!((messages.len(), sent.len()), (0, 0));
}

#[test]
fn an_id_is_taken_until_its_batch_is_answered() {
    let rpc = JsonRpc::new();
    let (messages, _) = receive(&rpc, &format!("[{},{},{}]", call(1), call(1), call(2)));
    let heads: Vec<_> = messages.into_iter().map(|message| message.head).collect();
    let get_data = |id| Head::call("get_data", Stamp::Int(id));
    assert_eq!(heads, [get_data(1), get_data(2)]);
    assert_eq!(pack_by(&rpc, &reply(1), "1"), "");
    for id in [1, 2] {
        // Alone, and in another batch, whose other members are not concerned.
        let (messages, sent) = receive(&rpc, &call(id));
        assert_eq!((messages.len(), sent), (0, vec![value(INVALID)]), "{id}");
        let sent = serve(&rpc, &format!("[{},{}]", call(id), call(3)));
        let data = json!({"jsonrpc": "2.0", "result": ["hello", 5], "id": 3});
        assert_eq!(sent, [json!([value(INVALID), data])], "{id}");
    }
    let first = r#"{"jsonrpc":"2.0","result":1,"id":1}"#;
    let second = r#"{"jsonrpc":"2.0","result":2,"id":2}"#;
    assert_eq!(pack_by(&rpc, &reply(2), "2"), format!("[{INVALID},{first},{second}]"));
    assert_eq!(serve(&rpc, &call(1)).len(), 1);
    assert_eq!(serve(&rpc, &calls(1..3)).len(), 1);
}

#[test]
fn batches_are_bounded() {
    let refused = |rpc: &JsonRpc, text: &str| {
        let members = rpc.unpack_batch((&Bytes::copy_from_slice(text.as_bytes())).into()).unwrap();
        let kinds: Vec<_> = members.into_iter().filter_map(Result::err).map(|e| e.kind()).collect();
        kinds == [CodecErrorKind::Limit]
    };
    let rpc = JsonRpc::new();
    assert!(refused(&rpc, &calls(0..101)));
    assert!(refused(&rpc, &format!("[{}1]", "1,".repeat(300_000))));
    // Each gets its own error report, and leaves no trace.
    assert_eq!(serve(&rpc, &calls(0..101)), [value(INVALID)]);
    assert_eq!(serve(&rpc, &calls(0..100))[0].as_array().unwrap().len(), 100);
    assert!(refused(&rpc.clone().max_batch(0), "[1]"));

    let rpc = JsonRpc::new().max_batch(2_000);
    assert!(refused(&rpc, &calls(0..1025)));
    assert!(receive(&rpc, &calls(0..1000)).1.is_empty());
    assert!(refused(&rpc, &calls(1000..1025)));
    assert!(receive(&rpc, &calls(1000..1024)).1.is_empty());
    assert!(refused(&rpc, "[1]"));
    // What wants no answer is taken, and calls by themselves are.
    assert_eq!(receive(&rpc, r#"[{"jsonrpc":"2.0","method":"m"}]"#).0.len(), 1);
    assert_eq!(serve(&rpc, &call(5000)).len(), 1);
    // Answers that are kept count too.
    assert_eq!(pack_by(&rpc, &reply(0), "0"), "");
    assert!(refused(&rpc, "[1]"));
    for id in 1000..1023 {
        assert_eq!(pack_by(&rpc, &reply(id), ""), "");
    }
    let array = value(&pack_by(&rpc, &reply(1023), ""));
    assert_eq!(array.as_array().unwrap().len(), 24);
    assert_eq!(serve(&rpc, &calls(1000..1024)).len(), 1);
}

/// One member that waits keeps the answers of all the others, but not without end.
#[test]
fn answers_that_wait_for_their_batch_are_bounded() {
    let rpc = JsonRpc::new();
    let big = format!("\"{}\"", "y".repeat(1 << 20));
    for round in 0..3 {
        receive(&rpc, &calls(0..100));
        for id in 1..100 {
            assert_eq!(pack_by(&rpc, &reply(id), &big), "");
        }
        let answers = value(&pack_by(&rpc, &reply(0), "1"));
        let answers = answers.as_array().unwrap();
        assert_eq!(answers.len(), 100, "{round}");
        let refused = |it: &&Value| it["error"]["code"] == -32000;
        // What is kept for one is kept no longer than its batch.
        assert_eq!(answers.iter().filter(refused).count(), 99 - 15);
        assert!(answers.iter().all(|it| it["id"].is_i64()));
    }
    assert_eq!(value(&pack_by(&rpc, &reply(5), "1"))["id"], 5);
}

#[test]
fn each_connection_has_batches_of_its_own() {
    let rpc = JsonRpc::new().max_batch(2);
    let (one, other) = (rpc.select(&["x"]).unwrap(), rpc.select(&[]).unwrap());
    receive(&one, &calls(0..2));
    assert_ne!(pack_by(&other, &reply(0), "0"), "");
    // A clone is for another connection, and begins without batches.
    assert_ne!(pack_by(&one.clone(), &reply(0), "0"), "");
    assert_eq!(pack_by(&one, &reply(0), "0"), "");
    assert_ne!(pack_by(&one, &reply(1), "0"), "");
    // The limit goes with it.
    assert!(other.unpack_batch((&Bytes::from(calls(0..3))).into()).unwrap()[0].is_err());
}

#[test]
fn what_fails_to_be_written_leaves_no_trace() {
    let rpc = JsonRpc::new();
    let keyed_by_lists = std::collections::BTreeMap::from([(vec![1], 1)]);
    receive(&rpc, &format!("[{},1]", call(1)));
    receive(&rpc, &calls(2..4));
    let heads = [
        Head::message("m"),
        Head::call("m", Stamp::Int(1)),
        reply(1),
        Head::fault(Stamp::Int(2)),
        reply(3),
    ];
    for head in heads.iter().chain([&Head::ErrorReport]) {
        let mut out = BytesMut::from("before");
        let failed = rpc.pack_with(head, &mut out, |out| {
            out.extend_from_slice(b"[1,");
            JsonRpcFormat.encode(&keyed_by_lists, out)
        });
        assert_eq!(failed.unwrap_err().kind(), CodecErrorKind::Value);
        assert_eq!(out, "before", "{head:?}");
    }
    assert_eq!(value(&pack_by(&rpc, &reply(1), "1")).as_array().unwrap().len(), 2);
    assert_eq!(pack_by(&rpc, &reply(2), "1"), "");
    assert_eq!(value(&pack_by(&rpc, &reply(3), "1")).as_array().unwrap().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    /// Whatever the order, each batch is answered once, by all its answers.
    #[test]
    fn every_batch_is_answered_once(
        batches in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 1..6), 1..8),
        order in any::<prop::sample::Index>(),
    ) {
        let rpc = JsonRpc::new();
        let (mut waiting, mut arrays, mut id) = (Vec::new(), Vec::new(), 0);
        for batch in &batches {
            let mut members = Vec::new();
            for valid in batch {
                members.push(if *valid { id += 1; call(id) } else { "{}".to_owned() });
            }
            let (messages, sent) = receive(&rpc, &format!("[{}]", members.join(",")));
            waiting.extend(messages);
            arrays.extend(sent);
        }
        while !waiting.is_empty() {
            let next = waiting.remove(order.index(waiting.len()));
            arrays.extend(send(&rpc, answer(next)));
        }
        let mut sizes: Vec<_> = arrays.iter().map(|it| it.as_array().unwrap().len()).collect();
        let mut expected: Vec<_> = batches.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(sizes, expected);
    }
}
