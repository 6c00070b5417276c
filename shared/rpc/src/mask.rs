use prost_types::FieldMask;
use rapport_types::error::{Collector, FieldError};
use rapport_types::reason;

/// The most paths that a mask may have: more than any message has fields.
const MAX_PATHS: usize = 100;

/// The fields that an update mask names, in its order. `*` stands for `all`, less those that are named beside it; `known`
/// says whether any other path may stand in the mask. What is wrong goes to `fields` under `update_mask`, all of it.
pub fn masked<'a>(
    fields: &Collector,
    mask: Option<&'a FieldMask>,
    all: &[&'static str],
    known: impl Fn(&str) -> Result<(), FieldError>,
) -> Option<Vec<&'a str>> {
    let paths = mask.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.is_empty() {
        fields.push("update_mask", reason::REQUIRED, "must name the fields to change");
        return None;
    }
    if paths.len() > MAX_PATHS {
        fields.push("update_mask.paths", reason::TOO_MANY, format!("must have at most {MAX_PATHS} elements"));
        return None;
    }
    let mut wanted: Vec<&'a str> = Vec::new();
    let mut right = true;
    for (index, path) in paths.iter().enumerate() {
        let field = format!("update_mask.paths[{index}]");
        if path == "*" {
            wanted.extend(all.iter().filter(|one| !paths.iter().any(|path| path == *one)));
        } else if fields.check(&field, known(path)).is_none() {
            right = false;
        } else if wanted.contains(&path.as_str()) {
            fields.push(&field, reason::DUPLICATE, "comes twice");
            right = false;
        } else {
            wanted.push(path);
        }
    }
    right.then_some(wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn read(paths: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let fields = Collector::default();
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let known = |path: &str| match path {
            "name" | "size" => Ok(()),
            _ => Err(FieldError::new(reason::UNKNOWN_FIELD, "must be one of name, size")),
        };
        let wanted = masked(&fields, Some(&mask), &["name", "size"], known);
        let wanted = wanted.map(|wanted| wanted.into_iter().map(str::to_owned).collect());
        match fields.finish() {
            Ok(()) => Ok(wanted.unwrap()),
            Err(error) => {
                assert!(wanted.is_none());
                Err(error.violations.iter().map(|wrong| format!("{} {}", wrong.field, wrong.reason)).collect())
            }
        }
    }

    #[test]
    fn a_mask_names_fields_once() {
        assert_eq!(read(&["size", "name"]).unwrap(), ["size", "name"]);
        assert_eq!(read(&["*"]).unwrap(), ["name", "size"]);
        assert_eq!(read(&["size", "*"]).unwrap(), ["size", "name"]);
        assert_eq!(read(&[]).unwrap_err(), ["update_mask REQUIRED"]);
        assert_eq!(
            read(&["name", "name", "", "shoe"]).unwrap_err(),
            [
                "update_mask.paths[1] DUPLICATE",
                "update_mask.paths[2] UNKNOWN_FIELD",
                "update_mask.paths[3] UNKNOWN_FIELD"
            ]
        );
        assert_eq!(read(&["name"; 101]).unwrap_err(), ["update_mask.paths TOO_MANY"]);
    }
}
