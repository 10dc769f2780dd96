//! [`Negotiate`]: which protocols an endpoint speaks. [`Negotiated`]: several protocols on one port.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

use crate::{
    CodecError, Decode, Encode, Envelope, Fault, Format, Head, Hi, Packed, Protocol, ProtocolInfo,
    Value,
};

/// What an endpoint speaks: one [`Protocol`], or several, as [`Negotiated`].
///
/// Every protocol implements it, so implement [`Protocol`] and not this trait. Together with [`Speaks`] it is a bound for
/// code that is generic over what an endpoint speaks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message protocol",
    label = "does not implement `Protocol`",
    note = "use a shipped one (`JsonArray`, `Cbor`, `MessagePack`, `Protobuf`, `JsonRpc`, `WsProcessor`), several as `Negotiated::new((A, B))`, or implement `wse_proto::Protocol`: `info`, `format`, `pack` and `unpack`"
)]
pub trait Negotiate: Clone + Send + Sync + 'static {
    /// The payload format.
    type Format: Format;
    /// The protocol of one connection.
    type Protocol: Protocol<Format = Self::Format>;

    /// The subprotocols that a client offers, in order of preference.
    fn subprotocols(&self) -> Vec<&'static str>;

    /// Selects the protocol of one connection: the first, in the order of preference, whose subprotocol is in `offered`.
    /// A protocol without a subprotocol fits every offer. `None` when none fits.
    fn select(&self, offered: &[&str]) -> Option<Self::Protocol>;

    /// The first protocol, to encode with before a connection has selected one.
    fn first(&self) -> Self::Protocol;

    /// How many protocols there are.
    fn variants(&self) -> usize;

    /// The index of this protocol, from 0. A broadcast is encoded once for each index in use.
    fn variant(protocol: &Self::Protocol) -> usize;
}

#[diagnostic::do_not_recommend]
impl<P: Protocol> Negotiate for P {
    type Format = P::Format;
    type Protocol = P;

    fn subprotocols(&self) -> Vec<&'static str> {
        self.info().subprotocol().into_iter().collect()
    }

    fn select(&self, offered: &[&str]) -> Option<P> {
        self.info().subprotocol().is_none_or(|name| offered.contains(&name)).then(|| self.clone())
    }

    fn first(&self) -> P {
        self.clone()
    }

    fn variants(&self) -> usize {
        1
    }

    fn variant(_: &P) -> usize {
        0
    }
}

/// A protocol that can carry `T` in both directions: a bound for generic handlers.
///
/// ```
/// use wse_proto::Speaks;
/// fn handlers<P: Speaks<String> + Speaks<i64>>(protocol: P) {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry `{T}`",
    note = "its format must implement `Encode<{T}>` and `Decode<{T}>`: for JSON, CBOR and MessagePack derive `serde::Serialize` and `serde::Deserialize`, for protobuf derive `prost::Message`"
)]
pub trait Speaks<T>: Negotiate<Format: Encode<T> + Decode<T>> {}

#[diagnostic::do_not_recommend]
impl<P, T> Speaks<T> for P
where
    P: Negotiate,
    P::Format: Encode<T> + Decode<T>,
{
}

/// Several protocols, one of which each connection selects by `Sec-WebSocket-Protocol`.
///
/// A server selects the first protocol of the tuple that the client offered. A client offers all of the tuple and uses
/// the one that the server selects. Handlers are written once; their values must be encodable in all formats. A protocol
/// without a subprotocol fits every offer, so put it last. Of two with the same name, the second is never selected.
///
/// ```
/// # use wse_proto::{Negotiated, Protocol};
/// fn both<A: Protocol, B: Protocol>(a: A, b: B) -> Negotiated<(A, B)> {
///     Negotiated::new((a, b))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Negotiated<T>(T);

impl<T> Negotiated<T> {
    /// Negotiates among a tuple of two to eight protocols, in order of preference.
    pub fn new(protocols: T) -> Self
    where
        Self: Negotiate,
    {
        Self(protocols)
    }
}

/// The protocol of one connection, as [`Negotiated`] selected it.
#[derive(Clone, Debug)]
pub struct OneOf<T, F> {
    all: T,
    format: OneOfFormat<F>,
}

/// The format of [`OneOf`]: the one of the selected protocol.
#[derive(Clone, Debug)]
pub struct OneOfFormat<F> {
    all: F,
    chosen: usize,
}

/// Runs `$body` with `$it` as the chosen member. An index out of range, which cannot occur, means the first.
macro_rules! with_chosen {
    ($self:ident, $chosen:expr, $it:ident => $body:expr, $($i:tt)+) => {
        match $chosen {
            $($i => { let $it = &$self.all.$i; $body })+
            _ => { let $it = &$self.all.0; $body }
        }
    };
}

