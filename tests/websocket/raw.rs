//! Frames as they are: all bits, no rules.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tokio_util::codec::{Decoder, Encoder};
use wse_transport::ws::{
    CloseCode, CloseFrame, Codec, Error, Frame, Limits, Opcode, ProtocolError, RawCodec, RawFrame,
    close_payload,
};

fn frames() -> impl Strategy<Value = RawFrame> {
    let bits = any::<(bool, bool, bool, bool)>();
    let payload = prop_oneof![0..130_usize, Just(65_535), Just(65_536)];
    (bits, 0..16_u8, any::<Option<[u8; 4]>>(), payload, any::<u8>()).prop_map(
        |((fin, rsv1, rsv2, rsv3), opcode, mask, len, byte)| RawFrame {
            fin,
            rsv1,
            rsv2,
            rsv3,
            opcode,
            mask,
            payload: vec![byte; len].into(),
        },
    )
}

proptest! {
    #[test]
    fn every_frame_there_can_be_is_read_as_it_was_written(
        frames in prop::collection::vec(frames(), 1..5),
        cuts in prop::collection::vec(1..5000_usize, 1..10),
    ) {
        let mut codec = RawCodec::default();
        let mut wire = BytesMut::new();
        for frame in &frames {
            codec.encode(frame.clone(), &mut wire).unwrap();
        }
        let (mut input, mut got) = (BytesMut::new(), Vec::new());
        for cut in cuts.into_iter().cycle() {
            if wire.is_empty() {
                break;
            }
            input.extend_from_slice(&wire.split_to(cut.min(wire.len())));
            while let Some(frame) = codec.decode(&mut input).unwrap() {
                got.push(frame);
            }
        }
        prop_assert!(input.is_empty());
        prop_assert_eq!(got, frames);
    }

    #[test]
    fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut codec = RawCodec::new(200);
        let mut input = BytesMut::from(&bytes[..]);
        while let Ok(Some(frame)) = codec.decode(&mut input) {
            prop_assert!(frame.payload.len() <= 200);
        }
    }
}

#[test]
fn what_is_within_the_rules_is_the_same_for_both_codecs() {
    let mut strict = Codec::client(Limits::default(), || [0x37, 0xfa, 0x21, 0x3d]);
    let mut raw = RawCodec::default();
    let frame = Frame::fragment(Opcode::Text, "Hel");
    let (mut by_strict, mut by_raw) = (BytesMut::new(), BytesMut::new());
    strict.encode(frame, &mut by_strict).unwrap();
    let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
    let frame = RawFrame { fin: false, mask, ..RawFrame::new(Opcode::Text.bits(), "Hel") };
    raw.encode(frame, &mut by_raw).unwrap();
    assert_eq!(by_strict, by_raw);
}

#[test]
fn a_length_is_believed_up_to_the_limit() {
    let declared = |len: u64| {
        let mut wire = BytesMut::from(&[0x82, 127][..]);
        wire.extend_from_slice(&len.to_be_bytes());
        wire
    };
    let mut codec = RawCodec::new(1 << 40);
    let mut wire = declared(1 << 40);
    assert!(codec.decode(&mut wire).unwrap().is_none());
    assert!(wire.capacity() < 64 * 1024, "{}", wire.capacity());
    for (len, expected) in [
        ((1 << 40) + 1, ProtocolError::FrameTooBig { declared: (1 << 40) + 1, limit: 1 << 40 }),
        (1 << 63, ProtocolError::LengthTooLarge),
    ] {
        match codec.decode(&mut declared(len)) {
            Err(Error::Protocol(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn close_payloads_have_room_for_an_extension() {
    let payload = close_payload(CloseCode(4001), "née", b"");
    let parsed = CloseFrame::parse(&payload).unwrap().unwrap();
    assert_eq!(parsed, CloseFrame::new(CloseCode(4001), "née"));
    assert_eq!(close_payload(CloseCode::NORMAL, "r", b"ext"), Bytes::from_static(b"ext\x03\xe8r"));
}
