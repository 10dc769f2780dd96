//! [`Socks5`]: a tunnel through a SOCKS 5 proxy (RFC 1928), if need be with a login (RFC 1929), without I/O.
//!
//! ```text
//! ─▶ 5 | number of kinds | kinds of login            ◀─ 5 | kind
//! ─▶ 1 | len | user name | len | password            ◀─ 1 | 0              (kind 2 only)
//! ─▶ 5 | 1 | 0 | 1, 3 or 4 | address | port          ◀─ 5 | 0 | 0 | 1, 3 or 4 | address | port
//! ```

use std::fmt;
use std::net::IpAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::{ProxyConfigError, SocksError};
use super::tunnel::Step;

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
/// RFC 1928 §5: kinds of addresses.
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
    /// Each of 1 to 255 bytes (RFC 1929 §2).
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
    /// Without either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Asks a SOCKS 5 proxy for a tunnel.
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
    /// A tunnel to a host: an address, or a name for the proxy to look up. The login is offered, and used if
    /// the proxy asks for it.
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

    /// What is next, given all that was received. Of that, what is understood is removed; what is left when
    /// the tunnel is open came through it.
    ///
    /// # Errors
    ///
    /// [`SocksError`], with which the dialogue is over.
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
                    (NONE, _) => Err(SocksError::NoMethod),
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

/// The second of two bytes, of which the first is the version.
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

/// RFC 1928 §6. The address is where the proxy has bound its end, and of no use.
fn reply(received: &mut BytesMut) -> Result<Step, SocksError> {
    let address = match received[..] {
        [version, ..] if version != VERSION => return Err(SocksError::Version(version)),
        // The rest of a refusal is not waited for: some proxies do not send it.
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
