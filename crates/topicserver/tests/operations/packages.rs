//! What scripts/release makes, and the life of the server's Debian package on a copy of this
//! machine.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::Directory;

/// The time of all files.
const EPOCH: &str = "1800000000";

/// A step's exit code when it can't be tried here.
const SKIPPED: i32 = 77;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// One of the repository's scripts.
fn script(name: &str) -> Command {
    let mut command = Command::new(root().join("scripts").join(name));
    command.env("SOURCE_DATE_EPOCH", EPOCH).env("FAST", "1");
    command
}

/// Runs a command that should succeed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Whether a tool is there; a word if it isn't.
fn has(tool: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .output()
        .unwrap();
    if !found.status.success() {
        println!("skipped: {tool} is not installed");
    }
    found.status.success()
}

fn listed(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

/// A release of programs that stand in for the real ones, since those take their time.
struct Release(Directory);

impl Release {
    fn new() -> Self {
        let release = Self(Directory::new());
        let binaries = release.0.path().join("binaries");
        std::fs::create_dir_all(binaries.join("static")).unwrap();
        for name in ["chat", "topicserver", "static/topicserver"] {
            std::fs::copy("/bin/true", binaries.join(name)).unwrap();
        }
        release.make();
        release
    }

    fn make(&self) {
        succeed(
            script("release")
                .env("RELEASE_VERSION", "0.1.0")
                .current_dir(self.0.path())
                .args(["--binaries", "binaries", "--output", "files"]),
        );
    }

    fn files(&self) -> PathBuf {
        self.0.path().join("files")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.files().join(name)).unwrap()
    }

    /// The names of its files; those for Debian where its tools are.
    fn names(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.files()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn a_release_is_complete_and_made_again_it_is_the_same_bytes() {
    let release = Release::new();
    has_all_files(&release);
    has_full_archives(&release);
    let before = release.read("SHA256SUMS");
    release.make();
    assert_eq!(release.read("SHA256SUMS"), before);
}

fn has_all_files(release: &Release) {
    let names = release.names();
    let machine = format!("{}-linux", std::env::consts::ARCH);
    let mut expected = vec![
        "SHA256SUMS".to_owned(),
        "chat-0.1.0.cdx.json".to_owned(),
        "topicserver-0.1.0.cdx.json".to_owned(),
        format!("natter-0.1.0-{machine}.tar.gz"),
        format!("topicserver-0.1.0-{machine}-static.tar.gz"),
    ];
    if has("dpkg-deb") {
        let architecture = succeed(Command::new("dpkg").arg("--print-architecture"));
        for package in ["natter-server", "natter-chat"] {
            expected.push(format!("{package}_0.1.0-1_{}.deb", architecture.trim()));
        }
    }
    let missing: Vec<_> = expected
        .iter()
        .filter(|name| !names.contains(*name))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {names:?}");
    let sums = release.read("SHA256SUMS");
    assert_eq!(sums.lines().count(), names.len() - 1, "{sums}");
    succeed(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(release.files()),
    );
}

/// The archives have everything that belongs to the programs.
fn has_full_archives(release: &Release) {
    let machine = format!("{}-linux", std::env::consts::ARCH);
    let programs = [
        "chat",
        "topicserver",
        "README.md",
        "LICENSE-MIT",
        "completions/_chat",
        "docs/man/chat.1",
        "packaging/natter.service",
        "third-party-licenses-chat.txt",
    ];
    let server = ["topicserver", "LICENSE-MIT", "third-party-licenses.txt"];
    for (name, files) in [
        (format!("natter-0.1.0-{machine}"), &programs[..]),
        (format!("topicserver-0.1.0-{machine}-static"), &server),
    ] {
        let archive = release.files().join(format!("{name}.tar.gz"));
        let text = succeed(Command::new("tar").arg("-tf").arg(archive));
        for file in files {
            assert!(
                listed(&text).contains(&*format!("{name}/{file}")),
                "{file}: {text}"
            );
        }
    }
}

#[test]
fn a_directory_with_other_files_is_not_emptied_for_a_release() {
    let directory = Directory::new();
    let own = directory.path().join("own");
    std::fs::write(&own, "mine").unwrap();
    let output = script("release")
        .args(["--binaries", "/bin", "--output"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(
        said(&output).contains("holds other files"),
        "{}",
        said(&output)
    );
    assert_eq!(std::fs::read_to_string(own).unwrap(), "mine");
}

/// The crates that cargo says are in a program, as `name version`.
fn by_cargo(package: &str, edges: &str) -> BTreeSet<String> {
    let tree = succeed(
        Command::new(env!("CARGO"))
            .current_dir(root())
            .args(["tree", "--locked", "--offline", "--prefix", "none"])
            .args(["--format", "{p}", "-p", package, "-e", edges]),
    );
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some(format!(
            "{} {}",
            words.next()?,
            words.next()?.strip_prefix('v')?
        ))
    });
    crates.collect()
}

#[test]
fn the_bill_of_materials_has_every_crate_of_the_program_and_its_checksum() {
    for package in ["topicserver", "natter-chat"] {
        let text = succeed(script("bill").args(["sbom", package]));
        let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["specVersion"], "1.5");
        assert_eq!(bill["metadata"]["component"]["name"], package);
        assert_eq!(bill["metadata"]["timestamp"], "2027-01-15T08:00:00Z");
        let components = bill["components"].as_array().unwrap();
        let named = |scope: Option<&str>| -> BTreeSet<String> {
            let some = components
                .iter()
                .chain([&bill["metadata"]["component"]])
                .filter(|one| scope.is_none() || one["scope"] != "excluded");
            let word = |one: &serde_json::Value, key| one[key].as_str().unwrap().to_owned();
            some.map(|one| format!("{} {}", word(one, "name"), word(one, "version")))
                .collect()
        };
        let all = by_cargo(package, "normal,build");
        assert!(all.len() > 60, "{all:?}");
        let missing: Vec<_> = all.difference(&named(None)).cloned().collect();
        assert!(missing.is_empty(), "{package}: {missing:?}");
        let inside = by_cargo(package, "normal,no-proc-macro");
        let missing: Vec<_> = inside
            .difference(&named(Some("required")))
            .cloned()
            .collect();
        assert!(missing.is_empty(), "{package}: {missing:?}");
        // All but the crates of the workspace and the standard library are from the registry.
        let unchecked = components.iter().filter(|one| one["hashes"].is_null());
        let unchecked: Vec<_> = unchecked.map(|one| &one["name"]).collect();
        assert!(unchecked.len() <= 3, "{unchecked:?}");
    }
}

#[test]
fn the_licenses_of_what_is_in_a_program_are_told() {
    let text = succeed(script("bill").args(["licenses", "topicserver"]));
    for part in [
        "tokio 1.",
        "aws-lc-sys 0.",
        "Permission is hereby granted",
        "fjall 3.",
    ] {
        assert!(text.contains(part), "{part}");
    }
    let output = script("bill")
        .args(["licenses", "nothing"])
        .output()
        .unwrap();
    assert!(!output.status.success() && said(&output).contains("no package 'nothing'"));
}

#[test]
fn documents_and_manifests_name_the_version_that_is_built() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let heading = format!("\n## [{version}] - ");
    assert!(read("CHANGELOG.md").contains(&heading), "{heading}");
    for file in ["README.md", "docs/operations.md"] {
        let text = read(file);
        for package in ["natter-server", "natter-chat"] {
            let part = format!("{package}_{version}-1_");
            assert!(text.contains(&part), "{file}: {part}");
        }
    }
    // A crate is published with the version of the crates that it was built with.
    let manifest = read("Cargo.toml");
    let own: Vec<_> = manifest
        .lines()
        .filter(|line| line.contains("path = \"crates/"))
        .collect();
    assert_eq!(own.len(), 3, "{own:?}");
    for line in own {
        let part = format!("version = \"{version}\"");
        assert!(line.contains(&part), "{line}: {part}");
    }
}

