//! One connection of the closed loop: what it sends, and whether what comes back is right.

use crate::net::errno;
use crate::payload::{self, Rng};
use crate::talk::Talk;
use crate::{Args, die};
use std::time::Instant;

/// Read-only state shared by all connections.
pub struct Shared {
    /// Masked frames, back to back.
    block: Vec<u8>,
    /// Where each of them ends, behind a zero.
    ends: Vec<u64>,
    /// What each answer must carry, in the same order.
    expect: Vec<Vec<u8>>,
    /// First bytes of every reply (without the mask key).
    reply_header: Vec<u8>,
    /// Bytes of a reply before its payload.
    reply_skip: usize,
    size: usize,
    opcode: u8,
    /// Answers are compressed, and of any size.
    deflate: bool,
    /// Answers may overtake each other.
    any_order: bool,
    truncate: bool,
}

impl Shared {
    pub fn new(a: &Args) -> Self {
        let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
        let opcode = a.mode.opcode();
        let raw = a.talk == Talk::Raw;
        let deflate = matches!(a.talk, Talk::Deflate { .. });
        // More than a window holds, so that the window has not seen most messages.
        let count = if deflate { a.depth.max((128 << 10) / a.size) } else { a.depth.max(2) };
        let mut block = Vec::new();
        let mut expect = Vec::new();
        let mut ends = vec![0];
        for i in 0..count {
            let (request, answer) = if a.talk.calls() {
                let (request, answer) = a.talk.call(i);
                (request.into_bytes(), answer.into_bytes())
            } else {
                let data = payload::payload(a.mode, a.size, &mut rng);
                (data.clone(), data)
            };
            if deflate {
                let small = payload::compress(&request);
                payload::frame(opcode | 0x40, &small, &mut rng, &mut block);
            } else {
                payload::frame(opcode, &request, &mut rng, &mut block);
            }
            // Raw servers give back the payload as it was masked.
            expect.push(if raw { block[block.len() - request.len()..].to_vec() } else { answer });
            ends.push(block.len() as u64);
        }
        let size = expect[0].len();
        let reply_header = payload::header(opcode, size, raw);
        let reply_skip = reply_header.len() + if raw { 4 } else { 0 };
        Shared {
            block,
            ends,
            expect,
            reply_header,
            reply_skip,
            size,
            opcode,
            deflate,
            any_order: a.talk.calls(),
            truncate: size >= 32 * 1024,
        }
    }

    fn count(&self) -> u64 {
        self.expect.len() as u64
    }

    /// Bytes of the first `n` messages.
    fn bytes(&self, n: u64) -> u64 {
        n / self.count() * self.block.len() as u64 + self.ends[(n % self.count()) as usize]
    }
}

pub struct Conn {
    pub fd: i32,
    sent: u64,    // bytes written
    allowed: u64, // messages that may be sent
    pub received: u64,
    hdr: [u8; 14],
    hdr_len: usize,
    left: usize, // payload bytes of the current frame still to come
    pos: usize,  // payload bytes of the current message seen
    fin: bool,
    control: bool,
    in_message: bool,
    check: bool,
    /// The message to be checked, as far as it has come.
    seen: Vec<u8>,
    /// Inflates what comes, one message after the other; only some connections are followed.
    inflate: Option<payload::Inflate>,
    pub payload: u64, // bytes of messages received
    pub last: Option<u64>,
    pub verified_first: bool,
    pub verified_last: bool,
    pub finished: bool,
    pub sent_at: Instant,
    pub reads: u64,
    pub writes: u64,
}

impl Conn {
    pub fn new(fd: i32) -> Self {
        Conn {
            fd,
            sent: 0,
            allowed: 0,
            received: 0,
            hdr: [0; 14],
            hdr_len: 0,
            left: 0,
            pos: 0,
            fin: true,
            control: false,
            in_message: false,
            check: false,
            seen: Vec::new(),
            inflate: None,
            payload: 0,
            last: None,
            verified_first: false,
            verified_last: false,
            finished: false,
            sent_at: Instant::now(),
            reads: 0,
            writes: 0,
        }
    }

    /// Allow `n` more messages; returns the index of the last one.
    pub fn grant(&mut self, n: u64) -> u64 {
        self.allowed += n;
        self.allowed - 1
    }
    pub fn in_flight(&self) -> u64 {
        self.allowed - self.received
    }
    pub fn wants_write(&self, s: &Shared) -> bool {
        self.sent < s.bytes(self.allowed)
    }

    pub fn write(&mut self, s: &Shared) {
        let total = s.block.len() as u64;
        let target = s.bytes(self.allowed);
        while self.sent < target {
            let at = (self.sent % total) as usize;
            let mut want = (target - self.sent) as usize;
            let first = want.min(total as usize - at);
            want -= first;
            let iov = [
                libc::iovec { iov_base: s.block[at..].as_ptr() as *mut _, iov_len: first },
                libc::iovec { iov_base: s.block.as_ptr() as *mut _, iov_len: want.min(at) },
            ];
            let n = if iov[1].iov_len == 0 {
                unsafe { libc::send(self.fd, iov[0].iov_base, iov[0].iov_len, libc::MSG_NOSIGNAL) }
            } else {
                unsafe { libc::writev(self.fd, iov.as_ptr(), 2) }
            };
            self.writes += 1;
            if n < 0 {
                match errno() {
                    libc::EAGAIN => return,
                    libc::EINTR => continue,
                    e => die(format!("send: errno {e}")),
                }
            }
            self.sent += n as u64;
        }
    }

