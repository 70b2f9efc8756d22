# Sourced by every finding: a temporary directory, functions that install and run programs in it, and the comparison.
#
# Exit codes: 0 the behaviour is as described, 1 it has changed, 2 the script could not run.
# Packages are installed from the registries configured for pip, Maven and cargo, at the versions that the script names.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
verdict=2
broker_pid=

finish() {
    trap - EXIT
    [[ -z $broker_pid ]] || kill -KILL "$broker_pid" 2>/dev/null || true
    [[ -z $broker_pid ]] || wait "$broker_pid" 2>/dev/null || true
    rm -rf "$work"
    [[ $verdict != 2 ]] || echo "could not run" >&2
    exit "$verdict"
}
trap finish EXIT
trap 'exit 130' INT TERM

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "this needs the program $program" >&2; exit 2; }
    done
}

# Runs a command whose output matters only if it fails.
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; exit 2; }; }

# python_with PACKAGE==VERSION...: creates a virtual environment with these packages. Afterwards `python` runs in it and can import raw.py.
python_with() {
    need python3
    quietly python3 -m venv "$work/python"
    PATH="$work/python/bin:$PATH"
    export PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1
    [[ $# == 0 ]] || quietly pip install --quiet "$@"
}

# rust_program DEPENDENCY...: builds the program on standard input with these lines of a Cargo.toml, as $work/rust/program.
rust_program() {
    need cargo
    mkdir -p "$work/rust/src"
    {
        printf '%s\n' '[package]' 'name = "program"' 'version = "0.0.0"' 'edition = "2021"' '[workspace]' '[dependencies]' "$@"
    } >"$work/rust/Cargo.toml"
    cat >"$work/rust/src/main.rs"
    quietly env CARGO_PROFILE_DEV_DEBUG=0 "CARGO_TARGET_DIR=$work/rust/target" \
        cargo build --quiet --manifest-path "$work/rust/Cargo.toml"
    mv "$work/rust/target/debug/program" "$work/rust/program"
}

# jars_of GROUP:NAME:VERSION...: adds these and their dependencies to the class path.
jars_of() {
    need java mvn
    local folder artifact
    folder=$(mktemp -d "$work/jars.XXXX")
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging><dependencies>'
        for artifact in "$@" org.slf4j:slf4j-simple:1.7.36; do
            IFS=: read -r group name version <<<"$artifact"
            echo "<dependency><groupId>$group</groupId><artifactId>$name</artifactId><version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } >"$folder/pom.xml"
    quietly mvn -q -B -f "$folder/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        "-DoutputDirectory=$folder"
    export CLASSPATH="$folder/*"
}

# kafka VERSION [SETTING=VALUE...]: starts one Kafka broker, with the features $kafka_features if that is set. Afterwards $broker is
# its address and $broker_pid its process.
kafka() {
    local version=$1
    shift
    jars_of "org.apache.kafka:kafka_2.13:$version"
    local ports
    mapfile -t ports < <(python3 -c 'import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
for each in s: print(each.getsockname()[1])')
    export broker=127.0.0.1:${ports[0]}
    {
        printf '%s\n' node.id=1 process.roles=broker,controller controller.listener.names=CONTROLLER \
            "listeners=PLAINTEXT://$broker,CONTROLLER://127.0.0.1:${ports[1]}" "advertised.listeners=PLAINTEXT://$broker" \
            listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT \
            "controller.quorum.voters=1@127.0.0.1:${ports[1]}" "log.dirs=$work/kafka" log.retention.ms=-1 \
            log.cleaner.dedupe.buffer.size=4194304 group.initial.rebalance.delay.ms=0
        printf '%s.replication.factor=1\n' offsets.topic transaction.state.log share.coordinator.state.topic
        printf '%s=1\n' transaction.state.log.min.isr share.coordinator.state.topic.min.isr \
            {offsets.topic,transaction.state.log,share.coordinator.state.topic}.num.partitions
        [[ $# == 0 ]] || printf '%s\n' "$@"
    } >"$work/server.properties"
    mkdir "$work/tmp"
    quietly java "-Djava.io.tmpdir=$work/tmp" kafka.tools.StorageTool \
        format -t AAAAAAAAAAAAAAAAAAAAAA -c "$work/server.properties" ${kafka_features:+--feature "$kafka_features"}
    start_broker
}

start_broker() {
    java -Xmx512m "-Djava.io.tmpdir=$work/tmp" kafka.Kafka "$work/server.properties" >>"$work/broker.log" 2>&1 &
    broker_pid=$!
    python3 "$here/raw.py" wait "$broker" "$broker_pid" || { tail -n 40 "$work/broker.log" >&2; exit 2; }
}

# stop_broker TERM|KILL
stop_broker() {
    kill "-$1" "$broker_pid"
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=
}

# judge TITLE VERSIONS EXPECTED SEEN PATTERN: the behaviour is unchanged if SEEN matches PATTERN, a glob.
judge() {
    printf '%s\n  versions: %s\n  expected: %s\n  seen:     %s\n' "$1" "$2" "$3" "${4//$'\n'/$'\n'            }"
    # shellcheck disable=SC2053 # a pattern is intended
    if [[ $4 == $5 ]]; then
        verdict=0 && echo "  unchanged"
    else
        verdict=1 && echo "  CHANGED: the finding says: $5"
    fi
    exit "$verdict"
}
