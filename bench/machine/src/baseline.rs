//! The machine of another commit, measured by the same benchmark: the files of that commit get the source files of this
//! benchmark, and of what benchmarks share, and are built. Two versions of one crate from two paths cannot be in one lock file, hence two executables.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names of the machine's API that this benchmark uses and older commits do not have: the present and the earlier one.
const RENAMED: [(&str, &str); 1] = [("MachineConfig", "ProducerConfig")];

/// Builds the benchmark with the machine of this revision. Returns the path of the executable.
pub fn build(revision: &str) -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let git = || {
        let mut git = Command::new("git");
        git.arg("-C").arg(&root);
        git
    };
    let commit = succeed(git().args(["rev-parse", "--verify", &format!("{revision}^{{commit}}")]))?;
    let home = here.join("../target/baseline");
    let (tree, target) = (home.join(commit.trim()), home.join("target"));
    if !tree.exists() {
        fs::create_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
        let archive = home.join("archive.tar");
        succeed(git().args(["archive", "--output"]).arg(&archive).arg(commit.trim()))?;
        succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&tree))?;
    }
    let crate_of_baseline = tree.join("bench/machine");
    for folder in [".", "src", "../shared", "../shared/src"] {
        copy_files(&here.join(folder), &crate_of_baseline.join(folder))?;
    }
    let api = read(&tree.join("core/src/machine/config.rs"))?;
    let world = crate_of_baseline.join("src/world.rs");
    let mut text = read(&world)?;
    for (name, earlier) in RENAMED {
        if !api.contains(name) {
            text = text.replace(name, earlier);
        }
    }
    fs::write(&world, text).map_err(|error| format!("{}: {error}", world.display()))?;
    succeed(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--quiet", "--manifest-path"])
            .arg(crate_of_baseline.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target),
    )?;
    Ok(target.join("release/machine"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn copy_files(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{} to {}: {error}", from.display(), to.display());
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok(())
}

fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
