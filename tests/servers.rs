//! Servers that speak Kafka's protocol and are not Apache Kafka (`servers/README.md`): this library publishes to each, librdkafka
//! reads what is there, and which promises hold is compared with the table in `docs/servers.md`.

#[path = "foreign_clients/install.rs"]
mod install;
#[path = "servers/log.rs"]
mod log;
#[path = "servers/losing.rs"]
mod losing;
#[path = "servers/promises.rs"]
mod promises;
#[path = "servers/raw.rs"]
mod raw;
#[path = "servers/server.rs"]
mod server;
#[path = "servers/silent.rs"]
mod silent;
#[path = "servers/table.rs"]
mod table;

use std::thread;

use promises::Row;

/// The servers are examined at the same time: most of the time is waiting.
#[test]
#[ignore = "needs Java, Maven, Python and Go: cargo witnesses --test servers -- --ignored"]
fn each_server_keeps_the_promises_that_the_table_lists() {
    let rows: Vec<Row> = thread::scope(|scope| {
        let running: Vec<_> = server::all().map(|server| scope.spawn(move || promises::examine(server))).collect();
        running.into_iter().map(|thread| thread.join().expect("a server was examined")).collect()
    });
    table::compare_or_write(&rows);
}
