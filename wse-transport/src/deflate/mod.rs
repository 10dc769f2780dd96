//! Compression of messages (permessage-deflate, RFC 7692). Feature `deflate`.
//!
//! [`Deflate`] has the settings. `negotiate.rs` writes and reads the offer and the answer of the opening
//! handshake, which give a [`DeflateAgreement`]. `per_message.rs` compresses and inflates under it, and
//! `shared.rs` compresses a broadcast once for many connections.
//!
//! Without the feature, `off.rs` has the same names without values.

#[cfg(feature = "deflate")]
mod agreement;
#[cfg(feature = "deflate")]
mod negotiate;
#[cfg(not(feature = "deflate"))]
mod off;
#[cfg(feature = "deflate")]
mod per_message;
#[cfg(feature = "deflate")]
mod settings;
#[cfg(feature = "deflate")]
mod shared;

#[cfg(feature = "deflate")]
pub use agreement::DeflateAgreement;
#[cfg(feature = "deflate")]
pub(crate) use negotiate::{NAME, agreed, answer, offer};
#[cfg(not(feature = "deflate"))]
pub use off::{Deflate, DeflateAgreement};
#[cfg(not(feature = "deflate"))]
pub(crate) use off::{NAME, PerMessage, Shared, agreed, answer, offer};
#[cfg(feature = "deflate")]
pub(crate) use per_message::PerMessage;
#[cfg(feature = "deflate")]
pub use settings::Deflate;
#[cfg(feature = "deflate")]
pub(crate) use shared::Shared;
