//! [`Socks5`]: a tunnel through a SOCKS 5 proxy (RFC 1928), optionally with a login (RFC 1929), without I/O.
//!
//! ```text
//! ─▶ 5 | number of methods | methods               ◀─ 5 | method
//! ─▶ 1 | len | user name | len | password          ◀─ 1 | 0              (method 2 only)
//! ─▶ 5 | 1 | 0 | 1, 3 or 4 | address | port        ◀─ 5 | 0 | 0 | 1, 3 or 4 | address | port
//! ```

use std::fmt;
use std::net::IpAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::{ProxyConfigError, SocksError};
use super::step::Step;

const VERSION: u8 = 5;
/// RFC 1928 §3: "NO AUTHENTICATION REQUIRED".
const ANYBODY: u8 = 0;
/// RFC 1928 §3: "USERNAME/PASSWORD".
const LOGIN: u8 = 2;
/// RFC 1928 §3: "NO ACCEPTABLE METHODS".
const NONE: u8 = 0xff;
/// RFC 1929 §2: "the current version of the subnegotiation".
const LOGIN_VERSION: u8 = 1;
/// RFC 1928 §4: the command CONNECT.
const CONNECT: u8 = 1;
/// RFC 1928 §5: address types.
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// A user name and password for SOCKS.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Login {
    /// Creates a login; both parts have 1 to 255 bytes (RFC 1929 §2).
    ///
    /// # Errors
    ///
    /// [`ProxyConfigError::Login`].
    pub fn new(
        user: impl Into<Vec<u8>>,
        password: impl Into<Vec<u8>>,
    ) -> Result<Self, ProxyConfigError> {
        let (user, password) = (user.into(), password.into());
        match (user.len(), password.len()) {
            (1..=255, 1..=255) => Ok(Self { user, password }),
            _ => Err(ProxyConfigError::Login),
        }
    }
}

impl fmt::Debug for Login {
    /// Omits both.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// The dialogue with a SOCKS 5 proxy that opens a tunnel.
///
/// ```
/// use bytes::BytesMut;
/// use wse_transport::proxy::{Socks5, Step};
///
/// let mut socks = Socks5::new("127.0.0.1", 80, None)?;
/// let mut received = BytesMut::new();
/// assert_eq!(socks.step(&mut received)?, Step::Send([5, 1, 0][..].into()));
/// assert_eq!(socks.step(&mut received)?, Step::Receive);
/// received.extend_from_slice(&[5, 0]);
/// assert_eq!(socks.step(&mut received)?, Step::Send([5, 1, 0, 1, 127, 0, 0, 1, 0, 80][..].into()));
/// received.extend_from_slice(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
/// assert_eq!(socks.step(&mut received)?, Step::Open);
/// # Ok::<(), wse_transport::proxy::SocksError>(())
/// ```
#[derive(Debug)]
pub struct Socks5 {
    state: State,
    login: Option<Login>,
    target: Bytes,
}

#[derive(Debug)]
enum State {
    Greeting,
    Method,
    LoggedIn,
    Reply,
    Open,
}

impl Socks5 {
    /// Creates a dialogue that opens a tunnel to a host: an address, or a name that the proxy resolves. The login is
    /// offered, and sent if the proxy asks for it.
    ///
    /// # Errors
    ///
    /// [`SocksError::HostTooLong`].
    pub fn new(host: &str, port: u16, login: Option<Login>) -> Result<Self, SocksError> {
        let mut target = BytesMut::new();
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                target.put_u8(V4);
                target.put_slice(&address.octets());
            }
            Ok(IpAddr::V6(address)) => {
                target.put_u8(V6);
                target.put_slice(&address.octets());
            }
            Err(_) => {
                target.put_u8(NAME);
                target.put_u8(u8::try_from(host.len()).map_err(|_| SocksError::HostTooLong)?);
                target.put_slice(host.as_bytes());
            }
        }
        target.put_u16(port);
        Ok(Self { state: State::Greeting, login, target: target.freeze() })
    }

    /// The next step, given all bytes received. Bytes that were understood are removed; bytes that are left when the
    /// tunnel is open came through it.
    ///
    /// # Errors
    ///
    /// [`SocksError`], which ends the dialogue.
    pub fn step(&mut self, received: &mut BytesMut) -> Result<Step, SocksError> {
        match self.state {
            State::Greeting => {
                self.state = State::Method;
                Ok(Step::Send(Bytes::from_static(match self.login {
                    None => &[VERSION, 1, ANYBODY],
                    Some(_) => &[VERSION, 2, ANYBODY, LOGIN],
                })))
            }
            State::Method => {
                let Some(method) = answer(VERSION, received)? else { return Ok(Step::Receive) };
                match (method, &self.login) {
                    (ANYBODY, _) => Ok(self.ask()),
                    (LOGIN, Some(login)) => {
                        self.state = State::LoggedIn;
                        Ok(Step::Send(login.encode()))
                    }
                    // Without a login, the only other method is offered in vain.
                    (NONE | LOGIN, None) => Err(SocksError::LoginRequired),
                    (NONE, Some(_)) => Err(SocksError::NoMethod),
                    (other, _) => Err(SocksError::MethodNotOffered(other)),
                }
            }
            State::LoggedIn => match answer(LOGIN_VERSION, received)? {
                None => Ok(Step::Receive),
                Some(0) => Ok(self.ask()),
                Some(_) => Err(SocksError::Login),
            },
            State::Reply => {
                let step = reply(received)?;
                if step == Step::Open {
                    self.state = State::Open;
                }
                Ok(step)
            }
            State::Open => Ok(Step::Open),
        }
    }

    fn ask(&mut self) -> Step {
        self.state = State::Reply;
        let mut request = BytesMut::from(&[VERSION, CONNECT, 0][..]);
        request.put_slice(&self.target);
        Step::Send(request.freeze())
    }
}

impl Login {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_u8(LOGIN_VERSION);
        for text in [&self.user, &self.password] {
            // Neither is longer than 255 bytes.
            out.put_u8(text.len() as u8);
            out.put_slice(text);
        }
        out.freeze()
    }
}

/// The second of two bytes, whose first must be `version`.
fn answer(version: u8, received: &mut BytesMut) -> Result<Option<u8>, SocksError> {
    match received[..] {
        [found, ..] if found != version => Err(SocksError::Version(found)),
        [_, answer, ..] => {
            received.advance(2);
            Ok(Some(answer))
        }
        _ => Ok(None),
    }
}

/// Parses the reply (RFC 1928 §6). The address in it is where the proxy has bound its end, and is ignored.
fn reply(received: &mut BytesMut) -> Result<Step, SocksError> {
    let address = match received[..] {
        [version, ..] if version != VERSION => return Err(SocksError::Version(version)),
        // Some proxies do not send the rest of a refusal: it is not waited for.
        [_, code, ..] if code != 0 => return Err(SocksError::Refused(code)),
        [_, _, _, V4, ..] => 4,
        [_, _, _, V6, ..] => 16,
        [_, _, _, NAME, len, ..] => 1 + usize::from(len),
        [_, _, _, NAME] => return Ok(Step::Receive),
        [_, _, _, kind, ..] => return Err(SocksError::AddressType(kind)),
        _ => return Ok(Step::Receive),
    };
    let len = 4 + address + 2;
    if received.len() < len {
        return Ok(Step::Receive);
    }
    received.advance(len);
    Ok(Step::Open)
}
