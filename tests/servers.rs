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
#[path = "servers/table.rs"]
mod table;

macro_rules! servers {
    ($($name:ident)*) => {
        $(
            #[test]
            #[ignore = "needs Python and Go: cargo witnesses --test servers -- --ignored"]
            fn $name() {
                table::compare_or_write(&promises::examine(server::$name()));
            }
        )*
    };
}

servers! { own_cluster kfake tansu noida_db mock_cluster_of_a_new_librdkafka mock_cluster_of_an_old_librdkafka }
