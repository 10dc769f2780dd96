//! WebSocket echo load generator.
//!
//! One thread, epoll (busy-polled by default), no async runtime. Built to cost less
//! than any server it drives:
//!   * frames are masked once, before the run, and written from one shared block;
//!   * replies are counted by parsing server frame headers in place;
//!   * payloads of messages of 32 KiB and more are dropped in the kernel (MSG_TRUNC)
//!     instead of being copied out, except those that are verified.
//!
//! The first and the last message of every connection are compared byte by byte.

mod broadcast;
mod conn;
mod connect;
mod echo;
mod idle;
mod link;
mod net;
mod payload;
mod result;
mod stat;
mod talk;

use talk::Talk;

#[derive(Clone, Copy)]
pub enum Kind {
    /// Messages that are answered, one by one.
    Echo,
    /// One message that makes the server send to all.
    Broadcast,
    /// Connections that are opened and closed.
    Connect { tls: bool },
}

pub struct Args {
    pub host: String,
    pub port: u16,
    pub mode: payload::Mode,
    pub size: usize,
    pub depth: usize,
    pub conns: usize,
    pub secs: f64,
    pub warmup: f64,
    pub refill: usize,
    pub talk: Talk,
    pub kind: Kind,
    pub block: bool,
    pub pace: f64,
    pub pid: Option<u32>,
    pub server_cpu: Option<usize>,
    pub probe: bool,
    pub idle: usize,
    pub settle: f64,
}

fn usage() -> ! {
    eprintln!(
        "usage: load --port N [--host IP] [--mode text|binary|utf8|json] [--size BYTES] [--depth P]\n\
         \x20      [--conns C] [--secs T] [--warmup W] [--refill R] [--pid SERVER_PID]\n\
         \x20      [--talk TALK] [--block] [--server-cpu N]\n\
         \x20      load --broadcast --conns C --port P [--size BYTES] [--talk TALK] [--depth P]\n\
         \x20      load --connect|--connect-tls --conns C --port P\n\
         \x20      load --probe --server-cpu N\n\
         \x20      load --idle N --port P --pid SERVER_PID [--size 1024] [--settle 3]\n\
         --refill R  top a connection up to P messages once only R are still in flight\n\
         \x20           (0, the default: bursts of P; P-1: sliding window)\n\
         --talk      raw (no HTTP upgrade, replies are the masked frames), echo (the default),\n\
         \x20           deflate, deflate-alone, or calls of `add`: wse, jsonrpc, socketio\n\
         --server-cpu N  measure the latency between CPU N and this program's before and after\n\
         --pace US   let at least US microseconds pass between polls, so that replies gather\n\
         --block     sleep in epoll_wait instead of busy-polling"
    );
    std::process::exit(2)
}

fn parse_args() -> Args {
    let mut a = Args {
        host: "127.0.0.1".into(),
        port: 0,
        mode: payload::Mode::Binary,
        size: 32,
        depth: 1,
        conns: 1,
        secs: 2.5,
        warmup: 0.5,
        refill: 0,
        talk: Talk::Echo,
        kind: Kind::Echo,
        block: false,
        pace: 0.0,
        pid: None,
        server_cpu: None,
        probe: false,
        idle: 0,
        settle: 3.0,
    };
    let mut it = std::env::args().skip(1);
    while let Some(k) = it.next() {
        let mut val = || it.next().unwrap_or_else(|| usage());
        fn num<T: std::str::FromStr>(s: String) -> T {
            s.parse().unwrap_or_else(|_| usage())
        }
        match k.as_str() {
            "--host" => a.host = val(),
            "--port" => a.port = num(val()),
            "--mode" => a.mode = payload::Mode::parse(&val()).unwrap_or_else(|| usage()),
            "--size" => a.size = num(val()),
            "--depth" => a.depth = num(val()),
            "--conns" => a.conns = num(val()),
            "--secs" => a.secs = num(val()),
            "--warmup" => a.warmup = num(val()),
            "--refill" => a.refill = num(val()),
            "--talk" => a.talk = Talk::parse(&val()).unwrap_or_else(|| usage()),
            "--broadcast" => a.kind = Kind::Broadcast,
            "--connect" => a.kind = Kind::Connect { tls: false },
            "--connect-tls" => a.kind = Kind::Connect { tls: true },
            "--block" => a.block = true,
            "--pace" => a.pace = num(val()),
            "--server-cpu" => a.server_cpu = Some(num(val())),
            "--probe" => a.probe = true,
            "--pid" => a.pid = Some(num(val())),
            "--idle" => a.idle = num(val()),
            "--settle" => a.settle = num(val()),
            _ => usage(),
        }
    }
    if a.probe && a.server_cpu.is_some() {
        return a;
    }
    if a.talk.calls() {
        a.mode = payload::Mode::Text;
        a.size = 1;
        if a.depth > talk::MOST_CALLS {
            usage()
        }
    }
    if a.port == 0 || a.depth == 0 || a.conns == 0 || a.size == 0 {
        usage()
    }
    a.refill = a.refill.min(a.depth - 1);
    a
}

pub fn die(msg: impl std::fmt::Display) -> ! {
    println!("{{\"error\":\"{}\"}}", msg.to_string().replace('"', "'"));
    std::process::exit(1)
}

fn main() {
    let args = parse_args();
    net::raise_nofile();
    if args.idle > 0 {
        idle::run(&args);
        return;
    }

    if args.probe {
        println!("{{\"link_ns\":{:.1}}}", link::probe(args.server_cpu.unwrap()));
        return;
    }
    match args.kind {
        Kind::Echo => echo::run(&args),
        Kind::Broadcast => broadcast::run(&args),
        Kind::Connect { tls } => connect::run(&args, tls),
    }
}
