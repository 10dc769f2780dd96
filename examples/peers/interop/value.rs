//! A value of any shape, for peers that choose it at run time: what JSON can say, byte strings
//! (CBOR), and `google.protobuf.Value` (protobuf).

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wse::{CodecError, Decode, Encode, ProtobufFormat};

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond `Int`.
    Big(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The member of a map; null when there is none.
    pub fn get(&self, key: &str) -> &Value {
        match self {
            Self::Map(map) => map.get(key).unwrap_or(&Self::Null),
            _ => &Self::Null,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Int(int) => Some(int as f64),
            Self::Big(int) => Some(int as f64),
            Self::Float(float) => Some(float),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    pub fn into_map(self) -> BTreeMap<String, Value> {
        match self {
            Self::Map(map) => map,
            _ => BTreeMap::new(),
        }
    }
}

/// A map with these members.
pub fn map<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Whole numbers stay whole: protobuf and JavaScript know only one kind.
pub fn number(float: f64) -> Value {
    if float.fract() == 0.0 && float.abs() < 9e15 {
        Value::Int(float as i64)
    } else {
        Value::Float(float)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Int(int.into())
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::Int(int as i64)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Big(int) => serializer.serialize_u64(*int),
            Self::Float(float) => serializer.serialize_f64(*float),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => serializer.collect_map(map),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }
    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }
    fn visit_u64<E>(self, int: u64) -> Result<Value, E> {
        Ok(i64::try_from(int).map_or(Value::Big(int), Value::Int))
    }
    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }
    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_vec()))
    }
    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

impl Encode<Value> for ProtobufFormat {
    fn encode(&self, value: &Value, out: &mut BytesMut) -> Result<(), CodecError> {
        if !value.is_null() {
            to_proto(value)
                .encode(out)
                .map_err(|error| CodecError::value("a value", "no room").with_source(error))?;
        }
        Ok(())
    }
}

impl Decode<Value> for ProtobufFormat {
    fn decode(&self, payload: &Bytes) -> Result<Value, CodecError> {
        let value = prost_types::Value::decode(payload.as_ref()).map_err(|error| {
            CodecError::value("a payload", "not a google.protobuf.Value").with_source(error)
        })?;
        Ok(from_proto(value))
    }
}

fn to_proto(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Int(int) => Kind::NumberValue(*int as f64),
        Value::Big(int) => Kind::NumberValue(*int as f64),
        Value::Float(float) => Kind::NumberValue(*float),
        Value::Text(text) => Kind::StringValue(text.clone()),
        Value::Bytes(bytes) => Kind::StringValue(String::from_utf8_lossy(bytes).into_owned()),
        Value::List(list) => {
            Kind::ListValue(ListValue { values: list.iter().map(to_proto).collect() })
        }
        Value::Map(map) => {
            let fields = map.iter().map(|(key, value)| (key.clone(), to_proto(value))).collect();
            Kind::StructValue(Struct { fields })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

fn from_proto(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(bool)) => Value::Bool(bool),
        Some(Kind::NumberValue(float)) => number(float),
        Some(Kind::StringValue(text)) => Value::Text(text),
        Some(Kind::ListValue(list)) => {
            Value::List(list.values.into_iter().map(from_proto).collect())
        }
        Some(Kind::StructValue(fields)) => Value::Map(
            fields.fields.into_iter().map(|(key, value)| (key, from_proto(value))).collect(),
        ),
    }
}
