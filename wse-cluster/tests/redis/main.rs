//! Nodes on a real Redis server, which is killed, stopped, continued, emptied and misconfigured.
//!
//! `REDIS_SERVER` names the program; by default `redis-server` of the path. `./check cluster` downloads one.

mod directory;
mod elsewhere;
mod outages;
mod server;
#[path = "../nodes/support.rs"]
#[allow(dead_code)]
mod support;
