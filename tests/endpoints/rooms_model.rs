//! Rooms against a simple model, and under races.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use wse::{Close, JoinError, JsonArray, ServerEvent};

use super::rooms::{member, sorted};
use crate::support::endpoints::*;

#[derive(Clone, Debug)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Disconnect(usize),
    Send(usize, Option<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..6_usize, 0..4_usize).prop_map(|(conn, room)| Step::Join(conn, room)),
        3 => (0..6_usize, 0..4_usize).prop_map(|(conn, room)| Step::Leave(conn, room)),
        1 => (0..6_usize).prop_map(Step::Disconnect),
        3 => (0..4_usize, proptest::option::of(0..6_usize)).prop_map(|(room, but)| Step::Send(room, but)),
    ];
    proptest::collection::vec(step, 0..60)
}

/// Six connections of three users, and four rooms, of which a connection may be in three.
async fn follows_the_model(steps: Vec<Step>) {
    const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
    let (events, heard) = (Arc::new(Mutex::new(Vec::new())), Log::default());
    let seen = Arc::clone(&events);
    let server = server(&JsonArray)
        .connections_per_user(2)
        .max_rooms(3)
        .room_events(true)
        .on_event(move |event| {
            let (entered, conn, room) = match event {
                ServerEvent::Entered(conn, room) => (true, conn, room),
                ServerEvent::Exited(conn, room) => (false, conn, room),
                _ => return,
            };
            seen.lock().unwrap().push((entered, conn.id(), room.to_string()));
        })
        .build();
    let mut conns = Vec::new();
    for user in ["ann", "ann", "bob", "bob", "cyd", "cyd"] {
        let log = heard.clone();
        let n = conns.len();
        let client = client(&JsonArray, &server, user)
            .on("note", move |_, Note { text }: Note| {
                log.add(format!("{n} {text}"));
                async {}
            })
            .connect()
            .await
            .unwrap();
        conns.push((client, server.user(user).connections().pop().unwrap()));
    }
    let mut model: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let (mut gone, mut expected_events) = (BTreeSet::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        match *step {
            Step::Join(n, room) => {
                let mine = model.values().filter(|members| members.contains(&n)).count();
                let members = model.entry(ROOMS[room]).or_default();
                let expected = match () {
                    () if gone.contains(&n) => Err(JoinError::Ended),
                    () if members.contains(&n) => Ok(false),
                    () if mine == 3 => Err(JoinError::TooManyRooms { limit: 3 }),
                    () => Ok(members.insert(n)),
                };
                assert_eq!(conns[n].1.join(ROOMS[room]), expected);
                if expected == Ok(true) {
                    expected_events.push((true, conns[n].1.id(), ROOMS[room].to_owned()));
                }
            }
            Step::Leave(n, room) => {
                let was = model.entry(ROOMS[room]).or_default().remove(&n);
                assert_eq!(conns[n].1.leave(ROOMS[room]), was);
                if was {
                    expected_events.push((false, conns[n].1.id(), ROOMS[room].to_owned()));
                }
            }
            Step::Disconnect(n) => {
                if gone.insert(n) {
                    for (room, members) in &mut model {
                        if members.remove(&n) {
                            expected_events.push((false, conns[n].1.id(), (*room).to_owned()));
                        }
                    }
                }
                conns[n].0.close();
                conns[n].0.closed().await;
                settle().await;
            }
            Step::Send(room, but) => {
                let members = model.entry(ROOMS[room]).or_default().iter().copied();
                let wanted: Vec<_> = members.filter(|n| Some(*n) != but).collect();
                let text = note(at.to_string());
                let room = server.room(ROOMS[room]);
                let sent = match but {
                    Some(but) => room.except(&conns[but].1).send("note", &text),
                    None => room.send("note", &text),
                };
                assert_eq!(sent.unwrap(), wanted.len());
                settle().await;
                let expected: Vec<_> = wanted.iter().map(|n| format!("{n} {at}")).collect();
                assert_eq!(sorted(&heard), expected);
            }
        }
        model.retain(|_, members| !members.is_empty());
        assert_eq!(*events.lock().unwrap(), expected_events);
        for (n, (_, conn)) in conns.iter().enumerate() {
            let mine = model.iter().filter(|(_, members)| members.contains(&n));
            assert_eq!(conn.rooms(), mine.map(|(room, _)| *room).collect::<Vec<_>>());
        }
        for room in ROOMS {
            let members = model.get(room).into_iter().flatten();
            let expected: Vec<_> = members.map(|n| conns[*n].1.clone()).collect();
            assert_eq!(server.room(room).connections(), expected);
            assert_eq!(server.room(room).len(), expected.len());
        }
        assert_eq!(server.rooms().len(), model.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]
    #[test]
    fn joining_and_leaving_follow_a_simple_model(steps in steps()) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(within(follows_the_model(steps)));
    }
}

