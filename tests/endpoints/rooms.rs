//! Rooms: who is in them, what their members get, and what is left when they have gone.

use bytes::Bytes;
use wse::{Client, Conn, JoinError, JsonArray, Server, Text};

use super::broadcast::allocated;
use super::resume::{Cable, connect, resumable};
use crate::support::endpoints::*;

crate::over_every_protocol! {
    a_room_has_the_connections_that_have_joined_it
    a_message_to_a_room_reaches_its_members_only
    a_connection_leaves_its_rooms_when_it_ends
    handlers_may_join_and_leave
}

/// A client that writes down its notes, and its connection on the server.
pub async fn member<P: Talk>(
    protocol: &P,
    server: &Server<P>,
    user: &str,
    log: &Log,
) -> (Client<P>, Conn<P>) {
    let (log, name) = (log.clone(), user.to_owned());
    let client = client(protocol, server, user)
        .on("note", move |_, Note { text }: Note| {
            log.add(format!("{name} {text}"));
            async {}
        })
        .connect()
        .await
        .unwrap();
    let conn = server.user(user).connections().pop().unwrap();
    (client, conn)
}

fn members<P: Talk>(server: &Server<P>, room: &str) -> Vec<(String, Vec<u64>)> {
    let members = server.room(room).members().into_iter();
    members.map(|member| (member.user.to_string(), member.conn_ids)).collect()
}

pub fn sorted(log: &Log) -> Vec<String> {
    let mut lines = log.take();
    lines.sort();
    lines
}

async fn a_room_has_the_connections_that_have_joined_it<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).connections_per_user(2).build();
    let (_bob, bob) = member(&protocol, &server, "bob", &log).await;
    let (_phone, phone) = member(&protocol, &server, "ann", &log).await;
    let (_desk, desk) = member(&protocol, &server, "ann", &log).await;
    let room = server.room("lobby");
    assert!(room.is_empty() && room.members().is_empty() && server.rooms().is_empty());

    assert_eq!(desk.join("lobby"), Ok(true));
    assert_eq!(bob.join("lobby"), Ok(true));
    assert_eq!(phone.join("lobby"), Ok(true));
    assert_eq!(phone.join("lobby"), Ok(false), "it is in it already");
    assert_eq!(phone.join("attic"), Ok(true));
    assert_eq!(phone.rooms(), ["attic", "lobby"]);
    assert_eq!((room.name(), room.len()), ("lobby", 3));
    assert_eq!(room.connections(), [bob.clone(), phone.clone(), desk.clone()]);
    let expected =
        [("ann".to_owned(), vec![phone.id(), desk.id()]), ("bob".to_owned(), vec![bob.id()])];
    assert_eq!(members(&server, "lobby"), expected);

    assert!(phone.leave("lobby"));
    assert!(!phone.leave("lobby") && !bob.leave("attic"));
    assert_eq!(phone.rooms(), ["attic"]);
    assert_eq!(phone.room("lobby").connections(), [bob, desk]);
    let mut rooms: Vec<_> = server.rooms().iter().map(|room| room.name().to_owned()).collect();
    rooms.sort();
    assert_eq!(rooms, ["attic", "lobby"]);
}

async fn a_message_to_a_room_reaches_its_members_only<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = server(&protocol).connections_per_user(2).build();
    let (_ann, ann) = member(&protocol, &server, "ann", &log).await;
    let (_desk, desk) = member(&protocol, &server, "ann", &log).await;
    let (_bob, bob) = member(&protocol, &server, "bob", &log).await;
    let (_eve, eve) = member(&protocol, &server, "eve", &log).await;
    let room = server.room("lobby");
    assert_eq!(room.send("note", &note("0")).unwrap(), 0);
    for conn in [&ann, &desk, &bob] {
        conn.join("lobby").unwrap();
    }
    eve.join("attic").unwrap();
    assert_eq!(room.send("note", &note("1")).unwrap(), 3);
    assert_eq!(ann.room("lobby").except(&ann).send("note", &note("2")).unwrap(), 2);
    assert_eq!(room.except_user("ann").send("note", &note("3")).unwrap(), 1);
    assert_eq!(
        room.except(&ann).except(&desk).except_user("bob").send("note", &note("4")).unwrap(),
        0
    );
    bob.leave("lobby");
    assert_eq!(room.send("note", &note("5")).unwrap(), 2);
    // It need not be in the room to send to it.
    assert_eq!(bob.room("attic").send("note", &note("6")).unwrap(), 1);
    settle().await;
    let expected =
        ["ann 1", "ann 1", "ann 2", "ann 5", "ann 5", "bob 1", "bob 2", "bob 3", "eve 6"];
    assert_eq!(sorted(&log), expected);
}

