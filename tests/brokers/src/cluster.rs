//! Several nodes that tests can use, kill and restart one by one.

use crate::broker::with_libraries;
use crate::{
    Listener, Options, Quorum, Release, StartError,
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

/// The number of attempts with other ports if another process takes one.
const PORT_TRIES: usize = 5;

/// Each node has a port for clients, one for the other brokers, and one as a controller.
const PORTS: usize = 3;

/// The options of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The number of nodes, each of them broker and controller. Three remain available if one is down.
    pub nodes: u16,
    /// The address that each node advertises to its clients, in the order of the nodes: for example a proxy. If empty,
    /// the node's own address. The brokers connect to each other directly.
    pub advertised: Vec<SocketAddr>,
    /// The options of each node.
    pub each: Options,
    /// The release of each node, in the order of the nodes, for a cluster of several. If empty, that of
    /// [`Cluster::start`].
    pub releases: Vec<&'static Release>,
    /// Settings of single nodes, in the order of the nodes; they replace those of `each`. Nodes without an entry have none.
    pub own: Vec<Vec<(String, String)>>,
    /// The address of this machine at which the nodes listen at the further listeners.
    pub listen_at: Ipv4Addr,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            nodes: 3,
            advertised: Vec::new(),
            each: Options::default(),
            releases: Vec::new(),
            own: Vec::new(),
            listen_at: Ipv4Addr::LOCALHOST,
        }
    }
}

/// A real Apache Kafka of several KRaft nodes. Nodes are identified by their ids, which start at 0. Dropping the
/// cluster kills all of them and removes their data.
#[derive(Debug)]
pub struct Cluster {
    // The processes precede the directory, as in `Broker`.
    members: Vec<Member>,
    _folder: TempFolder,
}

#[derive(Debug)]
struct Member {
    process: Option<Guarded>,
    node: Node,
    clients: SocketAddr,
    internal: SocketAddr,
    listeners: Vec<(Listener, SocketAddr)>,
}

impl Cluster {
    /// Starts all nodes and waits until each of them responds and lists itself among the brokers.
    pub fn start(release: &Release, options: &ClusterOptions) -> Result<Cluster, StartError> {
        check(release, options)?;
        let java = programs::java()?;
        let releases = if options.releases.is_empty() {
            vec![release; usize::from(options.nodes)]
        } else {
            options.releases.clone()
        };
        let folder = TempFolder::create().map_err(StartError::io("make a data folder"))?;
        let cluster_id = random::cluster_id();
        let node = |(node_id, release): (i32, &Release)| -> Result<Node, StartError> {
            Ok(Node {
                version: release.version,
                java: java.clone(),
                class_path: with_libraries(Jars::prepare(release)?.broker, &options.each)?,
                identity: Identity::Member { cluster_id: cluster_id.clone(), node_id },
                folder: folder.path().join(format!("node-{node_id}")),
                properties: options.each.properties.clone(),
                heap_mib: options.each.heap_mib,
                start_limit: options.each.start_limit,
            })
        };
        let nodes = (0..).zip(releases).map(node).collect::<Result<Vec<_>, _>>()?;
        for attempt in 0..PORT_TRIES {
            let addresses = Addresses::free(nodes.len(), options).map_err(StartError::io("find free ports"))?;
            for (id, node) in nodes.iter().enumerate() {
                node.configure(&addresses.settings(id, node, options))?;
                if attempt == 0 {
                    node.format(&options.each.format)?;
                }
            }
            match start_all(nodes.iter().zip(&addresses.internal)) {
                Ok(processes) => {
                    let Addresses { clients, internal, listeners, .. } = addresses;
                    let of_nodes = clients.into_iter().zip(internal).zip(listeners);
                    let members = nodes.into_iter().zip(processes).zip(of_nodes);
                    let members = members.map(|((node, process), ((clients, internal), listeners))| Member {
                        process: Some(process),
                        node,
                        clients,
                        internal,
                        listeners,
                    });
                    return Ok(Cluster { members: members.collect(), _folder: folder });
                }
                Err(StartError::PortTaken { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StartError::PortTaken { tries: PORT_TRIES })
    }

    /// Returns the number of nodes, running or not.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.members.len()
    }

    /// Returns the address at which a node listens for clients. It stays the same after a restart.
    ///
    /// # Panics
    /// There is no such node. The methods below panic likewise.
    #[must_use]
    pub fn address(&self, node: usize) -> SocketAddr {
        self.members[node].clients
    }

    /// Returns the addresses at which the nodes listen for each other, without a proxy. Clients that bootstrap here get
    /// these addresses.
    #[must_use]
    pub fn internal_addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.internal).collect()
    }

    /// Returns the address of a node's further listener with this name, if there is one. It stays the same after a restart.
    #[must_use]
    pub fn listener(&self, node: usize, name: &str) -> Option<SocketAddr> {
        let mut listeners = self.members[node].listeners.iter();
        listeners.find(|(listener, _)| listener.name == name).map(|(_, address)| *address)
    }

    /// Returns the end of a node's log output.
    #[must_use]
    pub fn end_of_log(&self, node: usize) -> String {
        end_of(&self.members[node].node.log(), 0)
    }

    /// Returns true if a node's process is running.
    pub fn is_running(&mut self, node: usize) -> bool {
        self.members[node].process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }

