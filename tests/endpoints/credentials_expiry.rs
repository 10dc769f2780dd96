//! Credentials that expire: what the client is told, and how it sends new ones over the same connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wse::{
    Accept, Client, ClientBuilder, ClientEvent, Conn, Hello, JsonArray, Refuse, ResumeLimits,
    Server, ServerBuilder, ServerEvent, Status,
};

use super::resume::{Cable, quick};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    a_connection_ends_with_its_credentials
    a_client_whose_credentials_cannot_change_is_told
    new_credentials_come_over_the_same_connection
    credentials_that_are_not_accepted_change_nothing
    credentials_expire_while_a_client_is_away
    the_greeting_of_a_resume_has_new_credentials
    a_server_may_set_the_deadline_later
    credentials_that_fail_are_an_error_event
}

const EXPIRED: &str = "4001 wse.credentials-expired";

/// A server whose users have credentials for a minute, and which says what becomes of them.
fn server<P: Talk>(protocol: &P, log: &Log) -> ServerBuilder<P> {
    let log = log.clone();
    crate::support::endpoints::server(protocol)
        .identify(|hello: Hello<String, Meta>| async move {
            match hello.identity.strip_prefix("secret of ") {
                Some(user) => Ok(Accept::user(user).expires_in(secs(60))),
                None if hello.identity == "panic" => panic!("no such identity"),
                None => Err(Refuse::because("no secret")),
            }
        })
        .resume(ResumeLimits::default().window(secs(600)))
        .on_event(move |event| match event {
            ServerEvent::Disconnected(_, close) => log.add(format!("disconnected {close}")),
            ServerEvent::Suspended(..) => log.add("suspended"),
            ServerEvent::Error(error) => log.add(error.message.clone()),
            _ => {}
        })
}

/// The events of a client about its credentials and its end.
fn noted<P: Talk>(builder: ClientBuilder<P>, log: &Log) -> ClientBuilder<P> {
    let log = log.clone();
    builder.on_event(move |event| match event {
        ClientEvent::Expiring(time) => log.add(format!("expiring {time:?}")),
        ClientEvent::Renewed(time) => log.add(format!("renewed {time:?}")),
        ClientEvent::Closed(close) => log.add(format!("closed {close}")),
        ClientEvent::Error { message, .. } => log.add(message),
        _ => {}
    })
}

/// Credentials that are other ones each time: the identities in this order, the last one again and again, with a number as device.
fn changing<P: Talk>(
    builder: ClientBuilder<P>,
    identities: &'static [&'static str],
) -> ClientBuilder<P> {
    let asked = Arc::new(AtomicUsize::new(0));
    builder.reconnect(quick()).credentials(move || {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        let identity = identities[n.min(identities.len() - 1)];
        async move {
            match identity {
                "fail" => return Err("the login server is away"),
                "never" => std::future::pending().await,
                "late secret of ann" => tokio::time::sleep(secs(5)).await,
                _ => {}
            }
            let identity = identity.trim_start_matches("late ").to_owned();
            Ok((identity, Meta { device: n.to_string() }))
        }
    })
}

fn conn<P: Talk>(server: &Server<P>) -> Conn<P> {
    server.user("ann").connections().remove(0)
}

/// The identity and device of the only connection.
fn known<P: Talk>(server: &Server<P>) -> (String, String) {
    let conn = conn(server);
    (conn.identity().unwrap(), conn.meta::<Meta>().unwrap().device)
}

async fn at(seconds: u64, start: tokio::time::Instant) {
    tokio::time::sleep_until(start + secs(seconds)).await;
}

async fn a_connection_ends_with_its_credentials<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&protocol, &log).build();
    // It has said nothing about resume.
    let ann = noted(client(&protocol, &server, "ann"), &mine).connect().await.unwrap();
    let (close, took) = timed(ann.closed()).await;
    assert_eq!((close.unwrap().to_string().as_str(), took.as_secs()), (EXPIRED, 60));
    settle().await;
    assert_eq!(mine.lines(), [format!("closed {EXPIRED}")]);
    assert_eq!(log.lines(), [format!("disconnected {EXPIRED}")]);
}

async fn a_client_whose_credentials_cannot_change_is_told<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&protocol, &log).build();
    let ann = client(&protocol, &server, "ann").reconnect(quick());
    let ann = noted(ann, &mine).connect().await.unwrap();
    let (_, took) = timed(ann.closed()).await;
    assert_eq!((ann.status(), took.as_secs()), (Status::Offline, 60));
    assert_eq!(mine.lines(), ["expiring 30s".to_owned(), format!("closed {EXPIRED}")]);
}

