//! Messages to all devices of a user, and those that are sent until they have arrived.

use wse::{GaveUp, Outcome, ReceiptError, Reliable, Status};
use wse_proto::{Head, ReceiptOf, SessionMessage};

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

pub async fn delivered_to_devices<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let server = hosting(&protocol).connections_per_user(3).build();
    let mut devices = Vec::new();
    for device in ["phone", "desk"] {
        let log = log.clone();
        let client =
            visiting(&protocol, &server, "ann").on("note", move |_, Note { text }: Note| {
                log.add(format!("{device} {text}"));
                async {}
            });
        devices.push(meet(client, &server).await.0);
    }
    let ann = server.user("ann");
    let (delivered, took) = timed(ann.send_acked("note", &note("1"))).await;
    assert!(took < ms(10), "{took:?}");
    let received = if cell == Cell::Yes { 2 } else { 0 };
    assert_eq!(counts(delivered), (received, 2));
    let mut lines = log.take();
    lines.sort();
    let expected: &[&str] = if cell == Cell::Yes { &["desk 1", "phone 1"] } else { &[] };
    assert_eq!(lines, expected);

    // One that has it and does not say so.
    let mut mute = Peer::user(&protocol, &server, "ann").await;
    let two = note("2");
    let sending = timed(ann.send_acked_within(Some(secs(3)), "note", &two));
    let ((delivered, took), _) = tokio::join!(
        sending,
        tokio::time::timeout(secs(9), async {
            loop {
                mute.hear().await;
            }
        })
    );
    let outcomes: Vec<_> =
        delivered.as_ref().unwrap().deliveries().iter().map(|it| it.outcome).collect();
    let expected = match cell {
        Cell::Yes => [Outcome::Received, Outcome::Received, Outcome::TimedOut],
        Cell::No => [Outcome::Unsupported; 3],
        // The clients take it for a call, and answer that there is no such procedure.
        Cell::Lost => [Outcome::Unsupported, Outcome::Unsupported, Outcome::TimedOut],
    };
    assert_eq!(outcomes, expected);
    assert_eq!(counts(delivered), (received, 3));
    assert_eq!(took.as_secs(), if cell == Cell::No { 0 } else { 3 });
    drop(mute);
    settle().await;
    assert_eq!(ann.send("note", &note("3")).unwrap(), 2);

    // Nobody is there: nobody has it.
    let nobody = server.user("bob").send_acked("note", &note("4")).await;
    assert_eq!(counts(nobody), (0, 0));
}

/// Given up at once, because there are no receipts.
fn gave_up(outcome: Result<(), GaveUp>, cell: Cell) {
    let GaveUp { attempts, last } = outcome.unwrap_err();
    assert!(matches!(last, Some(ReceiptError::Unsupported)), "{last:?}");
    assert_eq!(attempts, if cell == Cell::Lost { 1 } else { 0 });
}

pub async fn send_reliable_over_a_reconnect<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let seen = log.clone();
    let server = hosting(&protocol)
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    let cable = Cable::default();
    let client =
        visiting(&protocol, &server, "ann").connector(cable.to(&server)).reconnect(quick());
    let (ann, _) = meet(client, &server).await;
    let options = Reliable::default();
    if cell != Cell::Yes {
        let (outcome, took) = timed(ann.send_reliable(options, "note", &note("1"))).await;
        gave_up(outcome, cell);
        assert!(took < ms(10), "{took:?}");
        assert_eq!(log.take(), [""; 0]);
        assert_eq!(adds(&ann).await.unwrap(), 3);
        return;
    }
    ann.send_reliable(options, "note", &note("1")).await.unwrap();
    assert_eq!(log.take(), ["1"]);
    // It arrives, but its receipt is lost, and then the connection.
    cable.lose_what_goes_to_the_client();
    let two = note("2");
    let sending = ann.send_reliable(options, "note", &two);
    let cutting = async {
        tokio::time::sleep(ms(100)).await;
        assert_eq!(log.lines(), ["2"]);
        cable.cut();
        settle().await;
        assert_eq!(ann.status(), Status::Reconnecting);
    };
    let (outcome, ()) = tokio::join!(sending, cutting);
    outcome.unwrap();
    assert_eq!(log.take(), ["2"]);
    assert_eq!(server.counts().duplicates, 1);
    // It does not arrive at first.
    cable.lose_what_goes_to_the_server();
    let three = note("3");
    let sending = ann.send_reliable(options, "note", &three);
    let cutting = async {
        tokio::time::sleep(ms(100)).await;
        assert_eq!(log.lines(), [""; 0]);
        cable.cut();
    };
    let (outcome, ()) = tokio::join!(sending, cutting);
    outcome.unwrap();
    assert_eq!(log.take(), ["3"]);
    assert_eq!(server.counts().duplicates, 1);
    // Only the receipt is lost: it is sent again over the same connection.
    cable.lose_what_goes_to_the_client();
    let four = note("4");
    let sending = timed(ann.send_reliable(options, "note", &four));
    let mending = async {
        tokio::time::sleep(ms(4500)).await;
        cable.mend();
    };
    let ((outcome, took), ()) = tokio::join!(sending, mending);
    outcome.unwrap();
    assert_eq!(took.as_secs(), 5);
    assert_eq!(log.take(), ["4"]);
    assert_eq!(server.counts().duplicates, 2);
    // There is nobody any more.
    ann.close();
    ann.closed().await;
    let GaveUp { attempts, last } = ann.send_reliable(options, "note", &two).await.unwrap_err();
    assert_eq!((attempts, last.is_none()), (0, true));
}

