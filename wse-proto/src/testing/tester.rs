//! [`Tester`]: what every check works on.

use super::cases::Samples;
use super::exceptions::Check;
use crate::ProtocolInfo;

/// A protocol under test, and the test data.
pub(super) struct Tester<'a, P> {
    pub(super) protocol: &'a P,
    pub(super) info: ProtocolInfo,
    pub(super) check: &'a Check,
    pub(super) samples: Samples,
}
