//! Broadcast: one connection asks, and every connection must get the message. A few rounds are under way
//! at once, so that the server never waits for this program.

use crate::result::{self, Measured};
use crate::talk;
use crate::{Args, die, link, net, stat};
use std::time::{Duration, Instant};

/// Between two looks at the clock.
const LOOKS: Duration = Duration::from_millis(1);

/// What all connections have got so far.
struct Hearers {
    fds: Vec<i32>,
    /// Bytes received of each.
    got: Vec<u64>,
    /// The first message of the first connection; the others must get the same.
    frame: Vec<u8>,
    total: u64,
    buf: Vec<u8>,
}

impl Hearers {
    fn read(&mut self, i: usize) {
        loop {
            let len = self.buf.len();
            let n = unsafe {
                libc::recv(self.fds[i], self.buf.as_mut_ptr().cast(), len, libc::MSG_DONTWAIT)
            };
            match n {
                0 => die(format!("connection {i} was closed")),
                n if n < 0 => match net::errno() {
                    libc::EAGAIN | libc::EINTR => return,
                    e => die(format!("recv: errno {e}")),
                },
                _ => {}
            }
            let n = n as usize;
            let size = self.frame.len();
            // Every byte that everybody gets is compared with the first message.
            let mut at = (self.got[i] % size as u64) as usize;
            let mut rest = &self.buf[..n];
            while !rest.is_empty() {
                let part = rest.len().min(size - at);
                if rest[..part] != self.frame[at..at + part] {
                    die(format!("connection {i} got something else"));
                }
                rest = &rest[part..];
                at = 0;
            }
            self.got[i] += n as u64;
            self.total += n as u64;
            if n < len {
                return;
            }
        }
    }

    /// Broadcasts that have reached everybody, on average.
    fn rounds(&self) -> f64 {
        self.total as f64 / (self.frame.len() * self.fds.len()) as f64
    }
}

/// The first message on a connection, header and all.
fn first(fd: i32, size: usize) -> Vec<u8> {
    let mut frame = vec![0; 4];
    net::recv_exact(fd, &mut frame);
    let len = match frame[1] {
        126 => 4 + usize::from(u16::from_be_bytes([frame[2], frame[3]])),
        len => 2 + usize::from(len),
    };
    if len < size {
        die(format!("a message of {len} bytes is not of {size}"));
    }
    frame.resize(len, 0);
    net::recv_exact(fd, &mut frame[4..]);
    frame
}

pub fn run(a: &Args) {
    let link_before = a.server_cpu.map_or(f64::NAN, link::probe);
    let fds: Vec<i32> = (0..a.conns)
        .map(|i| {
            let fd = net::connect(&a.host, a.port, net::source(i));
            a.talk.open(fd, a, i);
            fd
        })
        .collect();
    let asks = fds[0];
    talk::say(asks, a.talk.go());
    let frame = first(asks, a.size);
    let mut hear = Hearers {
        got: vec![0; fds.len()],
        total: frame.len() as u64,
        frame,
        fds,
        buf: vec![0; 64 * 1024],
    };
    hear.got[0] = hear.total;

    let ep = net::Epoll::new();
    for (i, &fd) in hear.fds.iter().enumerate() {
        net::set_nonblocking(fd);
        ep.add(fd, i as u64);
    }
    let mut asked: u64 = 1;
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    let start = Instant::now();
    let warm_until = start + Duration::from_secs_f64(a.warmup);
    let mut end = None;
    let mut begin = None;
    let hard_end = start + Duration::from_secs_f64(a.warmup + a.secs + 60.0);
    loop {
        let looked = Instant::now();
        while looked.elapsed() < LOOKS {
            let n = ep.wait(&mut events, 0);
            for e in &events[..n] {
                hear.read(e.u64 as usize);
            }
            // Ask ahead, so that so many rounds are under way.
            while end.is_none_or(|end| Instant::now() < end)
                && hear.rounds() + a.depth as f64 > asked as f64
            {
                talk::say(asks, a.talk.go());
                asked += 1;
            }
        }
        let now = Instant::now();
        if now > hard_end {
            die(format!("{:.1} of {asked} broadcasts arrived", hear.rounds()));
        }
        if end.is_none() && now >= warm_until {
            begin = Some((stat::Snap::take(a.pid), hear.total, now));
            end = Some(now + Duration::from_secs_f64(a.secs));
        }
        if end.is_some_and(|end| now >= end) {
            break;
        }
    }
    let (before, total, since) = begin.unwrap();
    let after = stat::Snap::take(a.pid);
    let secs = since.elapsed().as_secs_f64();
    let msgs = (hear.total - total) / hear.frame.len() as u64;
    // What is still under way must come, to everybody.
    while hear.got.iter().any(|got| *got != asked * hear.frame.len() as u64) {
        let n = ep.wait(&mut events, 100);
        for e in &events[..n] {
            hear.read(e.u64 as usize);
        }
        if Instant::now() > hard_end {
            die(format!("{:.3} of {asked} broadcasts arrived", hear.rounds()));
        }
    }
    result::print(Measured {
        bytes: (msgs * hear.frame.len() as u64) as f64,
        verified: hear.fds.len(),
        link_before,
        link_after: a.server_cpu.map_or(f64::NAN, link::probe),
        ..Measured::new(before, after, msgs, secs)
    });
}
