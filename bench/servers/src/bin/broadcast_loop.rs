//! The least that a broadcast can be: one loop that writes the same prepared frame to each socket. The
//! sockets are never waited for: a kernel buffer holds more than is ever under way here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

fn main() {
    common::raise_nofile();
    let listener = TcpListener::bind(("127.0.0.1", common::port())).unwrap();
    let mut sockets: Vec<TcpStream> = Vec::new();
    let mut buffer = [0; 4096];
    let frame = common::news_frame();
    let mut fds = [libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 }; 2];
    loop {
        // The first socket is the one that asks.
        fds[1].fd = sockets.first().map_or(-1, AsRawFd::as_raw_fd);
        unsafe { libc::poll(fds.as_mut_ptr(), 2, -1) };
        if fds[0].revents != 0 {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_nodelay(true).unwrap();
            if greet(&mut socket).is_some() {
                sockets.push(socket);
            }
        }
        if fds[1].revents != 0 {
            let Ok(len @ 1..) = sockets[0].read(&mut buffer) else { return };
            // A masked "go" has eight bytes.
            for _ in 0..len / 8 {
                for socket in &mut sockets {
                    socket.write_all(&frame).unwrap();
                }
            }
        }
    }
}

fn greet(socket: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let len @ 1.. = socket.read(&mut part).ok()? else { return None };
        head.extend_from_slice(&part[..len]);
    }
    socket.write_all(common::response(&head)?.as_bytes()).ok()
}