pub async fn user_send_reliable_over_a_reconnect<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let seen = log.clone();
    let server = hosting(&protocol).build();
    let cable = Cable::default();
    let client = visiting(&protocol, &server, "ann")
        .connector(cable.to(&server))
        .reconnect(quick())
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        });
    let options = Reliable::default();
    // To a user who comes later.
    let [user, one, two] = ["ann", "1", "2"].map(note);
    let user = server.user(user.text);
    let sending = user.send_reliable(options, "note", &one);
    let coming = async {
        tokio::time::sleep(secs(1)).await;
        meet(client, &server).await.0
    };
    let (outcome, ann) = tokio::join!(sending, coming);
    settle().await;
    if cell != Cell::Yes {
        gave_up(outcome, cell);
        assert_eq!(log.take(), [""; 0]);
        let (outcome, took) = timed(user.send_reliable(options, "note", &two)).await;
        gave_up(outcome, cell);
        // Those who took nothing are left in peace for a while.
        assert!(took < ms(110), "{took:?}");
        assert_eq!(adds(&ann).await.unwrap(), 3);
        return;
    }
    outcome.unwrap();
    assert_eq!(log.take(), ["1"]);
    // The client has it, but its receipt is lost, and then the connection.
    cable.lose_what_goes_to_the_server();
    let sending = user.send_reliable(options, "note", &two);
    let cutting = async {
        tokio::time::sleep(ms(100)).await;
        assert_eq!(log.lines(), ["2"]);
        cable.cut();
    };
    let (outcome, ()) = tokio::join!(sending, cutting);
    outcome.unwrap();
    assert_eq!(log.take(), ["2"]);
    assert_eq!(ann.counts().duplicates, 1);
    // Nobody comes.
    let patience = options.give_up_after(secs(30));
    let (outcome, took) = timed(server.user("bob").send_reliable(patience, "note", &one)).await;
    let GaveUp { attempts, last } = outcome.unwrap_err();
    assert_eq!((attempts, last.is_none(), took.as_secs()), (0, true, 30));
}

pub async fn duplicates_are_counted<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let seen = log.clone();
    let server = hosting(&protocol)
        .on("note", move |_, Note { text }: Note| {
            seen.add(text);
            async {}
        })
        .build();
    let mut heard = Vec::new();
    // Over two connections, twice each.
    for _ in 0..2 {
        let mut peer = Peer::user(&protocol, &server, "ann").await;
        let payload = peer.encode(&note("once"));
        let head =
            Head::Message { name: "note".into(), receipt: Some("r1".into()), reliable: true };
        for _ in 0..2 {
            peer.say(SessionMessage::raw(head.clone(), payload.clone())).await;
        }
        heard.extend(peer.hear_all().await);
    }
    let heads: Vec<_> = heard.into_iter().map(|message| message.head).collect();
    match cell {
        Cell::Yes => {
            assert_eq!(log.take(), ["once"]);
            assert_eq!(server.counts().duplicates, 3);
            // Its sender may have missed the first.
            let receipt = Head::Receipt { stamp: "r1".into(), of: ReceiptOf::Message };
            assert_eq!(heads, vec![receipt; 4]);
        }
        // Nothing tells one from the other.
        Cell::No => {
            assert_eq!(log.take(), ["once"; 4]);
            assert_eq!(server.counts().duplicates, 0);
            assert_eq!(heads, []);
        }
        // Calls, of a procedure that there is not.
        Cell::Lost => {
            assert_eq!(log.take(), [""; 0]);
            assert_eq!(heads, vec![Head::fault("r1".into()); 4]);
        }
    }
}

/// Each connection counts its messages by itself, and a protocol may take whatever wants a receipt for what may come
/// again: all that is given a receipt is handled.
pub async fn acked_by_each_device_is_handled<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let there = log.clone();
    let server = hosting(&protocol)
        .connections_per_user(2)
        .on("note", move |_, Note { text }: Note| {
            there.add(text);
            async {}
        })
        .build();
    let device = || {
        let here = log.clone();
        let client =
            visiting(&protocol, &server, "ann").on("note", move |_, Note { text }: Note| {
                here.add(text);
                async {}
            });
        meet(client, &server)
    };
    let has = cell == Cell::Yes;
    let (phone, to_phone) = device().await;
    let (desk, to_desk) = device().await;
    for from in [&phone, &desk] {
        assert_eq!(from.send_acked("note", &note("up")).await.is_ok(), has);
    }
    for to in [&to_phone, &to_desk] {
        assert_eq!(to.send_acked("note", &note("down")).await.is_ok(), has);
    }
    desk.close();
    desk.closed().await;
    let (desk, to_desk) = device().await;
    assert_eq!(desk.send_acked("note", &note("up again")).await.is_ok(), has);
    assert_eq!(to_desk.send_acked("note", &note("down again")).await.is_ok(), has);
    let expected: &[&str] =
        if has { &["up", "up", "down", "down", "up again", "down again"] } else { &[] };
    assert_eq!(log.take(), expected);
    assert_eq!(server.counts().duplicates, 0);
}