macro_rules! negotiated {
    ($($P:ident $i:tt),+) => {
        impl<$($P: Protocol),+> Negotiate for Negotiated<($($P,)+)> {
            type Format = OneOfFormat<($($P::Format,)+)>;
            type Protocol = OneOf<($($P,)+), ($($P::Format,)+)>;

            fn subprotocols(&self) -> Vec<&'static str> {
                let names = [$(self.0.$i.info().subprotocol()),+];
                // RFC 6455 §4.1: the offered names MUST be unique.
                let mut seen = HashSet::new();
                names.into_iter().flatten().filter(|name| seen.insert(*name)).collect()
            }
            fn select(&self, offered: &[&str]) -> Option<Self::Protocol> {
                let fits = [$(Negotiate::select(&self.0.$i, offered).is_some()),+];
                Some(self.chosen(fits.into_iter().position(|fits| fits)?))
            }
            fn first(&self) -> Self::Protocol {
                self.chosen(0)
            }
            fn variants(&self) -> usize {
                [$($i),+].len()
            }
            fn variant(protocol: &Self::Protocol) -> usize {
                protocol.format.chosen
            }
        }

        impl<$($P: Protocol),+> Negotiated<($($P,)+)> {
            fn chosen(&self, chosen: usize) -> OneOf<($($P,)+), ($($P::Format,)+)> {
                let all = self.0.clone();
                let format = OneOfFormat { all: ($(all.$i.format().clone(),)+), chosen };
                OneOf { all, format }
            }
        }

        impl<$($P: Protocol),+> Protocol for OneOf<($($P,)+), ($($P::Format,)+)> {
            type Format = OneOfFormat<($($P::Format,)+)>;

            fn info(&self) -> ProtocolInfo {
                with_chosen!(self, self.format.chosen, p => p.info(), $($i)+)
            }
            fn format(&self) -> &Self::Format {
                &self.format
            }
            fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
                with_chosen!(self, self.format.chosen, p => p.pack(head, payload, out), $($i)+)
            }
            fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
                with_chosen!(self, self.format.chosen, p => p.unpack(message), $($i)+)
            }
            fn unpack_batch(&self, message: Packed<'_>) -> Option<Vec<Result<Envelope, CodecError>>> {
                with_chosen!(self, self.format.chosen, p => p.unpack_batch(message), $($i)+)
            }
            fn pack_with<W>(&self, head: &Head, out: &mut BytesMut, write: W) -> Result<(), CodecError>
            where
                W: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
            {
                with_chosen!(self, self.format.chosen, p => p.pack_with(head, out, write), $($i)+)
            }
        }

        impl<$($P: Format),+> Format for OneOfFormat<($($P,)+)> {
            fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
                with_chosen!(self, self.chosen, f => f.encode_hi(hi, out), $($i)+)
            }
            fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
                with_chosen!(self, self.chosen, f => f.decode_hi(payload), $($i)+)
            }
            fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
                with_chosen!(self, self.chosen, f => f.encode_fault(fault, out), $($i)+)
            }
            fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
                with_chosen!(self, self.chosen, f => f.decode_fault(payload), $($i)+)
            }
            fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
                with_chosen!(self, self.chosen, f => f.encode_serial(serial, out), $($i)+)
            }
            fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
                with_chosen!(self, self.chosen, f => f.decode_serial(payload), $($i)+)
            }
            fn encode_value(&self, value: &Value, out: &mut BytesMut) {
                with_chosen!(self, self.chosen, f => f.encode_value(value, out), $($i)+)
            }
            fn decode_value(&self, payload: &Bytes) -> Option<Value> {
                with_chosen!(self, self.chosen, f => f.decode_value(payload), $($i)+)
            }
            fn empty_map(&self) -> Bytes {
                with_chosen!(self, self.chosen, f => f.empty_map(), $($i)+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: ?Sized, $($P: Encode<T>),+> Encode<T> for OneOfFormat<($($P,)+)> {
            fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
                with_chosen!(self, self.chosen, f => f.encode(value, out), $($i)+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T, $($P: Decode<T>),+> Decode<T> for OneOfFormat<($($P,)+)> {
            fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
                with_chosen!(self, self.chosen, f => f.decode(payload), $($i)+)
            }
        }
    };
}

negotiated!(A 0, B 1);
negotiated!(A 0, B 1, C 2);
negotiated!(A 0, B 1, C 2, D 3);
negotiated!(A 0, B 1, C 2, D 3, E 4);
negotiated!(A 0, B 1, C 2, D 3, E 4, F 5);
negotiated!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
negotiated!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
