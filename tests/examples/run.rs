//! The examples run for real, as a newcomer would run them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str) -> Command {
    // Test programs are in target/PROFILE/deps, examples beside it.
    let mut path: PathBuf = std::env::current_exe().expect("this program has a path");
    path.pop();
    path.set_file_name("examples");
    let mut command = Command::new(path.join(name));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs an example to its end; what it printed.
fn run(name: &str) -> String {
    finish(name, example(name).spawn().expect("the example is built: cargo build --examples"))
}

fn finish(name: &str, child: Child) -> String {
    let id = child.id();
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = finished.recv_timeout(PATIENCE);
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|_| panic!("{name} ({id}) hangs")).expect("it can be waited for");
    let stdout = String::from_utf8(stdout).expect("text");
    assert!(status.success(), "{name}: {status}\n{stdout}\n{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// A server that runs until the test ends.
struct Serving {
    child: Child,
    /// Kept open, so that it may go on printing.
    _printed: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Serving {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut command = example(name);
        command.args(args);
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the example is built: cargo build --examples");
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().expect("piped"));
        printed.read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
        Self { child, _printed: printed, url }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn quickstart_shows_every_part_for_every_codec() {
    let printed = run("quickstart");
    for codec in ["wse-default-json", "wse-cbor", "wse-protobuf"] {
        let (_, part) = printed.split_once(&format!("== {codec} ==\n")).expect(codec);
        let part = part.split("\n\n").next().unwrap_or_default();
        for line in [
            "mallory refused: 1000 wse.not-authorized",
            "server  ann joined",
            "phone   welcome: hi, ann",
            "phone   5 + 3 = 8",
            "phone   asked to be asked: you said \"fine\"",
            "server  sent to 2 devices",
            "desktop sync: for all your devices",
            "phone   announcement: for everybody",
            "phone   closed: 1000 wse.clients-concurrency",
            "server  ann left: 1001 wse.by-server",
        ] {
            assert!(part.lines().any(|printed| printed == line), "{codec}: no {line:?} in\n{part}");
        }
    }
}

#[test]
fn challenge_lets_in_who_knows_the_secret() {
    let printed = run("challenge");
    assert!(printed.contains("hmac: the right secret is accepted\n"), "{printed}");
    assert!(printed.contains("hmac: a guess is not: "), "{printed}");
    assert!(printed.contains("own:  accepted, Ready\n"), "{printed}");
}

#[test]
fn custom_protocol_keeps_its_promise_of_few_lines() {
    let printed = run("custom_protocol");
    assert!(printed.contains("own envelope, JSON payloads: 5 + 3 = 8\n"), "{printed}");
    assert!(printed.contains("own envelope, own payloads:  5 + 3 = 8\n"), "{printed}");
    assert!(printed.contains("lines of code: "), "{printed}");
}

#[test]
fn framed_runs_one_protocol_over_every_connection() {
    let printed = run("framed");
    let (envelopes, endpoints) = printed.split_once("== endpoints ==\n").expect("two parts");
    let talk = "ann says \"hello\", the other says \"and hello to you\"";
    for over in ["websocket", "tcp", "unix"] {
        if over != "unix" || cfg!(unix) {
            let line = format!("{over:<10} {talk}\n");
            assert!(envelopes.contains(&line), "no {line:?} in\n{printed}");
            let line = format!("{over:<10} 5 + 3 = 8\n");
            assert!(endpoints.contains(&line), "no {line:?} in\n{printed}");
        }
    }
    let line = r#"is answered by ["~wse:welcome",null,null]"#;
    assert!(printed.trim_end().ends_with(line), "{printed}");
}

#[test]
fn swap_codec_runs_one_function_with_each() {
    let printed = run("swap_codec");
    for codec in ["wse-default-json", "wse-cbor", "wse-protobuf"] {
        assert!(printed.contains(&format!("{codec}: 3 teas are 6\n")), "{printed}");
    }
    assert!(printed.contains("5 teas are (10, 10)"), "{printed}");
}

#[test]
fn session_memory_drives_both_sides_by_the_same_code() {
    let printed = run("session_memory");
    for codec in ["wse-default-json", "wse-cbor"] {
        let (_, part) = printed.split_once(&format!("== {codec} ==\n")).expect(codec);
        let part = part.split("\n\n").next().unwrap_or_default();
        for line in [
            "server greeted by ann",
            "client welcome: hi, ann",
            "server note: good morning",
            "client has the receipt",
            "client called: QUIET",
            "server called: AND BACK",
            "client closed: 1000 wse.by-client; pings were answered: true",
            "server closed: 1000 wse.by-client; pings were answered: true",
        ] {
            assert!(part.lines().any(|printed| printed == line), "{codec}: no {line:?} in\n{part}");
        }
        assert!(part.contains("server called in vain: "), "{codec}: {part}");
    }
    assert!(printed.ends_with("client closed: 1006 wse.heartbeat-timeout\n"), "{printed}");
}

#[test]
fn session_axum_serves_our_client_over_axums_own_websocket() {
    let printed = run("session_axum");
    for line in [
        "server greeted by ann",
        "client welcome: hi, ann",
        "server note: good morning",
        "client has the receipt",
        "client called: QUIET",
        "server called: Europe/Lisbon",
        "client news: it is late in Europe/Lisbon",
        "client pings were answered: true",
        "server closed: 1000 wse.by-client; pings were answered: true",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "no {line:?} in\n{printed}");
    }
    assert!(printed.contains("client called in vain: "), "{printed}");
}

#[test]
fn resume_loses_nothing_when_its_link_is_cut() {
    keeps_its_promise("resume", "the relay", 7);
}

#[cfg(unix)]
#[test]
fn handover_refuses_no_connection() {
    keeps_its_promise("handover", "a server listens", 4);
}

/// An example prints what its documentation says, from the line that begins so.
fn keeps_its_promise(name: &str, from: &str, count: usize) {
    let printed = run(name);
    let docs = std::fs::read_to_string(format!("examples/{name}.rs")).expect("its source");
    let lines = docs.lines().filter_map(|line| line.strip_prefix("//! "));
    let promised: Vec<_> = lines
        .skip_while(|line| !line.starts_with(from))
        .take_while(|line| *line != "```")
        .collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), promised);
    assert_eq!(promised.len(), count);
}

