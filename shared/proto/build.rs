//! Compiles every .proto of the contract with protox, so that no protoc is needed.
//!
//! A new file under `proto/` is found by itself. The image (the descriptor set with imports and comments) goes to
//! `OUT_DIR/rapport.binpb`, written by protox's own encoder: prost's types would drop our custom options.

use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    find(root, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true);
    for file in &files {
        if let Err(error) = compiler.open_file(file) {
            // The Debug form is the one with file:line:column.
            println!("cargo::warning=proto/{error:?}");
            return Err(format!("the contract does not compile: proto/{error:?}").into());
        }
    }

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("rapport.binpb"), compiler.encode_file_descriptor_set())?;

    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names().btree_map(["."]).bytes(["."]);
    tonic_prost_build::configure()
        .codec_path("crate::codec::Codec")
        .include_file("modules.rs")
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
