//! The directory as scripts inside Redis: a sorted set of all places by the time at which they lapse, and a hash for each user.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Script, Value, from_redis_value};
use wse::Text;

use crate::directory::{AtLimit, Device, Reply, Request};
use crate::id::NodeId;

/// The most places that are reaped at once.
const REAP: usize = 500;

/// The directory of one namespace.
pub(super) struct Directory {
    /// All keys have this hash tag, so that scripts may use several.
    prefix: String,
    scripts: Arc<Scripts>,
}

struct Scripts {
    admit: Script,
    release: Script,
    refresh: Script,
    reap: Script,
    find: Script,
}

impl Directory {
    pub(super) fn new(namespace: &str) -> Self {
        let scripts = Scripts {
            admit: Script::new(include_str!("scripts/admit.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            refresh: Script::new(include_str!("scripts/refresh.lua")),
            reap: Script::new(include_str!("scripts/reap.lua")),
            find: Script::new(include_str!("scripts/find.lua")),
        };
        Self { prefix: format!("{{{namespace}}}:"), scripts: Arc::new(scripts) }
    }

    fn places(&self) -> String {
        format!("{}places", self.prefix)
    }

    fn users(&self) -> String {
        format!("{}user:", self.prefix)
    }

    fn user(&self, id: &Text) -> String {
        format!("{}user:{id}", self.prefix)
    }

    /// Runs the script of a request.
    pub(super) async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
        request: &Request,
    ) -> RedisResult<Reply> {
        match request {
            Request::Admit { user, device, limit, at_limit, lease } => {
                let refuse = u8::from(*at_limit == AtLimit::Refuse);
                let mut call = self.scripts.admit.key(self.places());
                call.key(self.user(user)).arg(written(*device)).arg((*limit).max(1)).arg(refuse);
                call.arg(millis(*lease)).arg(user.as_str());
                let reply: Vec<Value> = call.invoke_async(connection).await?;
                let devices =
                    |from: usize| reply.get(from..).unwrap_or_default().iter().map(read).collect();
                let flag = |at: usize| reply.get(at) == Some(&Value::Int(1));
                Ok(match flag(0) {
                    true => {
                        let (first, left, evicted) = (flag(1), flag(2), devices(3));
                        Reply::Admitted { first, left, evicted: evicted? }
                    }
                    false => {
                        let full: RedisResult<Vec<Device>> = devices(1);
                        Reply::Full(full?)
                    }
                })
            }
            Request::Release { user, device } => {
                let mut call = self.scripts.release.key(self.places());
                call.key(self.user(user)).arg(written(*device)).arg(user.as_str());
                let (found, oldest): (bool, String) = call.invoke_async(connection).await?;
                let oldest = Some(oldest).filter(|it| !it.is_empty());
                let oldest = oldest.map(|oldest| parsed(&oldest)).transpose()?;
                Ok(Reply::Released { found, oldest })
            }
            Request::Refresh { node, places, lease } => {
                let mut call = self.scripts.refresh.key(self.places());
                call.arg(self.users()).arg(millis(*lease));
                for (user, conn_id) in places {
                    call.arg(written(Device { node: *node, conn_id: *conn_id })).arg(user.as_str());
                }
                let lost: Vec<usize> = call.invoke_async(connection).await?;
                let lost = lost.into_iter().filter_map(|number| places.get(number.checked_sub(1)?));
                Ok(Reply::Refreshed { lost: lost.cloned().collect() })
            }
            Request::Reap => {
                let mut call = self.scripts.reap.key(self.places());
                call.arg(self.users()).arg(REAP);
                let (removed, left): (usize, Vec<String>) = call.invoke_async(connection).await?;
                let left = left.into_iter().map(Text::from).collect();
                Ok(Reply::Reaped { left, more: removed == REAP })
            }
            Request::Find { user } => {
                let mut call = self.scripts.find.key(self.places());
                call.key(self.user(user)).arg(user.as_str());
                let found: Vec<String> = call.invoke_async(connection).await?;
                let found = found.iter().map(|device| parsed(device));
                Ok(Reply::Found(found.collect::<RedisResult<_>>()?))
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn written(Device { node, conn_id }: Device) -> String {
    format!("{node}:{conn_id}")
}

fn read(value: &Value) -> RedisResult<Device> {
    parsed(&from_redis_value::<String>(value.clone())?)
}

fn parsed(text: &str) -> RedisResult<Device> {
    let device = text.split_once(':').and_then(|(node, conn_id)| {
        Some(Device { node: NodeId::parse(node)?, conn_id: conn_id.parse().ok()? })
    });
    device.ok_or_else(|| {
        RedisError::from((redis::ErrorKind::Parse, "a place that is not one of this crate"))
    })
}
