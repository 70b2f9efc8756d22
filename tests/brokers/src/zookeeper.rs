//! The ZooKeeper of a broker that needs one, in the version that the broker's artifact depends on, from its class path.

use crate::{StartError, guarded::Guarded, node::Node, wait::NotReady};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The interval between two requests.
const PAUSE: Duration = Duration::from_millis(50);

/// The timeout of one step of a request.
const STEP_LIMIT: Duration = Duration::from_secs(2);

/// Starts it on this port of 127.0.0.1, with its data in the node's directory, and waits until it responds.
pub(crate) fn start(node: &Node, port: u16) -> Result<Guarded, StartError> {
    let (data, settings) = (node.folder.join("zookeeper"), node.folder.join("zookeeper.properties"));
    let log = node.folder.join("zookeeper.log");
    fs::create_dir_all(&data)
        .and_then(|()| fs::write(&settings, text(&data.display().to_string(), port)))
        .map_err(StartError::io("write ZooKeeper's settings"))?;
    let options = [
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        // It logs its loggers with classes that reload4j no longer contains.
        "-Dzookeeper.jmx.log4j.disable=true",
    ];
    let mut arguments = node.java_arguments(&options);
    arguments.extend(["org.apache.zookeeper.server.quorum.QuorumPeerMain".into(), settings.into()]);
    let mut process = File::create(&log)
        .and_then(|log| Guarded::spawn(&node.java, &arguments, &log))
        .map_err(StartError::io("start ZooKeeper"))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until_ready(&mut process, address, node.start_limit).map_err(|error| node.not_ready(error, &log, 0))?;
    Ok(process)
}

fn text(data: &str, port: u16) -> String {
    // Since 3.5 it would also listen on port 8080, for administrators.
    format!("dataDir={data}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
}

fn until_ready(process: &mut Guarded, address: SocketAddr, limit: Duration) -> Result<(), NotReady> {
    let begin = Instant::now();
    loop {
        let last = match ask(address) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if begin.elapsed() >= limit {
            return Err(NotReady::TimedOut(last.to_string()));
        }
        if let Some(status) = process.wait(PAUSE).map_err(NotReady::Failed)? {
            return Err(NotReady::Ended(status));
        }
    }
}

/// Sends a request, with the only four-letter command that is allowed by default in all versions.
fn ask(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, STEP_LIMIT)?;
    stream.set_read_timeout(Some(STEP_LIMIT))?;
    stream.write_all(b"srvr")?;
    let mut answer = String::new();
    stream.take(1 << 16).read_to_string(&mut answer)?;
    match answer.contains("Mode: standalone") {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("ZooKeeper says {answer:?}"))),
    }
}
