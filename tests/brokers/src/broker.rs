//! A broker that tests can use, kill and restart.

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

/// The number of attempts with other ports if another process takes one.
const PORT_TRIES: usize = 5;

/// The options of a broker.
#[derive(Debug, Clone)]
pub struct Options {
    /// Settings for its `server.properties`; they replace those of this crate.
    pub config: Vec<(String, String)>,
    /// Listeners besides the plaintext one, each on its own port. KRaft only.
    pub listeners: Vec<Listener>,
    /// More arguments for `kafka-storage format`, such as `--add-scram`. KRaft only.
    pub format: Vec<String>,
    /// Libraries (`group:name:version`) that the release's own artifacts do not depend on, although Kafka's distribution has
    /// them.
    pub libraries: Vec<String>,
    /// Folders with the classes of plugins.
    pub class_path: Vec<PathBuf>,
    /// System properties of its Java.
    pub properties: Vec<(String, String)>,
    /// The size of its heap.
    pub heap_mib: u32,
    /// The time within which it must be ready.
    pub start_limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            config: Vec::new(),
            listeners: Vec::new(),
            format: Vec::new(),
            libraries: Vec::new(),
            class_path: Vec::new(),
            properties: Vec::new(),
            heap_mib: 512,
            start_limit: Duration::from_secs(120),
        }
    }
}

/// Returns the class path of a release, followed by the libraries and plugins of these options.
pub(crate) fn with_libraries(mut class_path: String, options: &Options) -> Result<String, StartError> {
    let Options { libraries, class_path: plugins, .. } = options;
    for folder in plugins {
        class_path = format!("{class_path}:{}", folder.display());
    }
    if libraries.is_empty() {
        return Ok(class_path);
    }
    let folder = format!("libraries/{}", libraries.join("-").replace(':', "-"));
    Ok(format!("{class_path}:{}", crate::jars::class_path(&folder, libraries)?))
}

/// A further listener. Its settings besides the name are in [`Options::config`], as `listener.name.NAME.…` in lower
/// case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The name, in upper case.
    pub name: &'static str,
    /// The security protocol: `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
    pub protocol: &'static str,
}

/// A real Apache Kafka: a cluster of one node. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    // The process precedes the directory: fields are dropped in this order, and the directory cannot be removed
    // reliably while a broker writes to it.
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
    /// Starts a broker and waits until it responds and topics can be created.
    ///
    /// The first start of a release downloads its jars with Maven, and reports that on standard error.
    pub fn start(release: &Release, options: &Options) -> Result<Broker, StartError> {
        let java = programs::java()?;
        let jars = Jars::prepare(release)?;
        let folder = TempFolder::create().map_err(StartError::io("make a data folder"))?;
        let node = Node {
            version: release.version,
            java,
            class_path: with_libraries(jars.broker, options)?,
            identity: match release.quorum {
                Quorum::KRaft => Identity::Cluster(random::cluster_id()),
                Quorum::ZooKeeper => Identity::Broker(random::broker_id()),
            },
            folder: folder.path().to_owned(),
            properties: options.properties.clone(),
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

    /// Returns the address to connect to. It stays the same after a restart.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the further listener with this name, if there is one. It stays the same after a restart.
    #[must_use]
    pub fn listener(&self, name: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|(listener, _)| listener.name == name).map(|(_, address)| *address)
    }

    /// Returns the release.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Returns its log directory: the segments of a partition are in `TOPIC-PARTITION` in it.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Returns the end of the broker's log output.
    #[must_use]
    pub fn end_of_log(&self) -> String {
        crate::node::end_of(&self.node.log(), 0)
    }

    /// Returns true if its process is running.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Kills it, as `kill -9` does, and keeps its data.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Shuts it down cleanly, and keeps its data. After `limit` it is killed; returns whether that was not necessary.
    pub fn stop(&mut self, limit: Duration) -> bool {
        let Some(mut process) = self.process.take() else {
            return true;
        };
        process.terminate();
        matches!(process.wait(limit), Ok(Some(_)))
    }

    /// Restarts it with the same address and data, after killing it if it is running.
    ///
    /// After a kill this takes about ten seconds: the controller first has to time out the earlier broker, after
    /// `broker.session.timeout.ms` (9000). A test that restarts often may set it lower. A release with ZooKeeper does
    /// not wait: after a kill it can be restarted only when its session with ZooKeeper has expired (6 s).
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.kill();
        self.process = Some(self.node.start(self.address)?);
        Ok(())
    }

    /// Returns a command that runs one of Kafka's tools, given by its main class (see
    /// [`Tools`](crate::Tools)), without arguments.
    #[must_use]
    pub fn tool(&self, main_class: &str) -> Command {
        let mut command = Command::new(&self.node.java);
        command.args(["-cp", &self.tools_class_path, main_class]);
        command
    }

    /// Returns the environment variables for a test in another process. The crate's documentation lists them.
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