#[test]
fn chat_carries_what_one_says_to_the_other() {
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("the chat hangs");
            std::process::abort();
        }
    });
    let server = Serving::start("chat", &["serve", "127.0.0.1:0"]);
    let mut ann = join(&server.url, "ann");
    let mut heard = BufReader::new(ann.stdout.take().expect("piped"));
    until(&mut heard, "here: ann");
    let mut bob = join(&server.url, "bob");
    let mut say = bob.stdin.take().expect("piped");
    writeln!(say, "good morning").expect("bob listens");
    drop(say);
    until(&mut heard, "bob: good morning");
    assert!(finish("chat join bob", bob).contains("here: "));
    drop(ann.stdin.take());
    let mut rest = String::new();
    heard.read_to_string(&mut rest).expect("ann prints");
    assert!(ann.wait().expect("it can be waited for").success());
    drop(done);
}

/// Reads lines up to this one.
fn until(lines: &mut impl BufRead, wanted: &str) {
    let mut line = String::new();
    while line.trim() != wanted {
        line.clear();
        assert!(lines.read_line(&mut line).expect("it prints") > 0, "it never printed {wanted:?}");
    }
}

fn join(url: &str, name: &str) -> Child {
    let mut command = example("chat");
    command.args(["join", url, name]).stdin(Stdio::piped());
    command.spawn().expect("the example is built: cargo build --examples")
}

#[tokio::test]
async fn axum_mount_serves_pages_and_calls_on_one_port() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Serving::start("axum_mount", &["127.0.0.1:0"]);
    let client = wse::Client::builder(wse_codecs::Cbor, &server.url)
        .identity("ann".to_owned())
        .connect()
        .await
        .expect("let in");
    let loud: String = client.call("shout", "quiet").await.expect("answered");
    assert_eq!(loud, "QUIET");

    let host = server.url.trim_start_matches("ws://").trim_end_matches("/chat");
    let mut http = tokio::net::TcpStream::connect(host).await.expect("listening");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.expect("sent");
    let mut page = String::new();
    http.read_to_string(&mut page).await.expect("answered");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.ends_with("1 users are connected to /chat\n"), "{page}");
}

