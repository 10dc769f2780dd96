//! [`Asked`]: waits for a connection that another driver hands over.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use wse_proto::session::Close;

use super::core::Core;
use super::suspended::suspend;
use crate::connection::shared::Connection;
use crate::connection::side::Side;

/// Waits for a connection; `None` when it has ended. If this is dropped, the connection is suspended when it was already on
/// its way.
pub(super) struct Asked<S: Side> {
    core: oneshot::Receiver<Box<dyn Any + Send>>,
    side: PhantomData<fn() -> S>,
}

impl<S: Side> Asked<S> {
    pub(super) fn new(connection: &Connection) -> Self {
        Self { core: connection.ask_for(), side: PhantomData }
    }
}

impl<S: Side> Future for Asked<S> {
    type Output = Option<Core<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core = ready!(Pin::new(&mut self.core).poll(cx)).ok();
        Poll::Ready(core.and_then(|core| core.downcast().ok()).map(|core| *core))
    }
}

impl<S: Side> Drop for Asked<S> {
    fn drop(&mut self) {
        self.core.close();
        if let Ok(core) = self.core.try_recv()
            && let Ok(core) = core.downcast::<Core<S>>()
            // Otherwise the program ends, and the connection with it.
            && Handle::try_current().is_ok()
        {
            core.connection.lose(&Close::VANISHED);
            suspend(*core);
        }
    }
}
