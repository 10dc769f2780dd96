//! The server that is attacked, and how it counts what it uses.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wse::{Accept, Conn, Hello, JsonArray, Refuse, Server};

use crate::Result;

/// Counts the bytes in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is left to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

/// Runs the server. Prints its address.
pub(crate) fn serve() -> Result {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let server = Server::builder(JsonArray)
            .identify(|hello: Hello<String>| async move {
                match hello.identity.strip_prefix("secret of ") {
                    Some(user) => Ok(Accept::user(user)),
                    None => Err(Refuse::not_authorized()),
                }
            })
            .procedure("add", |_, (a, b): (i64, i64)| async move { wse::Ok(a + b) })
            .procedure("usage", |_, ()| async {
                wse::Ok((IN_USE.load(Ordering::Relaxed), descriptors()?))
            })
            .procedure("big", |_, bytes: usize| async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                wse::Ok("x".repeat(bytes.min(1 << 20)))
            })
            .procedure("keep", |_, text: String| async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                wse::Ok(text.len())
            })
            .procedure("ask", |conn: Conn<JsonArray>, n: i64| async move {
                let timeout = Some(Duration::from_secs(2));
                let more: i64 = conn.call_within(timeout, "more", &n).await?;
                wse::Ok(more)
            })
            .procedure("panic", |_, ()| async { panic_on_purpose() })
            .on("note", |_, _: String| async {})
            .bind("127.0.0.1:0")
            .await?;
        println!("{}", server.local_addrs()[0]);
        std::future::pending().await
    })
}

fn panic_on_purpose() -> Result<i64> {
    // Quiet: thousands of them.
    std::panic::resume_unwind(Box::new("on purpose"))
}

fn descriptors() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}
