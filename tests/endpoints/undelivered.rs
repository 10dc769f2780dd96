//! Reliable messages that reach no device of their user.

use wse::{Cbor, Client, JsonArray, Outcome, Reliable, ResumeLimits, Server, ServerEvent};
use wse_proto::Negotiated;

use super::resume::{Cable, quick};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    a_message_to_a_user_without_a_device_is_undelivered_at_once
    a_message_without_a_receipt_is_undelivered_when_it_is_given_up
    a_message_to_a_device_that_is_away_is_undelivered_at_the_end_of_its_window
    a_device_that_comes_back_in_its_window_gets_the_message_once
    the_last_device_decides
    a_message_is_undelivered_before_it_is_given_up_when_no_device_is_left
    the_outcome_for_a_device_that_is_away
}

/// A server that writes down which messages have reached nobody.
fn server<P: Talk>(protocol: &P, log: &Log) -> Server<P> {
    let (hook, event) = (log.clone(), log.clone());
    crate::support::endpoints::server(protocol)
        .connections_per_user(2)
        // Some devices say nothing.
        .heartbeat(None)
        .resume(ResumeLimits::default().window(secs(60)))
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

/// A client that may resume, and can be cut off.
async fn resuming<P: Talk>(protocol: &P, server: &Server<P>, log: &Log) -> (Client<P>, Cable<P>) {
    let (log, cable) = (log.clone(), Cable::new(server));
    let ann = client(protocol, server, "ann").connector(cable.clone()).reconnect(quick());
    let ann = ann.on("note", move |_, Note { text }: Note| {
        log.add(format!("read {text}"));
        async {}
    });
    (ann.connect().await.unwrap(), cable)
}

/// Cuts a client off for good.
async fn away<P: Talk>(protocol: &P, server: &Server<P>, log: &Log) {
    let (ann, cable) = resuming(protocol, server, log).await;
    settle().await;
    drop(ann);
    cable.cut();
    settle().await;
}

async fn a_message_to_a_device_that_is_away_is_undelivered_at_the_end_of_its_window<P: Talk>(
    protocol: P,
) {
    let log = Log::default();
    let server = server(&protocol, &log);
    away(&protocol, &server, &log).await;
    let options = Reliable::default().give_up_after(secs(20));
    let ann = server.user("ann");
    let (outcome, took) = timed(ann.send_reliable(options, "note", &note("1"))).await;
    // It waits in one copy for the device.
    assert_eq!((outcome.unwrap_err().attempts, took.as_secs()), (1, 20));
    tokio::time::sleep(secs(39)).await;
    assert_eq!(log.take(), [""; 0], "its window has not ended");
    tokio::time::sleep(secs(2)).await;
    assert_eq!(log.take(), ["ann note 1", "event ann"]);
}

async fn a_device_that_comes_back_in_its_window_gets_the_message_once<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log);
    let (_ann, cable) = resuming(&protocol, &server, &log).await;
    settle().await;
    cable.refuse(true);
    cable.cut();
    settle().await;
    // It comes back after the sender has given up.
    let options = Reliable::default().give_up_after(secs(20));
    server.user("ann").send_reliable(options, "note", &note("1")).await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
    cable.refuse(false);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(log.take(), ["read 1"]);
    // And before.
    cable.refuse(true);
    cable.cut();
    settle().await;
    let returning = async {
        tokio::time::sleep(secs(12)).await;
        cable.refuse(false);
    };
    let two = note("2");
    let ann = server.user("ann");
    let (outcome, ()) = tokio::join!(ann.send_reliable(options, "note", &two), returning);
    outcome.unwrap();
    assert_eq!(log.take(), ["read 2"]);
    tokio::time::sleep(secs(100)).await;
    assert_eq!(log.take(), [""; 0]);
}

async fn the_last_device_decides<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log);
    away(&protocol, &server, &log).await;
    let here = reading(&protocol, &server, &log).await;
    settle().await;
    let ann = server.user("ann");
    ann.send_reliable(Reliable::default(), "note", &note("1")).await.unwrap();
    assert_eq!(log.take(), ["read 1"]);
    // One has left, and the other one is away.
    here.close();
    here.closed().await;
    let options = Reliable::default().give_up_after(secs(20));
    ann.send_reliable(options, "note", &note("2")).await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(log.take(), ["ann note 2", "event ann"]);
}

async fn a_message_is_undelivered_before_it_is_given_up_when_no_device_is_left<P: Talk>(
    protocol: P,
) {
    let log = Log::default();
    let server = server(&protocol, &log);
    away(&protocol, &server, &log).await;
    let options = Reliable::default().give_up_after(secs(200));
    let ann = server.user("ann");
    let one = note("1");
    let (outcome, _ann) = tokio::join!(ann.send_reliable(options, "note", &one), async {
        tokio::time::sleep(secs(61)).await;
        assert_eq!(log.take(), ["ann note 1", "event ann"]);
        reading(&protocol, &server, &log).await
    });
    outcome.unwrap();
    tokio::time::sleep(secs(200)).await;
    assert_eq!(log.take(), ["read 1"], "once");
}

