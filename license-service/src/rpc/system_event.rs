//! Events as the local administrator adds and ends them.

use std::time::SystemTime;

use licensor::{
    admin::caller_name,
    error::{Error, Reason, Result},
    event::{EventKind, message, scope},
};
use proto::licensing::v1::{
    AddEventRequest, AddEventResponse, EndEventRequest, EndEventResponse, SystemEventKind,
};
use tonic::{Request, Response, Status};

use crate::system_event::{Notice, SystemEvents};

pub(super) async fn add(
    events: &SystemEvents,
    request: Request<AddEventRequest>,
) -> Result<Response<AddEventResponse>, Status> {
    let (_, extensions, request) = request.into_parts();
    let refused = |problem: &str| Error::new(Reason::InvalidArgument, problem);
    let kind = match request.kind() {
        SystemEventKind::Unspecified => return Err(refused("kind must be one of SystemEventKind").into()),
        SystemEventKind::NoLogin => EventKind::NoLogin,
        SystemEventKind::Maintenance => EventKind::Maintenance,
        SystemEventKind::MessageOfTheDay => EventKind::MessageOfTheDay,
    };
    let expected_end = request
        .expected_end_time
        .map(|end| SystemTime::try_from(end).map_err(|_| refused("expected_end_time is out of range")))
        .transpose()?;
    let scope = scope(request.scope()).unwrap_or_default();
    let notice =
        Notice { kind, description: request.description, expected_end, scope, target: request.target };
    let added = events.add(&notice, &caller_name(&extensions)).await?;
    Ok(Response::new(AddEventResponse { event: Some(message(added)) }))
}

pub(super) async fn end(
    events: &SystemEvents,
    request: Request<EndEventRequest>,
) -> Result<Response<EndEventResponse>, Status> {
    let (_, extensions, request) = request.into_parts();
    let ended = events.end(request.sequence, &caller_name(&extensions)).await?;
    Ok(Response::new(EndEventResponse { event: Some(message(ended)) }))
}