    /// Kills a node, as `kill -9` does, and keeps its data.
    pub fn kill(&mut self, node: usize) {
        self.members[node].process = None;
    }

    /// Shuts a node down cleanly, so that it transfers its leaderships first. Keeps its data. After `limit` it is
    /// killed; returns whether that was not necessary.
    pub fn stop(&mut self, node: usize, limit: Duration) -> bool {
        let Some(mut process) = self.members[node].process.take() else {
            return true;
        };
        process.terminate();
        matches!(process.wait(limit), Ok(Some(_)))
    }

    /// Restarts a node with the same addresses and data, after killing it if it is running, and waits until it lists
    /// itself among the brokers. The others must be a majority without it; if they are not, use
    /// [`restart_all`](Self::restart_all).
    ///
    /// After a kill the cluster first has to time out the earlier broker (`broker.session.timeout.ms`).
    pub fn restart(&mut self, node: usize) -> Result<(), StartError> {
        self.kill(node);
        let member = &mut self.members[node];
        member.process = Some(member.node.start(member.internal)?);
        Ok(())
    }

    /// Restarts all nodes at the same time, as [`restart`](Self::restart) does with one.
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
    let ClusterOptions { nodes, advertised, releases, own, .. } = options;
    if let Some(old) = releases.iter().copied().chain([release]).find(|release| release.quorum != Quorum::KRaft) {
        return no(format!("Apache Kafka {} has no KRaft; choose 3.9 or newer", old.version));
    }
    if *nodes == 0 {
        return no("it has no node".to_owned());
    }
    if !advertised.is_empty() && advertised.len() != usize::from(*nodes) {
        return no(format!("{} advertised addresses, and {nodes} nodes: give one a node, or none", advertised.len()));
    }
    if !releases.is_empty() && releases.len() != usize::from(*nodes) {
        return no(format!("{} releases, and {nodes} nodes: give one a node, or none", releases.len()));
    }
    if own.len() > usize::from(*nodes) {
        return no(format!("settings of {} nodes, and {nodes} nodes: give at most one list a node", own.len()));
    }
    Ok(())
}

/// Starts all of them before it waits for the first, because none is ready without a majority.
fn start_all<'a>(nodes: impl Iterator<Item = (&'a Node, &'a SocketAddr)> + Clone) -> Result<Vec<Guarded>, StartError> {
    let launched = nodes.clone().map(|(node, _)| node.launch()).collect::<Result<Vec<Launched>, _>>()?;
    nodes.zip(launched).map(|((node, address), launched)| node.until_ready(launched, *address)).collect()
}

/// The addresses of the nodes, in order.
struct Addresses {
    clients: Vec<SocketAddr>,
    internal: Vec<SocketAddr>,
    controllers: Vec<SocketAddr>,
    listeners: Vec<Vec<(Listener, SocketAddr)>>,
}

impl Addresses {
    fn free(nodes: usize, options: &ClusterOptions) -> std::io::Result<Addresses> {
        let further = &options.each.listeners;
        let ports = ports::free((PORTS + further.len()) * nodes)?;
        let (own, more) = ports.split_at(PORTS * nodes);
        let mut each = own
            .chunks(nodes)
            .map(|ports| ports.iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).collect::<Vec<_>>());
        let mut next = || each.next().unwrap_or_default();
        let at = |port: &u16| SocketAddr::from((options.listen_at, *port));
        let of_node = |node: usize| {
            let ports = &more[node * further.len()..][..further.len()];
            further.iter().copied().zip(ports.iter().map(at)).collect()
        };
        let listeners = (0..nodes).map(of_node).collect();
        Ok(Addresses { clients: next(), internal: next(), controllers: next(), listeners })
    }

    fn settings(&self, id: usize, node: &Node, options: &ClusterOptions) -> String {
        let places = settings::Member {
            node_id: i32::try_from(id).unwrap_or(i32::MAX),
            clients: self.clients[id],
            advertised: options.advertised.get(id).copied().unwrap_or(self.clients[id]),
            internal: self.internal[id],
            controllers: &self.controllers,
            listeners: &self.listeners[id],
            data: &node.folder.join("data"),
        };
        let own = options.own.get(id).map_or(&[][..], Vec::as_slice);
        let each = options.each.config.iter().filter(|(name, _)| !own.iter().any(|(other, _)| other == name));
        let config: Vec<_> = each.chain(own).cloned().collect();
        settings::member(&places, &config)
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
    fn an_impossible_cluster_is_rejected_before_anything_is_started() {
        assert!(refused("2.8", 3, 0).contains("2.8.2 has no KRaft"));
        assert!(refused("4", 0, 0).contains("no node"));
        assert!(refused("4", 3, 2).contains("2 advertised addresses, and 3 nodes"));
        let of = |options| Cluster::start(Release::find("4").unwrap(), &options).unwrap_err().to_string();
        let releases = [Release::find("4").unwrap(), Release::find("2.8").unwrap(), Release::find("4").unwrap()];
        let mixed = |count| ClusterOptions { releases: releases[..count].to_vec(), ..ClusterOptions::default() };
        assert!(of(mixed(3)).contains("2.8.2 has no KRaft"));
        assert!(of(mixed(1)).contains("1 releases, and 3 nodes"));
        assert!(of(ClusterOptions { own: vec![Vec::new(); 4], ..ClusterOptions::default() }).contains("settings of 4"));
    }
}
