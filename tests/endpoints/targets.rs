//! Targets: all connections, those of a user, those in a room, a single one. And what became of a message on each.

use futures::{Stream, StreamExt};
use wse::{JsonArray, Outcome, SendQueue, Server, SlowPeer, Target};

use crate::support::endpoints::*;

crate::over_every_protocol! {
    all_targets_send_in_the_same_way
    a_report_has_an_outcome_for_each_connection
}

async fn all_targets_send_in_the_same_way<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).connections_per_user(2).build();
    let mut clients = Vec::new();
    for (user, name) in [("ann", "phone"), ("ann", "desk"), ("bob", "bob")] {
        let client = device(&protocol, &server, user, name).await;
        let log = log.clone();
        client.on("note", move |_, Note { text }: Note| {
            log.add(format!("{name} {text}"));
            async {}
        });
        clients.push(client);
    }
    let [phone, desk] = server.user("ann").connections().try_into().unwrap();
    let [bob] = server.user("bob").connections().try_into().unwrap();
    for conn in [&phone, &desk, &bob] {
        conn.join("lobby").unwrap();
    }
    let everybody: &[&str] = &["bob", "desk", "phone"];
    let targets: [(Target<P>, &[&str]); 4] = [
        (server.all(), everybody),
        (Target::from(&server.room("lobby")), everybody),
        (Target::from(&server.user("ann")), &["desk", "phone"]),
        (Target::from(&phone), &["phone"]),
    ];
    for (target, names) in targets {
        let but = |left_out: &[&str]| -> Vec<String> {
            let names = names.iter().filter(|name| !left_out.contains(name));
            names.map(|name| format!("{name} hi")).collect()
        };
        let cases = [
            (target.clone(), but(&[])),
            (target.except(&phone), but(&["phone"])),
            (target.except(&phone).except(&bob), but(&["phone", "bob"])),
            (target.except_user("ann"), but(&["phone", "desk"])),
            (target.except_user("ann").except_user("bob"), Vec::new()),
            (target.except_user("ann").except(&bob), Vec::new()),
        ];
        for (target, expected) in cases {
            assert_eq!(target.send("note", &note("hi")).unwrap(), expected.len(), "{target:?}");
            settle().await;
            let mut lines = log.take();
            lines.sort();
            assert_eq!(lines, expected, "{target:?}");
            let report = target.send_acked("note", &note("hi")).await.unwrap();
            assert_eq!((report.len(), report.received()), (expected.len(), expected.len()));
            assert_eq!(report.is_empty(), expected.is_empty());
            let mut lines = log.take();
            lines.sort();
            assert_eq!(lines, expected, "{target:?}");
        }
    }
}

async fn a_report_has_an_outcome_for_each_connection<P: Talk>(protocol: P) {
    let server = server(&protocol).connections_per_user(9).build();
    let _phone = device(&protocol, &server, "ann", "phone").await;
    let _desk = device(&protocol, &server, "ann", "desk").await;
    let _bob = device(&protocol, &server, "bob", "bob").await;
    for target in
        [server.all(), Target::from(&server.user("ann")), Target::from(&server.room("nobody"))]
    {
        let report = target.send_acked("note", &note("1")).await.unwrap();
        let ids: Vec<_> = report.deliveries().iter().map(|it| it.conn_id).collect();
        assert!(ids.is_sorted(), "oldest connection first: {ids:?}");
        for delivery in report {
            assert_eq!(delivery.outcome, Outcome::Received);
            let user = server.user(delivery.user);
            assert!(user.connections().iter().any(|conn| conn.id() == delivery.conn_id));
        }
    }
    let nobody = server.user("eve").send_acked("note", &note("1")).await.unwrap();
    assert!(nobody.is_empty() && nobody.received() == 0);
}

