//! A backplane that takes no messages: what waits is bounded, and the log is not flooded.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wse::JsonArray;
use wse_cluster::directory::{Reply, Request};
use wse_cluster::{Backplane, BackplaneError, Channel, Cluster, Inbox, Memory, Session};

use crate::support::*;

/// Passes on beats, and lets all other messages wait.
struct Stuck(Memory);

struct StuckSession(Arc<dyn Session>);

#[async_trait]
impl Backplane for Stuck {
    async fn open(&self, inbox: Inbox) -> Result<Arc<dyn Session>, BackplaneError> {
        Ok(Arc::new(StuckSession(self.0.open(inbox).await?)))
    }
}

#[async_trait]
impl Session for StuckSession {
    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        self.0.subscribe(channels).await
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        self.0.unsubscribe(channels).await
    }

    async fn publish(&self, messages: &[(Channel, Bytes)]) -> Result<(), BackplaneError> {
        if messages.iter().any(|(channel, _)| *channel != Channel::Beats) {
            std::future::pending::<()>().await;
        }
        self.0.publish(messages).await
    }

    async fn ask(&self, request: &Request) -> Result<Reply, BackplaneError> {
        self.0.ask(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_published_do_not_pile_up() {
    let node = node_of(JsonArray, Cluster::builder(Stuck(Memory::new())), 1).await;
    node.events.take();
    let megabyte = "x".repeat(1 << 20);
    for _ in 0..100 {
        node.server.all().send("note", &megabyte).unwrap();
        settle().await;
    }
    // 64 MiB are taken, and what was published for 2 s is given up.
    let events = node.events.take();
    assert!(events.len() <= 7, "one when the number has doubled: {events:?}");
    assert!(events.first().is_some_and(|event| event == "unsent 1"), "{events:?}");
    tokio::time::sleep(secs(10)).await;
    node.server.all().send("note", &megabyte).unwrap();
    settle().await;
    assert!(node.cluster.is_ready());
}