#[test]
fn one_chat_lets_all_hear_all() {
    let printed = run("one_chat");
    for by in ["script", "browser", "jsonrpsee"] {
        let (_, part) = printed.split_once(&format!("{by} says: ")).expect(by);
        let (text, part) = part.split_once('\n').expect("a line");
        for name in ["script", "browser", "jsonrpsee"] {
            let line = format!("    {name:<10} hears {by}: {text}\n");
            assert!(part.contains(&line), "no {line:?} in\n{printed}");
        }
    }
    assert!(printed.ends_with("all heard all\n"), "{printed}");
}

#[tokio::test]
async fn one_chat_serves_the_page_and_every_format() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Serving::start("one_chat", &["--addr", "127.0.0.1:0"]);
    let host = server.url.trim_start_matches("http://");
    let url = format!("ws://{host}/chat");
    #[derive(serde::Deserialize)]
    struct Names {
        names: Vec<String>,
    }
    let ann = wse::Client::builder(wse_codecs::Cbor, &url).identity("ann".to_owned());
    let ann = ann.connect().await.expect("let in");
    let bob = wse::Client::builder(wse_codecs::JsonRpc::new(), &url)
        .header("authorization", "Bearer bob");
    let bob = bob.connect().await.expect("open");
    let there: Names = bob.call("who", &()).await.expect("answered");
    assert_eq!(there.names, ["ann", "bob"]);
    drop(ann);

    let mut http = tokio::net::TcpStream::connect(host).await.expect("listening");
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.expect("sent");
    let mut page = String::new();
    http.read_to_string(&mut page).await.expect("answered");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("'wse-default-json'"), "{page}");
}

#[tokio::test]
async fn axum_echo_echoes_over_both_versions_of_http() {
    use crate::support::web::Http2;
    use futures::{SinkExt, StreamExt};
    use wse_transport::ws::{Config, Message};
    let server = Serving::start("axum_echo", &["127.0.0.1:0"]);
    let (mut one, _) =
        wse_transport::connect(&server.url, Config::default()).await.expect("upgraded");
    let addr = server.url.trim_start_matches("ws://").trim_end_matches("/echo");
    let http = Http2::connect(addr.parse().expect("an address")).await;
    let mut two = http.open("/echo", Config::default()).await;
    one.send(Message::text("hi")).await.expect("sent");
    two.send(Message::text("hi")).await.expect("sent");
    for expected in ["over HTTP/1.1", "hi"] {
        assert_eq!(one.next().await.expect("heard").expect("sound"), Message::text(expected));
    }
    for expected in ["over HTTP/2.0", "hi"] {
        assert_eq!(two.next().await.expect("heard").expect("sound"), Message::text(expected));
    }
}

#[tokio::test]
async fn echo_server_echoes_text_as_text_and_binary_as_binary() {
    use futures::{SinkExt, StreamExt};
    use wse_transport::ws::{self, Message};
    let server = Serving::start("echo_server", &["--threads", "1", "--max-message", "100"]);
    let (mut socket, _) =
        wse_transport::connect(&server.url, ws::Config::default()).await.expect("upgraded");
    for message in [Message::Text("héllo".into()), Message::Binary(vec![0, 255].into())] {
        socket.send(message.clone()).await.expect("sent");
        assert_eq!(socket.next().await.expect("echoed").expect("sound"), message);
    }
    socket.send(Message::Binary(vec![0; 101].into())).await.expect("sent");
    match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1009),
        other => panic!("no close but {other:?}"),
    }
}

#[tokio::test]
async fn a_loop_over_raw_frames_is_a_websocket_server() {
    use futures::{SinkExt, StreamExt};
    use wse_transport::ws::{self, Message};

    let server = Serving::start("low_level", &[]);
    let (mut socket, response) =
        wse_transport::connect(&server.url, ws::Config::default()).await.expect("upgraded");
    assert_eq!(response.headers()["x-powered-by"], "frames");
    let mut next = async || socket.next().await.expect("a frame").expect("sound");
    assert_eq!(next().await, Message::Ping("".into()));
    assert_eq!(next().await, Message::text("Hello from the frames."));
    socket.send(Message::text("and back")).await.expect("sent");
    assert_eq!(socket.next().await.expect("echoed").expect("sound"), Message::text("and back"));
    SinkExt::close(&mut socket).await.expect("closed");
}

