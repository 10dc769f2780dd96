//! [`Value`]s of messages about resume, as `google.protobuf.Value`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use prost::Message;
use wse_proto::{Text, Value};

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Any>,
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Any>,
}

/// Appends a value.
pub(super) fn put(value: &Value, out: &mut BytesMut) {
    // This cannot fail: the buffer grows.
    let written = to_any(value).encode(out);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Reads a value. No bytes are null.
pub(super) fn read(payload: &Bytes) -> Option<Value> {
    Any::decode(payload.clone()).ok().map(|any| from_any(any, true))
}

fn to_any(value: &Value) -> Any {
    Any {
        kind: Some(match value {
            Value::Bool(value) => Kind::Bool(*value),
            // Exact, since it is below 2^53.
            Value::Integer(value) => Kind::Number(*value as f64),
            Value::Text(text) => Kind::Text(text.to_string()),
            Value::List(list) => Kind::List(List { values: list.iter().map(to_any).collect() }),
            Value::Map(members) => {
                let members = members.iter();
                let fields = members.map(|(name, value)| (name.to_string(), to_any(value)));
                Kind::Struct(Struct { fields: fields.collect() })
            }
            Value::Null => Kind::Null(0),
            // Not written by sessions. It is read as what it is.
            _ => Kind::Number(-1.0),
        }),
    }
}

fn from_any(Any { kind }: Any, outer: bool) -> Value {
    match kind {
        None | Some(Kind::Null(_)) => Value::Null,
        Some(Kind::Bool(value)) => Value::Bool(value),
        Some(Kind::Number(value)) => Value::from_float(value),
        Some(Kind::Text(text)) => Value::Text(text.into()),
        Some(Kind::List(List { values })) => {
            let values = values.into_iter().take(Value::ELEMENTS);
            Value::List(values.map(|value| from_any(value, false)).collect())
        }
        Some(Kind::Struct(Struct { mut fields })) if outer => {
            let members = Value::NAMES.into_iter().filter_map(|name| {
                let value = fields.remove(name)?;
                Some((Text::from_static(name), from_any(value, false)))
            });
            Value::Map(members.collect())
        }
        Some(Kind::Struct(_)) => Value::Other,
    }
}
