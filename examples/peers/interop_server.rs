//! The server for interop tests: a client in another language can check every feature of the wire format from
//! outside. It covers authentication, messages, calls both ways, several devices, closes and events.
//!
//! `cargo run --example interop_server -- --addr 127.0.0.1:4200 --protocol cbor`

#[path = "interop/certificates.rs"]
mod certificates;
#[path = "interop/contract.rs"]
mod contract;
#[path = "interop/custom.rs"]
mod custom;
#[path = "interop/leaving.rs"]
mod leaving;
#[path = "interop/log.rs"]
mod log;
#[path = "interop/resume.rs"]
mod resume;
#[path = "interop/rooms.rs"]
mod rooms;
#[path = "interop/value.rs"]
mod value;

use std::time::Duration;

use axum::extract::Request;
use axum::routing::{any, get};
use http::{HeaderMap, StatusCode, header};
use tokio::net::TcpListener;
use wse::tls::ServerTls;
use wse::{Cbor, JsonArray, Protobuf, Speaks};

use contract::Options;
use custom::Custom;
use value::Value;

const HELP: &str = "usage: interop_server [--addr HOST:PORT] \
    [--protocol json|cbor|protobuf|custom] [--conn-per-user N] [--challenge] \
    [--call-timeout SECONDS] [--welcome JSON] [--max-message BYTES] [--auth-timeout SECONDS] \
    [--resume MILLISECONDS] [--resume-bytes BYTES] \
    [--tls DIRECTORY | --path PATH...]\n       interop_server --make-certificates DIRECTORY";

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut addr = "127.0.0.1:0".to_owned();
    let mut protocol = "json".to_owned();
    let mut paths: Vec<String> = Vec::new();
    let mut tls = None;
    let mut options = Options {
        connections_per_user: 1,
        challenge: false,
        call_timeout: Duration::from_secs(20),
        welcome: serde_json::from_str(r#"{"hey":"some additional data for the client"}"#)?,
        max_message: 16 << 20,
        auth_timeout: None,
        resume: None,
        resume_bytes: 256 << 10,
    };

    use lexopt::prelude::*;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("addr") => addr = args.value()?.parse()?,
            Long("protocol") => protocol = args.value()?.parse()?,
            Long("conn-per-user") => options.connections_per_user = args.value()?.parse()?,
            Long("challenge") => options.challenge = true,
            Long("call-timeout") => options.call_timeout = seconds(&mut args)?,
            Long("welcome") => options.welcome = serde_json::from_str(&args.value()?.string()?)?,
            Long("max-message") => options.max_message = args.value()?.parse()?,
            Long("auth-timeout") => options.auth_timeout = Some(seconds(&mut args)?),
            Long("resume") => {
                options.resume = Some(Duration::from_millis(args.value()?.parse()?));
            }
            Long("resume-bytes") => options.resume_bytes = args.value()?.parse()?,
            Long("tls") => tls = Some(certificates::read(args.value()?.as_ref())?),
            Long("make-certificates") => return certificates::make(args.value()?.as_ref()),
            Long("path") => paths.push(args.value()?.parse()?),
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("{}\n{HELP}", other.unexpected()).into()),
        }
    }

    match protocol.as_str() {
        "json" => run(JsonArray, &addr, tls, &paths, &options).await,
        "cbor" => run(Cbor, &addr, tls, &paths, &options).await,
        "protobuf" => run(Protobuf, &addr, tls, &paths, &options).await,
        "custom" => run(Custom, &addr, tls, &paths, &options).await,
        other => Err(format!("unknown protocol {other}\n{HELP}").into()),
    }
}

async fn run<P: Speaks<Value>>(
    protocol: P,
    addr: &str,
    tls: Option<ServerTls>,
    paths: &[String],
    options: &Options,
) -> Result<(), Failure> {
    if paths.is_empty() {
        let server = contract::server(protocol, options);
        match tls {
            Some(tls) => println!("listening on wss://{}", server.listen_tls(addr, tls).await?),
            None => println!("listening on ws://{}", server.listen(addr).await?),
        }
        return std::future::pending().await;
    }
    if tls.is_some() {
        return Err(format!("--tls and --path exclude each other\n{HELP}").into());
    }
    // With paths it is an ordinary HTTP server, and each path has a server of its own.
    let mut app = axum::Router::new().route("/health", get(health));
    for path in paths {
        let server = contract::server(protocol.clone(), options);
        app =
            app.route(
                path,
                any(|request: Request| async move {
                    server.upgrade::<_, axum::body::Body>(request, None)
                }),
            );
    }
    let listener = TcpListener::bind(addr).await?;
    println!("listening on ws://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn health(headers: HeaderMap) -> Result<&'static str, StatusCode> {
    if headers.contains_key(header::UPGRADE) { Err(StatusCode::NOT_FOUND) } else { Ok("ok") }
}

fn seconds(args: &mut lexopt::Parser) -> Result<Duration, Failure> {
    use lexopt::prelude::*;
    Ok(Duration::try_from_secs_f64(args.value()?.parse()?)?)
}
