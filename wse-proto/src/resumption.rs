//! What the messages about resume say: [`ResumeRequest`], [`SessionInfo`] and [`DrainNotice`], and how they become
//! [`Value`]s.

use std::fmt;
use std::time::Duration;

use crate::value::Value;
use crate::{NotResumed, Text};

/// The shortest token: 128 random bits in base64url.
const MIN_TOKEN: usize = 22;

/// What a client asks for: the member `resume` of its greeting.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeRequest {
    /// `true`: a new session that can be resumed.
    New,
    /// `{session, token, seen}`: to resume a session.
    Resume {
        /// The session.
        session: Text,
        /// Its token.
        token: Text,
        /// How many counted messages of the server the client has processed.
        seen: u64,
    },
}

/// Does not show the token, which is secret.
impl fmt::Debug for ResumeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("New"),
            Self::Resume { session, seen, .. } => {
                f.debug_struct("Resume").field("session", session).field("seen", seen).finish()
            }
        }
    }
}

impl ResumeRequest {
    /// The value in the greeting.
    pub fn to_value(&self) -> Value {
        match self {
            Self::New => Value::Bool(true),
            Self::Resume { session, token, seen } => Value::map([
                ("session", Value::Text(session.clone())),
                ("token", Value::Text(token.clone())),
                ("seen", Value::clamped(*seen)),
            ]),
        }
    }

    /// Reads the value in a greeting. `Ok(None)` when it asks for nothing.
    ///
    /// # Errors
    ///
    /// [`NotARequest`] when it is not what a client may say. Whether a token is too short is decided when it is compared.
    pub fn from_value(value: &Value) -> Result<Option<Self>, NotARequest> {
        match value {
            Value::Null | Value::Bool(false) => Ok(None),
            Value::Bool(true) => Ok(Some(Self::New)),
            value => {
                let request = || {
                    Some(Self::Resume {
                        session: value.get("session")?.as_text()?.clone(),
                        token: value.get("token")?.as_text()?.clone(),
                        seen: value.get("seen")?.as_integer()?,
                    })
                };
                request().map(Some).ok_or(NotARequest)
            }
        }
    }
}

/// The member `resume` of a greeting is neither a boolean nor a session, a token and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARequest;

impl fmt::Display for NotARequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the greeting's `resume` is not a boolean, nor a session with token and number")
    }
}

impl std::error::Error for NotARequest {}

/// The server's answer to a [`ResumeRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A new session, as asked.
    New,
    /// The session is resumed, and no message is missing in either direction.
    Full,
    /// The session is resumed. Messages of the server with the numbers `first` to `last` are lost.
    Partial {
        /// The first number that is lost.
        first: u64,
        /// The last number that is lost.
        last: u64,
    },
    /// The session is not resumed, for this reason. The client has a new session.
    None(NotResumed),
}

/// What the server says of a session: the payload of [`Head::Session`](crate::Head::Session).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The name of the session. It stays the same as long as the session lives.
    pub session: Text,
    /// The token with which it is resumed. It is secret, and another one at each resume.
    pub token: Text,
    /// How long the session outlives its socket. Milliseconds on the wire.
    pub window: Duration,
    /// How the client's request ended.
    pub outcome: Outcome,
    /// How many counted messages of the client the server has processed.
    pub seen: u64,
}

/// Does not show the token, which is secret.
impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, window, outcome, seen, .. } = self;
        f.debug_struct("SessionInfo")
            .field("session", session)
            .field("window", window)
            .field("outcome", outcome)
            .field("seen", seen)
            .finish_non_exhaustive()
    }
}

impl SessionInfo {
    /// The payload.
    pub fn to_value(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::New => "new",
            Outcome::Full => "full",
            Outcome::Partial { .. } => "partial",
            Outcome::None(_) => "none",
        };
        let mut value = Value::map([
            ("session", Value::Text(self.session.clone())),
            ("token", Value::Text(self.token.clone())),
            ("window", millis(self.window)),
            ("outcome", Value::Text(Text::from_static(outcome))),
            ("seen", Value::clamped(self.seen)),
        ]);
        let more = match &self.outcome {
            Outcome::None(reason) => Some(("reason", Value::Text(reason.as_str().into()))),
            Outcome::Partial { first, last } => {
                let lost = [*first, *last].map(Value::clamped);
                Some(("lost", Value::List(lost.into())))
            }
            _ => None,
        };
        if let (Value::Map(members), Some((name, value))) = (&mut value, more) {
            members.push((Text::from_static(name), value));
        }
        value
    }

    /// Reads the payload; `None` when it is none. Unknown members are ignored.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |name| value.get(name)?.as_text();
        let outcome = match text("outcome")?.as_str() {
            "new" => Outcome::New,
            "full" => Outcome::Full,
            "partial" => match value.get("lost")? {
                Value::List(lost) => match lost.as_slice() {
                    [first, last] => {
                        let (first, last) = (first.as_integer()?, last.as_integer()?);
                        (0 < first && first <= last).then_some(Outcome::Partial { first, last })?
                    }
                    _ => return None,
                },
                _ => return None,
            },
            "none" => Outcome::None(text("reason").cloned().unwrap_or_default().into()),
            _ => return None,
        };
        let token = text("token").filter(|token| token.len() >= MIN_TOKEN)?;
        Some(Self {
            session: text("session")?.clone(),
            token: token.clone(),
            window: Duration::from_millis(value.get("window")?.as_integer()?),
            outcome,
            seen: value.get("seen")?.as_integer()?,
        })
    }
}

