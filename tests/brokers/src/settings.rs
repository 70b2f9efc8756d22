//! The contents of a broker's `server.properties`.

use crate::broker::Listener;
use std::{net::SocketAddr, path::Path};

/// The addresses and the directory of a node.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// Port of 127.0.0.1 that clients connect to.
    pub(crate) broker_port: u16,
    /// Port of 127.0.0.1 that the controller listens on, or ZooKeeper.
    pub(crate) controller_port: u16,
    /// Further listeners for clients.
    pub(crate) listeners: &'a [(Listener, SocketAddr)],
    /// The directory of the partitions.
    pub(crate) data: &'a Path,
}

/// Settings of a small node that starts fast, the same for all releases.
const SMALL: &[(&str, &str)] = &[
    ("num.partitions", "1"),
    ("auto.create.topics.enable", "true"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("default.replication.factor", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    // By default, records older than a week by their timestamps are deleted from 30 s after the start on, and records
    // in tests may have any timestamp.
    ("log.retention.ms", "-1"),
    // By default the cleaner allocates 128 MiB of heap at once.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
];

/// Returns the text of `server.properties` for a node that is broker and controller. `extra` settings replace those
/// with the same name.
pub(crate) fn single_node(places: &Places<'_>, extra: &[(String, String)]) -> String {
    let broker = format!("127.0.0.1:{}", places.broker_port);
    let controller = format!("127.0.0.1:{}", places.controller_port);
    let (more, protocols) = further(places.listeners);
    let node = [
        ("node.id", "1".to_owned()),
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", format!("PLAINTEXT://{broker},CONTROLLER://{controller}{more}")),
        ("advertised.listeners", format!("PLAINTEXT://{broker}{more}")),
        ("listener.security.protocol.map", format!("CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("log.dirs", places.data.display().to_string()),
    ];
    text(&node, extra)
}

/// Returns what is appended to the lists of listeners, and to their security protocols.
fn further(listeners: &[(Listener, SocketAddr)]) -> (String, String) {
    let more = listeners.iter().map(|(Listener { name, .. }, at)| format!(",{name}://{at}")).collect();
    (more, listeners.iter().map(|(Listener { name, protocol }, _)| format!(",{name}:{protocol}")).collect())
}

/// Returns the text of `server.properties` for a broker with this id and ZooKeeper. Old releases ignore settings that
/// they do not know.
pub(crate) fn with_zookeeper(places: &Places<'_>, broker_id: u16, extra: &[(String, String)]) -> String {
    let broker = format!("PLAINTEXT://127.0.0.1:{}", places.broker_port);
    let node = [
        ("broker.id", broker_id.to_string()),
        ("listeners", broker.clone()),
        ("advertised.listeners", broker),
        ("zookeeper.connect", format!("127.0.0.1:{}", places.controller_port)),
        ("log.dirs", places.data.display().to_string()),
    ];
    text(&node, extra)
}

/// The addresses and the directory of one of several nodes.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Its id, from 0.
    pub(crate) node_id: i32,
    /// The address at which it listens for clients.
    pub(crate) clients: SocketAddr,
    /// The address that it advertises to clients.
    pub(crate) advertised: SocketAddr,
    /// The address at which it listens for the other brokers.
    pub(crate) internal: SocketAddr,
    /// The controller addresses of all nodes, in the order of their ids.
    pub(crate) controllers: &'a [SocketAddr],
    /// Further listeners for clients.
    pub(crate) listeners: &'a [(Listener, SocketAddr)],
    /// The directory of the partitions.
    pub(crate) data: &'a Path,
}

/// Returns the text of `server.properties` for one of several nodes that are broker and controller. Internal topics
/// are replicated to all of them. `extra` settings replace those with the same name.
pub(crate) fn member(places: &Member<'_>, extra: &[(String, String)]) -> String {
    let Member { node_id, clients, advertised, internal, controllers, listeners, data } = places;
    let (more, protocols) = further(listeners);
    let controller = usize::try_from(*node_id).ok().and_then(|index| controllers.get(index)).unwrap_or(clients);
    let voters: Vec<String> = controllers.iter().enumerate().map(|(id, address)| format!("{id}@{address}")).collect();
    let node = [
        ("node.id", node_id.to_string()),
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", format!("PLAINTEXT://{clients},INTERNAL://{internal},CONTROLLER://{controller}{more}")),
        ("advertised.listeners", format!("PLAINTEXT://{advertised},INTERNAL://{internal}{more}")),
        (
            "listener.security.protocol.map",
            format!("CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}"),
        ),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "INTERNAL".to_owned()),
        ("controller.quorum.voters", voters.join(",")),
        ("log.dirs", data.display().to_string()),
    ];
    let replicated = [
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "share.coordinator.state.topic.replication.factor",
    ];
    let replicated = replicated.map(|name| (name.to_owned(), controllers.len().to_string()));
    // Of two lines with the same name the later one applies.
    text(&node, &[&replicated[..], extra].concat())
}

fn text(node: &[(&str, String)], extra: &[(String, String)]) -> String {
    let own = node
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .chain(SMALL.iter().copied())
        .filter(|(key, _)| !extra.iter().any(|(other, _)| other == key));
    let extra = extra.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    own.chain(extra).map(|(key, value)| format!("{key}={value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places<'static> {
        Places { broker_port: 20_001, controller_port: 20_002, listeners: &[], data: Path::new("/data/here") }
    }

    #[test]
    fn the_text_contains_the_ports_and_the_directory() {
        let text = single_node(&places(), &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"advertised.listeners=PLAINTEXT://127.0.0.1:20001"));
        assert!(lines.contains(&"controller.quorum.voters=1@127.0.0.1:20002"));
        assert!(lines.contains(&"log.dirs=/data/here"));
        let text = with_zookeeper(&places(), 7, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"listeners=PLAINTEXT://127.0.0.1:20001"));
        assert!(lines.contains(&"zookeeper.connect=127.0.0.1:20002"));
        assert!(lines.contains(&"broker.id=7"));
    }

    #[test]
    fn further_listeners_are_advertised_to_clients() {
        let listeners = [(Listener { name: "SAFE", protocol: "SSL" }, SocketAddr::from(([127, 0, 0, 1], 20_003)))];
        let text = single_node(&Places { listeners: &listeners, ..places() }, &[]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.contains(&"advertised.listeners=PLAINTEXT://127.0.0.1:20001,SAFE://127.0.0.1:20003"), "{text}");
        let protocols = "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SAFE:SSL";
        assert!(lines.contains(&protocols), "{text}");
    }

    #[test]
    fn a_member_has_its_own_addresses_and_all_controllers() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let controllers = [at(20_010), at(20_011), at(20_012)];
        let data = Path::new("/data/here");
        let places = Member {
            node_id: 1,
            clients: at(20_001),
            advertised: at(30_001),
            internal: at(20_002),
            controllers: &controllers,
            listeners: &[(Listener { name: "SAFE", protocol: "SSL" }, at(20_003))],
            data,
        };
        let text = member(&places, &[("default.replication.factor".to_owned(), "2".to_owned())]);
        let lines: Vec<&str> = text.lines().collect();
        let listeners = "PLAINTEXT://127.0.0.1:20001,INTERNAL://127.0.0.1:20002,CONTROLLER://127.0.0.1:20011,SAFE://127.0.0.1:20003";
        assert!(lines.contains(&format!("listeners={listeners}").as_str()), "{text}");
        assert!(
            lines.contains(
                &"advertised.listeners=PLAINTEXT://127.0.0.1:30001,INTERNAL://127.0.0.1:20002,SAFE://127.0.0.1:20003"
            ),
            "{text}"
        );
        assert!(text.contains("INTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT,SAFE:SSL\n"), "{text}");
        let voters = "0@127.0.0.1:20010,1@127.0.0.1:20011,2@127.0.0.1:20012";
        assert!(lines.contains(&format!("controller.quorum.voters={voters}").as_str()), "{text}");
        assert!(text.ends_with("\ndefault.replication.factor=2\n"), "{text}");
        assert!(lines.contains(&"offsets.topic.replication.factor=3"), "{text}");
        assert!(!lines.contains(&"offsets.topic.replication.factor=1"), "{text}");
    }

    #[test]
    fn an_extra_setting_replaces_the_default_one() {
        let extra =
            [("num.partitions".to_owned(), "3".to_owned()), ("log.segment.bytes".to_owned(), "1048576".to_owned())];
        let text = single_node(&places(), &extra);
        assert!(text.ends_with("num.partitions=3\nlog.segment.bytes=1048576\n"));
        assert_eq!(text.matches("\nnum.partitions=").count(), 1);
    }
}
