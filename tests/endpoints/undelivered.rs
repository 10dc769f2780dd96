//! Reliable messages that reach no device of their user.

use wse::{Client, JsonArray, Reliable, Server, ServerEvent};

use crate::support::endpoints::*;

crate::over_every_protocol! {
    a_message_to_a_user_without_a_device_is_undelivered_at_once
    a_message_without_a_receipt_is_undelivered_when_it_is_given_up
}

/// A server that writes down which messages have reached nobody.
fn server<P: Talk>(protocol: &P, log: &Log) -> Server<P> {
    let (hook, event) = (log.clone(), log.clone());
    crate::support::endpoints::server(protocol)
        .on_undelivered(move |message| {
            let Note { text } = message.payload().unwrap();
            hook.add(format!("{} {} {text}", message.user_id(), message.name()));
        })
        .on_event(move |it| {
            if let ServerEvent::Undelivered(message) = it {
                event.add(format!("event {}", message.user_id()));
            }
        })
        .build()
}

async fn reading<P: Talk>(protocol: &P, server: &Server<P>, log: &Log) -> Client<P> {
    let log = log.clone();
    let client = client(protocol, server, "ann").on("note", move |_, Note { text }: Note| {
        log.add(format!("read {text}"));
        async {}
    });
    client.connect().await.unwrap()
}

async fn a_message_to_a_user_without_a_device_is_undelivered_at_once<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log);
    let ann = server.user("ann");
    let options = Reliable::default().give_up_after(secs(30));
    let one = note("1");
    let (outcome, ()) = tokio::join!(timed(ann.send_reliable(options, "note", &one)), async {
        settle().await;
        assert_eq!(log.take(), ["ann note 1", "event ann"]);
    });
    let (outcome, took) = outcome;
    assert_eq!((outcome.unwrap_err().attempts, took.as_secs()), (0, 30));
    assert_eq!(log.take(), [""; 0], "once");

    // She comes before the sender gives up.
    let two = note("2");
    let (outcome, _ann) = tokio::join!(ann.send_reliable(options, "note", &two), async {
        settle().await;
        assert_eq!(log.take(), ["ann note 2", "event ann"]);
        reading(&protocol, &server, &log).await
    });
    outcome.unwrap();
    settle().await;
    assert_eq!(log.take(), ["read 2"]);
}

async fn a_message_without_a_receipt_is_undelivered_when_it_is_given_up<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log);
    let client = reading(&protocol, &server, &log).await;
    let ann = server.user("ann");
    let options = Reliable::default().give_up_after(secs(7));
    ann.send_reliable(options, "note", &note("1")).await.unwrap();
    settle().await;
    assert_eq!(log.take(), ["read 1"], "it was received");
    // Her last device leaves, and the message has no receipt yet.
    let two = note("2");
    let sending = ann.send_reliable(options, "note", &two);
    client.close();
    let ((outcome, took), ()) = tokio::join!(timed(sending), async {
        tokio::time::sleep(secs(6)).await;
        assert_eq!(log.take(), [""; 0], "she may come back");
    });
    outcome.unwrap_err();
    assert_eq!(took.as_secs(), 7);
    assert_eq!(log.take(), ["ann note 2", "event ann"]);
}

#[tokio::test(start_paused = true)]
async fn clients_that_give_no_receipts_leave_a_message_undelivered() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    let mut old = Raw::stranger(&server).await;
    old.say(r#"["~wse:hi",{"identity":"secret of ann","meta":{}},null]"#).await;
    assert_eq!(old.hear().await, welcome("ann"));
    settle().await;
    let sent = server.user("ann").send_reliable(Reliable::default(), "note", &note("1")).await;
    sent.unwrap_err();
    assert_eq!(log.take(), ["ann note 1", "event ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_sender_tells_nothing() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    let _mute = Raw::user(&server, "ann").await;
    settle().await;
    let ann = server.user("ann");
    let one = note("1");
    let sending = ann.send_reliable(Reliable::default(), "note", &one);
    assert!(tokio::time::timeout(secs(20), sending).await.is_err());
    // Nor does a payload that is not to be sent.
    let odd = std::collections::BTreeMap::from([(vec![1_u8], 2_u8)]);
    ann.send_reliable(Reliable::default(), "odd", &odd).await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
}
