//! A broker that tests can use, kill and start again.

use crate::{
    Quorum, Release, StartError, folder::TempFolder, guarded::Guarded, jars::Jars, node::Node, ports, programs, random,
    settings, wait::Identity, zookeeper,
};
use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How often to choose other ports when somebody else was faster.
const PORT_TRIES: usize = 5;

/// What can be chosen for a broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Settings for its `server.properties`; they replace those this crate makes.
    pub config: Vec<(String, String)>,
    /// Listeners beside the one in the clear, each on a port of its own. KRaft only.
    pub listeners: Vec<Listener>,
    /// More for `kafka-storage format`, such as `--add-scram` and what belongs to it. KRaft only.
    pub format: Vec<String>,
    /// Size of its heap.
    pub heap_mib: u32,
    /// How long it may take until it is ready.
    pub start_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            config: Vec::new(),
            listeners: Vec::new(),
            format: Vec::new(),
            heap_mib: 512,
            start_limit: Duration::from_secs(120),
        }
    }
}

/// Somewhere else that a broker listens. What it needs beside its name goes into [`Options::config`], as
/// `listener.name.NAME.…` in small letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Its security protocol: `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: &'static str,
}

/// A real Apache Kafka: a cluster of one node. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    // The process comes before the folder: fields are dropped in this order, and the
    // folder cannot be removed for good while a broker still writes to it.
    process: Option<Guarded>,
    _zookeeper: Option<Guarded>,
    node: Node,
    address: SocketAddr,
    listeners: Vec<(Listener, SocketAddr)>,
    data: PathBuf,
    release: Release,
    tools_class_path: String,
    _folder: TempFolder,
}

impl Broker {
    /// Starts a broker and waits until it answers and topics can be made.
    ///
    /// The first start of a release gets its jars with Maven, and says so on the standard
    /// error stream.
    pub fn start(release: &Release, options: &Options) -> Result<Broker, StartError> {
        let java = programs::java()?;
        let jars = Jars::prepare(release)?;
        let folder = TempFolder::create().map_err(StartError::io("make a data folder"))?;
        let node = Node {
            version: release.version,
            java,
            class_path: jars.broker,
            identity: match release.quorum {
                Quorum::KRaft => Identity::Cluster(random::cluster_id()),
                Quorum::ZooKeeper => Identity::Broker(random::broker_id()),
            },
            folder: folder.path().to_owned(),
            heap_mib: options.heap_mib,
            start_limit: options.start_limit,
        };
        let data = folder.path().join("data");
        for attempt in 0..PORT_TRIES {
            let ([broker_port, controller_port], more) =
                ports::two_free_and(options.listeners.len()).map_err(StartError::io("find free ports"))?;
            let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let listeners: Vec<_> = options.listeners.iter().copied().zip(more.into_iter().map(local)).collect();
            let places = settings::Places { broker_port, controller_port, listeners: &listeners, data: &data };
            node.configure(&match node.identity {
                Identity::Broker(id) => settings::with_zookeeper(&places, id, &options.config),
                Identity::Cluster(_) | Identity::Member { .. } => settings::single_node(&places, &options.config),
            })?;
            if attempt == 0 {
                node.format(&options.format)?;
            }
            let address = local(broker_port);
            let zookeeper = match release.quorum {
                Quorum::KRaft => Ok(None),
                Quorum::ZooKeeper => zookeeper::start(&node, controller_port).map(Some),
            };
            match zookeeper.and_then(|zookeeper| Ok((node.start(address)?, zookeeper))) {
                Ok((process, zookeeper)) => {
                    return Ok(Broker {
                        process: Some(process),
                        _zookeeper: zookeeper,
                        node,
                        address,
                        listeners,
                        data,
                        release: *release,
                        tools_class_path: jars.tools,
                        _folder: folder,
                    });
                }
                Err(StartError::PortTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StartError::PortTaken { tries: PORT_TRIES })
    }

    /// The address to connect to. It stays the same after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of one of its other listeners, if there is one of this name. It stays the same after a restart.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|(listener, _)| listener.name == name).map(|(_, address)| *address)
    }

    /// The release that runs.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Its log directory: the segments of a partition are in `TOPIC-PARTITION` in it.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The end of what the broker had to say.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        crate::node::end_of(&self.node.log(), 0)
    }

    /// Whether its process runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Ends it at once, as `kill -9` does, and keeps its data.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Lets it shut down in good order, and keeps its data. After `limit` it is killed;
    /// the result tells whether that was not needed.
    pub fn stop(&mut self, limit: Duration) -> bool {
        let Some(mut process) = self.process.take() else {
            return true;
        };
        process.terminate();
        matches!(process.wait(limit), Ok(Some(_)))
    }

    /// Starts it again with the same address and data, after killing it if it still runs.
    ///
    /// After a kill this takes about ten seconds: the controller first has to give up the
    /// broker that was, after `broker.session.timeout.ms` (9000). A test that does it often
    /// may want that setting lower. A release with ZooKeeper does not wait for that: killed, it
    /// can be started again when its session with ZooKeeper is over (6 s), and not before.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        self.process = Some(self.node.start(self.address)?);
        Ok(())
    }

    /// A command that runs one of Kafka's tools, given by its main class (see
    /// [`Tools`](crate::Tools)). Its arguments are still to be added.
    #[must_use]
    pub fn tool(&self, main_class: &str) -> Command {
        let mut command = Command::new(&self.node.java);
        command.args(["-cp", &self.tools_class_path, main_class]);
        command
    }

    /// What a test in another process needs to know, as environment variables. The crate's
    /// documentation lists them.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let tools = &self.release.tools;
        vec![
            ("KAFKA_BATCH_BROKERS", self.address.to_string().into()),
            ("KAFKA_BATCH_KAFKA_VERSION", self.release.version.into()),
            ("KAFKA_BATCH_KAFKA_DATA", self.data.clone().into()),
            ("KAFKA_BATCH_KAFKA_LOG", self.node.log().into()),
            ("KAFKA_BATCH_KAFKA_CLASSPATH", self.tools_class_path.clone().into()),
            ("KAFKA_BATCH_KAFKA_TOOLS_VERSION", tools.version.into()),
            ("KAFKA_BATCH_KAFKA_BROKER_CLASSPATH", self.node.class_path.clone().into()),
            ("KAFKA_BATCH_KAFKA_DUMP_LOG", tools.dump_log_segments.into()),
            ("KAFKA_BATCH_KAFKA_CONSOLE_PRODUCER", tools.console_producer.into()),
            ("KAFKA_BATCH_KAFKA_CONSOLE_CONSUMER", tools.console_consumer.into()),
            ("KAFKA_BATCH_KAFKA_TOPICS", tools.topics.into()),
            ("KAFKA_BATCH_JAVA", self.node.java.clone().into()),
        ]
    }
}
