//! What becomes of a client's messages that wait: without a connection, while it is suspended, and on a slow network.

use std::time::Duration;

use wse::{Client, ClientEvent, JsonArray, ResumeLimits, SendError, SendQueue, Unsent};

use crate::resume::{Cable, quick, resumable};
use crate::support::endpoints::*;

/// Sends a number under each rule. Returns the names of those that were refused.
fn send_each(client: &Client<JsonArray>, n: i64) -> Vec<&'static str> {
    let rules = [
        ("refuse", Unsent::Refuse),
        ("keep", Unsent::Keep),
        ("expire", Unsent::Expire(secs(10))),
        ("for-ever", Unsent::Expire(Duration::MAX)),
        ("a", Unsent::latest("a")),
        ("b", Unsent::latest("b")),
    ];
    let refused = rules.into_iter().filter(|(name, rule)| {
        let sent = client.send_with(rule.clone(), *name, &n);
        assert!(matches!(sent, Ok(()) | Err(SendError::NotReady)), "{sent:?}");
        sent.is_err()
    });
    refused.map(|(name, _)| name).collect()
}

fn lines(expected: &[(&str, i64)]) -> Vec<String> {
    expected.iter().map(|(name, n)| format!(r#"["{name}",{n},null]"#)).collect()
}

/// What arrives of three rounds, of which the first is too old.
const OF_THREE: [(&str, i64); 10] = [
    ("keep", 1),
    ("for-ever", 1),
    ("keep", 2),
    ("expire", 2),
    ("for-ever", 2),
    ("keep", 3),
    ("expire", 3),
    ("for-ever", 3),
    ("a", 3),
    ("b", 3),
];

#[tokio::test(start_paused = true)]
async fn without_a_connection_each_message_follows_its_rule() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).build();
    assert_eq!(send_each(&ann, 1), ["refuse"]);
    tokio::time::sleep(secs(9)).await;
    for n in 2..4 {
        assert_eq!(send_each(&ann, n), ["refuse"]);
    }
    tokio::time::sleep(secs(1)).await;
    // Without a rule nothing is kept, as before.
    assert!(matches!(ann.send("plain", &0), Err(SendError::NotReady)));
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    settle().await;
    assert_eq!(server.hear_all().await, lines(&OF_THREE));
    assert_eq!(send_each(&ann, 4), [""; 0]);
    ann.send("plain", &5).unwrap();
    settle().await;
    let mut expected: Vec<_> =
        ["refuse", "keep", "expire", "for-ever", "a", "b"].map(|name| (name, 4)).into();
    expected.push(("plain", 5));
    assert_eq!(server.hear_all().await, lines(&expected));
}

#[tokio::test(start_paused = true)]
async fn as_many_messages_are_kept_as_the_offline_queue_says() {
    // The setting, and how many are kept: with a rule, and without.
    for (setting, ruled, plain) in [(None, 1024, 0), (Some(3), 3, 3), (Some(0), 0, 0)] {
        let build = || {
            let (dial, arrivals) = dialled();
            let builder = json_client(dial);
            let builder = match setting {
                Some(messages) => builder.offline_queue(messages),
                None => builder,
            };
            (builder.build(), arrivals)
        };
        let (ann, _arrivals) = build();
        let kept = (0..2000).take_while(|n| ann.send_with(Unsent::Keep, "note", n).is_ok());
        assert_eq!(kept.count(), ruled, "{setting:?}");
        let refused = ann.send_with(Unsent::latest("a"), "note", &0);
        assert!(matches!(refused, Err(SendError::QueueFull)), "{refused:?}");
        let (ann, _arrivals) = build();
        assert_eq!((0..2000).take_while(|n| ann.send("note", n).is_ok()).count(), plain);
    }
}

#[tokio::test(start_paused = true)]
async fn in_a_full_offline_queue_old_messages_give_way() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).offline_queue(3).build();
    ann.send_with(Unsent::Expire(secs(1)), "note", &1).unwrap();
    ann.send_with(Unsent::latest("a"), "note", &2).unwrap();
    ann.send("note", &3).unwrap();
    assert!(matches!(ann.send("note", &4), Err(SendError::QueueFull)));
    // The one with the same key is replaced in a full queue too.
    ann.send_with(Unsent::latest("a"), "note", &5).unwrap();
    tokio::time::sleep(secs(1)).await;
    ann.send("note", &6).unwrap();
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    settle().await;
    assert_eq!(server.hear_all().await, lines(&[("note", 3), ("note", 5), ("note", 6)]));
}

