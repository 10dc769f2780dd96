//! What the answers of the directory mean for the connections of a node.

use std::collections::HashSet;
use std::time::Duration;

use wse::{Close, CloseReason, Text};

use super::places::{Asked, Effect, Places, Released, State};
use crate::directory::{Device, Reply};
use crate::settings::{Settings, WhenDown};

impl Places {
    /// The directory has answered a request; `None` if it has not in time, and may have done it.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        settings: &Settings,
        request: u64,
        reply: Option<Reply>,
    ) {
        let Some(asked) = self.asked.remove(&request) else { return };
        self.answers = reply.is_some();
        self.effects.push_back(Effect::Answered(self.answers));
        match asked {
            Asked::Admit { user, conn_id, at } => {
                match self.places.get(&conn_id).map(|it| it.state) {
                    Some(state) => self.decided(at, settings, conn_id, state, reply),
                    None => self.decided_too_late(&user, conn_id, reply),
                }
            }
            Asked::Release(released) => match reply {
                Some(Reply::Released { found, oldest }) => self.released(released, found, oldest),
                // It may have been done. What is then missing was removed by this, unless it has lapsed.
                _ => {
                    let confirmed = released.confirmed && now >= released.lapses;
                    self.owe(Released { confirmed, ..released });
                }
            },
            Asked::Refresh { at, places } => {
                if let Some(Reply::Refreshed { lost }) = reply {
                    let lost: HashSet<u64> = lost.into_iter().map(|(_, conn_id)| conn_id).collect();
                    for conn_id in places {
                        match self.places.get_mut(&conn_id) {
                            Some(place) if !lost.contains(&conn_id) => place.refreshed = at,
                            Some(_) => self.again.push_back(conn_id),
                            None => {}
                        }
                    }
                }
            }
            Asked::Reap => {
                if let Some(Reply::Reaped { left, more }) = reply {
                    let left = left.into_iter().map(|user| Effect::Left(user, Close::VANISHED));
                    self.effects.extend(left);
                    if more {
                        self.reap();
                    }
                }
            }
        }
    }

    fn decided(
        &mut self,
        asked_at: Duration,
        settings: &Settings,
        conn_id: u64,
        state: State,
        reply: Option<Reply>,
    ) {
        let Some(place) = self.places.get_mut(&conn_id) else { return };
        let (user, node) = (place.user.clone(), self.node);
        match (reply, state) {
            (Some(Reply::Admitted { first, left, evicted }), _) => {
                if left {
                    self.effects.push_back(Effect::Left(user.clone(), Close::VANISHED));
                }
                let evict = |it: Device| Effect::Evict(it.node, user.clone(), it.conn_id);
                self.effects.extend(evicted.into_iter().map(evict));
                place.state = match state {
                    State::Asked => {
                        place.first = first;
                        State::Given
                    }
                    // Its user was taken for gone: the place has lapsed, or those who took it have gone.
                    State::AskedAgain { lost: true } if first => {
                        self.effects.push_back(Effect::Joined(node, user, conn_id));
                        State::Confirmed
                    }
                    _ => State::Confirmed,
                };
                place.refreshed = asked_at;
                // While the session is gone, clients do not wait for their channel.
                if place.heard || self.next_refresh.is_none() {
                    self.effects.extend(place.take_given(conn_id));
                }
            }
            (Some(_), State::Asked) => {
                let close = Close::normal(CloseReason::ClientsConcurrency);
                self.forget(conn_id);
                self.effects.push_back(Effect::Admitted(conn_id, Err(close)));
            }
            // There is no room for it. It is released when it has ended.
            (Some(_), _) => self.effects.push_back(Effect::Evict(self.node, user, conn_id)),
            (None, State::Asked) if settings.when_down == WhenDown::Admit => {
                self.admit_unconfirmed(conn_id);
            }
            (None, State::Asked) => {
                let close = Close::new(1013, "the cluster is not reachable");
                // It may have been done.
                self.release(settings, false, conn_id, None);
                self.effects.push_back(Effect::Admitted(conn_id, Err(close)));
            }
            (None, State::AskedAgain { lost }) => {
                place.state = if lost { State::Confirmed } else { State::Unconfirmed };
                self.again.push_back(conn_id);
            }
            (None, _) => {}
        }
    }

    fn released(&mut self, released: Released, found: bool, oldest: Option<Device>) {
        let Released { user, close, untold, confirmed, .. } = released;
        // What the directory has lost, it has told another node.
        let mine = found || !confirmed;
        self.effects.extend(match oldest {
            None if mine && !untold => Some(Effect::Left(user, close.unwrap_or(Close::VANISHED))),
            // The others were admitted behind a connection that nobody has heard of.
            Some(device) if untold => Some(Effect::Joined(device.node, user, device.conn_id)),
            _ => None,
        });
    }

    /// The connection has ended before its answer came. Its release is asked for already.
    fn decided_too_late(&mut self, user: &Text, conn_id: u64, reply: Option<Reply>) {
        let Some(Reply::Admitted { first, evicted, left }) = reply else { return };
        let owed = self.owed.iter_mut();
        let asked = self.asked.values_mut().filter_map(|asked| match asked {
            Asked::Release(released) => Some(released),
            _ => None,
        });
        if let Some(released) = owed.chain(asked).find(|it| it.conn_id == conn_id) {
            released.untold = first;
        }
        if left {
            self.effects.push_back(Effect::Left(user.clone(), Close::VANISHED));
        }
        let evict = |it: Device| Effect::Evict(it.node, user.clone(), it.conn_id);
        self.effects.extend(evicted.into_iter().map(evict));
    }
}
