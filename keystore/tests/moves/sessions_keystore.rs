//! A cache of sessions that expire, over `Map`.

use keystore::{Map, Serde};

/// A user who has logged in.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Session {
    pub(crate) user: String,
    pub(crate) seen: u64,
}

/// The sessions of a server by their tokens. A session that is not seen for a while expires.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: Map<String, Session, Serde>,
}

impl Sessions {
    /// Number of seconds after which a session expires.
    pub(crate) const LIFETIME: u64 = 600;

    /// Begins a session. Returns the one that it replaces.
    pub(crate) fn insert(&self, token: String, user: &str, now: u64) -> Option<Session> {
        let session = Session { user: user.to_owned(), seen: now };
        self.sessions.insert(token, session).unwrap()
    }

    /// Notes that a session was seen. Returns whether there is one.
    pub(crate) fn touch(&self, token: &str, now: u64) -> bool {
        self.sessions.update(token, |old| Session { seen: now, ..old }).unwrap().is_some()
    }

    /// Returns the user of a session.
    pub(crate) fn user(&self, token: &str) -> Option<String> {
        self.sessions.get(token).unwrap().map(|session| session.user.clone())
    }

    /// Ends the sessions that were not seen for a while.
    pub(crate) fn expire(&self, now: u64) {
        self.sessions.retain(|_, session| session.seen + Self::LIFETIME > now).unwrap();
    }

    /// Returns the number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len().unwrap()
    }
}
