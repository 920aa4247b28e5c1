//! Which layer wins, and what is said of mistakes.

use super::*;
use crate::config::Config;

/// A configuration file, removed when dropped.
struct File(PathBuf);

impl File {
    fn with(text: &str) -> Self {
        let name = format!(
            "natter-layers-{}-{:x}",
            std::process::id(),
            getrandom::u64().unwrap()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn gather(file: &str, environment: &[(&str, &str)], typed: &[&str]) -> Result<Gathered, String> {
    let file = File::with(file);
    let path = file.0.to_str().unwrap();
    let arguments = [&["topicserver", "--config", path], typed].concat();
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Options::gather(arguments.iter().map(OsString::from), environment)
        .map_err(|error| error.to_string().replace(path, "FILE"))
}

fn config(gathered: &Gathered) -> Config {
    Config::from(&gathered.options)
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let file = "port = 1001\nmax-frame = \"64KiB\"\nmax-topics = 5\nmax-outbox = 2048\n";
    let environment = [
        ("NATTER_MAX_TOPICS", "6"),
        ("NATTER_MAX_FRAME", "32KiB"),
        ("HOME", "x"),
    ];
    let gathered = gather(file, &environment, &["--max-frame", "16KiB"]).unwrap();
    let config = config(&gathered);
    assert_eq!((config.port, config.max_outbox), (1001, 2048));
    assert_eq!(
        (config.max_topics, config.frame_limits.max_frame),
        (6, 16_384)
    );
    let source = |name: &str| {
        let origin = gathered.origins.iter().find(|origin| origin.name == name);
        origin.unwrap().source.to_string()
    };
    assert!(source("max-outbox").ends_with(", line 4"));
    assert_eq!(source("max-topics"), "NATTER_MAX_TOPICS");
    assert_eq!(source("max-frame"), "command line");
    assert_eq!(source("max-depth"), "default");
}

#[test]
fn a_list_is_replaced_and_not_mixed() {
    let file = "port = 1\nallow-host = [\"a.example\", \"b.example\"]\n";
    let hosts = |environment: &[(&str, &str)], typed: &[&str]| {
        config(&gather(file, environment, typed).unwrap()).allow_hosts
    };
    assert_eq!(hosts(&[], &[]), ["a.example", "b.example"]);
    let environment = [("NATTER_ALLOW_HOST", "c.example, d.example")];
    assert_eq!(hosts(&environment, &[]), ["c.example", "d.example"]);
    assert_eq!(
        hosts(&environment, &["--allow-host", "e.example"]),
        ["e.example"]
    );
}

#[test]
fn the_port_is_typed_or_in_a_layer_and_somewhere_it_must_be() {
    assert_eq!(
        config(&gather("", &[("NATTER_PORT", "7")], &[]).unwrap()).port,
        7
    );
    assert_eq!(config(&gather("port = 7", &[], &["8"]).unwrap()).port, 8);
    let error = gather("", &[], &[]).unwrap_err();
    assert!(error.contains("<PORT>"), "{error}");
    let gathered = gather("listen = \"unix:natter.sock\"", &[], &[]).unwrap();
    assert!(config(&gathered).unix_only);
}

#[test]
fn the_environment_can_name_the_file() {
    let file = File::with("port = 1003");
    let path = file.0.clone().into_os_string();
    let gathered = Options::gather(["topicserver".into()], [("NATTER_CONFIG".into(), path)]);
    assert_eq!(config(&gathered.unwrap()).port, 1003);
}

#[test]
fn what_kubernetes_says_of_a_service_of_this_name_is_no_option() {
    let links = [
        ("NATTER_SERVICE_HOST", "10.0.0.7"),
        ("NATTER_SERVICE_PORT", "20000"),
        ("NATTER_SERVICE_PORT_CHAT", "20000"),
        ("NATTER_PORT", "tcp://10.0.0.7:20000"),
        ("NATTER_PORT_20000_TCP", "tcp://10.0.0.7:20000"),
        ("NATTER_PORT_20000_TCP_ADDR", "10.0.0.7"),
        ("NATTER_PORT_20000_TCP_PROTO", "tcp"),
    ];
    let gathered = gather("", &links, &["7"]).unwrap();
    assert_eq!(config(&gathered).port, 7);
    for (variable, value) in [
        ("NATTER_PORT", "x"),
        ("NATTER_PORTS", "7"),
        ("NATTER_SERVICE", "a"),
    ] {
        let error = gather("", &[(variable, value)], &["7"]).unwrap_err();
        assert!(error.contains(variable), "{error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let file = "port = 1\nmax-frames = 5\nmax-depth = \"deep\"\nmax-topics = [1]\n\
                allow-host = [\"http://a/\"]\nlog = \"loud\"\nbind = true\n";
    let environment = [("NATTER_MAX_OUTBOX", "1"), ("NATTER_OPEN", "1")];
    let error = gather(file, &environment, &[]).unwrap_err();
    for part in [
        "8 mistakes in the configuration\n",
        "NATTER_MAX_OUTBOX: \"max-outbox\" can't be \"1\": it is at least 1KiB",
        "NATTER_OPEN: there is no option \"open\"",
        "FILE, line 2: there is no option \"max-frames\"; did you mean \"max-frame\"?\n\
         2 | max-frames = 5\n  | ^^^^^^^^^^",
        "FILE, line 3: \"max-depth\" can't be \"deep\": this is a whole number, as in 1000\n\
         3 | max-depth = \"deep\"\n  |             ^^^^^^",
        "FILE, line 4: \"max-topics\" is a text or a number",
        "FILE, line 5: \"allow-host\" can't be \"http://a/\": this is the name alone",
        "FILE, line 6: \"log\" can't be \"loud\": it is one of off, error, warn, info, debug, trace",
        "FILE, line 7: \"bind\" is a text or a number",
    ] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
}

#[test]
fn what_is_no_toml_is_shown_where_it_stops_being_it() {
    let error = gather("port = 1\nmax-frame = \n", &[], &[]).unwrap_err();
    assert!(error.contains("FILE, line 2: "), "{error}");
    // What can't be read is told once, and not as another option's value, too.
    let error = gather("port = 1\nkeep-age = 7x\nmax-topics = 0\n", &[], &[]).unwrap_err();
    assert_eq!(error.matches("line 2: ").count(), 1, "{error}");
    assert!(error.starts_with("2 mistakes"), "{error}");
    let error = gather("port = 1\nport = 2\n", &[], &[]).unwrap_err();
    assert!(
        error.contains("FILE, line 2: ") && error.contains("duplicate"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let arguments = ["topicserver", "1", "--config", "nowhere.toml"];
    let error = Options::gather(arguments.map(OsString::from), []).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("can't read the configuration file nowhere.toml: "),
        "{error}"
    );
}

#[test]
fn every_option_can_stand_in_every_layer() {
    let known = Known {
        command: Options::command(),
    };
    for argument in known.all() {
        let name = name_of(argument);
        let value = match name {
            "bind" => "127.0.0.1",
            "log" => "warn",
            "data" => "somewhere",
            "allow-origin" => "https://a.example",
            "allow-host" => "a.example",
            _ => "2000",
        };
        let value = match kind(argument) {
            Kind::Switch => "true",
            _ => value,
        };
        let variable = format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"));
        let environment = [("NATTER_PORT", "1"), (&*variable, value)];
        if let Err(error) = gather("", &environment, &[]) {
            assert!(!error.contains("there is no option"), "{name}: {error}");
        }
    }
}

#[test]
fn the_report_is_a_file_that_says_the_same() {
    let file = "port = 1\nmax-frame = 4096\nallow-host = [\"a.example\", \"b.example\"]\n";
    let gathered = gather(file, &[("NATTER_LOG", "warn")], &["--data", "a \"b\""]).unwrap();
    let report = gathered.report();
    for part in [
        "max-frame = 4096  # ",
        "allow-host = [\"a.example\", \"b.example\"]  # ",
        "log = \"warn\"  # NATTER_LOG\n",
        "data = \"a \\\"b\\\"\"  # command line\n",
        "keep-age = \"30d\"  # default\n",
        "# bind is not set\n",
    ] {
        assert!(report.contains(part), "{part} is not in\n{report}");
    }
    let again = gather(&report, &[], &[]).unwrap();
    let [one, other] = [&gathered, &again].map(|gathered| format!("{:?}", config(gathered)));
    assert_eq!(one, other);
}
