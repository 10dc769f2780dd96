//! [`Frame`]: what nodes send each other, and how it is written.
//!
//! A version byte, a byte of flags, and a protobuf message; with a key, the first 16 bytes of an HMAC-SHA256 over the channel
//! and all of that follow. `docs/cluster.md` has the format for other languages.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use hmac::{Hmac, Mac};
use prost::Message as _;
use sha2::Sha256;
use wse::Text;
use wse::cluster::{Destination, Encoding, Publication};

use crate::channel::Channel;
use crate::id::NodeId;

/// The version of the format.
const VERSION: u8 = 1;

/// Set in the second byte when a tag follows.
const SIGNED: u8 = 1;

/// The bytes of a tag.
const TAG: usize = 16;

/// What a node, or a publisher, has sent.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    /// The number of the sender, 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) sender: Bytes,
    /// Grows each time that the sender counts the messages to this channel from 1 again.
    #[prost(uint64, tag = "2")]
    pub(crate) epoch: u64,
    /// The number of the message among those to this channel in this epoch, from 1. 0 for what is not counted.
    #[prost(uint64, tag = "3")]
    pub(crate) number: u64,
    #[prost(oneof = "Content", tags = "4, 5, 6, 7, 8")]
    pub(crate) content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Content {
    #[prost(message, tag = "4")]
    Beat(Beat),
    #[prost(message, tag = "5")]
    Message(Message),
    #[prost(message, tag = "6")]
    CloseUser(CloseUser),
    #[prost(message, tag = "7")]
    Evict(Place),
    #[prost(message, tag = "8")]
    Joined(Place),
}

/// A node lives.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Beat {
    /// The name that the operator has given the node.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(enumeration = "Stage", tag = "2")]
    pub(crate) stage: i32,
    /// How many connections the node has.
    #[prost(uint64, tag = "3")]
    pub(crate) devices: u64,
    /// The epoch of the last message to all connections.
    #[prost(uint64, tag = "4")]
    pub(crate) epoch: u64,
    /// The number of that message; 0 if there was none in this epoch.
    #[prost(uint64, tag = "5")]
    pub(crate) number: u64,
}

/// How far a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Stage {
    /// It has not heard itself yet. Others do not count it.
    Joining = 0,
    Ready = 1,
    /// It is about to end.
    Leaving = 2,
}

/// A message to the connections that the channel names.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) except_users: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) encodings: Vec<Payload>,
}

/// A payload in the format of one protocol.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(string, tag = "1")]
    pub(crate) protocol: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) payload: Bytes,
}

/// Closes the connections of the user that the channel names.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CloseUser {
    #[prost(uint32, tag = "1")]
    pub(crate) code: u32,
    #[prost(string, tag = "2")]
    pub(crate) reason: String,
}

/// A connection of the node that is told: `evict` says that it has lost its place, `joined` that it is the first of its user.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Place {
    #[prost(string, tag = "1")]
    pub(crate) user: String,
    #[prost(uint64, tag = "2")]
    pub(crate) conn_id: u64,
}

impl Message {
    pub(crate) fn new(publication: &Publication) -> Self {
        let payload = |it: &Encoding| Payload {
            protocol: it.protocol.as_str().to_owned(),
            payload: it.payload.clone(),
        };
        Self {
            name: publication.name.as_str().to_owned(),
            except_users: publication.except_users.iter().map(|it| it.as_str().into()).collect(),
            encodings: publication.encodings.iter().map(payload).collect(),
        }
    }

    pub(crate) fn publication(self, to: Destination) -> Publication {
        let encoding =
            |it: Payload| Encoding { protocol: Text::from(it.protocol), payload: it.payload };
        let encodings = self.encodings.into_iter().map(encoding).collect();
        let mut publication = Publication::new(to, self.name, encodings);
        publication.except_users = self.except_users.into_iter().map(Text::from).collect();
        publication
    }
}

/// Why a message of a channel is not one of this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Foreign {
    /// A version that this node does not know.
    Version(u8),
    /// It is cut off, or no frame at all.
    Malformed,
    /// It has no tag, and this node has a key.
    Unsigned,
    /// Its tag is not of this node's key, or this node has none.
    Forged,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "its version is {version}, not {VERSION}"),
            Self::Malformed => f.write_str("it is not a frame of this format"),
            Self::Unsigned => f.write_str("it has no tag, and this node has a key"),
            Self::Forged => f.write_str("its tag was not made with the key of this node"),
        }
    }
}

impl Error for Foreign {}

/// Writes and reads frames, with the key of the cluster if it has one.
#[derive(Clone, Default)]
pub(crate) struct FrameCodec(Option<Hmac<Sha256>>);

