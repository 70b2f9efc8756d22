//! Several nodes that tests can use, kill and start again one by one.

use crate::{
    Options, Quorum, Release, StartError,
    folder::TempFolder,
    guarded::Guarded,
    jars::Jars,
    node::{Launched, Node, end_of},
    ports, programs, random, settings,
    wait::Identity,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// How often to choose other ports when somebody else was faster.
const PORT_TRIES: usize = 5;

/// A node listens for clients, for the other brokers, and as a controller.
const PORTS: usize = 3;

/// What can be chosen for a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many nodes it has, each of them broker and controller in one. Three go on when one is down.
    pub nodes: u16,
    /// Where each node tells its clients to go, in the order of the nodes: a proxy in front of it, say. With none, to the
    /// node itself. The brokers among themselves go straight to each other.
    pub advertised: Vec<SocketAddr>,
    /// What is chosen for each of the nodes.
    pub each: Options,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions { nodes: 3, advertised: Vec::new(), each: Options::default() }
    }
}

/// A real Apache Kafka of several KRaft nodes. A node is named by its id, which counts from 0. Dropping the cluster kills
/// all of them and removes their data.
#[derive(Debug)]
pub struct Cluster {
    // The processes come before the folder, as in `Broker`.
    members: Vec<Member>,
    _folder: TempFolder,
}

#[derive(Debug)]
struct Member {
    process: Option<Guarded>,
    node: Node,
    clients: SocketAddr,
    internal: SocketAddr,
}

impl Cluster {
    /// Starts all nodes and waits until each of them answers and counts itself among the brokers.
    pub fn start(release: &Release, options: &ClusterOptions) -> Result<Cluster, StartError> {
        check(release, options)?;
        let java = programs::java()?;
        let jars = Jars::prepare(release)?;
        let folder = TempFolder::create().map_err(StartError::io("make a data folder"))?;
        let cluster_id = random::cluster_id();
        let nodes: Vec<Node> = (0..i32::from(options.nodes))
            .map(|node_id| Node {
                version: release.version,
                java: java.clone(),
                class_path: jars.broker.clone(),
                identity: Identity::Member { cluster_id: cluster_id.clone(), node_id },
                folder: folder.path().join(format!("node-{node_id}")),
                heap_mib: options.each.heap_mib,
                start_limit: options.each.start_limit,
            })
            .collect();
        for attempt in 0..PORT_TRIES {
            let addresses = Addresses::free(nodes.len()).map_err(StartError::io("find free ports"))?;
            for (id, node) in nodes.iter().enumerate() {
                node.configure(&addresses.settings(id, node, options))?;
                if attempt == 0 {
                    node.format(&[])?;
                }
            }
            match start_all(nodes.iter().zip(&addresses.internal)) {
                Ok(processes) => {
                    let members = nodes.into_iter().zip(processes).zip(addresses.clients).zip(addresses.internal);
                    let members = members.map(|(((node, process), clients), internal)| Member {
                        process: Some(process),
                        node,
                        clients,
                        internal,
                    });
                    return Ok(Cluster { members: members.collect(), _folder: folder });
                }
                Err(StartError::PortTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StartError::PortTaken { tries: PORT_TRIES })
    }

    /// How many nodes it has, running or not.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.members.len()
    }

    /// Where a node listens for clients. It stays the same after a restart.
    ///
    /// # Panics
    /// There is no such node, here and below.
    #[must_use]
    pub fn address(&self, node: usize) -> SocketAddr {
        self.members[node].clients
    }

    /// Where the nodes listen for each other, and nobody stands between. Clients that begin here are told these addresses.
    #[must_use]
    pub fn internal_addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.internal).collect()
    }

    /// The end of what a node had to say.
    #[must_use]
    pub fn end_of_log(&self, node: usize) -> String {
        end_of(&self.members[node].node.log(), 0)
    }

    /// Whether a node's process runs.
    pub fn is_running(&mut self, node: usize) -> bool {
        self.members[node].process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Ends a node at once, as `kill -9` does, and keeps its data.
    pub fn kill(&mut self, node: usize) {
        self.members[node].process = None;
    }

    /// Lets a node shut down in good order: it hands its leaderships over first. It keeps its data. After `limit` it is
    /// killed; the result tells whether that was not needed.
    pub fn stop(&mut self, node: usize, limit: Duration) -> bool {
        let Some(mut process) = self.members[node].process.take() else {
            return true;
        };
        process.terminate();
        matches!(process.wait(limit), Ok(Some(_)))
    }

    /// Starts a node again with the same addresses and data, after killing it if it still runs, and waits until it counts
    /// itself among the brokers. The others have to be a majority without it; where they are not,
    /// [`restart_all`](Self::restart_all).
    ///
    /// After a kill the cluster first has to give up the broker that was (`broker.session.timeout.ms`).
    pub fn restart(&mut self, node: usize) -> Result<(), StartError> {
        self.kill(node);
        let member = &mut self.members[node];
        member.process = Some(member.node.start(member.internal)?);
        Ok(())
    }

    /// Starts all nodes again at the same time, as [`restart`](Self::restart) does with one.
    pub fn restart_all(&mut self) -> Result<(), StartError> {
        self.members.iter_mut().for_each(|member| member.process = None);
        let processes = start_all(self.members.iter().map(|member| (&member.node, &member.internal)))?;
        for (member, process) in self.members.iter_mut().zip(processes) {
            member.process = Some(process);
        }
        Ok(())
    }
}

