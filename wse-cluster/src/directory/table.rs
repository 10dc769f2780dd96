//! [`Table`]: a directory in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use wse::Text;

use super::request::{AtLimit, Device, Reply, Request};

/// The most places that are reaped at once.
const REAP: usize = 500;

/// A directory in memory. The others answer as it does.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The places of each user, oldest first. No user has none.
    users: BTreeMap<Text, Vec<Place>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    device: Device,
    expires: Duration,
}

impl Table {
    /// Answers a request at a time, on a clock that starts anywhere.
    pub fn answer(&mut self, now: Duration, request: &Request) -> Reply {
        match request {
            Request::Admit { user, device, limit, at_limit, lease } => {
                self.admit(now, user, *device, (*limit).max(1), *at_limit, now + *lease)
            }
            Request::Release { user, device } => self.release(now, user, *device),
            Request::Refresh { node, places, lease } => {
                let lost = |(user, conn_id): &&(Text, u64)| {
                    let device = Device { node: *node, conn_id: *conn_id };
                    !self.refresh(now, user, device, now + *lease)
                };
                Reply::Refreshed { lost: places.iter().filter(lost).cloned().collect() }
            }
            Request::Reap => self.reap(now),
            Request::Find { user } => {
                let places = self.users.get(user).map(Vec::as_slice).unwrap_or_default();
                let live = places.iter().filter(|place| place.expires > now);
                Reply::Found(live.map(|place| place.device).collect())
            }
        }
    }

    fn admit(
        &mut self,
        now: Duration,
        user: &Text,
        device: Device,
        limit: usize,
        at_limit: AtLimit,
        expires: Duration,
    ) -> Reply {
        if self.refresh(now, user, device, expires) {
            return Reply::Admitted { first: false, left: false, evicted: Vec::new() };
        }
        let places = self.users.entry(user.clone()).or_default();
        let had_lapsed = !places.is_empty();
        places.retain(|place| place.expires > now);
        let first = places.is_empty();
        let excess = (places.len() + 1).saturating_sub(limit);
        if excess > 0 && at_limit == AtLimit::Refuse {
            return Reply::Full(places.iter().map(|place| place.device).collect());
        }
        let evicted = places.drain(..excess).map(|place| place.device).collect();
        places.push(Place { device, expires });
        Reply::Admitted { first, left: first && had_lapsed, evicted }
    }

    fn release(&mut self, now: Duration, user: &Text, device: Device) -> Reply {
        let Some(places) = self.users.get_mut(user) else {
            return Reply::Released { found: false, oldest: None };
        };
        let before = places.len();
        places.retain(|place| place.device != device);
        let found = places.len() < before;
        let oldest = places.iter().find(|place| place.expires > now).map(|place| place.device);
        // Places that have lapsed are left for the reaper if this was none of them: it tells that the user has left.
        if places.is_empty() || found && oldest.is_none() {
            self.users.remove(user);
        }
        Reply::Released { found, oldest }
    }

    fn refresh(&mut self, now: Duration, user: &Text, device: Device, expires: Duration) -> bool {
        let places = self.users.get_mut(user).map(Vec::as_mut_slice).unwrap_or_default();
        let place = places.iter_mut().find(|it| it.device == device && it.expires > now);
        place.map(|place| place.expires = expires).is_some()
    }

