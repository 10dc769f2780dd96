//! Payloads and faults.

use super::*;

#[test]
fn values_are_read_by_position_by_name_and_alone() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Point {
        x: i64,
        y: i64,
    }
    fn read<T>(text: &str) -> Result<T, CodecError>
    where
        JsonRpcFormat: Decode<T>,
    {
        JsonRpcFormat.decode(&Bytes::copy_from_slice(text.as_bytes()))
    }
    for text in ["[1,2]", r#"{"x":1,"y":2}"#, r#"[{"x":1,"y":2}]"#, " [ [1,2] ] "] {
        assert_eq!(read::<Point>(text).unwrap(), Point { x: 1, y: 2 }, "{text}");
    }
    assert_eq!(read::<String>("[\"x\"]").unwrap(), "x");
    assert_eq!(read::<String>("\"x\"").unwrap(), "x");
    assert_eq!(read::<Vec<i64>>("[1]").unwrap(), [1]);
    assert_eq!(read::<Vec<i64>>("[[1]]").unwrap(), [1]);
    assert!(read::<Vec<i64>>("[]").unwrap().is_empty());
    assert_eq!(read::<Value>("[1]").unwrap(), json!([1]));
    assert_eq!(read::<Option<i64>>("[5]").unwrap(), Some(5));
    for text in ["", "null", "[]", "[null]"] {
        let () = read(text).unwrap();
        assert_eq!(read::<Option<i64>>(text).unwrap(), None, "{text}");
    }
    for text in ["{}", " { } ", "[{}]", "[[]]", "[ ]"] {
        let () = read(text).unwrap();
    }
    assert!(read::<Option<i64>>("{}").is_err());
    for text in ["{\"a\":1}", "[0]", "[1,2]", "[{},{}]", "{", "{}x"] {
        assert!(read::<()>(text).is_err(), "{text}");
    }
    for text in ["[1,2]", "{\"x\":1}", "[[5]]", "[1", "[\"x\",]"] {
        assert!(read::<String>(text).is_err(), "{text}");
    }
    // The error is that of the array.
    let error = read::<Point>("[\"x\"]").unwrap_err();
    assert_eq!(error.kind(), CodecErrorKind::Value);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("column 4"), "{source}");
    // Or that of the element, if its reader came further: that is the true cause.
    let cause = |error: CodecError| std::error::Error::source(&error).unwrap().to_string();
    for (cause, expected) in [
        (cause(read::<i64>("[5.5]").unwrap_err()), "floating point `5.5`, expected i64"),
        (cause(read::<u8>("[ 300 ]").unwrap_err()), "integer `300`, expected u8"),
        (cause(read::<bool>("[\"no\"]").unwrap_err()), "string \"no\", expected a boolean"),
        (cause(read::<Vec<i64>>("[[5.5]]").unwrap_err()), "floating point `5.5`, expected i64"),
        (cause(read::<Point>(r#"[{"x":1}]"#).unwrap_err()), "missing field `y`"),
        (cause(read::<String>("[\"a\",\"b\"]").unwrap_err()), "sequence, expected a string"),
    ] {
        assert!(cause.contains(expected), "{cause}");
    }

    let mut out = BytesMut::new();
    JsonRpcFormat.encode(&("a", 1.0), &mut out).unwrap();
    assert_eq!(out, "[\"a\",1.0]");
}

#[test]
fn faults_have_the_codes_of_the_table() {
    let mine =
        |code: &str| json!({"code": -32000, "message": "Server error", "data": {"code": code}});
    for (code, error) in [
        (ErrorCode::MessageProcessing, json!({"code": -32700, "message": "Parse error"})),
        (ErrorCode::ProtocolViolation, json!({"code": -32600, "message": "Invalid Request"})),
        (ErrorCode::NotRegistered, json!({"code": -32601, "message": "Method not found"})),
        (ErrorCode::InvalidPayload, json!({"code": -32602, "message": "Invalid params"})),
        (ErrorCode::Failed, json!({"code": -32000, "message": "Server error"})),
        ("-32001".into(), json!({"code": -32001, "message": "Server error"})),
        ("-32099".into(), json!({"code": -32099, "message": "Server error"})),
        ("-32100".into(), json!({"code": -32100, "message": "Application error"})),
        ("0".into(), json!({"code": 0, "message": "Application error"})),
        ("9223372036854775807".into(), json!({"code": i64::MAX, "message": "Application error"})),
        ("-9223372036854775808".into(), json!({"code": i64::MIN, "message": "Application error"})),
        (ErrorCode::Timeout, mine("wse.client.rp.timeout")),
        ("my\"code".into(), mine("my\"code")),
        ("".into(), mine("")),
        ("+1".into(), mine("+1")),
        ("01".into(), mine("01")),
        ("-0".into(), mine("-0")),
        ("-".into(), mine("-")),
        ("1.0".into(), mine("1.0")),
        ("9223372036854775808".into(), mine("9223372036854775808")),
    ] {
        let mut out = BytesMut::new();
        JsonRpcFormat.encode_fault(&Fault::new(code.clone()), &mut out);
        assert_eq!(value(std::str::from_utf8(&out).unwrap()), error, "{code}");
        let standard = error["message"].as_str().unwrap();
        assert_eq!(
            JsonRpcFormat.decode_fault(&out.freeze()).unwrap(),
            Fault::new(code.clone()).message(standard)
        );

        // The last ones look like what carries a code.
        for details in
            ["[1]", "{}", "0", r#"{"code":"x"}"#, r#"{"code":"-32000","details":{"code":"7"}}"#]
        {
            let fault = Fault::new(code.clone()).message("näh\n").details(details.into());
            let mut out = BytesMut::new();
            JsonRpcFormat.encode_fault(&fault, &mut out);
            assert_eq!(JsonRpcFormat.decode_fault(&out.freeze()).unwrap(), fault);
        }
    }
    let mut out = BytesMut::new();
    JsonRpcFormat.encode_fault(&Fault::new("c").message("m").details("[1]".into()), &mut out);
    JsonRpcFormat.encode_fault(&Fault::new("7").message("m").details("[1]".into()), &mut out);
    JsonRpcFormat.encode_fault(&Fault::new("-32603"), &mut out);
    assert_eq!(
        out,
        concat!(
            r#"{"code":-32000,"message":"m","data":{"code":"c","details":[1]}}"#,
            r#"{"code":7,"message":"m","data":[1]}"#,
            r#"{"code":-32603,"message":"Internal error"}"#,
        )
    );
}

#[test]
fn faults_of_others_are_read() {
    let read =
        |text: &'static str| JsonRpcFormat.decode_fault(&Bytes::from_static(text.as_bytes()));
    for (text, fault) in [
        (r#"{"code":-32603,"message":"m"}"#, Fault::failed("m")),
        (
            r#" { "data" : [ 1 ] , "message" : "\u006d", "code" : 5 } "#,
            Fault::new("5").message("m").details("[ 1 ]".into()),
        ),
        (r#"{"code":5}"#, Fault::new("5")),
        (r#"{"code":5,"message":null,"data":null}"#, Fault::new("5")),
        // Data with a code, but not in the form of this crate.
        (
            r#"{"code":-32000,"message":"m","data":{"code":"x","more":1}}"#,
            Fault::failed("m").details(r#"{"code":"x","more":1}"#.into()),
        ),
        (
            r#"{"code":-32000,"message":"m","data":{"code":5}}"#,
            Fault::failed("m").details(r#"{"code":5}"#.into()),
        ),
        (
            r#"{"code":1,"message":"m","data":{"code":"x"}}"#,
            Fault::new("1").message("m").details(r#"{"code":"x"}"#.into()),
        ),
        (
            r#"{"code":-32000,"message":"m","data":{"code":"-32601","details":null}}"#,
            Fault::new(ErrorCode::NotRegistered).message("m"),
        ),
        // Errors that §5.1 does not allow keep their text.
        (
            r#"{"code":"E_NO","message":"m","data":[1]}"#,
            Fault::new("E_NO").message("m").details("[1]".into()),
        ),
        (r#"{"code":"\u0037"}"#, Fault::new("7")),
        (r#"{"code":"-32601"}"#, Fault::new(ErrorCode::NotRegistered)),
        (r#"{"code":-32601.0,"message":"m"}"#, Fault::new(ErrorCode::NotRegistered).message("m")),
        (r#"{"code":1e3,"message":"m"}"#, Fault::new("1000").message("m")),
        (r#"{"code":1.5,"message":"m"}"#, Fault::new("1.5").message("m")),
        (
            r#"{"code":9223372036854775808,"message":"m"}"#,
            Fault::new("9223372036854775808").message("m"),
        ),
        (r#"{"code":null,"message":"m"}"#, Fault::failed("m")),
        (r#"{"code":true,"message":"m"}"#, Fault::new("true").message("m")),
        (r#"{"message":"m","data":5}"#, Fault::failed("m").details("5".into())),
        (r#"{"code":1,"message":5}"#, Fault::new("1").message("5")),
        (r#"{"code":1,"message":{"text":"no"}}"#, Fault::new("1").message(r#"{"text":"no"}"#)),
        ("{}", Fault::new(ErrorCode::Failed)),
        (" \"n\\u006f\" ", Fault::failed("no")),
        ("5", Fault::failed("5")),
        ("[ 1 ]", Fault::failed("[ 1 ]")),
        ("null", Fault::new(ErrorCode::Failed)),
    ] {
        assert_eq!(read(text).unwrap(), fault, "{text}");
    }
    for text in
        ["", "{\"code\":1", "{\"code\":1}x", "no", "\"no", "5 5", "{\"message\":\"\\ud800\"}"]
    {
        assert_eq!(read(text).unwrap_err().kind(), CodecErrorKind::Malformed, "{text}");
    }
    // The call has failed all the same.
    let (messages, _) = receive(&JsonRpc::new(), r#"{"jsonrpc":"2.0","error":"no","id":1}"#);
    assert_eq!(messages, [SessionMessage::fault(Stamp::Int(1), Fault::failed("no"))]);
}