    /// Read what is there; returns how many messages were completed.
    pub fn read(&mut self, s: &Shared, buf: &mut [u8]) -> u64 {
        let before = self.received;
        loop {
            self.reads += 1;
            if s.truncate {
                if self.left > 0 && !self.check {
                    // Drop payload bytes without copying them.
                    let n = unsafe {
                        libc::recv(
                            self.fd,
                            std::ptr::null_mut(),
                            self.left,
                            libc::MSG_TRUNC | libc::MSG_DONTWAIT,
                        )
                    };
                    if !self.got(n) {
                        break;
                    }
                    self.left -= n as usize;
                    self.pos += n as usize;
                    if self.left == 0 {
                        self.frame_end(s);
                    }
                    continue;
                }
                // A header: take little more than it needs.
                let want = if self.left > 0 { self.left.min(buf.len()) } else { 14 };
                let n = unsafe {
                    libc::recv(self.fd, buf.as_mut_ptr() as *mut _, want, libc::MSG_DONTWAIT)
                };
                if !self.got(n) {
                    break;
                }
                self.consume(s, &buf[..n as usize]);
            } else {
                let n = unsafe {
                    libc::recv(self.fd, buf.as_mut_ptr() as *mut _, buf.len(), libc::MSG_DONTWAIT)
                };
                if !self.got(n) {
                    break;
                }
                self.consume(s, &buf[..n as usize]);
                if (n as usize) < buf.len() {
                    break; // edge-triggered: more bytes raise a new event
                }
            }
        }
        self.received - before
    }

    fn got(&self, n: isize) -> bool {
        if n > 0 {
            return true;
        }
        if n == 0 {
            die(format!("server closed the connection after {} messages", self.received));
        }
        match errno() {
            libc::EAGAIN | libc::EINTR => false,
            e => die(format!("recv: errno {e}")),
        }
    }

    #[inline]
    fn message_start(&mut self) {
        self.in_message = true;
        self.pos = 0;
        self.check =
            self.received == 0 || self.last == Some(self.received) || self.inflate.is_some();
        self.seen.clear();
    }

    fn frame_end(&mut self, s: &Shared) {
        if self.control || !self.fin {
            return;
        }
        if s.deflate {
            self.payload += self.pos as u64;
        } else if self.pos != s.size {
            die(format!("message {} has {} bytes, expected {}", self.received, self.pos, s.size));
        }
        if self.check {
            self.verify(s);
        }
        self.in_message = false;
        self.received += 1;
    }

    fn verify(&mut self, s: &Shared) {
        let got = match &mut self.inflate {
            Some(inflate) => inflate.message(&self.seen),
            // Compressed after messages that were not kept.
            None if s.deflate => s.expect[self.received as usize % s.expect.len()].clone(),
            None => std::mem::take(&mut self.seen),
        };
        let right = match s.any_order {
            true => s.expect.contains(&got),
            false => s.expect[self.received as usize % s.expect.len()] == got,
        };
        if !right {
            let got = String::from_utf8_lossy(&got[..got.len().min(120)]);
            die(format!("payload of message {} differs: {got}", self.received));
        }
        self.verified_first |= self.received == 0;
        self.verified_last |= self.last == Some(self.received);
    }

    /// Inflates and compares each message of this connection.
    pub fn follow(&mut self) {
        self.inflate = Some(payload::Inflate::default());
    }

    fn consume(&mut self, s: &Shared, mut b: &[u8]) {
        let h = &s.reply_header[..];
        while !b.is_empty() {
            if self.left > 0 {
                let n = self.left.min(b.len());
                if !self.control {
                    if self.check {
                        self.seen.extend_from_slice(&b[..n]);
                    }
                    self.pos += n;
                }
                self.left -= n;
                b = &b[n..];
                if self.left == 0 {
                    self.frame_end(s);
                }
                continue;
            }
            // Fast path: the whole expected header is here.
            if self.hdr_len == 0
                && !self.in_message
                && !s.deflate
                && b.len() >= s.reply_skip
                && b[..h.len()] == *h
            {
                self.message_start();
                self.fin = true;
                self.control = false;
                self.left = s.size;
                b = &b[s.reply_skip..];
                // Whole message in the buffer and nothing to verify.
                if !self.check && b.len() >= s.size {
                    b = &b[s.size..];
                    self.left = 0;
                    self.in_message = false;
                    self.received += 1;
                }
                continue;
            }
            // Slow path: header in pieces, fragments, control frames.
            self.hdr[self.hdr_len] = b[0];
            self.hdr_len += 1;
            b = &b[1..];
            let need = if self.hdr_len < 2 {
                2
            } else {
                let ext = match self.hdr[1] & 127 {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                2 + ext + if self.hdr[1] & 0x80 != 0 { 4 } else { 0 }
            };
            if self.hdr_len < need || self.hdr_len < 2 {
                continue;
            }
            let (b0, b1) = (self.hdr[0], self.hdr[1]);
            self.hdr_len = 0;
            if (b1 & 0x80 != 0) != (s.reply_skip > s.reply_header.len()) {
                die("reply has the wrong mask bit");
            }
            if b0 & 0x70 != 0 && !(s.deflate && b0 & 0x70 == 0x40) {
                die("reply has reserved bits set");
            }
            let len = match b1 & 127 {
                126 => u16::from_be_bytes([self.hdr[2], self.hdr[3]]) as usize,
                127 => u64::from_be_bytes(self.hdr[2..10].try_into().unwrap()) as usize,
                n => n as usize,
            };
            self.fin = b0 & 0x80 != 0;
            let op = b0 & 15;
            self.control = op >= 8;
            match op {
                8 => die(format!("server sent a close frame after {} messages", self.received)),
                9 | 10 => {}
                0 if self.in_message => {}
                o if o == s.opcode && !self.in_message => self.message_start(),
                o => die(format!("unexpected opcode {o}")),
            }
            self.left = len;
            if len == 0 {
                self.frame_end(s);
            }
        }
    }
}
