//! [`Negotiated`]: several protocols on one port, chosen per connection by subprotocol.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};

use crate::{
    Abilities, CodecError, Decode, Encode, Envelope, Fault, Format, Head, Hi, InternalTypes,
    Opcode, Protocol,
};

/// Several protocols, one of which is chosen per connection by `Sec-WebSocket-Protocol`: the first of
/// the tuple that the client offered. Handlers are written once; a value must be encodable by all.
///
/// A client that uses it offers all of the tuple and speaks what the server selects. A protocol
/// without a name takes every offer, so that it belongs at the end; of two with the same name the
/// second is never chosen.
///
/// ```
/// # use wse_proto::{Negotiated, Protocol};
/// fn both<A: Protocol, B: Protocol>(a: A, b: B) -> Negotiated<(A, B)> {
///     Negotiated::new((a, b))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Negotiated<T> {
    all: T,
    chosen: usize,
}

impl<T> Negotiated<T> {
    /// Negotiates among a tuple of two to eight protocols, best first.
    pub fn new(all: T) -> Self
    where
        Self: Protocol,
    {
        Self { all, chosen: 0 }
    }
}

/// The format of a [`Negotiated`] protocol: that of the chosen one.
#[derive(Clone, Debug)]
pub struct NegotiatedFormat<T> {
    all: T,
    chosen: usize,
}

/// Runs `$body` with `$it` as the chosen member; an index that cannot be falls to the first.
macro_rules! with_chosen {
    ($self:ident, $it:ident => $body:expr, $($i:tt)+) => {
        match $self.chosen {
            $($i => { let $it = &$self.all.$i; $body })+
            _ => { let $it = &$self.all.0; $body }
        }
    };
}

macro_rules! negotiated {
    ($($P:ident $i:tt),+) => {
        impl<$($P: Protocol),+> Protocol for Negotiated<($($P,)+)> {
            type Format = NegotiatedFormat<($($P::Format,)+)>;

            fn name(&self) -> &'static str {
                with_chosen!(self, p => p.name(), $($i)+)
            }
            fn opcode(&self) -> Opcode {
                with_chosen!(self, p => p.opcode(), $($i)+)
            }
            fn format(&self) -> Self::Format {
                NegotiatedFormat { all: ($(self.all.$i.format(),)+), chosen: self.chosen }
            }
            fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
                with_chosen!(self, p => p.pack(head, payload, out), $($i)+)
            }
            fn unpack(&self, message: Bytes) -> Result<Envelope, CodecError> {
                with_chosen!(self, p => p.unpack(message), $($i)+)
            }
            fn internal_types(&self) -> &InternalTypes {
                with_chosen!(self, p => p.internal_types(), $($i)+)
            }
            fn abilities(&self) -> Abilities {
                with_chosen!(self, p => p.abilities(), $($i)+)
            }
            fn bundle(&self, message: &Bytes) -> Option<Vec<Result<Envelope, CodecError>>> {
                with_chosen!(self, p => p.bundle(message), $($i)+)
            }
            fn has_greeting(&self) -> bool {
                with_chosen!(self, p => p.has_greeting(), $($i)+)
            }
            fn pack_with<W>(&self, head: &Head, out: &mut BytesMut, write: W) -> Result<(), CodecError>
            where
                W: FnOnce(&mut BytesMut) -> Result<(), CodecError>,
            {
                with_chosen!(self, p => p.pack_with(head, out, write), $($i)+)
            }
            fn subprotocols(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(names.extend(self.all.$i.subprotocols());)+
                // RFC 6455 §4.1: the offered names MUST be unique.
                let mut seen = HashSet::new();
                names.retain(|name| seen.insert(*name));
                names
            }
            fn select(&self, offered: &[&str]) -> Option<Self> {
                $(if let Some(member) = self.all.$i.select(offered) {
                    let mut all = self.all.clone();
                    all.$i = member;
                    return Some(Self { all, chosen: $i });
                })+
                None
            }
            fn variant(&self) -> usize {
                // Members may choose among several themselves: each has its numbers behind those before it.
                let before = [$(self.all.$i.variants()),+].into_iter().take(self.chosen).sum::<usize>();
                before + with_chosen!(self, p => p.variant(), $($i)+)
            }
            fn variants(&self) -> usize {
                [$(self.all.$i.variants()),+].into_iter().sum()
            }
        }

        impl<$($P: Format),+> Format for NegotiatedFormat<($($P,)+)> {
            fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
                with_chosen!(self, f => f.encode_hi(hi, out), $($i)+)
            }
            fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
                with_chosen!(self, f => f.decode_hi(payload), $($i)+)
            }
            fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
                with_chosen!(self, f => f.encode_fault(fault, out), $($i)+)
            }
            fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
                with_chosen!(self, f => f.decode_fault(payload), $($i)+)
            }
            fn encode_serial(&self, serial: u64, out: &mut BytesMut) {
                with_chosen!(self, f => f.encode_serial(serial, out), $($i)+)
            }
            fn decode_serial(&self, payload: &Bytes) -> Option<u64> {
                with_chosen!(self, f => f.decode_serial(payload), $($i)+)
            }
            fn empty_map(&self) -> Bytes {
                with_chosen!(self, f => f.empty_map(), $($i)+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T: ?Sized, $($P: Encode<T>),+> Encode<T> for NegotiatedFormat<($($P,)+)> {
            fn encode(&self, value: &T, out: &mut BytesMut) -> Result<(), CodecError> {
                with_chosen!(self, f => f.encode(value, out), $($i)+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T, $($P: Decode<T>),+> Decode<T> for NegotiatedFormat<($($P,)+)> {
            fn decode(&self, payload: &Bytes) -> Result<T, CodecError> {
                with_chosen!(self, f => f.decode(payload), $($i)+)
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
