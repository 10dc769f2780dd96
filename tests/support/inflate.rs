//! A DEFLATE decoder (RFC 1951) written down from the text, slow and with a memory for what it saw: to hold
//! our compression against something else than the library that did it.

/// What a compressed message was made of.
#[derive(Debug, Default)]
pub struct Inflated {
    /// All output, what was there before included.
    pub output: Vec<u8>,
    /// The farthest that was referred back.
    pub farthest: usize,
    /// Whether what was there before was referred to.
    pub takes_over: bool,
    /// The types of the blocks: 0 is without compression.
    pub blocks: Vec<u8>,
}

struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn bit(&mut self) -> usize {
        let bit = self.0[self.1 / 8] >> (self.1 % 8) & 1;
        self.1 += 1;
        bit.into()
    }

    /// A number, lowest bit first.
    fn number(&mut self, bits: u32) -> usize {
        (0..bits).map(|at| self.bit() << at).sum()
    }
}

/// A Huffman code: for each length the symbols that have it.
struct Code([Vec<usize>; 16]);

impl Code {
    fn new(lengths: impl IntoIterator<Item = u8>) -> Self {
        let mut symbols = Self(Default::default());
        for (symbol, len) in lengths.into_iter().enumerate() {
            symbols.0[usize::from(len)].push(symbol);
        }
        symbols
    }

    /// §3.2.2: codes of one length are consecutive, shorter ones come first.
    fn read(&self, bits: &mut Bits<'_>) -> usize {
        let (mut code, mut first) = (0, 0);
        for symbols in &self.0[1..] {
            code = code << 1 | bits.bit();
            first <<= 1;
            if let Some(symbol) = symbols.get(code - first) {
                return *symbol;
            }
            first += symbols.len();
        }
        panic!("no such code");
    }
}

const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The base of a distance, and its extra bits.
fn distance(symbol: usize) -> (usize, u32) {
    match symbol {
        0..=3 => (symbol + 1, 0),
        _ => {
            let extra = symbol as u32 / 2 - 1;
            (1 + ((2 + symbol % 2) << extra), extra)
        }
    }
}

/// Inflates a message of permessage-deflate behind what came before it.
pub fn inflate(payload: &[u8], before: &[u8]) -> Inflated {
    // RFC 7692 §7.2.2
    let data = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut bits = Bits(&data, 0);
    let mut found = Inflated { output: before.to_vec(), ..Inflated::default() };
    while bits.1.div_ceil(8) < data.len() {
        let last = bits.bit() == 1;
        let kind = bits.number(2);
        found.blocks.push(kind as u8);
        match kind {
            0 => {
                let at = bits.1.div_ceil(8);
                let len = usize::from(u16::from_le_bytes([data[at], data[at + 1]]));
                assert_eq!(len, usize::from(!u16::from_le_bytes([data[at + 2], data[at + 3]])));
                found.output.extend_from_slice(&data[at + 4..at + 4 + len]);
                bits.1 = (at + 4 + len) * 8;
            }
            1 => {
                let lengths = (0..288).map(|symbol| match symbol {
                    0..144 => 8,
                    144..256 => 9,
                    256..280 => 7,
                    _ => 8,
                });
                let (literals, distances) = (Code::new(lengths), Code::new([5; 30]));
                block(&mut bits, &literals, &distances, before.len(), &mut found);
            }
            2 => {
                let (literals, distances) = codes(&mut bits);
                block(&mut bits, &literals, &distances, before.len(), &mut found);
            }
            _ => panic!("a reserved block type"),
        }
        if last {
            bits.1 = bits.1.next_multiple_of(8);
        }
    }
    found
}

/// §3.2.7
fn codes(bits: &mut Bits<'_>) -> (Code, Code) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.number(5) + 257;
    let distances = bits.number(5) + 1;
    let mut of_lengths = vec![0; 19];
    for at in &ORDER[..bits.number(4) + 4] {
        of_lengths[*at] = bits.number(3) as u8;
    }
    let of_lengths = Code::new(of_lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (len, times) = match of_lengths.read(bits) {
            16 => (*lengths.last().unwrap(), bits.number(2) + 3),
            17 => (0, bits.number(3) + 3),
            18 => (0, bits.number(7) + 11),
            len => (len as u8, 1),
        };
        lengths.extend(std::iter::repeat_n(len, times));
    }
    let distances = lengths.split_off(literals);
    (Code::new(lengths), Code::new(distances))
}

fn block(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    before: usize,
    found: &mut Inflated,
) {
    loop {
        match literals.read(bits) {
            256 => return,
            literal @ 0..256 => found.output.push(literal as u8),
            symbol => {
                let (base, extra) = LENGTHS[symbol - 257];
                let len = base + bits.number(extra);
                let (base, extra) = distance(distances.read(bits));
                let back = base + bits.number(extra);
                assert!(back <= found.output.len(), "refers to what never was");
                found.farthest = found.farthest.max(back);
                found.takes_over |= found.output.len() - back < before;
                for _ in 0..len {
                    found.output.push(found.output[found.output.len() - back]);
                }
            }
        }
    }
}
