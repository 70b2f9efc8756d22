//! Downloads the jars of a release with Maven, once, and caches their class paths.
//!
//! The jars stay in Maven's repository. The cache directory contains, for each class path, the `pom.xml` that requested
//! it and the resulting list of jars.

use crate::{Quorum, Release, StartError, guarded::Guarded, node, programs};
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

/// The Maven plugin that prints the paths of the jars, in a tested version.
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath";

/// Binds Kafka's logging to standard error. Every release's `slf4j-api` is a 1.7 version.
const LOGGING: &str = "org.slf4j:slf4j-simple:1.7.36";

/// Other bindings that some of the artifacts depend on; there must be only one. Also log4j 1, see [`BESIDE_OLD`].
const OTHER_LOGGING: &[&str] = &["org.slf4j:slf4j-reload4j", "org.slf4j:slf4j-log4j12", "log4j:log4j"];

/// What the releases with ZooKeeper need besides. They use log4j 1 directly, not only through slf4j, and some do
/// not depend on it: reload4j is the maintained fork. `javax.xml.bind` was removed from Java in version 11. And
/// 0.9 depends on an older slf4j than that of the binding.
const BESIDE_OLD: &[&str] =
    &["ch.qos.reload4j:reload4j:1.2.25", "javax.xml.bind:jaxb-api:2.3.1", "org.slf4j:slf4j-api:1.7.36"];

/// The time limit for Maven. It downloads about 150 MB for each class path at most.
const LIMIT: Duration = Duration::from_secs(900);

/// The class paths of a release, in the syntax of `java -cp`.
#[derive(Debug)]
pub(crate) struct Jars {
    /// For the broker and its storage tool.
    pub(crate) broker: String,
    /// For the command-line tools.
    pub(crate) tools: String,
}

impl Jars {
    /// Finds the jars, after downloading those that are missing.
    pub(crate) fn prepare(release: &Release) -> Result<Jars, StartError> {
        let cache = cache_folder().join(release.version);
        let name = format!("org.apache.kafka:kafka_{}", release.scala);
        let broker = format!("{name}:{}", release.version);
        let (beside, tools) = match release.quorum {
            Quorum::KRaft => {
                let version = release.tools.version;
                (&[][..], vec![format!("{name}:{version}"), format!("org.apache.kafka:kafka-tools:{version}")])
            }
            Quorum::ZooKeeper => (BESIDE_OLD, vec![broker.clone()]),
        };
        let with_beside = |own: &[String]| {
            own.iter().cloned().chain(beside.iter().map(|&artifact| artifact.to_owned())).collect::<Vec<_>>()
        };
        Ok(Jars {
            broker: class_path_in(&cache.join("broker"), &with_beside(&[broker]), "info")?,
            tools: class_path_in(&cache.join("tools"), &with_beside(&tools), "warn")?,
        })
    }
}

fn cache_folder() -> PathBuf {
    if let Some(folder) = env::var_os("KAFKA_BATCH_KAFKA_CACHE") {
        return PathBuf::from(folder);
    }
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from)
        .join("kafka")
}

/// Returns the class path of artifacts (`group:name:version`) and of what they depend on, with a binding for their logging. The
/// jars that are missing are downloaded with Maven. `name` is their folder in the cache: two parts, as in `clients/4.4.0`.
///
/// # Errors
/// Returns an error if Maven is missing, or has no such artifacts.
pub fn class_path(name: &str, artifacts: &[String]) -> Result<String, StartError> {
    class_path_in(&cache_folder().join(name), artifacts, "warn")
}

/// Returns the class path of artifacts (`group:name:version`): the list in `folder` if it is still valid, otherwise
/// Maven's. `level` is the log level.
fn class_path_in(folder: &Path, artifacts: &[String], level: &str) -> Result<String, StartError> {
    let folder = std::path::absolute(folder).map_err(StartError::io("find the cache folder"))?;
    let in_folder = || StartError::io(format!("use the cache folder {}", folder.display()));
    let pom = pom(artifacts);
    let jars = if let Some(jars) = cached(&folder, &pom) {
        jars
    } else {
        fs::create_dir_all(&folder).map_err(in_folder())?;
        // One Maven at a time, because two could interfere in its repository.
        let lock = File::create(folder.join("../../lock")).map_err(in_folder())?;
        lock.lock().map_err(in_folder())?;
        match cached(&folder, &pom) {
            Some(jars) => jars,
            None => resolve(&folder, artifacts, &pom)?,
        }
    };
    let settings = folder.join("simplelogger.properties");
    if !settings.exists() {
        let text = format!("org.slf4j.simpleLogger.defaultLogLevel={level}\n");
        fs::write(settings, text).map_err(in_folder())?;
        fs::write(folder.join("log4j.properties"), log4j(level)).map_err(in_folder())?;
    }
    // The logging finds its settings in the class path, so the directory is added.
    Ok(format!("{}:{jars}", folder.display()))
}

/// Returns the jars found earlier for the same artifacts, if all of them still exist.
fn cached(folder: &Path, pom: &str) -> Option<String> {
    if fs::read_to_string(folder.join("pom.xml")).ok()? != pom {
        return None;
    }
    all_there(&fs::read_to_string(folder.join("classpath")).ok()?)
}

/// Returns the class path in a file, if it contains any jars and they all exist.
fn all_there(text: &str) -> Option<String> {
    let text = text.trim();
    let good = !text.is_empty() && text.split(':').all(|jar| Path::new(jar).is_file());
    good.then(|| text.to_owned())
}

