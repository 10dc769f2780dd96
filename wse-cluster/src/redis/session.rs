//! [`RedisSession`]: the connections of a node to Redis.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use redis::aio::{MultiplexedConnection, PubSubSink};
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::directory::Directory;
use crate::backplane::{BackplaneError, Inbox, Session};
use crate::channel::Channel;
use crate::directory::{Reply, Request};

/// The node waits less for an answer. This ends what nobody waits for any more.
const RESPONSE: Duration = Duration::from_secs(5);

/// The connections of a node to Redis. They do not connect again by themselves.
pub(super) struct RedisSession {
    prefix: String,
    subscriptions: Mutex<PubSubSink>,
    commands: MultiplexedConnection,
    beats: MultiplexedConnection,
    directory: Directory,
    inbox: Inbox,
    _reader: AbortOnDropHandle<()>,
}

impl RedisSession {
    pub(super) async fn open(
        client: &Client,
        namespace: &str,
        inbox: Inbox,
    ) -> Result<Self, BackplaneError> {
        let commands = check(client).await?;
        let beats = connection(client).await.map_err(failed("cannot connect to Redis"))?;
        let pubsub = client.get_async_pubsub().await;
        let pubsub = pubsub.map_err(failed("cannot connect to Redis"))?;
        let (subscriptions, mut messages) = pubsub.split();
        let (prefix, reader_inbox) = (format!("{namespace}:"), inbox.clone());
        let reader_prefix: Arc<str> = prefix.as_str().into();
        let reader = tokio::spawn(async move {
            // Never waits, so that what the library has read does not pile up there.
            while let Some(message) = messages.next().await {
                let channel = message.get_channel_name().strip_prefix(&*reader_prefix);
                let Some(channel) = channel.and_then(Channel::parse) else { continue };
                let payload = Bytes::copy_from_slice(message.get_payload_bytes());
                if !reader_inbox.put(channel, payload) {
                    return;
                }
            }
            reader_inbox.end("Redis has closed the connection of the subscriptions");
        });
        Ok(Self {
            prefix,
            subscriptions: Mutex::new(subscriptions),
            commands,
            beats,
            directory: Directory::new(namespace),
            inbox,
            _reader: AbortOnDropHandle::new(reader),
        })
    }

    fn names(&self, channels: &[Channel]) -> Vec<String> {
        channels.iter().map(|channel| format!("{}{channel}", self.prefix)).collect()
    }

    /// Ends the session if its connection is broken.
    fn checked<T>(&self, what: &'static str, result: RedisResult<T>) -> Result<T, BackplaneError> {
        result.map_err(|error| {
            if error.is_unrecoverable_error() || error.is_io_error() && !error.is_timeout() {
                self.inbox.end("the connection to Redis is broken");
            }
            failed(what)(error)
        })
    }
}

#[async_trait]
impl Session for RedisSession {
    async fn subscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        let names = self.names(channels);
        let subscribed = self.subscriptions.lock().await.subscribe(&names).await;
        self.checked("cannot subscribe", subscribed)
    }

    async fn unsubscribe(&self, channels: &[Channel]) -> Result<(), BackplaneError> {
        let names = self.names(channels);
        let unsubscribed = self.subscriptions.lock().await.unsubscribe(&names).await;
        self.checked("cannot unsubscribe", unsubscribed)
    }

    async fn publish(&self, messages: &[(Channel, Bytes)]) -> Result<(), BackplaneError> {
        let beats = messages.iter().all(|(channel, _)| *channel == Channel::Beats);
        let mut connection = if beats { self.beats.clone() } else { self.commands.clone() };
        let mut pipe = redis::pipe();
        for (channel, message) in messages {
            pipe.cmd("PUBLISH").arg(format!("{}{channel}", self.prefix)).arg(&**message).ignore();
        }
        let published: RedisResult<()> = pipe.query_async(&mut connection).await;
        self.checked("cannot publish", published)
    }

    async fn ask(&self, request: &Request) -> Result<Reply, BackplaneError> {
        let answered = self.directory.ask(&mut self.commands.clone(), request).await;
        self.checked("the directory of users cannot be asked", answered)
    }
}

/// Connects, and checks that the server can be used.
pub(super) async fn check(client: &Client) -> Result<MultiplexedConnection, BackplaneError> {
    let mut connection = connection(client).await.map_err(failed("cannot connect to Redis"))?;
    let info: RedisResult<String> =
        redis::cmd("INFO").arg("server").arg("replication").query_async(&mut connection).await;
    let info = info.map_err(failed("cannot ask Redis for its version"))?;
    let field = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
    };
    let version = field("redis_version:");
    if version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0) < 7 {
        let why = format!("Redis 7.0 or later is needed, and this is {version:?}");
        return Err(BackplaneError::new(why));
    }
    // What is published on a replica does not reach the subscribers of its master.
    if field("role:") != "master" {
        return Err(BackplaneError::new("this Redis server is a replica, not a master"));
    }
    Ok(connection)
}

async fn connection(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE));
    client.get_multiplexed_async_connection_with_config(&config).await
}

fn failed(what: &'static str) -> impl FnOnce(RedisError) -> BackplaneError {
    move |error| BackplaneError::new(what).with_source(error)
}
