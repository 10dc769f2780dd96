//! Byte echo on epoll alone: the floor below which no server on this kernel can go
//! with read/write system calls.
//!
//! `whole=N` gathers N bytes per connection, in a buffer that is kept, before it writes
//! them in one call: what a message server does with messages of N bytes on the wire.

use std::mem::zeroed;

struct Conn {
    pending: Vec<u8>,
    at: usize,
    message: Vec<u8>,
    got: usize,
}

fn main() {
    common::raise_nofile();
    unsafe {
        let l = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0);
        let one = 1i32;
        let opt = |fd, level, name| {
            libc::setsockopt(fd, level, name, &one as *const _ as *const _, 4);
        };
        opt(l, libc::SOL_SOCKET, libc::SO_REUSEADDR);
        let mut a: libc::sockaddr_in = zeroed();
        a.sin_family = libc::AF_INET as u16;
        a.sin_port = common::port().to_be();
        a.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(libc::bind(l, &a as *const _ as *const _, size_of_val(&a) as u32), 0);
        assert_eq!(libc::listen(l, 4096), 0);
        let ep = libc::epoll_create1(0);
        let ctl = |op, fd: i32, events: i32| {
            let mut e = libc::epoll_event { events: events as u32, u64: fd as u64 };
            libc::epoll_ctl(ep, op, fd, &mut e);
        };
        ctl(libc::EPOLL_CTL_ADD, l, libc::EPOLLIN);
        let mut conns: Vec<Option<Conn>> = Vec::new();
        let mut buf = vec![0u8; common::option("read", 512 * 1024)];
        let whole = common::option("whole", 0);
        let mut events = vec![zeroed::<libc::epoll_event>(); 1024];
        loop {
            let n = libc::epoll_wait(ep, events.as_mut_ptr(), events.len() as i32, -1);
            for e in &events[..n.max(0) as usize] {
                let fd = e.u64 as i32;
                if fd == l {
                    let c = libc::accept4(
                        l,
                        std::ptr::null_mut(),
                        std::ptr::null_mut(),
                        libc::SOCK_NONBLOCK,
                    );
                    if c >= 0 {
                        opt(c, libc::IPPROTO_TCP, libc::TCP_NODELAY);
                        if conns.len() <= c as usize {
                            conns.resize_with(c as usize + 1, || None);
                        }
                        conns[c as usize] = Some(Conn {
                            pending: Vec::new(),
                            at: 0,
                            message: vec![0; whole],
                            got: 0,
                        });
                        ctl(libc::EPOLL_CTL_ADD, c, libc::EPOLLIN);
                    }
                    continue;
                }
                let Some(c) = conns[fd as usize].as_mut() else { continue };
                if !c.pending.is_empty() {
                    let m = libc::send(
                        fd,
                        c.pending[c.at..].as_ptr() as *const _,
                        c.pending.len() - c.at,
                        libc::MSG_NOSIGNAL,
                    );
                    if m > 0 {
                        c.at += m as usize;
                        if c.at == c.pending.len() {
                            c.pending = Vec::new();
                            c.at = 0;
                            ctl(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN);
                        }
                    }
                    if m >= 0 || *libc::__errno_location() == libc::EAGAIN {
                        continue;
                    }
                }
                let (at, room) = if whole > 0 {
                    (c.message[c.got..].as_mut_ptr(), whole - c.got)
                } else {
                    (buf.as_mut_ptr(), buf.len())
                };
                let r = libc::recv(fd, at as *mut _, room, 0);
                if r < 0 && *libc::__errno_location() == libc::EAGAIN {
                    continue;
                }
                if r <= 0 {
                    libc::close(fd);
                    conns[fd as usize] = None;
                    continue;
                }
                let out = if whole > 0 {
                    c.got += r as usize;
                    if c.got < whole {
                        continue;
                    }
                    c.got = 0;
                    &c.message[..]
                } else {
                    &buf[..r as usize]
                };
                let m = libc::send(fd, out.as_ptr() as *const _, out.len(), libc::MSG_NOSIGNAL)
                    .max(0) as usize;
                if m < out.len() {
                    c.pending = out[m..].to_vec();
                    ctl(libc::EPOLL_CTL_MOD, fd, libc::EPOLLOUT);
                }
            }
        }
    }
}