async fn new_credentials_come_over_the_same_connection<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&protocol, &log).build();
    let ann = changing(client(&protocol, &server, "ann"), &["secret of ann"]);
    let ann = noted(ann, &mine).connect().await.unwrap();
    let there = conn(&server);
    assert_eq!(known(&server).1, "0");
    tokio::time::sleep(secs(31)).await;
    assert_eq!(mine.take(), ["expiring 30s", "renewed Some(60s)"]);
    assert_eq!(known(&server).1, "1");
    tokio::time::sleep(secs(300)).await;
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(conn(&server), there);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

async fn credentials_that_are_not_accepted_change_nothing<P: Talk>(protocol: P) {
    for (identity, error) in [
        ("secret of bob", "new credentials were refused: they belong to another user"),
        ("guess", "new credentials were refused: no secret"),
        ("panic", "`identify` panicked"),
    ] {
        let (log, mine) = (Log::default(), Log::default());
        let server = server(&protocol, &log).build();
        let identities: &[&str] = vec!["secret of ann", identity, "secret of ann"].leak();
        let ann = changing(client(&protocol, &server, "ann"), identities);
        let ann = noted(ann, &mine).connect().await.unwrap();
        let start = tokio::time::Instant::now();
        at(59, start).await;
        assert_eq!(log.lines(), [error]);
        assert_eq!(known(&server), ("secret of ann".into(), "0".into()));
        at(61, start).await;
        assert_eq!(log.lines()[1..], [format!("disconnected {EXPIRED}")]);
        assert_eq!(mine.lines(), ["expiring 30s".to_owned(), format!("closed {EXPIRED}")]);
        // It has others to log in with.
        assert_eq!(adds(&ann).await.unwrap(), 3);
        assert_eq!(known(&server).1, "2");
    }
}

async fn credentials_expire_while_a_client_is_away<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log).build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann").connector(cable.clone()).reconnect(quick());
    let ann = ann.connect().await.unwrap();
    let start = tokio::time::Instant::now();
    at(10, start).await;
    drop(ann);
    cable.cut();
    at(59, start).await;
    assert_eq!(log.lines(), ["suspended"]);
    assert!(server.user("ann").is_connected());
    at(61, start).await;
    assert_eq!(log.lines(), ["suspended".to_owned(), format!("disconnected {EXPIRED}")]);
    assert!(!server.user("ann").is_connected());
}

async fn the_greeting_of_a_resume_has_new_credentials<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log).build();
    let cable = Cable::new(&server);
    let ann = client(&protocol, &server, "ann").connector(cable.clone()).reconnect(quick());
    let _ann = ann.connect().await.unwrap();
    let start = tokio::time::Instant::now();
    at(40, start).await;
    cable.cut();
    at(99, start).await;
    assert_eq!(log.lines(), ["suspended"]);
    assert!(server.user("ann").is_connected());
    at(101, start).await;
    assert_eq!(log.lines()[1..], [format!("disconnected {EXPIRED}")]);
}

async fn a_server_may_set_the_deadline_later<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log).build();
    let ann = client(&protocol, &server, "ann").connect().await.unwrap();
    conn(&server).expire_in(Duration::MAX);
    tokio::time::sleep(secs(3600)).await;
    assert_eq!(adds(&ann).await.unwrap(), 3);
    conn(&server).expire_in(ms(1500));
    let (close, took) = timed(ann.closed()).await;
    assert_eq!((close.unwrap().to_string().as_str(), took.as_millis()), (EXPIRED, 1500));
}

async fn credentials_that_fail_are_an_error_event<P: Talk>(protocol: P) {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&protocol, &log).build();
    let ann = changing(client(&protocol, &server, "ann"), &["secret of ann", "fail"]);
    let _ann: Client<P> = noted(ann, &mine).connect().await.unwrap();
    tokio::time::sleep(secs(31)).await;
    let error = "the credentials or the challenge solver failed: the login server is away";
    assert_eq!(mine.lines(), ["expiring 30s", error]);
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_never_come_are_an_error_event() {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&JsonArray, &log).build();
    let ann = changing(client(&JsonArray, &server, "ann"), &["secret of ann", "never"]);
    let ann = noted(ann, &mine).connect().await.unwrap();
    tokio::time::sleep(secs(31)).await;
    conn(&server).expire_in(secs(3600));
    tokio::time::sleep(secs(30)).await;
    let error = "there were no new credentials before the old ones expired";
    assert_eq!(mine.lines(), ["expiring 30s", error]);
    assert_eq!(adds(&ann).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_greeting_replaces_the_credentials_that_were_asked_for_before_it() {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&JsonArray, &log).build();
    let cable = Cable::new(&server);
    let identities = &["secret of ann", "late secret of ann", "secret of ann"];
    let ann = changing(client(&JsonArray, &server, "ann").connector(cable.clone()), identities);
    let _ann = noted(ann, &mine).connect().await.unwrap();
    tokio::time::sleep(secs(31)).await;
    cable.cut();
    tokio::time::sleep(secs(10)).await;
    assert_eq!(known(&server).1, "2");
    assert_eq!(mine.lines(), ["expiring 30s"]);
    assert_eq!(log.lines(), ["suspended"]);
}

