//! The producer ids and epochs that a client may use: assigned by brokers, and not rejected since.

use std::collections::BTreeMap;

use super::Breach;
use crate::contents::Stamped;

/// What has been heard of the producer ids of one run.
#[derive(Debug, Default)]
pub struct Identities {
    /// The identities that were handed out and can be used, in order.
    granted: Vec<(i64, i16)>,
    /// The highest epoch that was used of each id.
    used: BTreeMap<i64, i16>,
    /// Ids that were refused: all their epochs, or those below this one, which was handed out later.
    refused: BTreeMap<i64, Option<i16>>,
    /// An epoch was refused that no broker had handed out.
    own_epochs_refused: bool,
}

impl Identities {
    /// An answer to InitProducerId has come.
    pub fn granted(&mut self, id: i64, epoch: i16) {
        let is_used = self.used.get(&id).is_some_and(|used| *used >= epoch) || self.granted.contains(&(id, epoch));
        if id < 0 || epoch < 0 || is_used {
            return;
        }
        self.granted.push((id, epoch));
        if let Some(before) = self.refused.get_mut(&id) {
            before.get_or_insert(epoch);
        }
    }

    /// A broker has refused this: not its sequence, but its producer id or epoch.
    pub fn refuse(&mut self, stamp: Stamped) {
        let later = self.granted.iter().filter(|(id, epoch)| *id == stamp.producer && *epoch > stamp.epoch);
        let later = later.map(|(_, epoch)| *epoch).min();
        let before = self.refused.entry(stamp.producer).or_insert(later);
        // It is the later refusal that counts, if one of an earlier epoch came before.
        *before = before.and_then(|before| later.map(|later| later.max(before)));
        let last = self.granted.last();
        self.own_epochs_refused |= last.is_some_and(|(id, epoch)| *id == stamp.producer && stamp.epoch > *epoch);
    }

    /// Whether it was refused, and not handed out anew.
    #[must_use]
    pub fn is_refused(&self, stamp: Stamped) -> bool {
        let of_this_id = self.refused.get(&stamp.producer);
        of_this_id.is_some_and(|before| before.is_none_or(|before| stamp.epoch < before))
    }

    /// A batch is stamped.
    ///
    /// # Errors
    /// It may not be, with this.
    pub fn stamped(&mut self, stamp: Stamped, what: &str) -> Result<(), Breach> {
        if self.is_refused(stamp) {
            return Breach::of("a refused identity is not used again", format!("{what} goes out as {stamp:?}"));
        }
        // A partition keeps an own epoch that a broker has accepted: nothing is known against it until it is refused itself.
        let is_used = self.used.get(&stamp.producer).is_some_and(|used| *used >= stamp.epoch);
        if self.own_epochs_refused && !is_used && !self.granted.contains(&(stamp.producer, stamp.epoch)) {
            let what = format!("{what} goes out as {stamp:?}");
            return Breach::of("after an own epoch was refused, epochs are asked for", what);
        }
        let used = self.used.entry(stamp.producer).or_insert(stamp.epoch);
        *used = stamp.epoch.max(*used);
        Ok(())
    }
}
