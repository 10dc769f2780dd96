//! [`Value`]s of messages about resume, by serde.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wse_proto::{Text, Value};

/// A value that serde writes.
pub(crate) struct Written<'a>(pub(crate) &'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_u64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => serializer.collect_seq(list.iter().map(Written)),
            Value::Map(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), Written(value)));
                serializer.collect_map(members)
            }
            Value::Null => serializer.serialize_unit(),
            // Not written by sessions. It is read as what it is.
            _ => serializer.serialize_i64(-1),
        }
    }
}

/// A value that serde has read. Members and elements that no session reads are skipped, and so is what is nested deeper
/// than a list in a map.
pub(crate) struct Read(pub(crate) Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(0).deserialize(deserializer).map(Self)
    }
}

/// How deep the value is nested.
#[derive(Clone, Copy)]
struct Level(u8);

/// Lists in a map are read, and nothing that is nested deeper.
const DEEPEST: u8 = 2;

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from_integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Other, Value::from_integer))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from_float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, other: D) -> Result<Value, D::Error> {
        other.deserialize_any(IgnoredAny).map(|_| Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let below = Self(self.0 + 1);
        while self.0 < DEEPEST && list.len() < Value::ELEMENTS {
            let Some(element) = elements.next_element_seed(below)? else { break };
            list.push(element);
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if self.0 < DEEPEST { Value::List(list) } else { Value::Other })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map: Vec<(Text, Value)> = Vec::new();
        let below = Self(self.0 + 1);
        while let Some(Name(name)) = members.next_key()? {
            let Some(name) = name.filter(|_| self.0 == 0) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = members.next_value_seed(below)?;
            match map.iter_mut().find(|(known, _)| *known == *name) {
                Some((_, known)) => *known = value,
                None => map.push((Text::from_static(name), value)),
            }
        }
        Ok(if self.0 == 0 { Value::Map(map) } else { Value::Other })
    }
}

/// A name that a session reads; `None` for any other key.
struct Name(Option<&'static str>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Level(DEEPEST).deserialize(deserializer)? {
            Value::Text(text) => Value::NAMES.into_iter().find(|name| text == **name),
            _ => None,
        }))
    }
}
