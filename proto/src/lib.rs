//! The contract: messages, clients and servers generated from `licensor/*/v1/*.proto`, and the descriptors that gRPC
//! reflection serves. Nothing is written by hand here.
#![allow(missing_docs, unreachable_pub, clippy::all)]

/// Encoded `google.protobuf.FileDescriptorSet` of all files.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Enrolment, renewal and the root's administration.
pub mod certification {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("licensor.certification.v1");
    }
}

/// Licences, status and the licensing server's administration.
pub mod licensing {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("licensor.licensing.v1");
    }
}

/// Events of both services.
pub mod event {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("licensor.event.v1");
    }
}
