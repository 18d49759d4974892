//! The history of one key: it is cut into pieces and checked, and printed if no register could have
//! produced it.

use std::fmt;

use todc_utils::linearizability::WGLChecker;
use todc_utils::{Action, History};

use super::register::{Operation, Register, Value};

/// A call and its return.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) thread: usize,
    /// Number that the clock gave before the call.
    pub(super) called: u64,
    /// Number that the clock gave after the return.
    pub(super) returned: u64,
    pub(super) operation: Operation,
}

/// A history, or a part of one, that no register could have produced. It prints as one line per
/// call.
#[derive(Clone, Debug)]
pub struct Violation {
    key: Vec<u8>,
    begin: Value,
    events: Vec<Event>,
}

/// The result of checking a history.
pub(super) struct Outcome {
    pub(super) violation: Option<Violation>,
    /// Number of calls in the longest piece.
    pub(super) longest: usize,
}

/// Minimum number of calls in a piece. Checking a few more calls takes less time than starting the
/// checker again.
const WORTH_CUTTING: usize = 24;

/// Checks the history of `key`, whose value was `begin` before. The events are in the order of
/// their calls.
pub(super) fn check(key: &[u8], begin: Value, events: &[Event]) -> Outcome {
    let mut outcome = Outcome { violation: None, longest: 0 };
    for (begin, piece) in Pieces::new(begin, events) {
        outcome.longest = outcome.longest.max(piece.len());
        if !is_linearizable(begin, piece) {
            outcome.violation =
                Some(Violation { key: key.to_vec(), begin, events: piece.to_vec() });
            break;
        }
    }
    outcome
}

fn is_linearizable(begin: Value, events: &[Event]) -> bool {
    // The checker requires calls and returns in their order, and the initial value as the first
    // call.
    let mut points: Vec<(u64, usize, Action<Operation>)> = Vec::with_capacity(2 * events.len());
    for (at, event) in events.iter().enumerate() {
        points.push((event.called, at + 1, Action::Call(event.operation)));
        points.push((event.returned, at + 1, Action::Response(event.operation)));
    }
    points.sort_unstable_by_key(|(time, ..)| *time);
    let begin = Operation::Begin(begin);
    let mut actions = vec![(0, Action::Call(begin)), (0, Action::Response(begin))];
    actions.extend(points.into_iter().map(|(_, process, action)| (process, action)));
    WGLChecker::<Register>::is_linearizable(History::from_actions(actions))
}

/// The pieces of a history, each with the value that the key has before it.
///
/// A piece ends with a call that no other call overlaps and whose answer tells the value of the key
/// after it. All calls before it have returned, and no call after it has been made. So in every
/// order that the checker may choose, the calls before it come first and the calls after it come
/// last. The whole history has a valid order if and only if each piece has one.
struct Pieces<'a> {
    begin: Value,
    events: &'a [Event],
}

impl<'a> Pieces<'a> {
    fn new(begin: Value, events: &'a [Event]) -> Self {
        Self { begin, events }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (Value, &'a [Event]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.events.is_empty() {
            return None;
        }
        let begin = self.begin;
        let mut latest_return = 0;
        for (at, event) in self.events.iter().enumerate() {
            let overlaps_earlier = event.called < latest_return;
            latest_return = latest_return.max(event.returned);
            let overlaps_later =
                self.events.get(at + 1).is_some_and(|next| next.called < latest_return);
            if at + 1 < WORTH_CUTTING || overlaps_earlier || overlaps_later {
                continue;
            }
            if let Some(left) = event.operation.leaves() {
                let (piece, rest) = self.events.split_at(at + 1);
                self.begin = left;
                self.events = rest;
                return Some((begin, piece));
            }
        }
        Some((begin, std::mem::take(&mut self.events)))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "no order of these calls on the key {:?} explains all answers; before them it holds {}:",
            self.key.escape_ascii().to_string(),
            self.begin
        )?;
        writeln!(f, "{:>10} {:>10}  thread", "called", "returned")?;
        for Event { thread, called, returned, operation } in &self.events {
            writeln!(f, "{called:>10} {returned:>10}  {thread:>6}  {operation}")?;
        }
        Ok(())
    }
}
