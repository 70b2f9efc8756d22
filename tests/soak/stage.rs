//! The brokers, and what is done to them: three nodes of two releases, with TLS, and listeners for SCRAM and for OAUTHBEARER.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use kafka_batch_brokers::{Cluster, ClusterOptions, Listener, Release, TempFolder};
use kafka_batch_witnesses::rdkafka::ClientConfig;
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use kafka_batch_witnesses::rdkafka::client::DefaultClientContext;
use tokio::runtime::Runtime;

use crate::attribution::Injected;
use crate::credentials::{AUDIENCE, Certificates, ISSUER, Tokens, jwks};
use crate::disk::Disk;
use crate::plan::Plan;
use crate::probe::Probe;
use crate::progress::look_until;
use crate::view::View;
use crate::{PASSWORD, USER};

/// The time for a clean shutdown, which transfers the leaderships first.
const LIMIT: Duration = Duration::from_secs(120);

/// The node with a log directory on a disk that can be full.
pub(crate) const FULL: usize = 1;

pub(crate) const NODES: usize = 3;
/// The releases of the nodes.
const RELEASES: [&str; NODES] = ["4.4", "4.4", "3.9"];

pub(crate) const SCRAM: &str = "SCRAM";
pub(crate) const TOKENS: &str = "TOKENS";

pub(crate) struct Stage {
    // The brokers precede the disk: fields are dropped in this order.
    cluster: Cluster,
    pub(crate) view: View,
    certificates: Certificates,
    _tokens: Tokens,
    runtime: Runtime,
    probe: Option<Probe>,
    disk: Option<Disk>,
    /// The preferred leader of each partition.
    leaders: Vec<i32>,
}

impl Stage {
    /// Starts the brokers, which listen at this address. The files of all credentials are in `folder`, in which the disk is
    /// mounted if `has_disk`.
    pub(crate) fn start(folder: &TempFolder, plan: &Plan, address: Ipv4Addr, has_disk: bool) -> Self {
        let folder = folder.path();
        let certificates = Certificates::create(folder, IpAddr::V4(address), NODES);
        let tokens = Tokens::issue(folder, plan.session());
        // Half of the partitions have their replicas there, of about 150 bytes a record.
        let size = 48 + ((plan.rate * 60 * plan.minutes * 150 / 2) >> 20);
        let disk = has_disk.then(|| Disk::mount(&folder.join("disk"), size));
        let options = options(folder, plan, address, &certificates, disk.as_ref());
        let cluster = Cluster::start(Release::find("4.4").unwrap(), &options).unwrap();
        let view = View::new(&cluster.internal_addresses());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(view.create_topic(NODES));
        let leaders = view.wait_until_whole().iter().map(|partition| partition.leader).collect();
        let servers: Vec<String> = cluster.internal_addresses().iter().map(ToString::to_string).collect();
        let probe = Some(Probe::start(&runtime, &servers.join(",")));
        Self { cluster, view, certificates, _tokens: tokens, runtime, probe, disk, leaders }
    }

    /// Returns the addresses of the nodes at a listener.
    pub(crate) fn servers(&self, listener: &str) -> Vec<String> {
        (0..NODES).map(|node| self.cluster.listener(node, listener).unwrap().to_string()).collect()
    }

    /// Shuts a node down cleanly.
    pub(crate) fn stop(&mut self, node: usize) {
        assert!(self.cluster.stop(node, LIMIT), "node {node} did not shut down:\n{}", self.cluster.end_of_log(node));
        self.view.wait_until_without(node as i32);
    }

    /// Starts it again, and waits until it leads its partitions again, which is the last effect of the restart.
    pub(crate) fn start_again(&mut self, node: usize) {
        self.cluster.restart(node).unwrap_or_else(|error| panic!("node {node}: {error}"));
        self.view.wait_until_whole();
        look_until("the preferred leaders", || {
            let leaders: Vec<i32> = self.view.look()?.iter().map(|partition| partition.leader).collect();
            if leaders == self.leaders { Ok(()) } else { Err(format!("{leaders:?}, and not {:?}", self.leaders)) }
        });
    }

    /// Fills the disk, and waits until replicas on it are no longer in sync. Returns the bytes that were written, and how many
    /// replicas that are.
    pub(crate) fn fill_disk(&mut self) -> (u64, usize) {
        let written = self.disk.as_ref().expect("a disk").fill();
        let lost = look_until("replicas that are offline", || {
            let partitions = self.view.look()?;
            let without = |in_sync: &[i32]| !in_sync.contains(&(FULL as i32));
            let lost = partitions.iter().filter(|partition| without(&partition.in_sync)).count();
            let have_leaders = partitions.iter().all(|partition| partition.leader >= 0);
            if lost > 0 && have_leaders { Ok(lost) } else { Err(format!("{partitions:?}")) }
        });
        assert!(
            self.cluster.is_running(FULL),
            "the node has another log directory:\n{}",
            self.cluster.end_of_log(FULL)
        );
        (written, lost)
    }

    /// Frees the disk, and restarts the node: Kafka uses a log directory that has failed only then.
    pub(crate) fn free_disk(&mut self) {
        self.disk.as_ref().expect("a disk").free();
        self.stop(FULL);
        self.start_again(FULL);
    }

