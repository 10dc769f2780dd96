//! How an input is read: settings first, then what is sent.

/// An input, as far as it has not been read.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte; 0 when there is none.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next bytes, at most so many.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// How the rest arrives: up to seven sizes of pieces, to be repeated.
    pub fn sizes(&mut self) -> Vec<usize> {
        let count = usize::from(self.byte() % 8);
        self.take(count).iter().map(|size| usize::from(*size) + 1).collect()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Cuts bytes into pieces of the given sizes, over and over; without sizes into single bytes.
pub fn pieces<'a>(bytes: &'a [u8], sizes: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let sizes = if sizes.is_empty() { &[1] } else { sizes };
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (piece, tail) = rest.split_at(rest.len().min(sizes.next()?));
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}
