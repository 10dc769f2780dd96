//! The opening handshake of a driver.

use std::io;

use bytes::Buf;
use http::{Request, Response, StatusCode};

use super::drafts;
use super::drafts::{Challenge, Draft};
use super::event::DriverEvent;
use super::framing::Framing;
use super::machine::Driver;
use super::opening::Opening;
use crate::frame::MisuseError;
use crate::handshake::{HandshakeError, Rejection, ResponseError, Upgrade};
use crate::head::{ResponseReader, encode_request, encode_response, parse_request};
use crate::random;

impl Driver {
    /// Sends the request on a client, or answers it on a server: with 101, or with a rejection, which
    /// [`DriverEvent::Error`] then reports.
    ///
    /// # Errors
    ///
    /// [`MisuseError::NotReady`] on a server before [`DriverEvent::Connect`], and for a second call.
    pub fn start(&mut self) -> Result<(), MisuseError> {
        match &mut self.opening {
            Opening::Idle { request } => {
                let request = Box::new((**request).clone().or_deflate(self.options.config.deflate));
                let key = random::key();
                let mut head = request.build(key);
                // Appended: the request may have fields of the same name.
                for (name, value) in &self.headers {
                    head.headers_mut().append(name, value.clone());
                }
                self.output.extend_from_slice(&encode_request(&head));
                self.request = Some(head);
                let reader = ResponseReader::new(self.options.head_limits);
                self.opening = Opening::Response { request, key, reader };
                Ok(())
            }
            Opening::Asked => {
                if let Err(rejection) = self.accept() {
                    self.refuse(rejection);
                }
                Ok(())
            }
            _ => Err(MisuseError::NotReady),
        }
    }

    /// Answers a request with a rejection.
    ///
    /// # Errors
    ///
    /// [`MisuseError::NotReady`] before [`DriverEvent::Connect`], after [`start`](Self::start), and on a
    /// client.
    pub fn reject(&mut self, rejection: Rejection) -> Result<(), MisuseError> {
        if !matches!(self.opening, Opening::Asked) {
            return Err(MisuseError::NotReady);
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

    /// A server has received its request, which tells the version of the protocol.
    pub(super) fn asked(&mut self, request: Request<()>) {
        self.draft = Draft::of(&request, &self.options);
        self.request = Some(request);
        self.opening = Opening::Asked;
    }

    fn accept(&mut self) -> Result<(), Rejection> {
        let nothing = Request::new(());
        let request = self.request.as_ref().unwrap_or(&nothing);
        // The request of a draft is checked by the same rules.
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
        let deflate = self.options.config.deflate;
        let negotiated = upgrade.negotiate(asked, deflate, &self.extensions)?;
        let response = upgrade.response(selected.as_deref(), &self.headers).map_err(|_| {
            // Header fields and subprotocols were checked before.
            Rejection::new(StatusCode::INTERNAL_SERVER_ERROR, "cannot answer")
        })?;
        self.output.extend_from_slice(&encode_response(&response, ""));
        self.response = Some(response);
        self.protocol = selected;
        self.framing.set_negotiated(negotiated);
        self.open();
        Ok(())
    }

    /// Sends the rest of the response once the input for it has arrived; returns whether it has.
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

    /// Ends the opening handshake with an error.
    pub(super) fn fail_opening(&mut self, error: HandshakeError) {
        self.opening = Opening::Over { lingers: false };
        self.deadline = None;
        self.queue.clear();
        self.events.push_back(DriverEvent::Error(error.into()));
    }

    /// Looks for a head in the input; returns whether there may be more to do.
    pub(super) fn step_opening(&mut self) -> bool {
        let limits = &self.options.head_limits;
        let found = match &mut self.opening {
            Opening::Request(scanner) => scanner.scan(&self.input, limits).and_then(|found| {
                let head = found.map(|len| self.input.split_to(len));
                Ok(head.map(|head| parse_request(&head, limits)).transpose()?.map(Head::Request))
            }),
            Opening::Response { reader, .. } => {
                reader.read(&mut self.input).map(|found| found.map(Head::Response))
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
            Ok(Some(Head::Request(request))) => {
                self.asked(request);
                self.events.push_back(DriverEvent::Connect);
                true
            }
            Ok(Some(Head::Response(response))) => {
                match self.answered(response) {
                    Ok(()) => self.open(),
                    Err(error) => self.fail_opening(error),
                }
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

    /// A client has received the final response.
    fn answered(&mut self, response: Response<()>) -> Result<(), HandshakeError> {
        let response = self.response.insert(response);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let body = self.input.clone().freeze();
            return Err(HandshakeError::Refused(Box::new(response.clone().map(|()| body))));
        }
        if let Opening::Response { request, key, .. } = &self.opening {
            self.protocol = request.verify(*key, response)?;
            self.framing.set_negotiated(request.negotiated(response)?);
        }
        Ok(())
    }
}

/// A head that has arrived whole.
enum Head {
    Request(Request<()>),
    Response(Response<()>),
}
