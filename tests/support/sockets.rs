//! Real sockets: a cable to pull, and which descriptors are open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A listener, and the URL that leads to it.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// A cable that can be pulled: bytes go both ways until it is, and then nowhere, without anybody being told.
pub struct Cable {
    /// Where its near end is plugged in.
    pub url: String,
    pulled: Arc<AtomicBool>,
    carried: Arc<AtomicUsize>,
    _relay: JoinHandle<()>,
}

impl Cable {
    /// A cable to a server.
    pub async fn to(url: &str) -> Self {
        let (listener, near) = listen().await;
        let far = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let (pulled, carried) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (watched, counted) = (Arc::clone(&pulled), Arc::clone(&carried));
        let relay = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&far).await.unwrap();
                for io in [&near, &far] {
                    io.set_nodelay(true).unwrap();
                }
                let ((near_read, near_write), (far_read, far_write)) =
                    (near.into_split(), far.into_split());
                for (mut read, mut write) in [(near_read, far_write), (far_read, near_write)] {
                    let (watched, counted) = (Arc::clone(&watched), Arc::clone(&counted));
                    tokio::spawn(async move {
                        let mut piece = vec![0; 16 * 1024];
                        while let Ok(len @ 1..) = read.read(&mut piece).await {
                            if watched.load(Ordering::SeqCst) {
                                // Held open, and neither read nor written.
                                std::future::pending::<()>().await;
                            }
                            counted.fetch_add(len, Ordering::SeqCst);
                            if write.write_all(&piece[..len]).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            }
        });
        Self { url: near, pulled, carried, _relay: relay }
    }

    pub fn pull(&self) {
        self.pulled.store(true, Ordering::SeqCst);
    }

    /// How many bytes have gone through, both ways.
    pub fn carried(&self) -> usize {
        self.carried.load(Ordering::SeqCst)
    }
}

/// How many descriptors of this process are sockets of this port, its listener included.
#[cfg(target_os = "linux")]
pub fn descriptors(port: u16) -> usize {
    use std::{collections::HashSet, fs};

    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let sockets: HashSet<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|line| line.len() > 9 && (line[1].ends_with(&port) || line[2].ends_with(&port)))
        .map(|line| format!("socket:[{}]", line[9]))
        .collect();
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| sockets.contains(link.to_str().unwrap_or_default()))
        .count()
}
