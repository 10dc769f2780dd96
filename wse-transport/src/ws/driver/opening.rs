//! The opening handshake of a driver.

use std::io;

use bytes::Buf;
use http::{Request, StatusCode};

use super::{
    Driver, DriverEvent,
    drafts::{self, Challenge, Draft},
    framing::Framing,
};
use crate::{
    handshake::{
        ClientRequest, HandshakeError, HeadScanner, Rejection, ResponseError, Upgrade,
        encode_request, encode_response, parse_request, parse_response,
    },
    ws::{
        agreed::Agreed,
        compression::{offer, wanted},
        error::UsageError,
        stream::random_key,
    },
};

/// How far the opening handshake has come.
#[derive(Debug)]
pub(super) enum Opening {
    /// A server reads the request.
    Request(HeadScanner),
    /// A server has the request; what to answer is the caller's to say.
    Asked,
    /// A server of hixie-76 has sent the head of its answer, and reads what the rest is made of.
    Challenged(Challenge),
    /// A client has not been started.
    Idle { request: Box<ClientRequest> },
    /// A client reads the response.
    Response { request: Box<ClientRequest>, key: [u8; 16], scanner: HeadScanner },
    /// It is done.
    Open,
    /// It has failed. A refusal lingers until the peer has read it.
    Over { lingers: bool },
}

impl Opening {
    pub(super) fn request() -> Self {
        Self::Request(HeadScanner::default())
    }

    pub(super) fn idle(request: ClientRequest) -> Self {
        Self::Idle { request: Box::new(request) }
    }
}

impl Driver {
    /// Sends the request, or answers it: with 101 if it asks for a WebSocket that we can speak, and with
    /// a refusal if not, which [`DriverEvent::Error`] then tells of.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] on a server before [`DriverEvent::Connect`], and everywhere when it was
    /// started already.
    pub fn start(&mut self) -> Result<(), UsageError> {
        match &mut self.opening {
            Opening::Idle { request } => {
                let request = Box::new(offer((**request).clone(), wanted(&self.options.config)));
                let key = random_key();
                let mut head = request.build(key);
                // Appended: the request may have some of the same name.
                for (name, value) in &self.headers {
                    head.headers_mut().append(name, value.clone());
                }
                self.output.extend_from_slice(&encode_request(&head));
                self.request = Some(head);
                self.opening = Opening::Response { request, key, scanner: HeadScanner::default() };
                Ok(())
            }
            Opening::Asked => {
                if let Err(rejection) = self.accept() {
                    self.refuse(rejection);
                }
                Ok(())
            }
            _ => Err(UsageError::NotReady),
        }
    }

    /// Answers a request with a refusal, of any status.
    ///
    /// # Errors
    ///
    /// [`UsageError::NotReady`] before [`DriverEvent::Connect`], after [`start`](Self::start), and on a
    /// client.
    pub fn reject(&mut self, rejection: Rejection) -> Result<(), UsageError> {
        if !matches!(self.opening, Opening::Asked) {
            return Err(UsageError::NotReady);
        }
        self.refuse(rejection);
        Ok(())
    }

    fn refuse(&mut self, rejection: Rejection) {
        let (parts, body) = rejection.to_response().into_parts();
        let head = http::Response::from_parts(parts, ());
        self.output.extend_from_slice(&encode_response(&head, body));
        self.response = Some(head);
        self.fail_opening(rejection.into());
        self.opening = Opening::Over { lingers: true };
    }

    /// A server has its request, and with that the version of the protocol.
    pub(super) fn asked(&mut self, request: Request<()>) {
        self.draft = Draft::of(&request, &self.options);
        self.request = Some(request);
        self.opening = Opening::Asked;
    }

