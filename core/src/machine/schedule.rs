//! Which partitions are to be examined, and what the others wait for. An event that ends a wait finds the partitions that
//! wait for it here, without a search over all of them.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroUsize;

use super::index::PartitionIndex;
use super::node::Node;

/// What a partition waits for. Each partition waits for one thing at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wait {
    /// A batch: its queue is empty.
    #[default]
    Batch,
    /// To be examined: something of it has changed.
    Examination,
    /// An event of its own: a response, or another batch.
    OwnEvent,
    /// The end of its retry backoff.
    Backoff,
    /// A condition that several partitions can wait for.
    Condition(Condition),
    /// Its turn to send to this node, which leads it.
    Turn(Node),
}

/// A condition that several partitions can wait for. An event that fulfils it wakes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Metadata that names the leader.
    Leader,
    /// Any metadata, since leaders may move; or an event of the partition itself.
    Metadata,
    /// A producer id.
    Identity,
    /// AddPartitionsToTxn.
    AddPartitions,
    /// The markers of the last transaction.
    Markers,
}

impl Condition {
    pub(super) const ALL: [Self; 5] =
        [Self::Leader, Self::Metadata, Self::Identity, Self::AddPartitions, Self::Markers];
}

/// What each partition waits for. There is a list of partitions for each wait that others end. A partition is in at most
/// one of them, so the links of all lists are in one vector, by partition.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    links: Vec<Link>,
    lists: Lists,
    /// Nodes with partitions whose turn may have come, each once: the nodes take turns, too.
    due: VecDeque<Node>,
    /// How often it was set what a partition waits for.
    #[cfg(test)]
    changes: usize,
}

/// Small, because an event touches the links of neighbours as well, and few are in the processor's caches if there are many
/// partitions.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    wait: Wait,
    before: Neighbour,
    after: Neighbour,
}

const _: () = assert!(size_of::<Link>() <= 24);

/// A neighbour in a list, or none: an index plus 1, so that it takes no more memory than an index.
#[derive(Clone, Copy, Debug, Default)]
struct Neighbour(Option<NonZeroUsize>);

impl Neighbour {
    const NONE: Self = Self(None);

    const fn of(index: PartitionIndex) -> Self {
        Self(NonZeroUsize::new(index + 1))
    }

    const fn index(self) -> Option<PartitionIndex> {
        match self.0 {
            Some(index) => Some(index.get() - 1),
            None => None,
        }
    }
}

#[derive(Debug, Default)]
struct Lists {
    examination: List,
    backoff: List,
    leader: List,
    metadata: List,
    identity: List,
    add_partitions: List,
    markers: List,
    turns: TurnLists,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    first: Neighbour,
    last: Neighbour,
}

/// The partitions that take turns to send to a node. The one that has sent is appended again, so none starves.
#[derive(Debug)]
struct Turns {
    node: Node,
    list: List,
    /// Whether the node is in [`Schedule::due`].
    is_due: bool,
}

/// The turns at each node.
#[derive(Debug, Default)]
struct TurnLists {
    /// By node.
    nodes: Vec<Turns>,
    /// The position of the last node that was searched for: mostly, many calls for the same one follow each other.
    last: usize,
}

impl TurnLists {
    fn position(&self, node: Node) -> Result<usize, usize> {
        match self.nodes.get(self.last) {
            Some(last) if last.node == node => Ok(self.last),
            _ => self.nodes.binary_search_by_key(&node, |turns| turns.node),
        }
    }

    fn get(&self, node: Node) -> Option<&Turns> {
        self.position(node).ok().map(|at| &self.nodes[at])
    }

    fn get_mut(&mut self, node: Node) -> Option<&mut Turns> {
        self.last = self.position(node).ok()?;
        self.nodes.get_mut(self.last)
    }

    fn get_or_insert(&mut self, node: Node) -> &mut Turns {
        self.last = match self.position(node) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(at, Turns { node, list: List::default(), is_due: false });
                at
            }
        };
        &mut self.nodes[self.last]
    }
}

impl Lists {
    fn of(&mut self, wait: Wait) -> Option<&mut List> {
        match wait {
            Wait::Batch | Wait::OwnEvent => None,
            Wait::Examination => Some(&mut self.examination),
            Wait::Backoff => Some(&mut self.backoff),
            Wait::Condition(condition) => Some(self.condition(condition)),
            Wait::Turn(node) => Some(&mut self.turns.get_or_insert(node).list),
        }
    }

    fn condition(&mut self, condition: Condition) -> &mut List {
        match condition {
            Condition::Leader => &mut self.leader,
            Condition::Metadata => &mut self.metadata,
            Condition::Identity => &mut self.identity,
            Condition::AddPartitions => &mut self.add_partitions,
            Condition::Markers => &mut self.markers,
        }
    }
}

impl Schedule {
    /// Returns what a partition waits for.
    pub(super) fn waits_for(&self, index: PartitionIndex) -> Wait {
        self.links.get(index).map_or(Wait::Batch, |link| link.wait)
    }

