//! The closed loop: every connection keeps so many messages in flight, and each must come back.

use crate::conn::{Conn, Shared};
use crate::net;
use crate::result::{self, Measured};
use crate::talk::Talk;
use crate::{Args, die, link, stat};
use std::time::{Duration, Instant};

pub fn run(args: &Args) {
    let shared = Shared::new(args);
    let link_before = args.server_cpu.map_or(f64::NAN, link::probe);
    let mut conns: Vec<Conn> = (0..args.conns)
        .map(|i| {
            let fd = net::connect(&args.host, args.port, net::source(i));
            args.talk.open(fd, args, i);
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

    let deflate = matches!(args.talk, Talk::Deflate { .. });
    if deflate {
        conns[0].follow();
    }
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

    let received: u64 = conns.iter().map(|c| c.received).sum();
    let wire: u64 = conns.iter().map(|c| c.payload).sum();
    let ratio = if deflate { wire as f64 / (received * args.size as u64) as f64 } else { f64::NAN };
    let verified = conns.iter().filter(|c| c.verified_first && c.verified_last).count();
    if verified != conns.len() {
        die(format!("only {verified} of {} connections verified", conns.len()));
    }
    let (before, after, msgs, secs) = result.unwrap();
    result::print(Measured {
        bytes: msgs as f64 * args.size as f64,
        ratio,
        rtt,
        reads: conns.iter().map(|c| c.reads).sum(),
        writes: conns.iter().map(|c| c.writes).sum(),
        verified,
        link_before,
        link_after: args.server_cpu.map_or(f64::NAN, link::probe),
        ..Measured::new(before, after, msgs, secs)
    });
}
