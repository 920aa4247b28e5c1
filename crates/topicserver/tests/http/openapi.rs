//! `openapi.json` describes what there is: no more, and no less.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::TestServer;
use crate::requests::Http;

const ROUTER: &str = include_str!("../../src/http/router.rs");

fn description(server: &TestServer) -> Value {
    Http::to(server).get("/-/openapi.json", &[]).json()
}

#[test]
fn every_route_is_described() {
    let description = description(&TestServer::start());
    let mut routes = 0;
    for line in ROUTER.lines().filter(|line| line.contains(".route(\"")) {
        if line.contains("nothing_here") {
            continue;
        }
        let path = line.split('"').nth(1).unwrap().replace("{*", "{");
        let methods = &description["paths"][&path];
        for method in ["get", "post", "put"] {
            let has =
                line.contains(&format!("{method}(")) && !line.contains(&format!("{method}(no_"));
            assert_eq!(has, methods[method].is_object(), "{method} {path}");
        }
        routes += 1;
    }
    assert_eq!(description["paths"].as_object().unwrap().len(), routes);
}

#[test]
fn everything_that_is_described_is_there() {
    let server = TestServer::start();
    let description = description(&server);
    for (path, methods) in description["paths"].as_object().unwrap() {
        let path = path.replace("{topic}", "lab").replace("{file}", "main.js");
        for (method, operation) in methods.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            let mut http = Http::to(&server);
            let query = if path == "/lab" && method == "get" {
                "?poll=1"
            } else {
                ""
            };
            let path = format!("{path}{query}");
            http.ask(&method.to_uppercase(), &path, &[], b"");
            let status = http.answer().status.to_string();
            let responses = &operation["responses"];
            assert!(responses[&status].is_object(), "{method} {path}: {status}");
        }
    }
}

#[test]
fn every_parameter_that_is_described_is_known() {
    let server = TestServer::start();
    let description = description(&server);
    let said = [
        ("topic", "a&topic=b"),
        ("last", "1"),
        ("since", "1m"),
        ("resume", "a:1"),
        ("poll", "1"),
        ("before", "9&poll=1"),
        ("split", "lines"),
        ("user", "u"),
        ("id", "i"),
        ("json", "whole"),
        ("lastEventId", "a:1"),
        ("timeout", "1"),
        ("count", "1"),
    ];
    let mut known = BTreeSet::new();
    for (path, method, start) in [
        ("/{topic}", "get", "/lab?"),
        ("/{topic}", "post", "/lab?"),
        ("/-/stream", "get", "/-/stream?topic=lab&"),
    ] {
        let parameters = description["paths"][path][method]["parameters"]
            .as_array()
            .unwrap();
        for parameter in parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
        {
            let name = parameter["name"].as_str().unwrap();
            let (name, value) = said.iter().find(|(said, _)| *said == name).unwrap();
            let mut http = Http::to(&server);
            let path = format!("{start}{name}={value}");
            http.ask(&method.to_uppercase(), &path, &[], b"hi");
            assert_eq!(http.head().status, 200, "{method} {path}");
            known.insert(*name);
        }
    }
    assert_eq!(known.len(), said.len());
}