fn check(release: &Release, options: &ClusterOptions) -> Result<(), StartError> {
    let no = |reason| Err(StartError::NoCluster { reason });
    let ClusterOptions { nodes, advertised, .. } = options;
    if release.quorum != Quorum::KRaft {
        return no(format!("Apache Kafka {} has no KRaft; choose 3.9 or newer", release.version));
    }
    if *nodes == 0 {
        return no("it has no node".to_owned());
    }
    if !advertised.is_empty() && advertised.len() != usize::from(*nodes) {
        return no(format!(
            "{} addresses to tell clients, and {nodes} nodes: give one a node, or none",
            advertised.len()
        ));
    }
    Ok(())
}

/// Launches all of them before it waits for the first, for none is ready without a majority.
fn start_all<'a>(nodes: impl Iterator<Item = (&'a Node, &'a SocketAddr)> + Clone) -> Result<Vec<Guarded>, StartError> {
    let launched = nodes.clone().map(|(node, _)| node.launch()).collect::<Result<Vec<Launched>, _>>()?;
    nodes.zip(launched).map(|((node, address), launched)| node.until_ready(launched, *address)).collect()
}

/// Where the nodes listen, in their order.
struct Addresses {
    clients: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
    controllers: Vec<SocketAddr>,
}

impl Addresses {
    fn free(nodes: usize) -> std::io::Result<Addresses> {
        let ports = ports::free(PORTS * nodes)?;
        let mut each = ports
            .chunks(nodes)
            .map(|ports| ports.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).collect::<Vec<_>>());
        let mut next = || each.next().unwrap_or_default();
        Ok(Addresses { clients: next(), internal: next(), controllers: next() })
    }

    fn settings(&self, id: usize, node: &Node, options: &ClusterOptions) -> String {
        let places = settings::Member {
            node_id: i32::try_from(id).unwrap_or(i32::MAX),
            clients: self.clients[id],
            advertised: options.advertised.get(id).copied().unwrap_or(self.clients[id]),
            internal: self.internal[id],
            controllers: &self.controllers,
            data: &node.folder.join("data"),
        };
        settings::member(&places, &options.each.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(version: &str, nodes: u16, advertised: usize) -> String {
        let release = Release::find(version).unwrap();
        let advertised = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 9)); advertised];
        let options = ClusterOptions { nodes, advertised, ..ClusterOptions::default() };
        Cluster::start(release, &options).unwrap_err().to_string()
    }

    #[test]
    fn a_cluster_that_cannot_be_is_refused_before_anything_is_started() {
        assert!(refused("2.8", 3, 0).contains("2.8.2 has no KRaft"));
        assert!(refused("4", 0, 0).contains("no node"));
        assert!(refused("4", 3, 2).contains("2 addresses to tell clients, and 3 nodes"));
    }
}
