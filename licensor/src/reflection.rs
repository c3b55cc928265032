//! gRPC reflection, so that a client such as grpcurl needs no proto file.

use tonic_reflection::server::{
    Builder, Error,
    v1::{ServerReflection, ServerReflectionServer},
    v1alpha::{
        ServerReflection as ServerReflectionV1Alpha, ServerReflectionServer as ServerReflectionServerV1Alpha,
    },
};

/// Both versions of the reflection service. It lists `services` and the standard health service, and nothing that the
/// port does not serve.
///
/// # Errors
/// [`Error`] if the descriptors are damaged.
pub fn reflection(
    services: &[&str],
) -> Result<
    (
        ServerReflectionServer<impl ServerReflection>,
        ServerReflectionServerV1Alpha<impl ServerReflectionV1Alpha>,
    ),
    Error,
> {
    Ok((builder(services).build_v1()?, builder(services).build_v1alpha()?))
}

fn builder<'a>(services: &[&str]) -> Builder<'a> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health")
        .with_service_name("grpc.reflection.v1.ServerReflection");
    services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
}
