//! `pack_with`, which has to write what `pack` writes; and batches.

use bytes::{Bytes, BytesMut};

use super::cases::claimed;
use super::guard::{NO_PANIC, guard};
use super::report::{Failure, Report, Section, envelope, shortened};
use super::tester::Tester;
use super::trip::unpack;
use crate::{CodecError, Head, MessageKind, Protocol};

const BEFORE: &[u8] = b"before";

impl<P: Protocol> Tester<'_, P> {
    pub(super) fn packing(&self, report: &mut Report) {
        let mut section = Section::new("pack and pack_with");
        for (head, payload) in claimed(self.info, &self.samples) {
            section.case();
            if let Err(failure) = self.appends(&head, &payload) {
                section.fail(failure.with_sent(&head, &payload));
            }
            section.case();
            if let Err(failure) = self.takes_back(&head) {
                section.fail(failure.with_sent(&head, &payload));
            }
        }
        report.add(section);
        report.add(self.batches());
    }

    /// Both only append, and write the same.
    fn appends(&self, head: &Head, payload: &Bytes) -> Result<(), Failure> {
        let panics = |panic| Failure::new(format!("writing panics: {panic}")).with_advice(NO_PANIC);
        let write = |with: bool| {
            let connection = self.protocol.clone();
            guard(|| {
                let mut out = BytesMut::from(BEFORE);
                let written = match with {
                    false => {
                        connection.pack(head, payload, &mut out);
                        Ok(())
                    }
                    true => connection.pack_with(head, &mut out, |out| {
                        // In pieces, as serializers write.
                        let (first, second) = payload.split_at(payload.len() / 2);
                        out.extend_from_slice(first);
                        out.extend_from_slice(second);
                        Ok(())
                    }),
                };
                written.map(|()| out.freeze())
            })
            .map_err(panics)
        };
        let plain = write(false)?.unwrap_or_default();
        let with = write(true)?.map_err(|error| {
            Failure::new("`pack_with` fails although its `write` does not")
                .with_read(error.to_string())
        })?;
        for (name, written) in [("pack", &plain), ("pack_with", &with)] {
            if !written.starts_with(BEFORE) {
                return Err(Failure::new(format!("`{name}` changes what was in the buffer"))
                    .with_written(written)
                    .with_advice("only append to the buffer"));
            }
        }
        // A protocol may write something random, such as a nonce.
        let random = write(false)?.unwrap_or_default() != plain;
        if plain == with || random && self.reads_same(&plain, &with) {
            return Ok(());
        }
        Err(Failure::new("`pack_with` writes something else than `pack`")
            .with_written(&plain[BEFORE.len()..])
            .with_read(format!("`pack_with` wrote {}", shortened(&with[BEFORE.len()..])))
            .with_advice("correct `pack_with`, or use the provided one"))
    }

    fn reads_same(&self, one: &Bytes, other: &Bytes) -> bool {
        let read = |message: &Bytes| {
            let message = message.slice(BEFORE.len()..);
            unpack(&self.protocol.clone(), &message).ok()?.pop()?.ok()
        };
        read(one).is_some() && read(one) == read(other)
    }

    /// When the payload cannot be written, nothing is.
    fn takes_back(&self, head: &Head) -> Result<(), Failure> {
        let connection = self.protocol.clone();
        let mut out = BytesMut::from(BEFORE);
        let mut called = false;
        let written = guard(|| {
            connection.pack_with(head, &mut out, |out| {
                called = true;
                out.extend_from_slice(b"half of a payload");
                Err(CodecError::value("the payload", "cannot be written"))
            })
        });
        let problem = match written {
            Err(panic) => return Err(Failure::new(format!("`pack_with` panics: {panic}"))),
            // Such a head has no payload on the wire.
            Ok(Ok(())) if !called => return Ok(()),
            Ok(Ok(())) => "`pack_with` hides that its `write` failed",
            Ok(Err(_)) if out != BEFORE => {
                "`pack_with` leaves something in the buffer when its `write` fails"
            }
            Ok(Err(_)) => return Ok(()),
        };
        Err(Failure::new(problem).with_written(&out).with_advice(
            "note the length of the buffer first, truncate to it, and return the error",
        ))
    }

    /// An array of two messages, for protocols that are text. If it is a batch, these are its members.
    fn batches(&self) -> Section {
        let mut section = Section::new("batches");
        if self.info.kind() == MessageKind::Binary {
            return section;
        }
        section.case();
        let first = self.pack(&Head::message("note"), &self.samples.fault).unwrap_or_default();
        let second =
            self.pack(&Head::call("add", "s1".into()), &self.samples.fault).unwrap_or_default();
        let both: Bytes = [b"[", &first[..], b",", &second[..], b"]"].concat().into();
        let Ok(members) = unpack(&self.protocol.clone(), &both) else {
            section
                .fail(Failure::new("unpacking panics").with_written(&both).with_advice(NO_PANIC));
            return section;
        };
        if members.len() < 2 {
            return section;
        }
        let members: Vec<_> = members.into_iter().map(Result::ok).collect();
        let alone = [first, second]
            .map(|message| unpack(&self.protocol.clone(), &message).ok()?.pop()?.ok());
        if members != alone {
            let read: Vec<_> = members.iter().flatten().map(envelope).collect();
            section.fail(
                Failure::new("the members of a batch are not what they are alone")
                    .with_written(&both)
                    .with_read(read.join("; "))
                    .with_advice("unpack each member as `unpack` does, or return None"),
            );
        }
        section
    }
}
