//! [`Redis`]: a backplane on one Redis server.

mod directory;
mod session;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use redis::Client;
use wse::cluster::ClusterLink;

use crate::backplane::{Backplane, BackplaneError, Inbox, Session};
use crate::cluster::Cluster;
use session::RedisSession;

/// A backplane on one Redis server, 7.0 or later.
///
/// A node has three connections to it: one for its subscriptions, one for messages and the directory, one for its beats.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use wse_cluster::{Cluster, Redis};
///
/// let redis = Redis::connect("redis://127.0.0.1:6379").await?.namespace("chat");
/// let cluster = Cluster::builder(redis).name("fra-1").build();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Redis {
    client: Client,
    namespace: Arc<str>,
}

impl Redis {
    /// Connects to a server, such as `redis://127.0.0.1:6379` or `redis://:password@host:6379/1`, and checks that it can be
    /// used.
    ///
    /// The nodes connect by themselves, again and again. This only tells a wrong address or password at once.
    ///
    /// # Errors
    ///
    /// When the URL is malformed, the server cannot be reached, is older than 7.0, or is a replica.
    pub async fn connect(url: &str) -> Result<Self, BackplaneError> {
        let client = Client::open(url).map_err(|error| {
            BackplaneError::new("the URL of the Redis server is malformed").with_source(error)
        })?;
        session::check(&client).await?;
        Ok(Self { client, namespace: "wse".into() })
    }

    /// Sets the prefix of all keys and channels. Nodes with the same one are one cluster. Default: `wse`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into().into();
        self
    }
}

#[async_trait]
impl Backplane for Redis {
    async fn open(&self, inbox: Inbox) -> Result<Arc<dyn Session>, BackplaneError> {
        Ok(Arc::new(RedisSession::open(&self.client, &self.namespace, inbox).await?))
    }
}

impl From<Redis> for Arc<dyn ClusterLink> {
    fn from(redis: Redis) -> Self {
        Cluster::on(redis).into()
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the client, which has the password.
        f.debug_struct("Redis").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