/// When clients are asked to come back to another server: the payload of [`Head::Drain`](crate::Head::Drain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainNotice {
    /// The earliest time, from now. Milliseconds on the wire.
    pub after: Duration,
    /// How much later the latest time is.
    pub spread: Duration,
}

impl DrainNotice {
    /// The payload.
    pub fn to_value(&self) -> Value {
        Value::map([("after", millis(self.after)), ("spread", millis(self.spread))])
    }

    /// Reads the payload; `None` when it is none.
    pub fn from_value(value: &Value) -> Option<Self> {
        let time = |name| value.get(name)?.as_integer().map(Duration::from_millis);
        Some(Self { after: time("after")?, spread: time("spread")? })
    }

    /// When to go, from now: a time between the earliest and the latest. `random` is a random number from 0 to 1; a number
    /// outside the range counts as the nearer end, NaN as 0.
    pub fn choose(&self, random: f64) -> Duration {
        let random = if random.is_nan() { 0.0 } else { random.clamp(0.0, 1.0) };
        // `mul_f64` panics on overflow.
        let spread = self.spread.min(Duration::from_millis(u32::MAX.into()));
        self.after.saturating_add(spread.mul_f64(random))
    }

    /// The latest time, from now.
    pub fn latest(&self) -> Duration {
        self.after.saturating_add(self.spread)
    }
}

/// `{"in": MS}`, for [`Head::Expires`](crate::Head::Expires) and [`Head::Renewed`](crate::Head::Renewed).
pub(crate) fn in_time(time: Duration) -> Value {
    Value::map([("in", millis(time))])
}

pub(crate) fn read_in_time(value: &Value) -> Option<Duration> {
    value.get("in")?.as_integer().map(Duration::from_millis)
}

fn millis(time: Duration) -> Value {
    Value::clamped(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn d4_a_request_is_true_or_a_session_with_token_and_number() {
        let resume = |seen| {
            Value::Map(vec![
                ("session".into(), text("s")),
                ("extra".into(), Value::Other),
                ("token".into(), text("t")),
                ("seen".into(), seen),
            ])
        };
        assert_eq!(ResumeRequest::from_value(&Value::Null), Ok(None));
        assert_eq!(ResumeRequest::from_value(&Value::Bool(false)), Ok(None));
        assert_eq!(ResumeRequest::from_value(&Value::Bool(true)), Ok(Some(ResumeRequest::New)));
        let read = ResumeRequest::from_value(&resume(Value::Integer(7)));
        let (session, token) = ("s".into(), "t".into());
        assert_eq!(read, Ok(Some(ResumeRequest::Resume { session, token, seen: 7 })));
        for wrong in [-1.0, 0.5, 9_007_199_254_740_992.0] {
            let read = ResumeRequest::from_value(&resume(Value::from_float(wrong)));
            assert_eq!(read, Err(NotARequest), "{wrong}");
        }
        for wrong in [text("true"), Value::Integer(1), Value::Other, Value::Map(Vec::new())] {
            assert_eq!(ResumeRequest::from_value(&wrong), Err(NotARequest), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_session_is_read_as_it_was_written() {
        let outcomes = [
            Outcome::New,
            Outcome::Full,
            Outcome::Partial { first: 3, last: 4 },
            Outcome::None(NotResumed::Evicted),
        ];
        for outcome in outcomes {
            let info = SessionInfo {
                session: "s".into(),
                token: "t".repeat(MIN_TOKEN).into(),
                window: Duration::from_millis(1500),
                outcome,
                seen: 9,
            };
            assert_eq!(SessionInfo::from_value(&info.to_value()), Some(info));
        }
    }

    #[test]
    fn d26_a_short_token_and_d11_an_empty_gap_are_refused() {
        let mut info = SessionInfo {
            session: "s".into(),
            token: "t".repeat(MIN_TOKEN - 1).into(),
            window: Duration::ZERO,
            outcome: Outcome::Full,
            seen: 0,
        };
        assert_eq!(SessionInfo::from_value(&info.to_value()), None);
        info.token = "t".repeat(MIN_TOKEN).into();
        for (first, last) in [(0, 3), (4, 3)] {
            info.outcome = Outcome::Partial { first, last };
            assert_eq!(SessionInfo::from_value(&info.to_value()), None);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let request =
            ResumeRequest::Resume { session: "s".into(), token: "secret".into(), seen: 1 };
        assert!(!format!("{request:?}").contains("secret"));
    }

    #[test]
    fn d17_the_time_to_go_is_between_the_earliest_and_the_latest() {
        let ms = Duration::from_millis;
        let notice = DrainNotice { after: ms(100), spread: ms(50) };
        let times = [(0.0, 100), (0.5, 125), (1.0, 150), (2.0, 150), (f64::NAN, 100)];
        for (random, time) in times {
            assert_eq!(notice.choose(random), ms(time));
        }
        let far = DrainNotice { after: Duration::MAX, spread: Duration::MAX };
        assert_eq!((far.choose(1.0), far.latest()), (Duration::MAX, Duration::MAX));
    }
}
