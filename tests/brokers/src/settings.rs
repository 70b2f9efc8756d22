//! What a broker is told in its `server.properties`.

use std::path::Path;

/// Where the parts of a node are.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// Port of 127.0.0.1 that clients connect to.
    pub(crate) broker_port: u16,
    /// Port of 127.0.0.1 that the controller listens on, or ZooKeeper.
    pub(crate) controller_port: u16,
    /// The folder of the partitions.
    pub(crate) data: &'a Path,
}

/// Settings that make a small node that starts fast, the same for all releases.
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
    // By default the cleaner takes 128 MiB of heap at once.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
];

/// The text of `server.properties` for a node that is broker and controller in one.
/// `extra` settings replace those of the same name.
pub(crate) fn single_node(places: &Places<'_>, extra: &[(String, String)]) -> String {
    let broker = format!("127.0.0.1:{}", places.broker_port);
    let controller = format!("127.0.0.1:{}", places.controller_port);
    let node = [
        ("node.id", "1".to_owned()),
        ("process.roles", "broker,controller".to_owned()),
        ("listeners", format!("PLAINTEXT://{broker},CONTROLLER://{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://{broker}")),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned()),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("log.dirs", places.data.display().to_string()),
    ];
    text(&node, extra)
}

/// The text of `server.properties` for a broker with this id and a ZooKeeper beside it. Settings that an old release does
/// not know it passes over.
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
        Places { broker_port: 20_001, controller_port: 20_002, data: Path::new("/data/here") }
    }

    #[test]
    fn the_ports_and_the_folder_are_in_the_text() {
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
    fn an_extra_setting_replaces_the_own_one() {
        let extra =
            [("num.partitions".to_owned(), "3".to_owned()), ("log.segment.bytes".to_owned(), "1048576".to_owned())];
        let text = single_node(&places(), &extra);
        assert!(text.ends_with("num.partitions=3\nlog.segment.bytes=1048576\n"));
        assert_eq!(text.matches("\nnum.partitions=").count(), 1);
    }
}