async fn the_outcome_for_a_device_that_is_away<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol, &log);
    let outcome = |text: &'static str, timeout| {
        let ann = server.user("ann");
        async move {
            let report = ann.send_acked_within(timeout, "note", &note(text)).await.unwrap();
            report.deliveries().iter().map(|it| it.outcome).collect::<Vec<_>>()
        }
    };
    let (ann, cable) = resuming(&protocol, &server, &log).await;
    settle().await;
    cable.refuse(true);
    cable.cut();
    settle().await;
    let (late, took) = timed(outcome("1", Some(secs(7)))).await;
    assert_eq!((late, took.as_secs()), (vec![Outcome::TimedOut], 7));
    let (received, ()) = tokio::join!(outcome("2", Some(secs(7))), async {
        tokio::time::sleep(secs(3)).await;
        cable.refuse(false);
    });
    assert_eq!(received, [Outcome::Received]);
    assert_eq!(log.take(), ["read 1", "read 2"]);
    cable.refuse(true);
    cable.cut();
    settle().await;
    let (ended, took) = timed(outcome("3", None)).await;
    // It was cut off a moment before.
    assert_eq!((ended, (took + ms(1)).as_secs()), (vec![Outcome::Disconnected], 60));
    drop(ann);
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

/// A device that gives receipts and can resume, but does neither.
async fn mute(server: &Server<JsonArray>) -> Raw {
    let mut raw = Raw::stranger(server).await;
    raw.say(r#"["~wse:hi",{"identity":"secret of ann","meta":{},"resume":true},null,1]"#).await;
    assert!(raw.hear().await.contains("~wse:session"));
    assert_eq!(raw.hear().await, welcome("ann"));
    settle().await;
    raw
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_there_gets_a_message_once_and_is_not_waited_for_at_the_end() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    let mut device = mute(&server).await;
    let options = Reliable::default().give_up_after(secs(18));
    let gave_up = server.user("ann").send_reliable(options, "note", &note("1")).await.unwrap_err();
    assert_eq!(log.take(), ["ann note 1", "event ann"]);
    assert_eq!(device.hear_all().await.len(), 1);
    assert_eq!((gave_up.attempts, gave_up.last.map(|it| it.to_string())), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_leaves_may_be_followed_by_another_in_time() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    let mut device = mute(&server).await;
    let leaving = async {
        tokio::time::sleep(secs(3)).await;
        device.close(1000, "").await;
        tokio::time::sleep(secs(3)).await;
        assert_eq!(log.take(), [""; 0]);
    };
    let (ann, one) = (server.user("ann"), note("1"));
    let options = Reliable::default().give_up_after(secs(20));
    let (outcome, ()) = tokio::join!(ann.send_reliable(options, "note", &one), leaving);
    outcome.unwrap_err();
    assert_eq!(log.take(), ["ann note 1", "event ann"]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_there_is_waited_for_when_another_does_not_come_back() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    away(&JsonArray, &server, &log).await;
    let device = mute(&server).await;
    let (ann, one) = (server.user("ann"), note("1"));
    let options = Reliable::default().give_up_after(secs(100));
    let (outcome, ()) = tokio::join!(ann.send_reliable(options, "note", &one), async {
        tokio::time::sleep(secs(90)).await;
        assert_eq!(log.take(), [""; 0]);
    });
    outcome.unwrap_err();
    assert_eq!(log.take(), ["ann note 1", "event ann"]);
    drop(device);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_undelivered_once_whatever_devices_come_and_go() {
    let log = Log::default();
    let server = server(&JsonArray, &log);
    let (ann, one) = (server.user("ann"), note("1"));
    let options = Reliable::default().give_up_after(secs(20));
    let (outcome, ()) = tokio::join!(ann.send_reliable(options, "note", &one), async {
        drop(mute(&server).await);
        settle().await;
        assert_eq!(log.take(), ["ann note 1", "event ann"]);
    });
    outcome.unwrap_err();
    tokio::time::sleep(secs(100)).await;
    assert_eq!(log.take(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_one_protocol_cannot_carry_is_an_error_of_its_sender() {
    let protocol = Negotiated::new((JsonArray, Cbor));
    let log = Log::default();
    let server = server(&protocol, &log);
    let _ann = reading(&protocol, &server, &log).await;
    // Only one of them has keys that are no text.
    let odd = std::collections::BTreeMap::from([(vec![1_u8], 2_u8)]);
    server.user("ann").send_reliable(Reliable::default(), "odd", &odd).await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
}
