//! Who is connected, and whose connection has to go.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use wse_proto::session::{Joined, Users};

fn joined<C>(first: bool, evicted: impl Into<Vec<C>>) -> Joined<C> {
    Joined { first, evicted: evicted.into() }
}

#[test]
fn the_first_connection_of_a_user_is_told_from_the_others() {
    let mut users = Users::new(3);
    assert_eq!(users.join("ann".into(), 1, 'a'), joined(true, []));
    assert_eq!(users.join("ann".into(), 2, 'b'), joined(false, []));
    assert_eq!(users.join("bob".into(), 3, 'c'), joined(true, []));
    assert_eq!(users.of("ann").collect::<String>(), "ab");
    assert_eq!(users.len(), 2);
}

#[test]
fn the_oldest_connection_makes_room() {
    let mut users = Users::new(2);
    users.join("ann".into(), 1, 'a');
    users.join("bob".into(), 2, 'x');
    users.join("ann".into(), 3, 'b');
    assert_eq!(users.join("ann".into(), 4, 'c'), joined(false, ['a']));
    assert_eq!(users.of("ann").collect::<String>(), "bc");
    users.leave("ann", 3);
    assert_eq!(users.join("ann".into(), 5, 'd'), joined(false, []));
    assert_eq!(users.join("ann".into(), 6, 'e'), joined(false, ['c']));
    assert_eq!(users.of("bob").collect::<String>(), "x");
}

#[test]
fn with_a_limit_of_one_the_user_stays_while_its_connections_change() {
    // A limit of none would let nobody in: it counts as one.
    for limit in [0, 1] {
        let mut users = Users::new(limit);
        assert_eq!(users.join("ann".into(), 1, 'a'), joined(true, []));
        assert_eq!(users.join("ann".into(), 2, 'b'), joined(false, ['a']));
        // The evicted connection ends later; its user has not left.
        assert_eq!(users.leave("ann", 1), None);
        assert_eq!(users.leave("ann", 2), Some(true));
        assert!(users.is_empty());
    }
}

#[test]
fn a_user_leaves_once_with_the_last_connection() {
    let mut users = Users::new(2);
    users.join("ann".into(), 1, ());
    users.join("ann".into(), 2, ());
    assert_eq!(users.leave("bob", 1), None);
    assert_eq!(users.leave("ann", 3), None);
    assert_eq!(users.leave("ann", 1), Some(false));
    assert_eq!(users.leave("ann", 1), None);
    assert_eq!(users.leave("ann", 2), Some(true));
    assert_eq!(users.leave("ann", 2), None);
    assert!(users.is_empty());
    assert!(users.join("ann".into(), 4, ()).first);
}

#[test]
fn removing_a_user_gives_its_connections_oldest_first() {
    let mut users = Users::new(3);
    for (id, connection) in [(1, 'a'), (2, 'b'), (3, 'c')] {
        users.join("ann".into(), id, connection);
    }
    users.join("bob".into(), 4, 'x');
    assert_eq!(users.remove("ann"), ['a', 'b', 'c']);
    assert_eq!(users.remove("ann"), [] as [char; 0]);
    assert_eq!(users.leave("ann", 1), None);
    assert_eq!(users.connections().collect::<String>(), "x");
    assert!(users.join("ann".into(), 5, 'd').first);
}

#[test]
fn long_names_are_found_too() {
    let name = "a user whose name does not fit into the text itself";
    let mut users = Users::new(1);
    users.join(name.into(), 1, ());
    assert_eq!(users.of(name).count(), 1);
    assert_eq!(users.leave(name, 1), Some(true));
}

#[derive(Clone, Debug)]
enum Step {
    Join(&'static str),
    /// By the connection that joined as the n-th of all, and as which user it leaves.
    Leave(&'static str, prop::sample::Index),
    Remove(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let user = || prop::sample::select(vec!["ann", "bob", "cem", ""]);
    prop_oneof![
        5 => user().prop_map(Step::Join),
        4 => (user(), any::<prop::sample::Index>()).prop_map(|(user, at)| Step::Leave(user, at)),
        1 => user().prop_map(Step::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn users_are_what_the_model_says(limit in 0..5_usize, steps in vec(step(), 0..100)) {
        let mut users = Users::new(limit);
        // The model: one list of who holds which connection, oldest first.
        let mut model: Vec<(&str, u64)> = Vec::new();
        let mut next = 0_u64;
        for step in steps {
            let of = |model: &[(&str, u64)], user: &str| -> Vec<u64> {
                model.iter().filter(|(name, _)| *name == user).map(|(_, id)| *id).collect()
            };
            match step {
                Step::Join(user) => {
                    let mut expected = joined(of(&model, user).is_empty(), []);
                    while of(&model, user).len() >= limit.max(1) {
                        let oldest = of(&model, user)[0];
                        model.retain(|(_, id)| *id != oldest);
                        expected.evicted.push(oldest);
                    }
                    model.push((user, next));
                    prop_assert_eq!(users.join(user.into(), next, next), expected);
                    next += 1;
                }
                Step::Leave(user, at) => {
                    let id = if next == 0 { 0 } else { at.index(next as usize) as u64 };
                    let there = model.contains(&(user, id));
                    model.retain(|connection| *connection != (user, id));
                    let expected = there.then(|| of(&model, user).is_empty());
                    prop_assert_eq!(users.leave(user, id), expected);
                }
                Step::Remove(user) => {
                    prop_assert_eq!(users.remove(user), of(&model, user));
                    model.retain(|(name, _)| *name != user);
                }
            }
            let mut numbers = BTreeMap::new();
            for (user, _) in &model {
                *numbers.entry(*user).or_insert(0) += 1;
            }
            let seen: BTreeMap<_, _> = users.iter().map(|(user, n)| (user.as_str(), n)).collect();
            prop_assert_eq!(&seen, &numbers);
            prop_assert_eq!(users.len(), numbers.len());
            prop_assert_eq!(users.is_empty(), model.is_empty());
            for user in ["ann", "bob", "cem", ""] {
                prop_assert_eq!(users.of(user).copied().collect::<Vec<_>>(), of(&model, user));
            }
            let mut connections: Vec<_> = users.connections().copied().collect();
            connections.sort_unstable();
            prop_assert!(connections.iter().eq(model.iter().map(|(_, id)| id)));
        }
    }
}

#[test]
fn d20_the_longest_suspended_connection_gives_way_first() {
    // Since when each is suspended, by age, and which of them gives way to another one.
    let table = [
        ([None, None, None], 0),
        ([None, Some(20), Some(10)], 2),
        ([None, Some(10), Some(10)], 1),
        ([None, Some(10), None], 1),
        ([Some(30), Some(20), None], 1),
    ];
    for (suspended, gives_way) in table {
        let mut users = Users::new(3);
        for (age, since) in suspended.into_iter().enumerate() {
            users.join("ann".into(), age as u64, (age, since.map(Duration::from_millis)));
        }
        let joined = users.join_with("ann".into(), 3, (3, None), |(_, since)| *since);
        let evicted: Vec<_> = joined.evicted.iter().map(|(age, _)| *age).collect();
        assert_eq!(evicted, [gives_way], "{suspended:?}");
        let left: Vec<_> = users.of("ann").map(|(age, _)| *age).collect();
        assert_eq!(left, (0..4).filter(|age| *age != gives_way).collect::<Vec<_>>());
    }
}
