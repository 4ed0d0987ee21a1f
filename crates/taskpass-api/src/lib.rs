//! The gRPC API, generated from `proto/taskpass/v1`.
//!
//! The comments there are the reference: who may call, what is recorded, which errors. This crate
//! adds the few constants that both sides of the wire must spell alike.

/// Version 1 of the API.
pub mod v1 {
    tonic::include_proto!("taskpass.v1");
}

/// The compiled descriptors, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/taskpass.v1.bin"));

/// The domain of every `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "taskpass";