/// Threads that join and leave the same rooms over the same connections, while these end: no membership is lost or
/// doubled, and each event is the opposite of the one before.
#[test]
fn no_membership_is_lost_or_doubled_in_a_race() {
    const ROOMS: [&str; 3] = ["a", "b", "c"];
    let inside = Arc::new(Mutex::new(BTreeSet::new()));
    let (events, sound) = (Arc::clone(&inside), Arc::new(AtomicBool::new(true)));
    let verdict = Arc::clone(&sound);
    let server = server(&JsonArray)
        .connections_per_user(4)
        .on_event(move |event| {
            let mut inside = events.lock().unwrap();
            let good = match event {
                ServerEvent::Entered(conn, room) => inside.insert((conn.id(), room.to_string())),
                ServerEvent::Exited(conn, room) => inside.remove(&(conn.id(), room.to_string())),
                ServerEvent::Disconnected(conn, _) => inside.iter().all(|(id, _)| *id != conn.id()),
                _ => true,
            };
            verdict.fetch_and(good, Ordering::Relaxed);
        })
        .room_events(true)
        .build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    for round in 0..30 {
        let (clients, conns) = runtime.block_on(async {
            let (mut clients, mut conns) = (Vec::new(), Vec::new());
            for user in ["ann", "ann", "bob", "bob"] {
                clients.push(client(&JsonArray, &server, user).connect().await.unwrap());
                conns.push(server.user(user).connections().pop().unwrap());
            }
            (clients, conns)
        });
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let conns = &conns;
                scope.spawn(move || {
                    for n in 0..200_usize {
                        let conn = &conns[(n * 7 + thread) % conns.len()];
                        let room = ROOMS[(n / 3 + thread) % ROOMS.len()];
                        if (n + thread + round).is_multiple_of(3) {
                            conn.leave(room);
                        } else {
                            let _ = conn.join(room);
                        }
                        let _ = conn.room(room).send("note", &note(""));
                    }
                });
            }
            // The last is ended meanwhile.
            clients[3].close();
        });
        runtime.block_on(async { clients[3].closed().await });
        wait_until(|| server.user("bob").connections().len() == 1);
        for room in ROOMS {
            let members = server.room(room).connections();
            let expected: Vec<_> =
                conns.iter().filter(|conn| conn.rooms().contains(&room.into())).cloned().collect();
            assert_eq!(members, expected, "round {round}");
        }
        assert_eq!(conns[3].rooms(), [] as [&str; 0]);
        let told: BTreeSet<_> = conns
            .iter()
            .flat_map(|conn| conn.rooms().into_iter().map(|room| (conn.id(), room.to_string())))
            .collect();
        wait_until(|| *inside.lock().unwrap() == told);
        for user in ["ann", "bob"] {
            server.close_user(user, Close::new(1000, ""));
        }
        wait_until(|| server.users().is_empty());
        wait_until(|| inside.lock().unwrap().is_empty());
        assert!(server.rooms().is_empty(), "round {round}");
    }
    assert!(sound.load(Ordering::Relaxed), "an event came twice, or in the wrong order");
}

/// Events are emitted by one of the threads, which may still be about to.
#[track_caller]
fn wait_until(done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        std::thread::sleep(ms(1));
    }
    panic!("it does not happen");
}

/// All members get the messages to a room in one order, from all senders.
#[test]
fn members_get_the_messages_of_a_room_in_one_order() {
    const EACH: usize = 300;
    let server = server(&JsonArray).build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let mut logs = Vec::new();
    let _clients: Vec<_> = (0..20)
        .map(|n| {
            let log = Log::default();
            logs.push(log.clone());
            runtime.block_on(async {
                let (client, conn) = member(&JsonArray, &server, &n.to_string(), &log).await;
                conn.join("lobby").unwrap();
                client
            })
        })
        .collect();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let room = server.room("lobby");
            scope.spawn(move || {
                for n in 0..EACH {
                    assert_eq!(room.send("note", &note(format!("{thread}/{n}"))).unwrap(), 20);
                }
            });
        }
    });
    wait_until(|| logs.iter().all(|log| log.lines().len() == 2 * EACH));
    let heard = |log: &Log| -> Vec<_> {
        log.lines().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    };
    let first = heard(&logs[0]);
    assert!(logs.iter().all(|log| heard(log) == first));
}
