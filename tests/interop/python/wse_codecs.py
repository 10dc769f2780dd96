"""The message formats: each packs (type, payload, stamp) into what one WebSocket message carries, a
str for text frames and bytes for binary ones, and takes it apart again. What is absent is None. Flags that are not 0
are packed too, and `flags` reads them."""

# Not `codecs.py`: the standard library has that name.

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.struct_pb2 import NULL_VALUE, Value

HI = "~wse:hi"
CHALLENGE = "~wse:challenge"
SESSION = "~wse:session"
WELCOME = "~wse:welcome"
SEEN = "~wse:seen"
RESPONSE = "~wse:response"
FAULT = "~wse:response-err"
RECEIPT = "~wse:receipt"

UNCOUNTED = frozenset(
    [HI, CHALLENGE, SESSION, WELCOME, SEEN, RECEIPT]
    + ["~wse:ping", "~wse:pong", "~wse:complaint", "~wse:drain", "~wse:expires", "~wse:renew", "~wse:renewed"]
)
"""What neither side counts."""

WANTS = 1
"""In the greeting: the client gives receipts. Of a message: it wants one."""
NOTE = 2
"""It is a message, although it has a stamp."""

Message = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Codec:
    name: str
    binary: bool
    pack: Callable[..., str | bytes]
    unpack: Callable[[str | bytes], Message]
    flags: Callable[[str | bytes], int]


def triple(message: Any) -> Message:
    """Fills up a short array, drops what follows the third element."""
    if not isinstance(message, list):
        raise ValueError("a message is an array")
    kind, payload, stamp = [*message, None, None, None][:3]
    return kind, payload, stamp


def flagged(kind: Any, payload: Any, stamp: Any, flags: int) -> list[Any]:
    return [kind, payload, stamp, flags] if flags else [kind, payload, stamp]


def fourth(message: list[Any]) -> int:
    return (message[3] or 0) if len(message) > 3 else 0


def as_bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def pack_json(kind: Any, payload: Any, stamp: Any, flags: int = 0) -> str:
    # As JSON.stringify writes it: no spaces, no escapes but the necessary ones.
    return json.dumps(flagged(kind, payload, stamp, flags), separators=(",", ":"), ensure_ascii=False)


def unpack_json(data: str | bytes) -> Message:
    return triple(json.loads(data))


PREFIX = "CUSTOM:"


def json_of(data: str | bytes) -> str:
    text = as_bytes(data).decode()
    if not text.startswith(PREFIX):
        raise ValueError(f"a message starts with {PREFIX}")
    return text.removeprefix(PREFIX)


def pack_cbor(kind: Any, payload: Any, stamp: Any, flags: int = 0) -> bytes:
    return cbor2.dumps(flagged(kind, payload, stamp, flags))


def unpack_cbor(data: str | bytes) -> Message:
    return triple(cbor2.loads(as_bytes(data)))


def _messages() -> dict[str, Any]:
    """The messages of wse-interop.proto, described here so that no code has to be generated."""
    kinds = descriptor_pb2.FieldDescriptorProto
    text, data, number = kinds.TYPE_STRING, kinds.TYPE_BYTES, kinds.TYPE_UINT32
    layout = {
        "Envelope": [("type", text), ("payload", data), ("stamp", text), ("flags", number)],
        "Hi": [("identity", data), ("meta", data), ("resume", data)],
        "Fault": [("code", text), ("message", text), ("details", data)],
    }
    file = descriptor_pb2.FileDescriptorProto(name="wse-interop.proto", package="wse.interop", syntax="proto3")
    for name, fields in layout.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields, start=1):
            message.field.add(name=field, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"wse.interop.{name}")) for name in layout}


_CLASSES = _messages()
Envelope, Hi, Fault = _CLASSES["Envelope"], _CLASSES["Hi"], _CLASSES["Fault"]


def to_value(plain: Any) -> Value:
    match plain:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=plain)
        case int() | float():
            return Value(number_value=plain)
        case str():
            return Value(string_value=plain)
        case list() | tuple():
            value = Value()
            value.list_value.values.extend(to_value(each) for each in plain)
            value.list_value.SetInParent()
            return value
        case dict():
            value = Value()
            value.struct_value.SetInParent()
            for key, member in plain.items():
                value.struct_value.fields[key].CopyFrom(to_value(member))
            return value
    raise TypeError(f"google.protobuf.Value cannot hold {type(plain).__name__}")


def from_value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {key: from_value(member) for key, member in value.struct_value.fields.items()}
        case "list_value":
            return [from_value(each) for each in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None


def pack_value(plain: Any) -> bytes:
    return b"" if plain is None else to_value(plain).SerializeToString()


def unpack_value(data: bytes) -> Any:
    return from_value(Value.FromString(data)) if data else None


def pack_body(kind: str, payload: Any) -> bytes:
    if payload is None:
        return b""
    if kind == HI:
        members = {name: pack_value(payload.get(name)) for name in ("identity", "meta", "resume")}
        return Hi(**members).SerializeToString()
    if kind == FAULT:
        details = pack_value(payload.get("details"))
        fault = Fault(code=payload.get("code") or "", message=payload.get("message") or "", details=details)
        return fault.SerializeToString()
    return pack_value(payload)


def unpack_body(kind: str, data: bytes) -> Any:
    if not data:
        return None
    if kind == HI:
        hi = Hi.FromString(data)
        return {"identity": unpack_value(hi.identity), "meta": unpack_value(hi.meta)}
    if kind == FAULT:
        fault = Fault.FromString(data)
        members = {"code": fault.code, "message": fault.message, "details": unpack_value(fault.details)}
        return {name: member for name, member in members.items() if member not in ("", None)}
    return unpack_value(data)


def pack_protobuf(kind: Any, payload: Any, stamp: Any, flags: int = 0) -> bytes:
    envelope = Envelope(type=kind or "", payload=pack_body(kind, payload), stamp=stamp or "", flags=flags)
    return envelope.SerializeToString()


def unpack_protobuf(data: str | bytes) -> Message:
    envelope = Envelope.FromString(as_bytes(data))
    return envelope.type or None, unpack_body(envelope.type, envelope.payload), envelope.stamp or None


# By the name that `--protocol` takes.
CODECS = {
    "json": Codec("wse-default-json", False, pack_json, unpack_json, lambda data: fourth(json.loads(data))),
    "cbor": Codec("wse-cbor", True, pack_cbor, unpack_cbor, lambda data: fourth(cbor2.loads(as_bytes(data)))),
    "protobuf": Codec(
        "wse-protobuf", True, pack_protobuf, unpack_protobuf, lambda data: Envelope.FromString(as_bytes(data)).flags
    ),
    "custom": Codec(
        "wse-custom-prefix",
        False,
        lambda *message: PREFIX + pack_json(*message),
        lambda data: unpack_json(json_of(data)),
        lambda data: fourth(json.loads(json_of(data))),
    ),
}
