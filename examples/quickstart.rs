//! Filled in once the endpoints exist.
fn main() {}
