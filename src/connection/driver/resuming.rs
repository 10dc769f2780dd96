//! Another channel for a connection that has lost its own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use wse_proto::session::Close;

use super::asked::Asked;
use super::core::Core;
use super::state::Driver;
use super::suspended::suspend;
use crate::connection::channel::{Channel, start_heartbeat};
use crate::connection::side::Side;

impl<C: Channel, S: Side> Driver<C, S> {
    /// Server: when the peer resumes another connection, takes that one over. `None` when it does not.
    pub(super) fn poll_resumed(&mut self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        if self.resumed.is_none()
            && let Some(connection) = self.core.side.resumes()
        {
            self.resumed = Some(Box::new(Asked::new(&connection)));
        }
        let resumed = self.resumed.as_mut()?;
        let Poll::Ready(core) = Pin::new(&mut **resumed).poll(cx) else {
            return Some(Poll::Pending);
        };
        self.resumed = None;
        match core {
            Some(core) => self.take_over(core),
            None => self.core.side.not_resumed(),
        }
        Some(Poll::Ready(()))
    }

    fn take_over(&mut self, core: Core<S>) {
        let mut greeted = std::mem::replace(&mut self.core, core);
        if self.core.side.adopt(&self.core.connection, &greeted.connection, &mut greeted.side) {
            self.attached();
        } else {
            // Its own channel is gone.
            self.core.connection.lose(&Close::VANISHED);
            suspend(std::mem::replace(&mut self.core, greeted));
            self.core.side.not_resumed();
        }
    }

    /// The connection has this channel now.
    pub(super) fn attached(&mut self) {
        let core = &mut self.core;
        core.now = core.connection.clock.now();
        // Until the next look: the limits of the channel are those from before the welcome.
        core.ready = false;
        self.heard = core.now;
        self.paused_since = None;
        core.connection.begin_poll();
        self.start_heartbeat();
    }

    pub(super) fn start_heartbeat(&self) {
        let Core { connection, side, .. } = &self.core;
        if let Some((heartbeat, jitter)) = side.heartbeat(connection) {
            connection.session(|session, now| {
                start_heartbeat::<C>(session, &connection.wire.info, heartbeat, now, jitter);
            });
        }
    }
}
