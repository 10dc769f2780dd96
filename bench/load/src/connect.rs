//! Connection rate: open so many at once, TLS and WebSocket handshake, close, again.

use crate::result::{self, Measured};
use crate::{Args, die, link, net, stat};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Any certificate is accepted; that the server signed the handshake with it is checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn config() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    // Every handshake is a whole one.
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

struct Conn {
    io: File,
    tls: Option<ClientConnection>,
    head: Vec<u8>,
}

impl Conn {
    fn open(a: &Args, config: Option<&Arc<ClientConfig>>) -> Self {
        let fd = net::connect(&a.host, a.port, None);
        let name = ServerName::try_from("localhost").unwrap();
        let tls =
            config.map(|it| ClientConnection::new(Arc::clone(it), name).unwrap_or_else(|e| die(e)));
        // The one owner of the descriptor from here on: closed when dropped.
        Self { io: unsafe { File::from_raw_fd(fd) }, tls, head: Vec::new() }
    }

    /// Sends what there is to send.
    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.io).unwrap_or_else(|e| die(e));
            }
        }
    }

    fn ask(&mut self, request: &[u8]) {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(request).unwrap_or_else(|e| die(e)),
            None => self.io.write_all(request).unwrap_or_else(|e| die(e)),
        }
        self.flush();
    }

    fn shake_hands(&mut self) {
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.flush();
            let Some(tls) = &mut self.tls else { return };
            if tls.is_handshaking() {
                if tls.read_tls(&mut self.io).unwrap_or_else(|e| die(e)) == 0 {
                    die("closed in the TLS handshake");
                }
                tls.process_new_packets().unwrap_or_else(|e| die(e));
            }
        }
        self.flush();
    }

    fn answer(&mut self, headers: &str) {
        let mut part = [0; 1024];
        while !self.head.windows(4).any(|it| it == b"\r\n\r\n") {
            let n = match &mut self.tls {
                None => self.io.read(&mut part).unwrap_or_else(|e| die(e)),
                Some(tls) => match tls.reader().read(&mut part) {
                    Ok(n) => n,
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                        tls.read_tls(&mut self.io).unwrap_or_else(|e| die(e));
                        tls.process_new_packets().unwrap_or_else(|e| die(e));
                        continue;
                    }
                    Err(e) => die(e),
                },
            };
            if n == 0 {
                die("closed instead of an answer");
            }
            self.head.extend_from_slice(&part[..n]);
        }
        net::check(&self.head, headers);
    }
}

pub fn run(a: &Args, tls: bool) {
    let link_before = a.server_cpu.map_or(f64::NAN, link::probe);
    let config = tls.then(config);
    let (path, headers) = a.talk.upgrade();
    let request = net::request(a, path, headers);
    let round = || {
        let mut conns: Vec<Conn> = (0..a.conns).map(|_| Conn::open(a, config.as_ref())).collect();
        conns.iter_mut().for_each(Conn::flush);
        conns.iter_mut().for_each(Conn::shake_hands);
        conns.iter_mut().for_each(|it| it.ask(request.as_bytes()));
        conns.iter_mut().for_each(|it| it.answer(headers));
    };
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_secs_f64(a.warmup) {
        round();
    }
    let before = stat::Snap::take(a.pid);
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs_f64(a.secs) {
        round();
        rounds += 1;
    }
    let secs = start.elapsed().as_secs_f64();
    let after = stat::Snap::take(a.pid);
    result::print(Measured {
        verified: a.conns,
        link_before,
        link_after: a.server_cpu.map_or(f64::NAN, link::probe),
        ..Measured::new(before, after, rounds * a.conns as u64, secs)
    });
}
