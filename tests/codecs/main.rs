//! The formats of messages: their bytes, what is refused, and how one of several is chosen.

use serde_json::Value;

mod all;
mod alloc;
mod cbor;
mod json;
mod jsonrpc;
mod msgpack;
mod msgpack_values;
mod negotiation;
mod peers;
mod protobuf;
mod resume;
mod shapes;
mod stamps;
mod table;
mod types;
mod wsprocessor;

/// The value as CBOR and MessagePack read it: JavaScript writes a whole number beyond 32 bits as a float there.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) if float.fract() == 0.0 && (0.0..2_f64.powi(64)).contains(&float) => {
                Value::from(float as u64)
            }
            Some(float) if float.fract() == 0.0 && (-(2_f64.powi(63))..0.0).contains(&float) => {
                Value::from(float as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, plain(value))).collect()
        }
        other => other,
    }
}
