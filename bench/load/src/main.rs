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

mod idle;
mod link;
mod net;
mod payload;
mod stat;

use net::{Conn, Shared};
use std::time::{Duration, Instant};

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
    pub raw: bool,
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
        "usage: load --port N [--host IP] [--mode text|binary|utf8] [--size BYTES] [--depth P]\n\
         \x20      [--conns C] [--secs T] [--warmup W] [--refill R] [--pid SERVER_PID]\n\
         \x20      [--raw] [--block] [--server-cpu N]\n\
         \x20      load --probe --server-cpu N\n\
         \x20      load --idle N --port P --pid SERVER_PID [--size 1024] [--settle 3]\n\
         --refill R  top a connection up to P messages once only R are still in flight\n\
         \x20           (0, the default: bursts of P; P-1: sliding window)\n\
         --raw       the server echoes bytes: no HTTP upgrade, replies are the masked frames\n\
         --server-cpu N  measure the latency between CPU N and ours before and after\n\
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
        raw: false,
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
            "--raw" => a.raw = true,
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

    let shared = Shared::new(&args);
    let link_before = args.server_cpu.map_or(f64::NAN, link::probe);
    let mut conns: Vec<Conn> = (0..args.conns)
        .map(|_| {
            let fd = net::connect(&args.host, args.port, None);
            if !args.raw {
                net::upgrade(fd, &args.host, args.port);
            }
            Conn::new(fd)
        })
        .collect();

    let ep = net::Epoll::new();
    for (i, c) in conns.iter().enumerate() {
        net::set_nonblocking(c.fd);
        ep.add(c.fd, i as u64);
    }

    let measure_rtt = args.depth == 1;
    let direct = args.conns == 1 && !args.block; // one connection: poll the socket itself
    let mut rtt: Vec<u32> = Vec::with_capacity(4 << 20);
    let mut buf = vec![0u8; 256 * 1024];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 256];

    for c in conns.iter_mut() {
        c.grant(args.depth as u64);
        c.write(&shared);
    }

    let start = Instant::now();
    let warm_until = start + Duration::from_secs_f64(args.warmup);
    let mut end = warm_until + Duration::from_secs_f64(args.secs);
    let hard_end = end + Duration::from_secs(20);
    let mut phase = 0; // 0 warm-up, 1 measuring, 2 draining
    let mut begin_snap = None;
    let mut result = None;
    let mut done: u64 = 0; // messages completed, all connections
    let mut live = conns.len();

    let pace = Duration::from_secs_f64(if direct { 0.0 } else { args.pace / 1e6 });
    let mut polled = Instant::now();
    loop {
        if !pace.is_zero() {
            while polled.elapsed() < pace {
                std::hint::spin_loop();
            }
            polled = Instant::now();
        }
        let n = if direct {
            events[0].u64 = 0;
            1
        } else {
            ep.wait(&mut events, if args.block { 100 } else { 0 })
        };
        for e in &events[..n] {
            let c = &mut conns[e.u64 as usize];
            if c.finished {
                continue;
            }
            let got = c.read(&shared, &mut buf);
            if got > 0 {
                done += got;
                if phase < 2 {
                    if measure_rtt {
                        let now = Instant::now();
                        if phase == 1 {
                            rtt.push((now - c.sent_at).as_nanos().min(u32::MAX as u128) as u32);
                        }
                    }
                    if c.in_flight() <= args.refill as u64 {
                        c.grant(args.depth as u64 - c.in_flight());
                    }
                }
            }
            if c.wants_write(&shared) {
                if measure_rtt {
                    c.sent_at = Instant::now();
                }
                c.write(&shared);
            }
            if phase == 2 && c.in_flight() == 0 && !c.finished {
                c.finished = true;
                live -= 1;
            }
        }

        let now = Instant::now();
        match phase {
            0 if now >= warm_until => {
                begin_snap = Some((stat::Snap::take(args.pid), done, now));
                end = now + Duration::from_secs_f64(args.secs);
                phase = 1;
            }
            1 if now >= end => {
                let (s0, d0, t0) = begin_snap.take().unwrap();
                let s1 = stat::Snap::take(args.pid);
                result = Some((s0, s1, done - d0, (now - t0).as_secs_f64()));
                phase = 2;
                // One more message each, verified in full.
                for c in conns.iter_mut() {
                    c.last = Some(c.grant(1));
                    c.write(&shared);
                }
            }
            2 if live == 0 => break,
            _ if now >= hard_end => {
                let stuck: Vec<String> = conns
                    .iter()
                    .enumerate()
                    .filter(|(_, c)| !c.finished)
                    .take(4)
                    .map(|(i, c)| {
                        format!("#{i} in_flight {} received {}", c.in_flight(), c.received)
                    })
                    .collect();
                die(format!("timed out waiting for echoes: {}", stuck.join(", ")))
            }
            _ => {}
        }
    }

    let verified = conns.iter().filter(|c| c.verified_first && c.verified_last).count();
    if verified != conns.len() {
        die(format!("only {verified} of {} connections verified", conns.len()));
    }
    let link_after = args.server_cpu.map_or(f64::NAN, link::probe);
    let (s0, s1, msgs, secs) = result.unwrap();
    rtt.sort_unstable();
    let q = |p: f64| -> f64 {
        if rtt.is_empty() {
            return f64::NAN;
        }
        rtt[((rtt.len() - 1) as f64 * p).round() as usize] as f64 / 1000.0
    };
    let jnum = |x: f64| if x.is_finite() { format!("{x:.4}") } else { "null".into() };
    let d = s0.delta(&s1);
    println!(
        "{{\"msgs\":{msgs},\"secs\":{},\"msgs_per_s\":{},\"mb_per_s\":{},\"p50_us\":{},\"p99_us\":{},\
         \"cpu_us_per_msg\":{},\"server_cpu_s\":{},\"server_user_s\":{},\"server_sys_s\":{},\
         \"server_util\":{},\"loader_cpu_s\":{},\"foreign_util\":{},\"steal_util\":{},\
         \"softirqd_util\":{},\"link_before_ns\":{},\"link_after_ns\":{},\
         \"reads\":{},\"writes\":{},\"verified\":{verified}}}",
        jnum(secs),
        jnum(msgs as f64 / secs),
        jnum(msgs as f64 * args.size as f64 / secs / 1e6),
        jnum(q(0.50)),
        jnum(q(0.99)),
        jnum(d.server_cpu / msgs as f64 * 1e6),
        jnum(d.server_cpu),
        jnum(d.server_user),
        jnum(d.server_sys),
        jnum(d.server_cpu / secs),
        jnum(d.loader_cpu),
        jnum(d.foreign_cpu / secs),
        jnum(d.steal / secs),
        jnum(d.softirqd_cpu / secs),
        jnum(link_before),
        jnum(link_after),
        conns.iter().map(|c| c.reads).sum::<u64>(),
        conns.iter().map(|c| c.writes).sum::<u64>(),
    );
}
