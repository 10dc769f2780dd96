//! Hostile clients of many kinds, and good ones among them that must not notice.
//!
//! ```text
//! cargo run --release --example chaos -- --seconds 150 --hostile 300 --good 20
//! cargo run --release --example chaos -- --reliable 1000000
//! ```
//!
//! The server runs in a process of its own, so that its memory and descriptors can be counted. So do the hostile clients,
//! at the lowest priority (`nice`): what they compute would be computed on other machines. The program fails when a good
//! client sees an error, when the 99th percentile of their calls is over five times that of a quiet run (and over 50 ms),
//! or when memory in use and descriptors do not come back to the start.
//!
//! `--kind N` lets all hostile clients be of one kind, from 0.
//!
//! With `--reliable`, that many messages are sent through closes, evictions, shutdowns and restarts with state handed over.
//! The program fails when one has a receipt and was not handled, or was handled twice.

#[path = "hostile.rs"]
mod hostile;
#[path = "reliable.rs"]
mod reliable;
#[path = "server.rs"]
mod server;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wse::{Client, JsonArray};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Good = Client<JsonArray>;

fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => return server::serve(),
        ["attack", addr, clients, kind] => {
            return hostile::attack(addr, clients.parse()?, kind.parse()?);
        }
        _ => (),
    }
    let number = |name: &str, default: u64| -> Result<u64> {
        match args.iter().position(|it| it == name) {
            Some(at) => Ok(args.get(at + 1).ok_or("a number is missing")?.parse()?),
            None => Ok(default),
        }
    };
    let messages = number("--reliable", 0)?;
    let (seconds, hostile, good) =
        (number("--seconds", 30)?, number("--hostile", 300)?, number("--good", 20)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if messages > 0 {
        return runtime.block_on(reliable::run(messages));
    }
    let (mut child, addr) = start()?;
    let kind = number("--kind", hostile::KINDS.len() as u64)? as usize;
    let outcome = runtime.block_on(chaos(&addr, seconds, hostile, good as usize, kind));
    child.kill()?;
    child.wait()?;
    outcome
}

/// Starts the server. Returns its address too.
fn start() -> Result<(Child, String)> {
    let mut child =
        Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut addr = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut addr)?;
    Ok((child, addr.trim().to_owned()))
}

/// Starts the hostile clients.
fn start_hostile(addr: &str, clients: u64, kind: usize) -> Result<Child> {
    let (clients, kind) = (clients.to_string(), kind.to_string());
    let program = std::env::current_exe()?;
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(program).args(["attack", addr, &clients, &kind]);
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

/// Ends the hostile clients. Returns how often each kind did what it does.
fn end_hostile(mut child: Child) -> Result<Vec<usize>> {
    drop(child.stdin.take());
    let output = child.wait_with_output()?;
    let rounds = String::from_utf8(output.stdout)?;
    Ok(rounds.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?)
}

async fn chaos(addr: &str, seconds: u64, hostile: u64, good: usize, kind: usize) -> Result {
    let mut clients = Vec::new();
    for n in 0..good {
        let client = Client::builder(JsonArray, format!("ws://{addr}"))
            .identity(format!("secret of good {n}"))
            .connect()
            .await?;
        clients.push(client);
    }
    let seconds = Duration::from_secs(seconds);
    let quiet = calls(&clients, (seconds / 5).max(Duration::from_secs(3))).await?;
    let before = usage(&clients[0]).await?;

    let crowd = start_hostile(addr, hostile, kind)?;
    let noisy = calls(&clients, seconds).await;
    let peak = usage(&clients[0]).await?;
    let rounds = end_hostile(crowd)?;
    let noisy = noisy?;
    let after = settled(&clients[0], before).await?;

    for (kind, done) in hostile::KINDS.iter().zip(&rounds) {
        println!("{done:>8} x {}", kind.name);
    }
    println!("good clients: {good}, calls without an error: {}", quiet.len() + noisy.len());
    let [calm, loud] = [&quiet, &noisy].map(|it| percentiles(it));
    println!("quiet: p50 {:?}, p99 {:?}", calm.0, calm.1);
    println!("chaos: p50 {:?}, p99 {:?} ({:.1}x)", loud.0, loud.1, ratio(loud.1, calm.1));
    for (what, usage) in [("before", before), ("in chaos", peak), ("after", after)] {
        println!("{what}: {} KiB in use, {} descriptors", usage.0 / 1024, usage.1);
    }
    if kind >= rounds.len() && rounds.contains(&0) {
        return Err("a kind of hostile client did nothing".into());
    }
    if ratio(loud.1, calm.1) > 5.0 && loud.1 > Duration::from_millis(50) {
        return Err("the good clients were held up".into());
    }
    if !is_back(after, before) {
        return Err("memory or descriptors did not come back".into());
    }
    println!("ok");
    Ok(())
}

/// The bytes in use and the descriptors of the server.
async fn usage(client: &Good) -> Result<(usize, usize)> {
    Ok(client.call("usage", &()).await?)
}

/// The usage once it is as before, or after 30 s.
async fn settled(client: &Good, before: (usize, usize)) -> Result<(usize, usize)> {
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = usage(client).await?;
        if is_back(now, before) {
            return Ok(now);
        }
    }
    usage(client).await
}

/// Half a megabyte is left to tables that keep their size.
fn is_back(now: (usize, usize), before: (usize, usize)) -> bool {
    now.0 <= before.0 + (512 << 10) && now.1 <= before.1
}

/// Lets each client make a call every 20 ms. Returns how long the calls took.
async fn calls(clients: &[Good], time: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut calling = JoinSet::new();
    for client in clients {
        let client = client.clone();
        calling.spawn(async move {
            let mut times = Vec::new();
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for n in 0_i64.. {
                ticks.tick().await;
                let start = Instant::now();
                let sum: i64 = client.call("add", &(n, 1)).await?;
                if sum != n + 1 {
                    return Err(format!("{n} + 1 is not {sum}").into());
                }
                times.push(start.elapsed());
                if start > end {
                    break;
                }
            }
            Ok(times)
        });
    }
    let mut all = Vec::new();
    for times in calling.join_all().await {
        all.extend(times.map_err(|error: Box<dyn Error + Send + Sync>| {
            format!("a good client failed: {error:#}")
        })?);
    }
    Ok(all)
}

fn percentiles(times: &[Duration]) -> (Duration, Duration) {
    let mut times = times.to_vec();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}