async fn a_connection_leaves_its_rooms_when_it_ends<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log.events(server(&protocol)).room_events(true).build();
    let (ann, conn) = member(&protocol, &server, "ann", &Log::default()).await;
    let (_bob, bob) = member(&protocol, &server, "bob", &Log::default()).await;
    for room in ["lobby", "attic", "cellar"] {
        conn.join(room).unwrap();
    }
    conn.leave("cellar");
    bob.join("lobby").unwrap();
    log.take();
    ann.close();
    ann.closed().await;
    settle().await;
    let lines = log.take();
    let debug = |what: &str, room: &str| format!("{what}({conn:?}, {room:?})");
    assert_eq!(lines[..2], [debug("Exited", "attic"), debug("Exited", "lobby")]);
    assert!(lines[2].starts_with("disconnected ann "), "{lines:?}");
    assert!(lines[3].starts_with("left ann "), "{lines:?}");
    assert_eq!(lines.len(), 4);
    assert_eq!(conn.rooms(), [] as [&str; 0]);
    assert_eq!(server.room("lobby").connections(), [bob]);
    assert!(server.room("attic").is_empty());
    assert_eq!(conn.join("lobby"), Err(JoinError::Ended));
    assert!(!conn.leave("lobby"));
    assert_eq!(log.take(), [""; 0]);
}

