//! Masking (RFC 6455 §5.3): every payload byte from a client is XORed with a repeating 4-byte key.

/// Masks or unmasks `data` in place, which is the same operation.
///
/// `offset` is the number of payload bytes before `data`, so that a payload can be handled in pieces.
///
/// ```
/// use wse_transport::ws::apply_mask;
///
/// let mut data = *b"\x7f\x9f\x4d\x51\x58";
/// let (head, tail) = data.split_at_mut(3);
/// apply_mask(head, [0x37, 0xfa, 0x21, 0x3d], 0);
/// apply_mask(tail, [0x37, 0xfa, 0x21, 0x3d], 3);
/// assert_eq!(&data, b"Hello");
/// ```
pub fn apply_mask(data: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let word = u32::from_ne_bytes(mask);
    let wide = u64::from(word) << 32 | u64::from(word);

    // Whole words: the compiler turns them into vector instructions.
    let (words, rest) = data.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::apply_mask;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_offset() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        for len in 0..70_usize {
            for offset in 0..9_usize {
                let plain: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let mut masked = plain.clone();
                apply_mask(&mut masked, mask, offset);
                for (i, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, plain[i] ^ mask[(i + offset) % 4]);
                }
            }
        }
    }
}
