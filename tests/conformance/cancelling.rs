//! What a handler knows of whether somebody still waits.

use wse::{Call, CallOptions, Close, HandlerOutput};
use wse_proto::Fault;

use crate::Cell;
use crate::net::*;
use crate::support::endpoints::*;

/// In milliseconds; -1 when the caller did not say.
async fn left(call: Call<()>) -> Result<i64, Fault> {
    Ok(call.remaining().map_or(-1, |left| left.as_millis() as i64))
}

pub async fn deadline_reaches_the_handler<P: Talk>(protocol: P, cell: Cell) {
    let (_server, ann, conn) = pair(
        &protocol,
        |server| server.procedure_with("left", |_, call| left(call)),
        |client| client.procedure_with("left", |_, call| left(call)),
    )
    .await;
    let options = CallOptions::default().timeout(secs(9));
    let told = [
        ann.call_within::<_, i64>(Some(secs(7)), "left", &()).await.unwrap(),
        conn.call_within::<_, i64>(Some(secs(7)), "left", &()).await.unwrap(),
        ann.call_acked::<_, i64>(options, "left", &()).unwrap().result().await.unwrap(),
    ];
    match cell {
        Cell::Yes => assert_eq!(told, [7000, 7000, 9000]),
        _ => {
            assert_eq!(cell, Cell::No);
            assert_eq!(told, [-1; 3]);
        }
    }
    // Nobody said for how long.
    assert_eq!(ann.call::<_, i64>("left", &()).await.unwrap(), -1);
    assert_eq!(ann.call_within::<_, i64>(None, "left", &()).await.unwrap(), -1);
}

/// Waits for a while, or until it is cancelled.
async fn waiting(who: &'static str, log: Log, call: Call<i64>) -> Result<i64, Fault> {
    let seconds = secs(call.payload.unsigned_abs());
    let how = tokio::select! {
        biased;
        () = call.cancelled() => "cancelled",
        () = tokio::time::sleep(seconds) => "ended",
    };
    assert_eq!(call.is_cancelled(), how == "cancelled");
    log.add(format!("{who} {how}"));
    Ok(call.payload)
}