#[tokio::test(start_paused = true)]
async fn while_the_connection_is_suspended_each_message_follows_its_rule() {
    let (log, heard) = (Log::default(), Log::default());
    let mut builder = server(&JsonArray);
    for name in ["refuse", "keep", "expire", "for-ever", "a", "b", "plain"] {
        let heard = heard.clone();
        builder = builder.on(name, move |_, n: i64| {
            heard.add(format!("{name} {n}"));
            async {}
        });
    }
    let server = resumable(&log, builder).resume(ResumeLimits::default()).build();
    let cable = Cable::new(&server);
    let suspended = log.clone();
    let ann = client(&JsonArray, &server, "ann")
        .connector(cable.clone())
        .reconnect(quick())
        .on_event(move |event| {
            if let ClientEvent::Suspended(_) = event {
                suspended.add("ann is away");
            }
        })
        .connect()
        .await
        .unwrap();
    cable.unplug();
    settle().await;
    assert!(log.lines().contains(&"ann is away".to_owned()));
    ann.send("plain", &0).unwrap();
    assert_eq!(send_each(&ann, 1), ["refuse"]);
    tokio::time::sleep(secs(9)).await;
    for n in 2..4 {
        assert_eq!(send_each(&ann, n), ["refuse"]);
    }
    tokio::time::sleep(secs(1)).await;
    ann.send("plain", &4).unwrap();
    cable.plug();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    let mut expected = vec!["plain 0".to_owned()];
    expected.extend(OF_THREE.map(|(name, n)| format!("{name} {n}")));
    expected.push("plain 4".to_owned());
    assert_eq!(heard.take(), expected);
    // And nothing is sent once more when the next socket is lost.
    cable.cut();
    assert_eq!(adds(&ann).await.unwrap(), 3);
    assert_eq!(heard.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn on_a_slow_network_the_rules_apply_to_what_waits() {
    let (dial, mut arrivals) = dialled();
    let ann =
        json_client(dial).heartbeat(None).send_queue(SendQueue::default().messages(8)).build();
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    // More than the pipe and the write buffer hold.
    let large = "x".repeat(300 << 10);
    ann.send("large", &large).unwrap();
    settle().await;
    for n in 0..1000 {
        ann.send_with(Unsent::latest("a"), "a", &n).unwrap();
        ann.send_with(Unsent::Expire(secs(1)), "old", &n).ok();
    }
    tokio::time::sleep(secs(1)).await;
    ann.send_with(Unsent::Expire(secs(1)), "new", &0).unwrap();
    let mut heard = server.hear_all().await;
    assert!(heard.remove(0).starts_with(r#"["large""#));
    assert_eq!(heard, lines(&[("a", 999), ("new", 0)]));
}

/// What the application has kept is not lost to the limits of the send queue.
#[tokio::test(start_paused = true)]
async fn all_that_is_kept_is_sent_behind_the_welcome() {
    for with_rules in [true, false] {
        let (dial, mut arrivals) = dialled();
        let ann = json_client(dial)
            .heartbeat(None)
            .offline_queue(50)
            .send_queue(SendQueue::default().messages(10).bytes(1000))
            .on_ready(|client| client.send("first", &0).unwrap())
            .build();
        let kept = (0..60).take_while(|n| match with_rules {
            true => ann.send_with(Unsent::Keep, "note", n).is_ok(),
            false => ann.send("note", n).is_ok(),
        });
        let kept = kept.count() as i64;
        assert!(kept > 20, "{kept}");
        let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
        connected.unwrap();
        settle().await;
        let mut expected = vec![("first", 0)];
        expected.extend((0..kept).map(|n| ("note", n)));
        assert_eq!(server.hear_all().await, lines(&expected));
        ann.send("note", &0).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_bytes_that_are_kept_have_a_limit_and_senders_can_wait() {
    let (dial, mut arrivals) = dialled();
    let ann = json_client(dial).send_queue(SendQueue::default().bytes(1000)).build();
    // One message may be larger, if nothing else waits.
    ann.send_with(Unsent::latest("a"), "note", &"x".repeat(2000)).unwrap();
    let refused = ann.send_with(Unsent::Keep, "note", &0);
    assert!(matches!(refused, Err(SendError::QueueFull)), "{refused:?}");
    // The old one waits on if the new one has no room.
    ann.send_with(Unsent::latest("a"), "note", &1).unwrap();
    ann.send_with(Unsent::Keep, "note", &2).unwrap();
    let refused = ann.send_with(Unsent::latest("a"), "note", &"x".repeat(2000));
    assert!(matches!(refused, Err(SendError::QueueFull)), "{refused:?}");
    while ann.send_with(Unsent::Keep, "note", &3).is_ok() {}
    while ann.send_with(Unsent::Expire(Duration::MAX), "n", &4).is_ok() {}
    let waiting = {
        let ann = ann.clone();
        tokio::spawn(async move {
            let mut tries = 0;
            while ann.send_with(Unsent::Keep, "note", &"x".repeat(900)).is_err() {
                ann.writable().await;
                tries += 1;
                assert!(tries < 100, "`writable` does not wait");
                tokio::task::yield_now().await;
            }
        })
    };
    tokio::time::sleep(secs(9)).await;
    let (connected, mut server) = tokio::join!(ann.connect(), arrivals.welcomed());
    connected.unwrap();
    settle().await;
    waiting.await.unwrap();
    assert_eq!(server.hear_all().await[..2], lines(&[("note", 1), ("note", 2)]));
}
