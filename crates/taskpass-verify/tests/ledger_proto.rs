//! The gRPC example's generated code is what its proto file gives. Whoever changes the proto file
//! copies what this test generated.

use std::path::Path;

#[test]
fn the_examples_code_is_that_of_its_proto_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ledger");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger");
    std::fs::create_dir_all(&out).unwrap();
    let descriptors = protox::compile([folder.join("ledger.proto")], [&folder]).unwrap();
    tonic_prost_build::configure()
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    let generated = std::fs::read_to_string(out.join("ledger.v1.rs")).unwrap();
    let kept = std::fs::read_to_string(folder.join("ledger.v1.rs")).unwrap();
    assert!(
        generated == kept,
        "copy {} to {}",
        out.join("ledger.v1.rs").display(),
        folder.display()
    );
}