/// Waits for a while, and does not look whether it is cancelled; says how it came out of it.
async fn plainly(who: &'static str, log: Log, seconds: i64) -> Result<i64, Fault> {
    struct Unfinished(Option<&'static str>, Log);
    impl Drop for Unfinished {
        fn drop(&mut self) {
            if let Some(who) = self.0 {
                self.1.add(format!("{who} dropped"));
            }
        }
    }
    let mut unfinished = Unfinished(Some(who), log.clone());
    tokio::time::sleep(secs(seconds.unsigned_abs())).await;
    unfinished.0 = None;
    log.add(format!("{who} ended"));
    Ok(seconds)
}

pub async fn dropped_call_cancels_its_handler<P: Talk>(protocol: P, cell: Cell) {
    let log = Log::default();
    let (there, back) = (log.clone(), log.clone());
    let (server, ann, conn) = pair(
        &protocol,
        |server| {
            server.procedure_with("wait", move |_, call| waiting("server", there.clone(), call))
        },
        |client| {
            client.procedure_with("wait", move |_, call| waiting("client", back.clone(), call))
        },
    )
    .await;
    let dropped = tokio::time::timeout(ms(10), ann.call::<_, i64>("wait", &3)).await;
    assert!(dropped.is_err());
    let dropped = tokio::time::timeout(ms(10), conn.call::<_, i64>("wait", &3)).await;
    assert!(dropped.is_err());
    drop(ann.call_acked::<_, i64>(CallOptions::default(), "wait", &3).unwrap());
    settle().await;
    let (cancelled, answers) = match cell {
        Cell::Yes => (["server cancelled", "client cancelled", "server cancelled"], 0),
        _ => {
            assert_eq!(cell, Cell::No);
            assert_eq!(log.take(), [""; 0], "nobody can tell them");
            (["server ended", "client ended", "server ended"], 1)
        }
    };
    tokio::time::sleep(secs(4)).await;
    assert_eq!(log.take(), cancelled);
    // Who is cancelled does not answer; answers that nobody waits for are dropped.
    assert_eq!(ann.counts().unknown_answers, 2 * answers);
    assert_eq!(server.counts().unknown_answers, answers);
    // Who is not, is not.
    assert_eq!(ann.call::<_, i64>("wait", &1).await.unwrap(), 1);
    assert_eq!(log.take(), ["server ended"]);
}

/// Connections end in three ways while handlers run; what these say at once, and a while later.
async fn said_at_the_end<P: Talk>(protocol: &P, cancel: bool) -> Vec<[Vec<String>; 2]> {
    let mut said = Vec::new();
    for how in ["server", "client", "nobody"] {
        let (cable, log) = (Cable::default(), Log::default());
        let logs = || [log.clone(), log.clone()];
        let [there, there_plainly] = logs();
        let server = hosting(protocol)
            .cancel_handlers(cancel)
            .procedure_with("wait", move |_, call| waiting("server", there.clone(), call))
            .procedure("plain", move |_, n| plainly("plain server", there_plainly.clone(), n))
            .build();
        let [back, back_plainly] = logs();
        let client = visiting(protocol, &server, "ann")
            .connector(cable.to(&server))
            .cancel_handlers(cancel)
            .procedure_with("wait", move |_, call| waiting("client", back.clone(), call))
            .procedure("plain", move |_, n| plainly("plain client", back_plainly.clone(), n));
        let (ann, conn) = meet(client, &server).await;
        let end = async {
            settle().await;
            assert_eq!(log.lines(), [""; 0]);
            match how {
                "server" => conn.close(Close::new(4001, "maintenance")),
                "client" => ann.close(),
                _ => cable.cut(),
            }
        };
        let calls = async {
            tokio::join!(
                ann.call::<_, i64>("wait", &3),
                ann.call::<_, i64>("plain", &3),
                conn.call::<_, i64>("wait", &3),
                conn.call::<_, i64>("plain", &3),
                end,
            )
        };
        let ((one, two, three, four, ()), took) = timed(calls).await;
        for outcome in [one, two, three, four] {
            disconnected(outcome);
        }
        assert!(took < ms(10), "{how}: {took:?}");
        settle().await;
        let mut lines = [log.take(), Vec::new()];
        tokio::time::sleep(secs(4)).await;
        lines[1] = log.take();
        lines.iter_mut().for_each(|lines| lines.sort());
        said.push(lines);
    }
    said
}

pub async fn disconnect_cancels_tokens<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    for [at_once, later] in said_at_the_end(&protocol, false).await {
        assert_eq!(at_once, ["client cancelled", "server cancelled"]);
        // Who does not look at its token runs to its end.
        assert_eq!(later, ["plain client ended", "plain server ended"]);
    }
}

pub async fn cancel_handlers_drops_them<P: Talk>(protocol: P, cell: Cell) {
    assert_eq!(cell, Cell::Yes);
    for [at_once, later] in said_at_the_end(&protocol, true).await {
        // Those who look may have a last word.
        let plain: Vec<_> = at_once.iter().filter(|line| line.starts_with("plain")).collect();
        assert_eq!(plain, ["plain client dropped", "plain server dropped"]);
        assert_eq!(later, [""; 0]);
    }
    // Handlers of messages too.
    let log = Log::default();
    let seen = log.clone();
    let (_server, ann, conn) = pair(
        &protocol,
        |server| {
            server.cancel_handlers(true).on("wait", move |_, n: i64| {
                let log = seen.clone();
                async move { plainly("it", log, n).await.map(drop).into_result() }
            })
        },
        |client| client,
    )
    .await;
    ann.send("wait", &1_i64).unwrap();
    tokio::time::sleep(secs(2)).await;
    assert_eq!(log.take(), ["it ended"]);
    ann.send("wait", &1_i64).unwrap();
    settle().await;
    conn.close(Close::new(4001, ""));
    settle().await;
    assert_eq!(log.take(), ["it dropped"]);
}