    /// Sets what a partition waits for. It is the last of those that wait for the same.
    pub(super) fn set(&mut self, index: PartitionIndex, wait: Wait) {
        #[cfg(test)]
        {
            self.changes += 1;
        }
        if index >= self.links.len() {
            self.links.resize(index + 1, Link::default());
        }
        if let (Wait::Batch | Wait::OwnEvent, Wait::Batch | Wait::OwnEvent) = (self.links[index].wait, wait) {
            self.links[index].wait = wait; // these have no list
            return;
        }
        self.unlink(index);
        let mut link = Link { wait, before: Neighbour::NONE, after: Neighbour::NONE };
        if let Some(list) = self.lists.of(wait) {
            link.before = core::mem::replace(&mut list.last, Neighbour::of(index));
            match link.before.index() {
                Some(last) => self.links[last].after = Neighbour::of(index),
                None => list.first = Neighbour::of(index),
            }
        }
        self.links[index] = link;
        if let Wait::Turn(node) = wait {
            self.node_changed(node);
        }
    }

    /// Returns how often [`set`](Self::set) was called.
    #[cfg(test)]
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    fn unlink(&mut self, index: PartitionIndex) {
        let Link { wait, before, after } = self.links[index];
        let Some(list) = self.lists.of(wait) else { return };
        match before.index() {
            Some(before) => self.links[before].after = after,
            None => list.first = after,
        }
        match after.index() {
            Some(after) => self.links[after].before = before,
            None => list.last = before,
        }
    }

    /// Returns `true` if no partition is to be examined, and no node may have a turn.
    pub(super) fn is_settled(&self) -> bool {
        self.next_to_examine().is_none() && self.due.is_empty()
    }

    /// Returns the next partition to be examined.
    pub(super) fn next_to_examine(&self) -> Option<PartitionIndex> {
        self.lists.examination.first.index()
    }

    /// Returns the partition that has waited longest for this condition.
    pub(super) fn first_waiting_for(&mut self, condition: Condition) -> Option<PartitionIndex> {
        self.lists.condition(condition).first.index()
    }

    /// Returns the partitions that wait for this condition.
    pub(super) fn all_waiting_for(&mut self, condition: Condition) -> Vec<PartitionIndex> {
        let first = self.first_waiting_for(condition);
        core::iter::successors(first, |&index| self.links[index].after.index()).collect()
    }

    /// Marks the partitions to be examined that wait for this condition.
    pub(super) fn wake(&mut self, condition: Condition) {
        while let Some(index) = self.lists.condition(condition).first.index() {
            self.set(index, Wait::Examination);
        }
    }

    /// Marks the partitions to be examined that wait for the end of a backoff: which batch is the next one, and so whose backoff
    /// counts, depends on the leader.
    pub(super) fn wake_backoffs(&mut self) {
        // Each is examined once, also if it has to wait again.
        while let Some(index) = self.lists.backoff.first.index() {
            self.set(index, Wait::Examination);
        }
    }

    /// Marks the partitions to be examined that wait for their turn at a node and match the predicate.
    pub(super) fn wake_turns(&mut self, mut predicate: impl FnMut(PartitionIndex, Node) -> bool) {
        let nodes: Vec<Node> = self.lists.turns.nodes.iter().map(|turns| turns.node).collect();
        for node in nodes {
            let mut next = self.first_turn(node);
            while let Some(index) = next {
                next = self.links[index].after.index();
                if predicate(index, node) {
                    self.set(index, Wait::Examination);
                }
            }
            self.node_changed(node);
        }
        self.lists.turns.nodes.retain(|turns| turns.is_due || turns.list.first.index().is_some());
    }

    /// Returns the partition whose turn is next at this node.
    pub(super) fn first_turn(&self, node: Node) -> Option<PartitionIndex> {
        self.lists.turns.get(node)?.list.first.index()
    }

    /// Records that a request may be possible at a node where none was: a connection is ready or was lost, a response
    /// has arrived, or a wait has ended.
    pub(super) fn node_changed(&mut self, node: Node) {
        if let Some(turns) = self.lists.turns.get_mut(node).filter(|turns| turns.list.first.index().is_some()) {
            if !core::mem::replace(&mut turns.is_due, true) {
                self.due.push_back(node);
            }
        }
    }

    /// Returns the next node at which a partition may have its turn.
    pub(super) fn due_node(&mut self) -> Option<Node> {
        while let Some(&node) = self.due.front() {
            if self.first_turn(node).is_some() {
                return Some(node);
            }
            self.clear_due_node();
        }
        None
    }

    /// Records that no request is possible at the [due node](Self::due_node) until [it changes](Self::node_changed).
    pub(super) fn clear_due_node(&mut self) {
        if let Some(turns) = self.due.pop_front().and_then(|node| self.lists.turns.get_mut(node)) {
            turns.is_due = false;
        }
    }