fn resolve(folder: &Path, artifacts: &[String], pom: &str) -> Result<String, StartError> {
    let maven = programs::maven()?;
    eprintln!("kafka-batch-brokers: getting {} with Maven (a minute or two the first time)", artifacts.join(" and "));
    let in_folder = || StartError::io(format!("use the cache folder {}", folder.display()));
    let (pom_file, found) = (folder.join("pom.xml"), folder.join("classpath"));
    let output = folder.join("maven.log");
    // An existing list belongs to other artifacts, or its jars are missing.
    let _ = fs::remove_file(&found);
    fs::write(&pom_file, pom).map_err(in_folder())?;
    let log = File::create(&output).map_err(in_folder())?;
    let arguments = [
        "-q".to_owned(),
        "-B".to_owned(),
        "-Dstyle.color=never".to_owned(),
        "-f".to_owned(),
        pom_file.display().to_string(),
        GOAL.to_owned(),
        format!("-Dmdep.outputFile={}", found.display()),
        "-Dmdep.pathSeparator=:".to_owned(),
    ];
    let status = Guarded::spawn(&maven, &arguments, &log)
        .and_then(|mut maven| maven.wait(LIMIT))
        .map_err(StartError::io("run mvn"))?;
    let list = fs::read_to_string(&found).unwrap_or_default();
    match all_there(&list) {
        Some(jars) if status.is_some_and(|status| status.success()) => Ok(jars),
        _ => {
            let _ = fs::remove_file(&found);
            Err(StartError::Jars {
                artifacts: artifacts.join(" and "),
                output: match status {
                    Some(_) => node::end_of(&output, 0),
                    None => format!("nothing for {} s, so it was ended", LIMIT.as_secs()),
                },
            })
        }
    }
}

/// Settings for releases that use log4j 1 directly: log to standard error as well.
fn log4j(level: &str) -> String {
    format!(
        "log4j.rootLogger={level}, stderr\n\
         log4j.appender.stderr=org.apache.log4j.ConsoleAppender\n\
         log4j.appender.stderr.target=System.err\n\
         log4j.appender.stderr.layout=org.apache.log4j.PatternLayout\n\
         log4j.appender.stderr.layout.ConversionPattern=%d{{HH:mm:ss.SSS}} [%t] %p %c - %m%n\n"
    )
}

/// Returns a Maven project that only has these dependencies.
fn pom(artifacts: &[String]) -> String {
    let exclusions: String = OTHER_LOGGING
        .iter()
        .filter_map(|artifact| artifact.split_once(':'))
        .map(|(group, name)| {
            format!(
                "        <exclusion><groupId>{group}</groupId>\
                 <artifactId>{name}</artifactId></exclusion>\n"
            )
        })
        .collect();
    let dependencies: String = artifacts
        .iter()
        .map(String::as_str)
        .chain([LOGGING])
        .filter_map(|artifact| {
            let (group, rest) = artifact.split_once(':')?;
            let (name, version) = rest.split_once(':')?;
            Some(format!(
                "    <dependency>\n      <groupId>{group}</groupId>\n      \
                 <artifactId>{name}</artifactId>\n      <version>{version}</version>\n      \
                 <exclusions>\n{exclusions}      </exclusions>\n    </dependency>\n"
            ))
        })
        .collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  \
         <modelVersion>4.0.0</modelVersion>\n  <groupId>kafka-batch</groupId>\n  \
         <artifactId>brokers</artifactId>\n  <version>1</version>\n  \
         <packaging>pom</packaging>\n  <dependencies>\n{dependencies}  </dependencies>\n\
         </project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::TempFolder;

    #[test]
    fn a_pom_contains_the_artifacts_and_one_logging_binding() {
        let pom = pom(&["org.apache.kafka:kafka_2.13:4.4.0".to_owned()]);
        assert_eq!(pom.matches("<dependency>").count(), 2);
        assert!(pom.contains("<artifactId>kafka_2.13</artifactId>\n      <version>4.4.0<"));
        assert!(pom.contains("<artifactId>slf4j-simple</artifactId>"));
        assert_eq!(pom.matches("slf4j-reload4j").count(), 2);
    }

    #[test]
    fn a_class_path_is_valid_only_if_every_jar_exists() {
        let folder = TempFolder::create().unwrap();
        let [one, other] = ["a.jar", "b.jar"].map(|name| folder.path().join(name));
        fs::write(&one, "").unwrap();
        let both = format!("{}:{}\n", one.display(), other.display());
        assert_eq!(all_there(""), None);
        assert_eq!(all_there("\n"), None);
        assert_eq!(all_there(&both), None);
        fs::write(&other, "").unwrap();
        assert_eq!(all_there(&both).unwrap(), both.trim());
    }

    #[test]
    fn a_cached_class_path_is_used_for_the_same_artifacts_only() {
        let folder = TempFolder::create().unwrap();
        let jar = folder.path().join("a.jar");
        fs::write(&jar, "").unwrap();
        let list = jar.display().to_string();
        fs::write(folder.path().join("classpath"), &list).unwrap();
        assert_eq!(cached(folder.path(), "one"), None);
        fs::write(folder.path().join("pom.xml"), "one").unwrap();
        assert_eq!(cached(folder.path(), "one"), Some(list));
        assert_eq!(cached(folder.path(), "other"), None);
    }
}