#[test]
fn a_streamed_message_needs_little_memory() {
    let child = example("stream").arg("64").spawn().expect("the example is built");
    let printed = finish("stream", child);
    assert!(printed.contains("64 MiB came back"), "{printed}");
    let peak = printed.lines().last().and_then(|it| it.strip_suffix(" MiB"));
    let peak = peak.and_then(|it| it.rsplit(' ').next()?.parse::<u64>().ok());
    // On a system that does not tell, there is nothing to check.
    assert!(peak.is_none_or(|peak| peak < 32) && peak.is_some() == cfg!(target_os = "linux"));
}

#[tokio::test]
async fn event_source_serves_a_page_and_ticks_that_go_on_where_they_were() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Serving::start("event_source", &["127.0.0.1:0", "2"]);
    let host = server.url.trim_start_matches("http://").trim_end_matches('/');
    let ask = async |fields: &str| {
        let mut http = tokio::net::TcpStream::connect(host).await.expect("listening");
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
        http.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.expect("answered");
        answer
    };
    let page = ask("Accept: text/html,*/*\r\n").await;
    assert!(page.contains("\r\n\r\n<!doctype html>"), "{page}");
    assert!(page.contains("new EventSource('/')"), "{page}");
    let ticks = ask("Accept: text/event-stream\r\nLast-Event-ID: 41\r\n").await;
    assert!(ticks.contains("\r\nretry: 500\n\n"), "{ticks}");
    for number in [42, 43] {
        let tick = format!("event: tick\nid: {number}\ndata: tick\ndata: {number}\n\n");
        assert!(ticks.contains(&tick), "{ticks}");
    }
    assert!(ticks.ends_with("\r\n0\r\n\r\n"), "{ticks}");
}

#[test]
fn no_example_hands_out_files() {
    for (name, args) in [
        ("axum_mount", &["127.0.0.1:0"][..]),
        ("echo_server", &["--threads", "1"]),
        ("chat", &["serve", "127.0.0.1:0"]),
        ("wsprocessor_server", &["--addr", "127.0.0.1:0"]),
        ("one_chat", &["--addr", "127.0.0.1:0"]),
    ] {
        let serving = Serving::start(name, args);
        let address = serving.url.trim_start_matches("ws://").trim_start_matches("http://");
        let address = address.split('/').next().unwrap_or_default();
        for path in ["/../Cargo.toml", "/Cargo.toml", "/%2e%2e/Cargo.toml", "//etc/passwd", "/.."] {
            let mut io = std::net::TcpStream::connect(address).expect("it listens");
            io.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            io.write_all(request.as_bytes()).expect("it reads");
            let mut answer = String::new();
            io.read_to_string(&mut answer).expect("it answers");
            assert!(answer.starts_with("HTTP/1.1 4"), "{name}: {path}: {answer}");
            assert!(!answer.contains("[workspace]") && !answer.contains("root:"), "{name}: {path}");
        }
    }
}

/// A server with too few file descriptors goes on once there are some again.
#[cfg(unix)]
#[test]
fn accepting_survives_a_lack_of_file_descriptors() {
    let server = example("echo_server");
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 24; exec \"$0\" \"$@\""]).arg(server.get_program());
    limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let server = Serving::of(limited);
    let addr = server.url.trim_start_matches("ws://").to_owned();
    let connect = || std::net::TcpStream::connect(&addr).expect("the system queues it");
    let crowd: Vec<_> = (0..40).map(|_| connect()).collect();
    std::thread::sleep(Duration::from_millis(300));
    drop(crowd);
    let mut late = connect();
    late.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    late.write_all(b"hello\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    late.read_to_string(&mut answer).expect("the server still answers");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

/// One line says what went wrong, down to the system.
#[test]
fn an_error_is_shown_with_its_causes() {
    let output =
        example("chat").args(["join", "ws://127.0.0.1:1", "ann"]).output().expect("it runs");
    let shown = String::from_utf8(output.stderr).expect("text");
    assert!(!output.status.success() && shown.lines().count() == 1, "{shown}");
    assert!(shown.starts_with("the WebSocket handshake failed: transport failed"), "{shown}");
    assert!(shown.to_lowercase().contains("refused"), "{shown}");
}
