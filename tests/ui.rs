//! What the compiler says to the usual mistakes: our words, not its own.

#[test]
fn mistakes_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// The snapshots are taken from a compiler; this is what they must not lose with the next one.
#[test]
fn the_explanations_are_ours() {
    let expected = [
        ("no_serialize", "`Answer` cannot be written by the format `Json`"),
        ("no_prost_message", "`Question` cannot be read by the format `Prost`"),
        ("no_prost_message", "for protobuf derive `prost::Message`"),
        ("wrong_outcome", "a message handler cannot return `i64`"),
        ("no_protocol", "`Json` is not a message protocol"),
    ];
    for (case, words) in expected {
        let path = format!("{}/tests/ui/{case}.stderr", env!("CARGO_MANIFEST_DIR"));
        let shown = std::fs::read_to_string(path).unwrap();
        assert!(shown.contains(words), "{case}: {shown}");
    }
}
