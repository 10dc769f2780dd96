//! Every setting at both of its ends: the largest lets a client and a server talk, the smallest lets them talk or ends in an
//! error, and nothing hangs or panics.

use std::time::Duration;

use crate::support::endpoints::*;
use wse::{
    Backoff, CallOptions, Client, ClientBuilder, Heartbeat, JsonArray, Reliable, SendQueue,
    ServerBuilder,
};
use wse_transport::handshake::HeadLimits;
use wse_transport::ws::{ControlRate, Limits};

type OfServer = fn(ServerBuilder<JsonArray>, bool) -> ServerBuilder<JsonArray>;
type OfClient = fn(ClientBuilder<JsonArray>, bool) -> ClientBuilder<JsonArray>;

fn time(most: bool) -> Duration {
    if most { Duration::MAX } else { Duration::ZERO }
}

fn count(most: bool) -> usize {
    if most { usize::MAX } else { 0 }
}

fn rate(most: bool) -> ControlRate {
    match most {
        true => ControlRate { burst: u32::MAX, per_second: u32::MAX },
        false => ControlRate { burst: 0, per_second: 0 },
    }
}

fn heartbeat(most: bool) -> Heartbeat {
    let mut heartbeat = Heartbeat::fixed(time(most), time(most));
    heartbeat.interval_rtts = if most { u16::MAX } else { 0 };
    heartbeat.timeout_rtts = heartbeat.interval_rtts;
    heartbeat
}

const OF_SERVER: [(&str, OfServer); 15] = [
    ("connections_per_user", |it, most| it.connections_per_user(count(most))),
    ("auth_timeout", |it, most| it.auth_timeout(time(most))),
    ("handshake_timeout", |it, most| it.handshake_timeout(time(most))),
    ("close_timeout", |it, most| it.close_timeout(time(most))),
    ("call_timeout", |it, most| it.call_timeout(time(most))),
    ("max_calls", |it, most| it.max_calls(count(most))),
    ("max_receipts", |it, most| it.max_receipts(count(most))),
    ("heartbeat", |it, most| it.heartbeat(heartbeat(most))),
    ("max_handlers", |it, most| it.max_handlers(count(most))),
    ("max_handled_bytes", |it, most| it.max_handled_bytes(count(most))),
    ("max_unauthenticated_message", |it, most| it.max_unauthenticated_message(count(most))),
    ("control_rate", |it, most| it.control_rate(rate(most))),
    ("limits", |it, most| {
        let limits = Limits::default().max_message(count(most));
        it.limits(limits.max_frame(count(most)).max_fragments(count(most)))
    }),
    ("head_limits", |it, most| {
        let limits = HeadLimits::default().max_head(count(most));
        it.head_limits(limits.max_line(count(most)).max_headers(count(most)))
    }),
    ("send_queue", |it, most| {
        it.send_queue(SendQueue::default().messages(count(most)).bytes(count(most)))
    }),
];

const OF_CLIENT: [(&str, OfClient); 13] = [
    ("connect_timeout", |it, most| it.connect_timeout(time(most))),
    ("dial_timeout", |it, most| it.dial_timeout(time(most))),
    ("close_timeout", |it, most| it.close_timeout(time(most))),
    ("call_timeout", |it, most| it.call_timeout(time(most))),
    ("max_calls", |it, most| it.max_calls(count(most))),
    ("max_receipts", |it, most| it.max_receipts(count(most))),
    ("heartbeat", |it, most| it.heartbeat(heartbeat(most))),
    ("max_handlers", |it, most| it.max_handlers(count(most))),
    ("max_handled_bytes", |it, most| it.max_handled_bytes(count(most))),
    ("offline_queue", |it, most| it.offline_queue(count(most))),
    ("reconnect", |it, most| {
        let attempts = if most { u32::MAX } else { 0 };
        it.reconnect(Backoff::default().base(time(most)).cap(time(most)).attempts(attempts))
    }),
    ("limits", |it, most| {
        let limits = Limits::default().max_message(count(most));
        it.limits(limits.max_frame(count(most)).max_fragments(count(most)))
    }),
    ("send_queue", |it, most| {
        it.send_queue(SendQueue::default().messages(count(most)).bytes(count(most)))
    }),
];

/// What a client and a server may do; returns whether all of it went well.
async fn talk(builder: ServerBuilder<JsonArray>, of_client: OfClient, most: bool) -> bool {
    let server = builder.on("note", |_, (): ()| async move { wse::Ok(()) }).build();
    let client: Client<JsonArray> = of_client(client(&JsonArray, &server, "ann"), most).build();
    let mut well = client.connect().await.is_ok();
    well &= adds(&client).await.is_ok_and(|sum| sum == 3);
    well &= client.send_acked("note", &()).await.is_ok();
    let options = CallOptions::default().timeout(time(most)).receipt_timeout(time(most));
    let reliable = Reliable::default().receipt_timeout(secs(20)).give_up_after(secs(60));
    well &= client.send_reliable(reliable, "note", &()).await.is_ok();
    if most {
        let call = client.call_acked::<_, i64>(options, "add", &Add { a: 1, b: 2 });
        well &= match call {
            Ok(mut call) => call.receipt().await.is_ok() && call.result().await.is_ok(),
            Err(_) => false,
        };
    }
    client.close();
    client.closed().await;
    server.shutdown(time(most)).await;
    well
}

#[tokio::test(start_paused = true)]
async fn settings_at_either_end_neither_hang_nor_panic() {
    let day = secs(24 * 3600);
    let none: OfClient = |it, _| it;
    for most in [true, false] {
        for (name, set) in OF_SERVER {
            let builder = set(server(&JsonArray), most);
            let well = tokio::time::timeout(day, talk(builder, none, most)).await;
            let well = well.unwrap_or_else(|_| panic!("{name} of the server hangs"));
            assert!(well || !most, "{name} of the server");
        }
        for (name, set) in OF_CLIENT {
            let well = tokio::time::timeout(day, talk(server(&JsonArray), set, most)).await;
            let well = well.unwrap_or_else(|_| panic!("{name} of the client hangs"));
            assert!(well || !most, "{name} of the client");
        }
    }
}
