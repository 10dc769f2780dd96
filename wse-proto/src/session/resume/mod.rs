//! The data that a session has for resume. Its methods are in `counting.rs`, `suspension.rs`, `resume_server.rs`,
//! `resume_client.rs` and `expiry.rs`. `docs/wire.md` has the rules by their numbers.
//!
//! ```text
//! limits.rs     ResumeLimits   how much is kept, and for how long
//! budget.rs     Budget         the limits, and the bytes that all rings of an endpoint take together
//! ring.rs       Ring           messages that the peer has not acknowledged
//! word.rs       Word           a name or a token, stored in little memory
//! token.rs      Token          the secret with which a session is resumed
//! counts.rs     Counts         how many messages were processed, and when the peer is told
//! tracked.rs    Tracked        what depends on a message that was sent: its call, its receipt
//! state.rs      Resume         all of this for one session
//! sessions.rs   Sessions       the sessions of a server
//! gone.rs       Gone           remembers why sessions of a server have ended
//! credentials.rs Credentials   when credentials expire, and when the client is told
//! drain.rs      Drain          when a client goes, after its server has asked it to
//! ```

mod budget;
mod counts;
mod credentials;
mod drain;
mod gone;
mod limits;
mod ring;
mod sessions;
mod state;
mod token;
mod tracked;
mod word;

pub use budget::Budget;
pub(super) use credentials::{Credentials, Due};
pub(super) use drain::Drain;
pub use limits::ResumeLimits;
pub use sessions::Sessions;
pub(super) use state::{Greeted, Resume};
pub use token::Token;
pub use tracked::Tracked;
