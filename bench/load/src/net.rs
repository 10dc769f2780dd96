//! Sockets: connecting, waiting, and the upgrade.

use crate::{Args, die};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How long a server may take for anything before the measuring begins.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Epoll(i32);
impl Epoll {
    pub fn new() -> Self {
        let fd = unsafe { libc::epoll_create1(0) };
        if fd < 0 {
            die("epoll_create1");
        }
        Epoll(fd)
    }
    pub fn add(&self, fd: i32, token: u64) {
        let mut e = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET | libc::EPOLLRDHUP) as u32,
            u64: token,
        };
        if unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, fd, &mut e) } != 0 {
            die("epoll_ctl");
        }
    }
    pub fn wait(&self, ev: &mut [libc::epoll_event], ms: i32) -> usize {
        let n = unsafe { libc::epoll_wait(self.0, ev.as_mut_ptr(), ev.len() as i32, ms) };
        n.max(0) as usize
    }
}

pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn raise_nofile() {
    unsafe {
        let want = libc::rlimit { rlim_cur: 1 << 17, rlim_max: 1 << 17 };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &want) != 0 {
            let mut have = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut have);
            have.rlim_cur = have.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &have);
        }
    }
}

pub fn set_nonblocking(fd: i32) {
    unsafe {
        let f = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, f | libc::O_NONBLOCK);
    }
}

fn sockaddr(ip: Ipv4Addr, port: u16) -> libc::sockaddr_in {
    let mut a: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    a.sin_family = libc::AF_INET as u16;
    a.sin_port = port.to_be();
    a.sin_addr.s_addr = u32::from_ne_bytes(ip.octets());
    a
}

/// Where the `i`th connection comes from: an address has ports for so many.
pub fn source(i: usize) -> Option<u8> {
    Some(2 + (i / 10_000) as u8)
}

/// Blocking connect, optionally from 127.0.0.`src`. TCP_NODELAY on; closing resets
/// the connection so that no port is left in TIME_WAIT.
pub fn connect(host: &str, port: u16, src: Option<u8>) -> i32 {
    let ip: Ipv4Addr = host.parse().unwrap_or_else(|_| die("--host must be an IPv4 address"));
    let len = std::mem::size_of::<libc::sockaddr_in>() as u32;
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            die(format!("socket: errno {}", errno()));
        }
        let set = |level, name, v: &[i32]| {
            libc::setsockopt(
                fd,
                level,
                name,
                v.as_ptr() as *const _,
                std::mem::size_of_val(v) as u32,
            )
        };
        set(libc::IPPROTO_TCP, libc::TCP_NODELAY, &[1]);
        set(libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);
        if let Some(x) = src {
            const IP_BIND_ADDRESS_NO_PORT: i32 = 24;
            set(libc::IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &[1]);
            let a = sockaddr(Ipv4Addr::new(127, 0, 0, x), 0);
            if libc::bind(fd, &a as *const _ as *const _, len) != 0 {
                die(format!("bind: errno {}", errno()));
            }
        }
        let tv = libc::timeval { tv_sec: PATIENCE.as_secs() as i64, tv_usec: 0 };
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &tv as *const _ as *const _, 16);
        let a = sockaddr(ip, port);
        if libc::connect(fd, &a as *const _ as *const _, len) != 0 {
            die(format!("connect: errno {}", errno()));
        }
        fd
    }
}

pub fn send_all(fd: i32, mut b: &[u8]) {
    while !b.is_empty() {
        let n = unsafe { libc::send(fd, b.as_ptr() as *const _, b.len(), libc::MSG_NOSIGNAL) };
        if n <= 0 {
            die(format!("send: errno {}", errno()));
        }
        b = &b[n as usize..];
    }
}

pub fn recv_exact(fd: i32, b: &mut [u8]) {
    let mut at = 0;
    while at < b.len() {
        let n = unsafe { libc::recv(fd, b[at..].as_mut_ptr() as *mut _, b.len() - at, 0) };
        if n <= 0 {
            die(format!("recv: {n}, errno {}", errno()));
        }
        at += n as usize;
    }
}

/// HTTP/1.1 upgrade with the nonce of RFC 6455, whose accept value is known.
pub fn upgrade(fd: i32, a: &Args, path: &str, headers: &str) {
    send_all(fd, request(a, path, headers).as_bytes());
    let mut head = vec![0; 8192];
    let since = Instant::now();
    // Peeked at first: what comes after the answer must stay in the socket.
    let len = loop {
        let n = unsafe { libc::recv(fd, head.as_mut_ptr().cast(), head.len(), libc::MSG_PEEK) };
        if n <= 0 {
            die(format!("upgrade: recv {n}, errno {}", errno()));
        }
        match head[..n as usize].windows(4).position(|it| it == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None if n as usize == head.len() => die("upgrade: reply too long"),
            None if since.elapsed() > PATIENCE => die("upgrade: half a reply"),
            None => std::thread::yield_now(),
        }
    };
    recv_exact(fd, &mut head[..len]);
    check(&head[..len], headers);
}

pub fn request(a: &Args, path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n",
        a.host, a.port
    )
}

/// Whether this answers that request.
pub fn check(head: &[u8], headers: &str) {
    let text = String::from_utf8_lossy(head);
    if !text.starts_with("HTTP/1.1 101") || !text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
        die(format!("upgrade refused: {}", text.lines().next().unwrap_or("")));
    }
    if text.to_ascii_lowercase().contains("sec-websocket-extensions")
        != headers.contains("Extensions")
    {
        die("not the extensions that were offered");
    }
}
