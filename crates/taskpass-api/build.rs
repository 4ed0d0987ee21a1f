//! Compiles `proto/` with protox: no `protoc` is needed.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = [
        "types",
        "audit",
        "registry",
        "enrolment",
        "task",
        "credential",
        "revocation",
        "verification",
        "key",
        "policy",
        "backup",
        "approval",
    ]
    .map(|name| root.join(format!("taskpass/v1/{name}.proto")));
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(&files, [&root])?;
    let out = std::path::PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(
        out.join("taskpass.v1.bin"),
        prost::Message::encode_to_vec(&descriptors),
    )?;
    tonic_prost_build::configure()
        .bytes(".taskpass.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