#[tokio::test(start_paused = true)]
async fn a_greeting_ends_the_decision_about_the_credentials_before_it() {
    let (log, mine) = (Log::default(), Log::default());
    let server = server(&JsonArray, &log)
        .identify(|hello: Hello<String, Meta>| async move {
            if hello.identity == "undecided" {
                tokio::time::sleep(secs(3)).await;
                return Err(Refuse::because("no secret"));
            }
            Ok(Accept::user("ann").expires_in(secs(60)))
        })
        .build();
    let cable = Cable::new(&server);
    let identities = &["secret of ann", "undecided", "secret of ann"];
    let ann = changing(client(&JsonArray, &server, "ann").connector(cable.clone()), identities);
    let _ann = noted(ann, &mine).connect().await.unwrap();
    tokio::time::sleep(secs(31)).await;
    cable.cut();
    tokio::time::sleep(secs(10)).await;
    assert_eq!(known(&server).1, "2");
    assert_eq!(log.lines(), ["suspended"], "nothing is refused");
    // There is no decision that the next credentials would have to wait for.
    tokio::time::sleep(secs(21)).await;
    assert_eq!(known(&server).1, "3");
    assert_eq!(mine.lines(), ["expiring 30s", "expiring 30s", "renewed Some(60s)"]);
}

#[tokio::test(start_paused = true)]
async fn a_client_does_not_come_back_after_another_close_of_this_code() {
    let server = server(&JsonArray, &Log::default()).build();
    let ann = changing(client(&JsonArray, &server, "ann"), &["secret of ann"]);
    let ann = ann.connect().await.unwrap();
    conn(&server).close(wse::Close::new(4001, "maintenance"));
    let closed = tokio::time::timeout(secs(5), ann.closed()).await.unwrap();
    assert_eq!(closed.unwrap().to_string(), "4001 maintenance");
    assert_eq!(ann.status(), Status::Offline);
}

/// A client that says that it knows resume.
async fn raw(server: &Server<JsonArray>) -> Raw {
    let mut raw = Raw::stranger(server).await;
    let hi = r#"["~wse:hi",{"identity":"secret of ann","resume":true},null,1]"#;
    raw.say(hi).await;
    let said = raw.hear().await;
    assert!(said.starts_with(r#"["~wse:session""#), "{said}");
    assert_eq!(raw.hear().await, r#"["~wse:welcome",null,null]"#);
    raw
}

#[tokio::test(start_paused = true)]
async fn d16_only_accepted_credentials_are_answered() {
    let log = Log::default();
    let server = server(&JsonArray, &log).build();
    let mut ann = raw(&server).await;
    for refused in ["secret of bob", "guess", "panic"] {
        ann.say(&format!(r#"["~wse:renew",{{"identity":"{refused}"}},null]"#)).await;
        assert_eq!(ann.hear_all().await, [""; 0]);
    }
    ann.say(r#"["~wse:renew",{"identity":"secret of ann","meta":{"device":"2"}},null]"#).await;
    assert_eq!(ann.hear_all().await, [r#"["~wse:renewed",{"in":60000},null]"#]);
    assert_eq!(known(&server).1, "2");
}

#[tokio::test(start_paused = true)]
async fn a_decision_about_new_credentials_has_the_time_of_a_greeting() {
    let log = Log::default();
    let server = server(&JsonArray, &log)
        .identify_with(|conn, hello: Hello<String, Meta>| async move {
            match hello.identity.as_str() {
                "slow" => std::future::pending().await,
                "asked" => drop(conn.challenge::<_, String>("who?").await?),
                _ => {}
            }
            Ok::<_, Refuse>(Accept::user("ann").expires_in(secs(60)))
        })
        .auth_timeout(secs(5))
        .build();
    let mut ann = raw(&server).await;
    ann.say(r#"["~wse:renew",{"identity":"slow"},null]"#).await;
    // One at a time: this one is ignored.
    ann.say(r#"["~wse:renew",{"identity":"secret of ann"},null]"#).await;
    tokio::time::sleep(secs(6)).await;
    assert_eq!(log.take(), ["new credentials were refused: no decision in time"]);
    ann.say(r#"["~wse:renew",{"identity":"asked"},null]"#).await;
    settle().await;
    assert_eq!(log.take().len(), 1, "a challenge is a refusal");
    ann.say(r#"["~wse:renew",{"identity":"secret of ann"},null]"#).await;
    assert_eq!(ann.hear_all().await, [r#"["~wse:renewed",{"in":60000},null]"#]);
}