    fn accept(&mut self) -> Result<(), Rejection> {
        let nothing = Request::new(());
        let request = self.request.as_ref().unwrap_or(&nothing);
        // A draft's request is held to the same rules.
        let translated = self.draft.map(|draft| draft.translate(request));
        let asked = translated.as_ref().unwrap_or(request);
        let mut upgrade = Upgrade::from_request(asked)
            .map_err(|rejection| drafts::add_versions(rejection, &self.options))?;
        self.options.origins.check(asked)?;
        if let Some(draft) = self.draft.filter(|draft| draft.is_text_only()) {
            let answer = draft.answer(request, &self.options, &self.headers)?;
            self.output.extend_from_slice(&answer.head);
            self.response = Some(answer.response);
            self.protocol = answer.protocol;
            self.framing = Framing::Hixie(answer.hixie);
            match answer.challenge {
                Some(challenge) => {
                    self.opening = Opening::Challenged(challenge);
                    self.step_challenge();
                }
                None => self.open(),
            }
            return Ok(());
        }
        let offered = upgrade.subprotocols();
        let selected = self.options.protocols.iter().find(|name| offered.contains(name)).cloned();
        let wanted = wanted(&self.options.config);
        let agreed = Agreed::by_server(&mut upgrade, asked, wanted, &self.extensions)?;
        let response = upgrade.response(selected.as_deref(), &self.headers).map_err(|_| {
            // Headers and subprotocols have been checked.
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "cannot answer")
        })?;
        self.output.extend_from_slice(&encode_response(&response, ""));
        self.response = Some(response);
        self.protocol = selected;
        self.framing.agree(agreed);
        self.open();
        Ok(())
    }

    /// Sends the rest of the answer if what it is made of has come; returns whether it has.
    fn step_challenge(&mut self) -> bool {
        let Opening::Challenged(challenge) = &self.opening else {
            return false;
        };
        let Some(body) = self.input.first_chunk() else {
            return false;
        };
        self.output.extend_from_slice(&challenge.answer(body));
        self.input.advance(Challenge::BODY);
        self.open();
        true
    }

    fn open(&mut self) {
        self.opening = Opening::Open;
        self.deadline = None;
        self.headers.clear();
        self.events.push_back(DriverEvent::Open);
        for frame in std::mem::take(&mut self.queue) {
            self.put(frame);
        }
    }

    /// Ends the opening handshake without success.
    pub(super) fn fail_opening(&mut self, error: HandshakeError) {
        self.opening = Opening::Over { lingers: false };
        self.deadline = None;
        self.queue.clear();
        self.events.push_back(DriverEvent::Error(error.into()));
    }

    /// Looks for a head in what has come; returns whether there may be more to do.
    pub(super) fn step_opening(&mut self) -> bool {
        let limits = self.options.head_limits;
        let found = match &mut self.opening {
            Opening::Request(scanner) | Opening::Response { scanner, .. } => {
                scanner.scan(&self.input, &limits)
            }
            Opening::Challenged(_) => {
                let going = self.step_challenge();
                if !going && self.ended {
                    self.fail_opening(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                return going || self.ended;
            }
            Opening::Over { lingers } => {
                if *lingers {
                    self.input.clear();
                }
                return self.announce_close();
            }
            Opening::Asked | Opening::Idle { .. } | Opening::Open => return false,
        };
        match found {
            Ok(Some(len)) => {
                let head = self.input.split_to(len);
                self.head(&head);
                true
            }
            Ok(None) if self.ended => {
                self.fail_opening(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                true
            }
            Ok(None) => false,
            Err(error) => {
                match self.opening {
                    Opening::Request(_) => self.refuse(error.into()),
                    _ => self.fail_opening(ResponseError::Head(error).into()),
                }
                true
            }
        }
    }

    /// Takes in a whole head.
    fn head(&mut self, head: &[u8]) {
        let limits = &self.options.head_limits;
        match &self.opening {
            Opening::Response { request, key, .. } => {
                let checked = parse_response(head, limits)
                    .map_err(|error| ResponseError::Head(error).into())
                    .and_then(|response| {
                        let response = self.response.insert(response);
                        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                            let body = self.input.clone().freeze();
                            let refusal = response.clone().map(|()| body);
                            return Err(HandshakeError::Refused(Box::new(refusal)));
                        }
                        let selected = request.verify(*key, response)?;
                        Ok((selected, Agreed::by_client(request, response)?))
                    });
                match checked {
                    Ok((selected, agreed)) => {
                        self.protocol = selected;
                        self.framing.agree(agreed);
                        self.open();
                    }
                    Err(error) => self.fail_opening(error),
                }
            }
            _ => match parse_request(head, limits) {
                Ok(request) => {
                    self.asked(request);
                    self.events.push_back(DriverEvent::Connect);
                }
                Err(error) => self.refuse(error.into()),
            },
        }
    }
}
