use std::collections::HashSet;
use std::fs;
use std::process::Command;

/// What was measured on, and with which versions.
#[derive(Clone, Debug)]
pub struct Environment {
    pub date: String,
    pub processor: String,
    pub rustc: String,
    /// Names and versions.
    pub crates: Vec<(&'static str, &'static str)>,
}

impl Environment {
    /// Looks at this machine, and for these crates among all that the benchmark `package` depends on.
    pub fn look(package: &'static str, crates: &[&str]) -> Self {
        let mut versions = dependencies(include_str!("../../Cargo.lock"), package);
        versions.retain(|(name, _)| crates.contains(name));
        Self {
            date: output_of("date", &["+%F"]),
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.into()),
            rustc: output_of("rustc", &["--version"]),
            crates: versions,
        }
    }

    /// Returns all of it as a list in Markdown.
    pub fn lines(&self) -> String {
        let Self { date, processor, rustc, crates } = self;
        let crates: Vec<_> = crates.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let crates = crates.join(", ");
        format!("- {date}, {processor}, {rustc}, release with thin LTO and one codegen unit\n- {crates}\n")
    }
}

/// Returns names and versions of a package and of all that it depends on, as the lock file has them, in order. The lock
/// file is that of all benchmarks, and each may depend on another version of a crate.
fn dependencies<'a>(lock: &'a str, package: &'a str) -> Vec<(&'a str, &'a str)> {
    struct Package<'a> {
        name: &'a str,
        version: &'a str,
        /// `name`, or `name version` where the lock file has several versions.
        dependencies: Vec<&'a str>,
    }
    fn quoted(line: &str) -> Option<&str> {
        line.split('"').nth(1)
    }
    let packages = lock.split("[[package]]").skip(1).filter_map(|text| {
        let field = |name: &str| quoted(text.lines().find(|line| line.starts_with(name))?);
        let list = text.lines().skip_while(|line| !line.starts_with("dependencies = ["));
        let dependencies = list.skip(1).take_while(|line| *line != "]").filter_map(quoted).collect();
        Some(Package { name: field("name = ")?, version: field("version = ")?, dependencies })
    });
    let packages: Vec<_> = packages.collect();
    let (mut found, mut queue) = (HashSet::new(), vec![package]);
    while let Some(wanted) = queue.pop() {
        let mut words = wanted.split(' ');
        let (name, version) = (words.next(), words.next());
        let is_wanted = |package: &&Package<'_>| {
            Some(package.name) == name && version.is_none_or(|version| version == package.version)
        };
        for package in packages.iter().filter(is_wanted) {
            if found.insert((package.name, package.version)) {
                queue.extend(&package.dependencies);
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    found
}

/// Returns the processor's model by name and by number: some virtual machines show only the maker.
fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split(':').nth(1)?.trim().to_owned())
    };
    Some(format!("{} (family {}, model {})", field("model name")?, field("cpu family")?, field("model")?))
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    output.map_or_else(
        || format!("unknown {program}"),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_package_depends_on_counts() {
        let lock = r#"
version = 4

[[package]]
name = "a"
version = "1.0.0"
dependencies = [
 "b",
 "c 2.0.0",
]

[[package]]
name = "b"
version = "1.1.0"
dependencies = [
 "a",
]

[[package]]
name = "c"
version = "1.0.0"

[[package]]
name = "c"
version = "2.0.0"

[[package]]
name = "d"
version = "1.0.0"
dependencies = [
 "c 1.0.0",
]
"#;
        assert_eq!(dependencies(lock, "a"), [("a", "1.0.0"), ("b", "1.1.0"), ("c", "2.0.0")]);
        assert_eq!(dependencies(lock, "d"), [("c", "1.0.0"), ("d", "1.0.0")]);
    }
}