    /// Replaces the certificates of brokers and clients, and waits until each listener presents its new one.
    pub(crate) fn replace_certificates(&mut self) {
        self.certificates.replace();
        let servers: Vec<String> = self.cluster.internal_addresses().iter().map(ToString::to_string).collect();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", servers.join(",")).create().unwrap();
        for node in 0..NODES {
            let store = self.certificates.key_store(node);
            let names = [SCRAM, TOKENS].map(|name| format!("{}ssl.keystore.location", prefix(name)));
            let alter = AlterConfig::new(ResourceSpecifier::Broker(node as i32));
            let alter = names.iter().fold(alter, |alter, name| alter.set(name, &store));
            let altered = admin.alter_configs([&alter], &AdminOptions::new().request_timeout(Some(LIMIT)));
            let altered = self.runtime.block_on(altered).unwrap();
            assert!(altered.iter().all(Result::is_ok), "node {node}: {altered:?}");
        }
        look_until("the new certificates", || {
            let listeners = (0..NODES).flat_map(|node| [(node, SCRAM), (node, TOKENS)]);
            listeners.into_iter().try_for_each(|(node, listener)| {
                self.certificates.check(node, self.cluster.listener(node, listener).unwrap())
            })
        });
    }

    /// Returns the times at which brokers were slow for another client.
    pub(crate) fn slow_times(&mut self) -> Vec<Injected> {
        self.probe.take().map(Probe::stop).unwrap_or_default()
    }

    pub(crate) const fn certificate_replacements(&self) -> usize {
        self.certificates.replacements
    }
}

fn prefix(listener: &str) -> String {
    format!("listener.name.{}.", listener.to_lowercase())
}

fn options(
    folder: &Path,
    plan: &Plan,
    address: Ipv4Addr,
    certificates: &Certificates,
    disk: Option<&Disk>,
) -> ClusterOptions {
    let mut options = ClusterOptions { listen_at: address, ..ClusterOptions::default() };
    options.releases = RELEASES.iter().map(|release| Release::find(release).unwrap()).collect();
    options.each.heap_mib = 256;
    options.each.listeners = [SCRAM, TOKENS].map(|name| Listener { name, protocol: "SASL_SSL" }).to_vec();
    // What the oldest of the releases supports.
    // The fewest iterations that Kafka accepts, because they take long in debug builds.
    let user = format!("SCRAM-SHA-512=[name=\"{USER}\",iterations=4096,password=\"{PASSWORD}\"]");
    options.each.format = ["--release-version", "3.9", "--add-scram", &user].map(str::to_owned).to_vec();
    // It verifies the signatures of tokens. Kafka's distribution has it; no artifact depends on it.
    options.each.libraries = vec!["org.bitbucket.b_c:jose4j:0.9.6".to_owned()];
    let url = format!("file://{}", jwks(folder).display());
    options.each.properties = vec![("org.apache.kafka.sasl.oauthbearer.allowed.urls".to_owned(), url.clone())];
    let mut set = |name: &str, value: &str| options.each.config.push((name.to_owned(), value.to_owned()));
    for (name, value) in [
        // The time until another node leads.
        ("broker.session.timeout.ms", "4000"),
        ("broker.heartbeat.interval.ms", "500"),
        // The time after which a node that is down or slow is no longer in sync.
        ("replica.lag.time.max.ms", "5000"),
        ("min.insync.replicas", "2"),
        ("auto.create.topics.enable", "false"),
        // A node that was restarted leads again.
        ("leader.imbalance.check.interval.seconds", "5"),
        ("leader.imbalance.per.broker.percentage", "0"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", &certificates.trust_store()),
        ("sasl.oauthbearer.jwks.endpoint.url", &url),
        ("sasl.oauthbearer.expected.audience", AUDIENCE),
        ("sasl.oauthbearer.expected.issuer", ISSUER),
    ] {
        set(name, value);
    }
    let security = "org.apache.kafka.common.security";
    for (listener, mechanism, module) in [
        (SCRAM, "SCRAM-SHA-512", "scram.ScramLoginModule"),
        (TOKENS, "OAUTHBEARER", "oauthbearer.OAuthBearerLoginModule"),
    ] {
        let of = |name: &str| format!("{}{name}", prefix(listener));
        set(&of("sasl.enabled.mechanisms"), mechanism);
        let module = format!("{security}.{module} required;");
        set(&of(&format!("{}.sasl.jaas.config", mechanism.to_lowercase())), &module);
        set(&of("connections.max.reauth.ms"), &plan.session().as_millis().to_string());
        set(&of("ssl.client.auth"), "required");
    }
    let handler = format!("{security}.oauthbearer.OAuthBearerValidatorCallbackHandler");
    set(&format!("{}oauthbearer.sasl.server.callback.handler.class", prefix(TOKENS)), &handler);
    options.own = (0..NODES)
        .map(|node| {
            let mut own = vec![("ssl.keystore.location".to_owned(), certificates.key_store(node))];
            if let Some(disk) = disk.filter(|_| node == FULL) {
                // The cluster's metadata is in the first one.
                let folders = [folder.join("data"), disk.path().join("data")].map(|path| path.display().to_string());
                own.push(("log.dirs".to_owned(), folders.join(",")));
            }
            own
        })
        .collect();
    options
}