impl FrameCodec {
    pub(crate) fn new(key: Option<&[u8]>) -> Self {
        Self(key.map(|key| Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    pub(crate) fn encode(&self, channel: &Channel, frame: &Frame) -> Bytes {
        let mut out = BytesMut::with_capacity(2 + frame.encoded_len() + TAG);
        out.put_slice(&[VERSION, if self.0.is_some() { SIGNED } else { 0 }]);
        frame.encode_raw(&mut out);
        if let Some(key) = &self.0 {
            let tag = signed(key, channel, &out).finalize().into_bytes();
            out.put_slice(&tag[..TAG]);
        }
        out.freeze()
    }

    /// Reads a frame, and the number of its sender.
    pub(crate) fn decode(
        &self,
        channel: &Channel,
        bytes: &Bytes,
    ) -> Result<(NodeId, Frame), Foreign> {
        let [version, flags, ..] = **bytes else { return Err(Foreign::Malformed) };
        if version != VERSION {
            return Err(Foreign::Version(version));
        }
        let body = match (&self.0, flags) {
            (None, 0) => bytes.slice(2..),
            (Some(_), 0) => return Err(Foreign::Unsigned),
            (None, SIGNED) => return Err(Foreign::Forged),
            (Some(key), SIGNED) => {
                let end = bytes.len().checked_sub(TAG).filter(|end| *end >= 2);
                let end = end.ok_or(Foreign::Malformed)?;
                let (signed_bytes, tag) = bytes.split_at(end);
                let mac = signed(key, channel, signed_bytes);
                mac.verify_truncated_left(tag).map_err(|_| Foreign::Forged)?;
                bytes.slice(2..end)
            }
            _ => return Err(Foreign::Malformed),
        };
        let frame = Frame::decode(body).map_err(|_| Foreign::Malformed)?;
        let sender = NodeId::from_bytes(&frame.sender).ok_or(Foreign::Malformed)?;
        Ok((sender, frame))
    }
}

impl fmt::Debug for FrameCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameCodec").field("has_key", &self.0.is_some()).finish()
    }
}

/// The channel counts, so that a message of one channel is not taken for one of another.
fn signed(key: &Hmac<Sha256>, channel: &Channel, bytes: &[u8]) -> Hmac<Sha256> {
    let channel = channel.to_string();
    let mut mac = key.clone();
    mac.update(&(channel.len() as u64).to_be_bytes());
    mac.update(channel.as_bytes());
    mac.update(bytes);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let message = Message {
            name: "news".to_owned(),
            except_users: vec!["bob".to_owned()],
            encodings: vec![Payload { protocol: "wse".to_owned(), payload: "\"hi\"".into() }],
        };
        Frame {
            sender: Bytes::copy_from_slice(&NodeId::new(5).to_bytes()),
            epoch: 300,
            number: 1,
            content: Some(Content::Message(message)),
        }
    }

    /// What `docs/cluster.md` shows to those who write one in another language.
    #[test]
    fn the_format_is_the_documented_one() {
        let bytes = FrameCodec::default().encode(&Channel::All, &frame());
        let hex: String = bytes.iter().map(|it| format!("{it:02x}")).collect();
        let sender = "0a1000000000000000000000000000000005";
        let message = "2a180a046e6577731203626f621a0b0a03777365120422686922";
        assert_eq!(hex, format!("0100{sender}10ac021801{message}"));
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_and_cut_nowhere() {
        for key in [None, Some(&b"secret"[..])] {
            let codec = FrameCodec::new(key);
            let bytes = codec.encode(&Channel::All, &frame());
            assert_eq!(codec.decode(&Channel::All, &bytes), Ok((NodeId::new(5), frame())));
            for end in 0..bytes.len() {
                let cut = codec.decode(&Channel::All, &bytes.slice(..end));
                assert_ne!(cut.ok(), Some((NodeId::new(5), frame())), "{end}");
            }
        }
    }

    #[test]
    fn what_is_not_of_this_cluster_is_told_apart() {
        let plain = FrameCodec::default();
        let [signed, other] = [&b"secret"[..], b"other"].map(|key| FrameCodec::new(Some(key)));
        let all = &Channel::All;
        let decode = |codec: &FrameCodec, bytes: Bytes| codec.decode(all, &bytes).unwrap_err();
        assert_eq!(decode(&plain, Bytes::new()), Foreign::Malformed);
        assert_eq!(decode(&plain, "{}".into()), Foreign::Version(b'{'));
        assert_eq!(decode(&plain, Bytes::from_static(&[1, 2])), Foreign::Malformed);
        assert_eq!(decode(&plain, Bytes::from_static(&[1, 0])), Foreign::Malformed);
        assert_eq!(decode(&signed, plain.encode(all, &frame())), Foreign::Unsigned);
        assert_eq!(decode(&plain, signed.encode(all, &frame())), Foreign::Forged);
        assert_eq!(decode(&other, signed.encode(all, &frame())), Foreign::Forged);
        // Of another channel.
        let elsewhere = signed.encode(&Channel::Room("all".into()), &frame());
        assert_eq!(decode(&signed, elsewhere), Foreign::Forged);
        let mut changed = signed.encode(all, &frame()).to_vec();
        changed[20] ^= 1;
        assert_eq!(decode(&signed, changed.into()), Foreign::Forged);
    }
}