    fn reap(&mut self, now: Duration) -> Reply {
        let lapsed = |places: &Vec<Place>| places.iter().any(|place| place.expires <= now);
        let users = self.users.iter().filter(|(_, places)| lapsed(places)).take(REAP);
        let users: Vec<Text> = users.map(|(user, _)| user.clone()).collect();
        let (mut left, more) = (Vec::new(), users.len() == REAP);
        for user in users {
            if let Some(places) = self.users.get_mut(&user) {
                places.retain(|place| place.expires > now);
                if places.is_empty() {
                    self.users.remove(&user);
                    left.push(user);
                }
            }
        }
        Reply::Reaped { left, more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn device(node: u128, conn_id: u64) -> Device {
        Device { node: NodeId::new(node), conn_id }
    }

    fn admit(table: &mut Table, now: u64, device: Device, at_limit: AtLimit) -> Reply {
        let (user, lease) = ("ann".into(), secs(15));
        table.answer(secs(now), &Request::Admit { user, device, limit: 2, at_limit, lease })
    }

    fn release(table: &mut Table, now: u64, device: Device) -> Reply {
        table.answer(secs(now), &Request::Release { user: "ann".into(), device })
    }

    fn admitted(first: bool, left: bool, evicted: &[Device]) -> Reply {
        Reply::Admitted { first, left, evicted: evicted.to_vec() }
    }

    #[test]
    fn the_limit_counts_all_nodes() {
        let mut table = Table::default();
        let [a, b, c] = [device(1, 1), device(2, 1), device(3, 9)];
        assert_eq!(admit(&mut table, 0, a, AtLimit::Evict), admitted(true, false, &[]));
        assert_eq!(admit(&mut table, 1, b, AtLimit::Evict), admitted(false, false, &[]));
        assert_eq!(admit(&mut table, 1, a, AtLimit::Evict), admitted(false, false, &[]), "again");
        assert_eq!(admit(&mut table, 2, c, AtLimit::Refuse), Reply::Full(vec![a, b]));
        assert_eq!(admit(&mut table, 2, c, AtLimit::Evict), admitted(false, false, &[a]));
        assert_eq!(release(&mut table, 3, a), Reply::Released { found: false, oldest: Some(b) });
        assert_eq!(release(&mut table, 3, b), Reply::Released { found: true, oldest: Some(c) });
        let find = Request::Find { user: "ann".into() };
        assert_eq!(table.answer(secs(3), &find), Reply::Found(vec![c]));
        assert_eq!(release(&mut table, 3, c), Reply::Released { found: true, oldest: None });
        assert_eq!(release(&mut table, 3, c), Reply::Released { found: false, oldest: None });
    }

    #[test]
    fn a_place_lapses_and_its_user_leaves_once() {
        let mut table = Table::default();
        let [a, b] = [device(1, 1), device(2, 1)];
        admit(&mut table, 0, a, AtLimit::Evict);
        admit(&mut table, 5, b, AtLimit::Evict);
        let refresh = |places| Request::Refresh { node: a.node, places, lease: secs(15) };
        let one = vec![("ann".into(), 1), ("bob".into(), 1)];
        let lost = vec![("bob".into(), 1)];
        assert_eq!(table.answer(secs(10), &refresh(one.clone())), Reply::Refreshed { lost });
        assert_eq!(
            table.answer(secs(20), &Request::Reap),
            Reply::Reaped { left: vec![], more: false }
        );
        let left = vec!["ann".into()];
        assert_eq!(table.answer(secs(25), &Request::Reap), Reply::Reaped { left, more: false });
        assert_eq!(
            table.answer(secs(25), &Request::Reap),
            Reply::Reaped { left: vec![], more: false }
        );
        assert_eq!(table.answer(secs(25), &refresh(one.clone())), Reply::Refreshed { lost: one });
    }

    #[test]
    fn what_lapses_unseen_is_told_to_one_node_too() {
        let mut table = Table::default();
        let [a, b] = [device(1, 1), device(2, 1)];
        admit(&mut table, 0, a, AtLimit::Evict);
        assert_eq!(release(&mut table, 15, b), Reply::Released { found: false, oldest: None });
        assert_eq!(admit(&mut table, 15, b, AtLimit::Evict), admitted(true, true, &[]));
        assert_eq!(admit(&mut table, 16, a, AtLimit::Evict), admitted(false, false, &[]));
        assert_eq!(release(&mut table, 32, a), Reply::Released { found: true, oldest: None });
        assert_eq!(
            table.answer(secs(40), &Request::Reap),
            Reply::Reaped { left: vec![], more: false }
        );
    }
}
