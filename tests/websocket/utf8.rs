//! Utf8Bytes is UTF-8, and a wrong byte is found when it arrives (RFC 6455 §8.1, RFC 3629).

use crate::support::ws::*;
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;
use wse_transport::ws::{
    Error, Frame, Limits, Opcode, ProtocolError, Role, Utf8Bytes, Utf8Validator,
};

const VALID: &[&str] = &[
    "",
    "Hello",
    "κόσμε",
    "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
    "\u{d7ff}\u{e000}",
    "a\0b",
];

/// Bytes, and how many of them may arrive before it is certain that they are no UTF-8.
const INVALID: &[(&[u8], usize)] = &[
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\xc0\x80", 0),
    (b"\xc1\xbf", 0),
    (b"\xf5\x80\x80\x80", 0),
    (b"\xfe", 0),
    (b"\xff", 0),
    (b"\xe0\x80\x80", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xed\xa0\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xf0\x80\x80\x80", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf4\x90\x80\x80", 1),
    (b"\xc3a", 1),
    (b"\xe2\x82a", 2),
    (b"\xf0\x9f\x98a", 3),
    (b"\xf0\x9f\x98\xc0", 3),
];

/// Feeds pieces; returns how many were taken without an error.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (usize, bool) {
    let mut check = Utf8Validator::default();
    for (taken, piece) in pieces.into_iter().enumerate() {
        if check.feed(piece).is_err() {
            return (taken, false);
        }
    }
    (usize::MAX, check.finish().is_ok())
}

#[test]
fn valid_text_passes_however_it_is_cut() {
    for text in VALID {
        let bytes = text.as_bytes();
        assert!(feed(bytes.chunks(1)).1);
        for split in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(split);
            assert!(feed([head, tail]).1, "{text:?} split at {split}");
        }
    }
}

#[test]
fn an_impossible_byte_fails_at_once() {
    for (bytes, position) in INVALID {
        assert_eq!(feed(bytes.chunks(1)), (*position, false), "{bytes:02x?}");
        let prefixed = [b"long enough for vectors: \xc3\xa4\xc3\xb6\xc3\xbc ", *bytes].concat();
        for split in 0..=prefixed.len() {
            let (head, tail) = prefixed.split_at(split);
            assert!(!feed([head, tail]).1);
        }
    }
}

#[test]
fn an_incomplete_end_is_an_error_only_at_the_end() {
    for bytes in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"abc\xf4\x8f"] {
        assert_eq!(feed([bytes]), (usize::MAX, false));
    }
}

#[test]
fn all_sequences_of_three_critical_bytes_agree_with_rfc_3629() {
    let critical = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
        0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    // the continuation bytes that are still to come, the next one first; none if impossible
    let step = |state: &[(u8, u8)], byte: u8| -> Option<Vec<(u8, u8)>> {
        if let [(low, high), rest @ ..] = state {
            return (*low..=*high).contains(&byte).then(|| rest.to_vec());
        }
        const ANY: (u8, u8) = (0x80, 0xbf);
        Some(match byte {
            0x00..=0x7f => vec![],
            0xc2..=0xdf => vec![ANY],
            0xe0 => vec![(0xa0, 0xbf), ANY],
            0xe1..=0xec | 0xee | 0xef => vec![ANY, ANY],
            0xed => vec![(0x80, 0x9f), ANY],
            0xf0 => vec![(0x90, 0xbf), ANY, ANY],
            0xf1..=0xf3 => vec![ANY, ANY, ANY],
            0xf4 => vec![(0x80, 0x8f), ANY, ANY],
            _ => return None,
        })
    };
    for a in critical {
        for b in critical {
            for c in critical {
                let bytes = [a, b, c];
                let mut state = Some(vec![]);
                let mut position = 0;
                for byte in bytes {
                    state = state.and_then(|it| step(&it, byte));
                    if state.is_none() {
                        break;
                    }
                    position += 1;
                }
                let expected = match state {
                    None => (position, false),
                    Some(rest) => (usize::MAX, rest.is_empty()),
                };
                assert_eq!(feed(bytes.chunks(1)), expected, "{bytes:02x?}");
            }
        }
    }
}

#[test]
fn a_frame_fails_before_it_ends() {
    // 1 KiB is declared, and only its beginning arrives
    let mut wire = hex("81 7e 04 00");
    wire.extend_from_slice(b"good \xf4\x90");
    let (frames, error) = decode(Role::Client, Limits::default(), wire.chunks(1));
    assert!(frames.is_empty());
    assert_eq!(error, Some(ProtocolError::InvalidText));
}

#[test]
fn a_character_may_be_cut_by_fragments_with_a_ping_between() {
    let parts = [
        Frame::fragment(Opcode::Text, &b"\xf0\x9f"[..]),
        Frame::new(Opcode::Ping, &b"\xff"[..]),
        Frame::fragment(Opcode::Continuation, ""),
        Frame::new(Opcode::Continuation, &b"\x98\x80"[..]),
    ];
    let wire: Vec<u8> = parts.iter().flat_map(|it| bytes(Role::Client, it.clone())).collect();
    let (frames, error) = decode(Role::Server, Limits::default(), wire.chunks(1));
    assert_eq!((frames.as_slice(), error), (&parts[..], None));
}

#[test]
fn binary_may_hold_anything() {
    let frame = Frame::new(Opcode::Binary, &b"\xff\xfe"[..]);
    let wire = bytes(Role::Client, frame.clone());
    assert_eq!(decode(Role::Server, Limits::default(), [&wire[..]]), (vec![frame], None));
}

#[test]
fn a_text_is_checked_when_it_is_made() {
    assert!(Utf8Bytes::try_from(Bytes::from_static(b"\xff")).is_err());
    let text = Utf8Bytes::try_from(Bytes::from_static("grüß".as_bytes())).unwrap();
    assert_eq!(text, "grüß");
    assert_eq!(text.as_str(), "grüß");
    assert_eq!(text.len(), 6);
    assert_eq!(Utf8Bytes::from(String::from("a")), Utf8Bytes::from("a"));
}

/// Also when it came at once, with its frame and more behind it.
#[test]
fn nothing_is_read_behind_a_text_that_is_none() {
    let wire =
        [&b"na\xef"[..], b"fine"].map(|it| bytes(Role::Client, Frame::new(Opcode::Text, it)));
    let mut codec = codec(Role::Server, Limits::default());
    let mut wire = BytesMut::from(&wire.concat()[..]);
    for _ in 0..3 {
        let error = codec.decode(&mut wire).unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::InvalidText)), "{error:?}");
    }
}
