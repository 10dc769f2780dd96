//! The reserved bits of a frame header.

/// A set of reserved bits of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReservedBits {
    /// The first bit. Compression uses it.
    pub rsv1: bool,
    /// The second bit.
    pub rsv2: bool,
    /// The third bit.
    pub rsv3: bool,
}

impl ReservedBits {
    /// No bit.
    pub const NONE: Self = Self { rsv1: false, rsv2: false, rsv3: false };
    /// The first bit.
    pub const RSV1: Self = Self { rsv1: true, ..Self::NONE };
    /// The second bit.
    pub const RSV2: Self = Self { rsv2: true, ..Self::NONE };
    /// The third bit.
    pub const RSV3: Self = Self { rsv3: true, ..Self::NONE };

    /// The union of two sets; `None` when they overlap.
    #[must_use]
    pub const fn with(self, other: Self) -> Option<Self> {
        if (self.rsv1 && other.rsv1) || (self.rsv2 && other.rsv2) || (self.rsv3 && other.rsv3) {
            return None;
        }
        Some(Self {
            rsv1: self.rsv1 || other.rsv1,
            rsv2: self.rsv2 || other.rsv2,
            rsv3: self.rsv3 || other.rsv3,
        })
    }

    /// Whether the set contains all bits that a frame has.
    pub(crate) const fn allow(self, rsv1: bool, rsv2: bool, rsv3: bool) -> bool {
        (self.rsv1 || !rsv1) && (self.rsv2 || !rsv2) && (self.rsv3 || !rsv3)
    }
}
