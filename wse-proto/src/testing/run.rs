//! [`check`] and [`Check::run`]: all checks, one after the other.

use super::cases::Samples;
use super::exceptions::Check;
use super::report::Report;
use super::tester::Tester;
use crate::Protocol;

/// Tests a protocol: [`Check::run`] with no exceptions.
///
/// It packs and unpacks every head that [`Protocol::info`] claims, with odd names, stamps and payloads, tests the payload
/// format, and unpacks hostile input. It finds a protocol that claims more than it writes. Put it into one test:
///
/// ```
/// # use bytes::{BufMut, Bytes, BytesMut};
/// # use wse_proto::{CodecError, Envelope, Fault, Format, Head, Hi, Packed, Protocol, ProtocolInfo};
/// # #[derive(Clone, Debug)]
/// # struct Tabs;
/// # #[derive(Clone, Debug)]
/// # struct Lines;
/// # impl Format for Lines {
/// #     fn encode_hi(&self, hi: &Hi, out: &mut BytesMut) {
/// #         out.put_slice(format!("{} ", hi.identity.len()).as_bytes());
/// #         out.put_slice(&hi.identity);
/// #         out.put_slice(&hi.meta);
/// #     }
/// #     fn decode_hi(&self, payload: &Bytes) -> Result<Hi, CodecError> {
/// #         let read = || {
/// #             let end = payload.iter().position(|byte| *byte == b' ')?;
/// #             let len: usize = std::str::from_utf8(&payload[..end]).ok()?.parse().ok()?;
/// #             let mut identity = payload.slice(end + 1..);
/// #             let meta = (len <= identity.len()).then(|| identity.split_off(len))?;
/// #             Some(Hi::new(identity, meta))
/// #         };
/// #         read().ok_or(CodecError::shape("the greeting", "no identity"))
/// #     }
/// #     fn encode_fault(&self, fault: &Fault, out: &mut BytesMut) {
/// #         let message = fault.message.as_deref().unwrap_or_default();
/// #         out.put_slice(format!("{}\n{message}", fault.code).as_bytes());
/// #     }
/// #     fn decode_fault(&self, payload: &Bytes) -> Result<Fault, CodecError> {
/// #         let text = std::str::from_utf8(payload).unwrap_or_default();
/// #         let (code, message) = text.split_once('\n').unwrap_or((text, ""));
/// #         Ok(Fault::new(code).message(message))
/// #     }
/// # }
/// # const INFO: ProtocolInfo = ProtocolInfo::text("tabs");
/// # impl Protocol for Tabs {
/// #     type Format = Lines;
/// #     fn info(&self) -> ProtocolInfo { INFO }
/// #     fn format(&self) -> &Lines { &Lines }
/// #     fn pack(&self, head: &Head, payload: &[u8], out: &mut BytesMut) {
/// #         let stamp = head.stamp().map(|s| s.to_text()).unwrap_or_default();
/// #         out.put_slice(format!("{}\t{stamp}\t", head.kind(INFO.types())).as_bytes());
/// #         out.put_slice(payload);
/// #     }
/// #     fn unpack(&self, message: Packed<'_>) -> Result<Envelope, CodecError> {
/// #         let text = message.text()?;
/// #         let missing = CodecError::malformed("the message", "a part is missing");
/// #         let mut parts = text.splitn(3, '\t');
/// #         let (Some(kind), Some(stamp), Some(payload)) = (parts.next(), parts.next(), parts.next())
/// #         else { return Err(missing) };
/// #         let head = Head::from_parts(INFO.types(), text.part(kind), Some(text.part(stamp).into()), 0)?;
/// #         Ok(Envelope { head, payload: text.slice(payload) })
/// #     }
/// # }
/// use wse_proto::testing;
///
/// // In `#[test]`: testing::check(&Tabs).assert_ok();
/// // `Tabs` writes `type<tab>stamp<tab>payload`. The report shows what that loses:
/// let report = testing::check(&Tabs);
/// assert!(!report.is_ok());
/// assert!(report.failures().any(|it| it.check() == "names" && it.written().contains("a\\tb")));
/// println!("{report}");
/// ```
///
/// A panic in the protocol becomes a failure in the report. A stack overflow, an endless loop and a failed allocation
/// cannot be caught: they end the test. Every run gives the same result.
pub fn check<P: Protocol>(protocol: &P) -> Report {
    Check::new().run(protocol)
}

impl Check {
    /// Runs all checks. It takes less than a second, without optimisation too.
    pub fn run<P: Protocol>(&self, protocol: &P) -> Report {
        let info = protocol.info();
        let mut report = Report::new(info.name());
        let (samples, section) = Samples::new(protocol, info);
        report.add(section);
        let tester = Tester { protocol, info, check: self, samples };
        tester.info(&mut report);
        tester.format(&mut report);
        tester.heads(&mut report);
        tester.packing(&mut report);
        if !self.harmless {
            tester.hostile(&mut report);
        }
        report
    }
}
