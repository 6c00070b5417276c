//! The OpenAPI document as it is served, and a validator's word on it where there is one.

use std::process::Command;

use rapport_testkit::sandbox::Sandbox;

use super::http;
use crate::house::House;
use crate::raw;

#[test]
fn the_document_is_served_to_anybody_and_is_valid() {
    rapport_testkit::block_on(async {
        let house = House::open(Sandbox::builder(rapport::modules)).await;
        let answer = http::http1(house.address("stakeholders"), "GET", "/openapi.json", &[], b"").await;
        assert_eq!((answer.code, answer.header("content-type")), (200, Some("application/json")));
        let document = answer.json();
        assert_eq!(document["openapi"], "3.1.0");
        for method in raw::methods() {
            let operation = &document["paths"][raw::path(&method)]["post"];
            assert_eq!(operation.is_object(), !method.is_client_streaming(), "{}", method.full_name());
        }
        let again = http::http2(&mut house.channel("scoring"), "GET", "/openapi.json", &[], "").await;
        assert_eq!(again.body, answer.body, "the same over HTTP/2");
        house.close().await;
        validated(&answer.body);
    });
}

/// Asks openapi-spec-validator: the one in the folder `RAPPORT_TEST_OPENAPI`, which must be there then (`.ci/run` installs it),
/// or Python's own, if it has one.
fn validated(document: &[u8]) {
    let named = std::env::var_os("RAPPORT_TEST_OPENAPI");
    let python = || {
        let mut python = Command::new("python3");
        python.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(folder) = &named {
            python.env("PYTHONPATH", folder);
        }
        python
    };
    let there = python().args(["-c", "import openapi_spec_validator"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        assert!(named.is_none(), "RAPPORT_TEST_OPENAPI names {named:?}, where python3 finds no openapi_spec_validator");
        println!("openapi-spec-validator is not installed: only the structure was checked");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let says = |document: &[u8]| {
        let file = folder.path().join("openapi.json");
        std::fs::write(&file, document).expect("written");
        let output = python()
            .args(["-m", "openapi_spec_validator", "--schema", "3.1"])
            .arg(&file)
            .output()
            .expect("python3 runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    };
    let (valid, said) = says(document);
    assert!(valid, "{said}");
    // It looks: what is no OpenAPI is told.
    let (valid, said) = says(br#"{"openapi": "3.1.0", "info": {"title": 7, "version": "1"}, "paths": {}}"#);
    assert!(!valid, "a title that is a number passes: {said}");
}