/// Makes the server's package from the program under test.
fn package(version: &str, directory: &Directory) -> PathBuf {
    succeed(
        script("deb")
            .env("RELEASE_VERSION", version)
            .args(["natter-server", env!("CARGO_BIN_EXE_topicserver")])
            .arg(directory.path()),
    );
    let names = std::fs::read_dir(directory.path()).unwrap();
    let mut paths = names.map(|entry| entry.unwrap().path());
    let part = format!("natter-server_{version}-1_");
    paths
        .find(|path| path.to_str().unwrap().contains(&part))
        .unwrap()
}

#[test]
fn the_package_is_installed_upgraded_removed_and_purged() {
    if !has("dpkg-deb") || !has("unshare") {
        return;
    }
    let directory = Directory::new();
    let old = package("0.0.9", &directory);
    let new = package("0.1.0", &directory);
    let fields = succeed(Command::new("dpkg-deb").arg("-f").arg(&new));
    for part in ["Depends: ", "libc6 (>= 2.", "Installed-Size: "] {
        assert!(fields.contains(part), "{fields}");
    }
    let scratch = directory.path().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let life = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/operations/package_life.sh"
    );
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "bash", life])
        .args([&scratch, &old, &new])
        .output()
        .unwrap();
    let text = said(&output);
    if output.status.code() == Some(SKIPPED) || text.contains("unshare failed") {
        println!("{text}");
        return;
    }
    assert!(output.status.success(), "{text}");
    for stage in ["installed", "upgraded", "removed", "purged"] {
        assert!(text.contains(&format!("{stage} as it should be")), "{text}");
    }
}

#[test]
fn lintian_has_no_complaint() {
    if !has("dpkg-deb") || !has("lintian") {
        return;
    }
    let directory = Directory::new();
    let package = package("0.1.0", &directory);
    let output = Command::new("lintian")
        .args(["--no-tag-display-limit", "--fail-on", "error,warning"])
        .arg(package)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

/// What a static binary could not do without files of the system: glibc loads its ways to
/// look up names at run time.
#[test]
fn the_server_looks_up_no_names_of_hosts_or_users() {
    if !has("readelf") {
        return;
    }
    let symbols = succeed(Command::new("readelf").args([
        "--dyn-syms",
        "-W",
        env!("CARGO_BIN_EXE_topicserver"),
    ]));
    assert!(symbols.contains(" dlsym"), "{symbols}");
    for function in ["getaddrinfo", "gethostby", "getpw", "getgr", "getserv"] {
        // One of a cluster looks for NATS servers. The static one is built without clusters.
        let is_allowed = function == "getaddrinfo" && cfg!(feature = "cluster");
        assert!(is_allowed || !symbols.contains(function), "{function}");
    }
}
