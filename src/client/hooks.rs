//! The hooks of a [`ClientBuilder`]: callbacks for events.

use wse_proto::Negotiate;
use wse_proto::session::Close;

use super::builder::ClientBuilder;
use super::handle::Client;
use super::status::ClientEvent;
use crate::callback::Callback;
use crate::connection::Resumed;

impl<P: Negotiate> ClientBuilder<P> {
    /// Calls `callback` at each welcome, before the offline queue is sent and before any message
    /// after the welcome is handled. Use it to restore what the server must know first. It may
    /// send, but should not block. A panic in it is caught and becomes an error event.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate<Format: wse::Encode<str>>>(builder: wse::ClientBuilder<P>)
    /// #     -> wse::ClientBuilder<P> {
    /// builder.on_ready(|client| {
    ///     let _ = client.send("subscribe", "news");
    /// })
    /// # }
    /// ```
    pub fn on_ready(mut self, callback: impl Fn(&Client<P>) + Send + Sync + 'static) -> Self {
        self.settings.on_ready = Some(Box::new(move |core| callback(&Client::of(core))));
        self
    }

    /// Calls `callback` at each [`ClientEvent`] except [`Missed`](ClientEvent::Missed), in order.
    ///
    /// It runs where the event happens and delays the connection: it may send and close, but should
    /// not block. A panic in it is caught and logged. Callbacks run in the order in which they were
    /// added.
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// builder.on_event(|event| println!("{event:?}"))
    /// # }
    /// ```
    pub fn on_event(self, callback: impl Fn(&ClientEvent) + Send + Sync + 'static) -> Self {
        self.hooked("on_event", callback)
    }

    fn hooked(
        mut self,
        hook: &'static str,
        callback: impl Fn(&ClientEvent) + Send + Sync + 'static,
    ) -> Self {
        self.settings.callbacks.push(Callback::new(hook, callback));
        self
    }

    /// Calls `callback` at each [`ClientEvent::Closed`]: a connection has ended, or its closing
    /// handshake has begun. It runs like a callback of [`on_event`](Self::on_event).
    pub fn on_closed(self, callback: impl Fn(&Close) + Send + Sync + 'static) -> Self {
        self.hooked("on_closed", move |event| {
            if let ClientEvent::Closed(close) = event {
                callback(close);
            }
        })
    }

    /// Calls `callback` at each [`ClientEvent::Suspended`]: the connection has lost its socket, and the client is about to
    /// resume it. It runs like a callback of [`on_event`](Self::on_event).
    pub fn on_suspended(self, callback: impl Fn(&Close) + Send + Sync + 'static) -> Self {
        self.hooked("on_suspended", move |event| {
            if let ClientEvent::Suspended(close) = event {
                callback(close);
            }
        })
    }

    /// Calls `callback` at each [`ClientEvent::Resumed`]: the connection has a socket again. It runs like a callback of
    /// [`on_event`](Self::on_event).
    pub fn on_resumed(self, callback: impl Fn(&Resumed) + Send + Sync + 'static) -> Self {
        self.hooked("on_resumed", move |event| {
            if let ClientEvent::Resumed(resumed) = event {
                callback(resumed);
            }
        })
    }

    /// Calls `callback` at each [`ClientEvent::Error`]: a handler failed, or the server broke the
    /// protocol. It runs like a callback of [`on_event`](Self::on_event).
    ///
    /// ```
    /// # fn example<P: wse::Negotiate>(builder: wse::ClientBuilder<P>) -> wse::ClientBuilder<P> {
    /// use wse::ClientEvent;
    /// builder.on_error(|event| {
    ///     if let ClientEvent::Error { code, id, message, .. } = event {
    ///         eprintln!("{code} {id:?}: {message}");
    ///     }
    /// })
    /// # }
    /// ```
    pub fn on_error(self, callback: impl Fn(&ClientEvent) + Send + Sync + 'static) -> Self {
        self.hooked("on_error", move |event| {
            if let ClientEvent::Error { .. } = event {
                callback(event);
            }
        })
    }
}
