//! Byte strings that stand for a text: UUIDs and IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The text that the types of such values are read from, as they are in JSON. `None` when the tag is another one.
pub(super) fn text(tag: Option<u64>, bytes: &[u8]) -> Option<String> {
    match tag? {
        // The registered tag of UUIDs.
        37 => bytes.try_into().ok().map(uuid),
        // RFC 9164, and the tag 260 that was registered before it.
        52 | 54 | 260 => address(bytes),
        _ => None,
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
        .map(|(start, end)| hex.get(start..end).unwrap_or_default())
        .join("-")
}

fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).to_string()),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).to_string()),
    }
}
