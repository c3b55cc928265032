//! Usage events as CloudEvents 1.0 in JSON.

use jiff::Timestamp;
use licensor::error::{Error, Reason, Result};
use serde::Deserialize;

use super::item::Reported;

#[derive(Deserialize)]
struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    service: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    vendor: String,
    time: Option<String>,
    datacontenttype: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    quantity: u64,
}

/// The usage event in a CloudEvent (structured mode).
///
/// # Errors
/// `CLOUD_EVENT_INVALID` with what is wrong.
pub(crate) fn parse(json: &str) -> Result<Reported> {
    read(serde_json::from_str(json).map_err(invalid)?)
}

/// The usage events in a batch of CloudEvents (batch mode), or what is wrong with each.
///
/// # Errors
/// `CLOUD_EVENT_INVALID` if it is no array.
pub(crate) fn parse_batch(json: &str) -> Result<Vec<Result<Reported>>> {
    let events: Vec<serde_json::Value> = serde_json::from_str(json).map_err(invalid)?;
    Ok(events.into_iter().map(|event| read(serde_json::from_value(event).map_err(invalid)?)).collect())
}

fn read(event: CloudEvent) -> Result<Reported> {
    let wrong = |message: &str| Err(Error::new(Reason::CloudEventInvalid, message));
    if event.specversion != "1.0" {
        return wrong("specversion must be \"1.0\"");
    }
    if let Some(kind) = &event.datacontenttype {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !kind.ends_with("+json") {
            return wrong("datacontenttype must be application/json");
        }
    }
    let Some(data) = event.data else {
        return wrong("data must be there, like {\"quantity\": 1}");
    };
    let time = match event.time.as_deref().map(str::parse::<Timestamp>) {
        None => None,
        Some(Ok(time)) => {
            // Seconds are rounded down, so that the rest is not negative.
            let nanos = time.as_nanosecond();
            let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
            Some((seconds, u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or_default()))
        }
        Some(Err(_)) => return wrong("time must be as in RFC 3339, like 2026-11-30T12:00:00Z"),
    };
    Ok(Reported {
        source: event.source,
        id: event.id,
        service: event.service,
        vendor: event.vendor,
        owner: event.subject,
        quantity: data.quantity,
        time,
    })
}

fn invalid(error: serde_json::Error) -> Error {
    Error::new(Reason::CloudEventInvalid, format!("this is no CloudEvent of usage in JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion": "1.0", "id": "7", "source": "//app", "type": "mail", "subject": "Example GmbH",
        "time": "2026-11-30T13:00:00.5+01:00", "datacontenttype": "application/json", "data": {"quantity": 3}, "more": [1]}"#;

    #[test]
    fn a_cloud_event_is_a_usage_event() {
        let reported = parse(EVENT).unwrap();
        assert_eq!((reported.source.as_str(), reported.id.as_str()), ("//app", "7"));
        assert_eq!((reported.service.as_str(), reported.owner.as_str()), ("mail", "Example GmbH"));
        assert_eq!((reported.quantity, reported.time), (3, Some((1_796_040_000, 500_000_000))));
    }

    #[test]
    fn each_event_of_a_batch_is_judged_alone() {
        let batch = parse_batch(&format!("[{EVENT}, 3, {EVENT}]")).unwrap();
        let good: Vec<_> = batch.iter().map(std::result::Result::is_ok).collect();
        assert_eq!(good, [true, false, true]);
        assert!(parse_batch(EVENT).is_err() && parse_batch("[").is_err());
        assert!(parse_batch("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_cloud_event_of_usage_is_refused() {
        for (right, wrong) in [
            ("\"1.0\"", "\"0.3\""),
            ("\"id\"", "\"ident\""),
            ("\"source\"", "\"origin\""),
            ("\"type\"", "\"kind\""),
            ("application/json", "text/plain"),
            ("2026-11-30T", "yesterday"),
            ("{\"quantity\": 3}", "{\"quantity\": -3}"),
            ("{\"quantity\": 3}", "{\"quantity\": 1.5}"),
            ("{\"quantity\": 3}", "{\"quantity\": 18446744073709551616}"),
            ("{\"quantity\": 3}", "{\"quantity\": \"3\"}"),
            ("{\"quantity\": 3}", "null"),
            ("\"data\"", "\"data_base64\""),
        ] {
            let error = parse(&EVENT.replace(right, wrong)).unwrap_err();
            assert_eq!(error.reason, Reason::CloudEventInvalid, "{wrong}");
        }
    }
}