    /// Makes the [due node](Self::due_node) the last of those that are due, if a partition may still have its turn there.
    pub(super) fn rotate_due_nodes(&mut self) {
        let Some(&node) = self.due.front() else { return };
        if self.first_turn(node).is_none() {
            return self.clear_due_node();
        }
        if self.due.len() > 1 {
            self.due.rotate_left(1);
        }
    }

    /// Asserts that each partition is in the list of what it waits for, and in no other.
    #[cfg(debug_assertions)]
    pub(super) fn assert_lists(&mut self) {
        let mut listed = 0;
        let nodes: Vec<Node> = self.lists.turns.nodes.iter().map(|turns| turns.node).collect();
        let conditions = Condition::ALL.map(Wait::Condition);
        let waits =
            [Wait::Examination, Wait::Backoff].into_iter().chain(conditions).chain(nodes.into_iter().map(Wait::Turn));
        for wait in waits {
            let mut next = self.lists.of(wait).and_then(|list| list.first.index());
            while let Some(index) = next {
                debug_assert_eq!(self.links[index].wait, wait, "partition {index} is in a wrong list");
                next = self.links[index].after.index();
                listed += 1;
            }
        }
        let unlisted = |link: &&Link| matches!(link.wait, Wait::Batch | Wait::OwnEvent);
        let unlisted = self.links.iter().filter(unlisted).count();
        debug_assert_eq!(listed + unlisted, self.links.len(), "a partition is in no list");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Node = Node::Broker(1);
    const TWO: Node = Node::Broker(2);

    fn examined(schedule: &mut Schedule) -> Vec<PartitionIndex> {
        let mut examined = Vec::new();
        while let Some(index) = schedule.next_to_examine() {
            schedule.set(index, Wait::OwnEvent);
            examined.push(index);
        }
        examined
    }

    #[test]
    fn a_partition_waits_for_one_thing_and_is_woken_by_nothing_else() {
        let mut schedule = Schedule::default();
        for index in 0..4 {
            schedule.set(index, Wait::Condition(Condition::Leader));
        }
        schedule.set(1, Wait::Condition(Condition::Identity));
        schedule.set(2, Wait::Backoff);
        schedule.wake(Condition::Metadata);
        assert!(examined(&mut schedule).is_empty());
        schedule.wake(Condition::Leader);
        assert_eq!(examined(&mut schedule), [0, 3]);
        assert_eq!(schedule.first_waiting_for(Condition::Identity), Some(1));
        schedule.wake(Condition::Identity);
        schedule.set(1, Wait::Batch);
        assert!(examined(&mut schedule).is_empty());
        assert_eq!(
            [0, 1, 2, 9].map(|index| schedule.waits_for(index)),
            [Wait::OwnEvent, Wait::Batch, Wait::Backoff, Wait::Batch]
        );
        #[cfg(debug_assertions)]
        schedule.assert_lists();
    }

    #[test]
    fn partitions_of_a_node_take_turns() {
        let mut schedule = Schedule::default();
        for index in [5, 3, 4] {
            schedule.set(index, Wait::Turn(ONE));
        }
        let mut turns = Vec::new();
        for _ in 0..4 {
            let index = schedule.first_turn(ONE).unwrap();
            turns.push(index);
            schedule.set(index, Wait::Turn(ONE));
        }
        schedule.set(4, Wait::OwnEvent);
        turns.push(schedule.first_turn(ONE).unwrap());
        assert_eq!(turns, [5, 3, 4, 5, 3]);
        assert_eq!(schedule.first_turn(TWO), None);
    }

    #[test]
    fn a_node_is_due_once_until_it_is_settled_and_again_when_it_changes() {
        let mut schedule = Schedule::default();
        schedule.node_changed(ONE);
        assert_eq!(schedule.due_node(), None, "no partition waits for its turn there");
        for (index, node) in [(0, ONE), (1, TWO), (2, ONE)] {
            schedule.set(index, Wait::Turn(node));
        }
        assert_eq!(schedule.due_node(), Some(ONE));
        schedule.rotate_due_nodes();
        assert_eq!(schedule.due_node(), Some(TWO));
        schedule.clear_due_node();
        assert_eq!(schedule.due_node(), Some(ONE));
        schedule.clear_due_node();
        assert_eq!(schedule.due_node(), None);
        schedule.node_changed(TWO);
        schedule.node_changed(TWO);
        assert_eq!(schedule.due_node(), Some(TWO));
        schedule.set(1, Wait::OwnEvent);
        assert_eq!(schedule.due_node(), None, "its only partition waits for something else");
    }

    #[test]
    fn partitions_that_wait_for_their_turn_are_woken_one_by_one() {
        let mut schedule = Schedule::default();
        for index in 0..4 {
            schedule.set(index, Wait::Turn(if index < 3 { ONE } else { TWO }));
        }
        schedule.wake_turns(|index, node| index == 1 || node == TWO);
        assert_eq!(examined(&mut schedule), [1, 3]);
        assert_eq!((schedule.first_turn(ONE), schedule.first_turn(TWO)), (Some(0), None));
        #[cfg(debug_assertions)]
        schedule.assert_lists();
    }
}