/// A user with a device for each outcome: one that gives receipts, one that does not answer, one that closes instead, one
/// whose queue is full, and one that gives none.
async fn all_kinds() -> (Server<JsonArray>, wse::Client<JsonArray>, [Raw; 4]) {
    let queue = SendQueue::default().messages(8).slow_peer(SlowPeer::Close { after: secs(1000) });
    let server =
        server(&JsonArray).connections_per_user(9).heartbeat(None).send_queue(queue).build();
    let good = device(&JsonArray, &server, "ann", "good").await;
    let mute = Raw::user(&server, "ann").await;
    let leaving = Raw::user(&server, "ann").await;
    let full = Raw::user(&server, "ann").await;
    settle().await;
    let conn = server.user("ann").connections().pop().unwrap();
    while conn.send("note", &note("x".repeat(40 * 1024))).is_ok() {
        settle().await;
    }
    let mut old = Raw::stranger(&server).await;
    old.say(r#"["~wse:hi",{"identity":"secret of ann","meta":{}},null]"#).await;
    assert_eq!(old.hear().await, welcome("ann"));
    settle().await;
    (server, good, [mute, leaving, full, old])
}

#[tokio::test(start_paused = true)]
async fn each_outcome_has_a_name() {
    let (server, _good, [_mute, mut leaving, _full, _old]) = all_kinds().await;
    let ann = server.user("ann");
    let (report, ()) =
        tokio::join!(ann.send_acked_within(Some(secs(3)), "note", &note("1")), async {
            leaving.hear().await;
            leaving.close(1000, "bye").await;
        });
    let report = report.unwrap();
    let outcomes: Vec<_> = report.deliveries().iter().map(|it| it.outcome.to_string()).collect();
    let expected = ["received", "timed out", "disconnected", "queue full", "unsupported"];
    assert_eq!(outcomes, expected);
    assert_eq!((report.received(), report.len()), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn outcomes_come_as_a_stream_when_they_are_known() {
    let (server, _good, [mut mute, mut leaving, _full, _old]) = all_kinds().await;
    let ann = server.user("ann");
    let start = tokio::time::Instant::now();
    let mut each = ann.send_acked_within(Some(secs(9)), "note", &note("1")).each().unwrap();
    assert_eq!(each.size_hint(), (5, Some(5)));
    let mut seen = Vec::new();
    let ((), ()) = tokio::join!(
        async {
            while let Some(delivery) = each.next().await {
                seen.push((delivery.outcome, start.elapsed().as_secs()));
            }
        },
        async {
            leaving.hear().await;
            let stamp = mute.hear().await;
            let stamp = stamp.split('"').rev().nth(1).unwrap().to_owned();
            tokio::time::sleep(secs(2)).await;
            leaving.close(1000, "bye").await;
            tokio::time::sleep(secs(2)).await;
            mute.say(&format!(r#"["~wse:receipt",null,"{stamp}",2]"#)).await;
        }
    );
    let expected = [
        (Outcome::QueueFull, 0),
        (Outcome::Unsupported, 0),
        (Outcome::Received, 0),
        (Outcome::Disconnected, 2),
        (Outcome::Received, 4),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_encoded_reaches_nobody() {
    let server = server(&JsonArray).build();
    let mut ann = Raw::user(&server, "ann").await;
    server.user("ann").connections()[0].join("lobby").unwrap();
    let odd = std::collections::BTreeMap::from([(vec![1_u8], 2_u8)]);
    for target in
        [server.all(), Target::from(&server.user("ann")), Target::from(&server.room("lobby"))]
    {
        assert!(target.send("odd", &odd).is_err());
        assert!(target.send_acked("odd", &odd).await.is_err());
        assert!(target.send_acked("odd", &odd).each().is_err());
        assert!(target.send("~wse:welcome", &odd).is_err(), "reserved");
    }
    assert_eq!(ann.hear_all().await, [] as [String; 0]);
}

/// The limit on pending receipts counts only those that are still awaited.
#[tokio::test(start_paused = true)]
async fn dropping_what_was_sent_forgets_its_receipts() {
    let server = server(&JsonArray).max_receipts(1).build();
    let mut raw = Raw::user(&server, "ann").await;
    let ann = server.user("ann");
    let first = ann.send_acked("note", &note("1"));
    let report = ann.send_acked("note", &note("2")).await.unwrap();
    assert_eq!(report.deliveries()[0].outcome, Outcome::QueueFull);
    drop(first);
    let third = ann.send_acked_within(Some(secs(1)), "note", &note("3")).await.unwrap();
    assert_eq!(third.deliveries()[0].outcome, Outcome::TimedOut);
    let heard = raw.hear_all().await;
    assert_eq!(heard.len(), 2, "the first was sent all the same: {heard:?}");
}