async fn handlers_may_join_and_leave<P: Talk>(protocol: P) {
    let log = Log::default();
    let server = log
        .events(server(&protocol))
        .on("say", |conn, said: Note| async move {
            conn.room("lobby").except(&conn).send("note", &said)
        })
        .on("leave", |conn, Note { text }: Note| async move {
            conn.leave(&text);
        })
        .on_connected(|conn| {
            conn.join("lobby").unwrap();
        })
        .on_entered({
            let log = log.clone();
            move |conn, room| {
                log.add(format!("{} is in {room}: {}", conn.user_id(), conn.room(room).len()))
            }
        })
        .on_exited({
            let log = log.clone();
            move |conn, room| {
                log.add(format!("{} was in {room}: {}", conn.user_id(), conn.room(room).len()))
            }
        })
        .build();
    let seen = Log::default();
    let (ann, _) = member(&protocol, &server, "ann", &seen).await;
    let lines = log.take();
    assert_eq!(lines[..2], ["joined ann", "connected ann"]);
    assert!(lines[2].starts_with("Entered("), "{lines:?}");
    assert_eq!(lines[3], "ann is in lobby: 1");
    let (bob, _) = member(&protocol, &server, "bob", &seen).await;
    ann.send("say", &note("hi")).unwrap();
    settle().await;
    assert_eq!(seen.take(), ["bob hi"]);
    log.take();
    bob.send("leave", &note("lobby")).unwrap();
    settle().await;
    ann.send("say", &note("anybody?")).unwrap();
    settle().await;
    assert_eq!(seen.take(), [""; 0]);
    let lines = log.take();
    assert!(lines[0].starts_with("Exited("), "{lines:?}");
    assert_eq!(lines[1..], ["bob was in lobby: 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_away_stays_and_gets_what_is_said_meanwhile() {
    let log = Log::default();
    let server = resumable(&Log::default(), server(&JsonArray)).build();
    let cable = Cable::new(&server);
    let _ann = connect(&JsonArray, &cable, &log).await;
    let conn = server.user("ann").connections().remove(0);
    conn.join("lobby").unwrap();
    log.take();
    cable.cut();
    settle().await;
    assert_eq!(conn.rooms(), ["lobby"]);
    assert_eq!(server.room("lobby").send("note", &note("1")).unwrap(), 1);
    tokio::time::sleep(ms(300)).await;
    assert_eq!(server.room("lobby").send("note", &note("2")).unwrap(), 1);
    settle().await;
    assert_eq!(log.lines(), ["suspended 1006", "resumed Full", "1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_connection_leaves_its_rooms_first() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).room_events(true).build();
    let (_first, first) = member(&JsonArray, &server, "ann", &Log::default()).await;
    first.join("lobby").unwrap();
    log.take();
    let (_second, second) = member(&JsonArray, &server, "ann", &Log::default()).await;
    settle().await;
    let lines = log.take();
    assert_eq!(lines[0], format!("Exited({first:?}, \"lobby\")"));
    assert_eq!(lines[1], "disconnected ann 1000 wse.clients-concurrency");
    assert_eq!(lines[2..], ["connected ann"]);
    assert!(server.rooms().is_empty());
    assert_eq!(second.join("lobby"), Ok(true));
}

#[tokio::test(start_paused = true)]
async fn there_are_no_events_of_rooms_by_default() {
    let log = Log::default();
    let server = log.events(server(&JsonArray)).build();
    let (ann, conn) = member(&JsonArray, &server, "ann", &Log::default()).await;
    conn.join("lobby").unwrap();
    conn.join("attic").unwrap();
    conn.leave("attic");
    ann.close();
    ann.closed().await;
    settle().await;
    let lines = log.take();
    assert!(
        lines.iter().all(|line| !line.contains("lobby") && !line.contains("attic")),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn rooms_and_their_names_have_limits() {
    let server = server(&JsonArray).build();
    let (_ann, ann) = member(&JsonArray, &server, "ann", &Log::default()).await;
    let long = "ü".repeat(64);
    assert_eq!(ann.join(&*long), Ok(true));
    let error = ann.join(format!("{long}x")).unwrap_err();
    assert_eq!(error, JoinError::NameTooLong { len: 129, limit: 128 });
    assert_eq!(
        error.to_string(),
        "the name of the room has 129 bytes, and `max_room_name` allows 128"
    );
    for n in 1..64 {
        assert_eq!(ann.join(n.to_string()), Ok(true));
    }
    let error = ann.join("one too many").unwrap_err();
    assert_eq!(error, JoinError::TooManyRooms { limit: 64 });
    assert_eq!(
        error.to_string(),
        "the connection is in 64 rooms, the most that `max_rooms` allows"
    );
    assert_eq!(ann.join("63"), Ok(false), "it is in it already");
    assert_eq!((ann.rooms().len(), server.rooms().len()), (64, 64));
    assert!(ann.leave("63"));
    assert_eq!(ann.join("another"), Ok(true));

    let server =
        crate::support::endpoints::server(&JsonArray).max_rooms(1).max_room_name(3).build();
    let (_ann, ann) = member(&JsonArray, &server, "ann", &Log::default()).await;
    assert_eq!(ann.join("hall"), Err(JoinError::NameTooLong { len: 4, limit: 3 }));
    assert_eq!(ann.join(""), Ok(true));
    assert_eq!(ann.join("bar"), Err(JoinError::TooManyRooms { limit: 1 }));
}

/// What remains when all have left their rooms. The allocator counts.
#[test]
fn rooms_without_members_take_no_memory() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(within(async {
        let server = server(&JsonArray).max_rooms(10_000).build();
        let (_ann, ann) = member(&JsonArray, &server, "ann", &Log::default()).await;
        let names: Vec<_> = (0..10_000).map(|n| Text::from(format!("room {n}"))).collect();
        let join_and_leave = || {
            names.iter().for_each(|name| assert_eq!(ann.join(name.clone()), Ok(true)));
            let joined = allocated::now();
            names.iter().for_each(|name| assert!(ann.leave(name)));
            joined
        };
        let before = allocated::now();
        let grown = join_and_leave() - before;
        assert!(grown > 1_000_000, "they take memory: {grown}");
        let kept = allocated::now() - before;
        assert!(kept < 10_000, "{kept} bytes are kept");
        // However often.
        for _ in 0..5 {
            join_and_leave();
        }
        let kept = allocated::now() - before;
        assert!(kept < 10_000, "{kept} bytes are kept");
        assert!(server.rooms().is_empty());
    }));
}

/// A long text shares the buffer of the message that it came in. A room's name does not hold that.
#[test]
fn the_name_of_a_room_does_not_hold_the_message_that_it_came_in() {
    const MIB: usize = 1 << 20;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(within(async {
        let server = server(&JsonArray).build();
        let (_ann, ann) = member(&JsonArray, &server, "ann", &Log::default()).await;
        let before = allocated::now();
        let message = Bytes::from(vec![b'x'; MIB]);
        ann.join(Text::from_utf8(message.slice(..100)).unwrap()).unwrap();
        assert!(allocated::now() - before > MIB as isize);
        drop(message);
        let kept = allocated::now() - before;
        assert!(kept < 10_000, "{kept} bytes are kept");
    }));
}
