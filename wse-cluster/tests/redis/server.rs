//! A Redis server of a test.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Value;
use wse_cluster::{Cluster, Redis};

use crate::support::*;

/// A Redis server on a port of its own, without files. It ends with the value.
pub struct RedisServer {
    child: Child,
    port: u16,
}

fn spawn(port: u16) -> Child {
    let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let port = port.to_string();
    let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    Command::new(&program)
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .stdout(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; `./check cluster` downloads it"))
}

impl RedisServer {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { child: spawn(port), port };
        server.answers().await;
        server
    }

    /// Waits until the server answers.
    async fn answers(&self) {
        let start = Instant::now();
        while self.try_command(&["PING"]).await.is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub async fn redis(&self) -> Redis {
        Redis::connect(&self.url()).await.unwrap()
    }

    /// A node with this limit of connections per user.
    pub async fn node(&self, name: &str, limit: usize) -> Node {
        let builder = Cluster::builder(self.redis().await).name(name.to_owned());
        node_of(wse::JsonArray, builder, limit).await
    }

    pub async fn try_command(&self, command: &[&str]) -> redis::RedisResult<Value> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let mut cmd = redis::Cmd::new();
        cmd.arg(command);
        cmd.query_async(&mut connection).await
    }

    pub async fn command(&self, command: &[&str]) -> Value {
        self.try_command(command).await.unwrap()
    }

    /// Ends the process at once. What the server knew is lost.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn restart(&mut self) {
        self.child = spawn(self.port);
        self.answers().await;
    }

    /// `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have ended already. A stopped process ends by this too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until it is so, at most so many seconds.
pub async fn eventually(seconds: u64, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < secs(seconds), "not in {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
