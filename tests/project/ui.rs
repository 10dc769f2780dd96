//! What the compiler prints for common mistakes: the explanations that the crates give.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// The snapshots are recorded from one compiler. These words must also survive the next recording.
#[test]
fn the_explanations_are_those_of_the_crates() {
    let expected = [
        ("no_serialize", "`Answer` cannot be written by the format `JsonFormat`"),
        ("no_serialize", "derive `serde::Serialize` for `Answer`"),
        ("no_deserialize", "`Question` cannot be read by the format `JsonFormat`"),
        ("no_deserialize", "derive `serde::Deserialize` for `Question`"),
        ("no_prost_message", "`Question` cannot be read by the format `ProtobufFormat`"),
        ("no_prost_message", "for protobuf derive `prost::Message`"),
        ("wrong_outcome", "a message handler cannot return `i64`"),
        ("wrong_error", "a handler cannot fail with `Failure`"),
        ("wrong_error", "use `wse::Fault` for what the peer may know"),
        ("no_identify", "the server has no `identify`"),
        ("no_identify", "call `.identify(|hello: Hello<String>| ...)` on the builder"),
        ("no_speaks", "add the bound `P: wse::Speaks<"),
        ("cannot_speak", "`JsonArray` cannot carry `Point`"),
        // These words are those of the compiler.
        ("one_argument", "expected closure that takes 2 arguments"),
        ("three_arguments", "expected closure that takes 2 arguments"),
        ("plain_value", "expected `Result<_, _>`, found `i64`"),
        ("bare_ok", "type annotations needed"),
        ("no_protocol", "`JsonFormat` is not a message protocol"),
    ];
    for (case, words) in expected {
        let path = format!("{}/tests/ui/{case}.stderr", env!("CARGO_MANIFEST_DIR"));
        let shown = std::fs::read_to_string(path).unwrap();
        assert!(shown.contains(words), "{case}: {shown}");
    }
}
