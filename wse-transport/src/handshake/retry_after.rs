//! `Retry-After` (RFC 9110 §10.2.3).

use std::time::Duration;

use http::{Response, StatusCode, header};

use crate::head::single;

/// How long a refusal asks to wait before the next request: of 429 and of 503, which say that it is worth one.
///
/// A date is compared with the `Date` of the response, not with the clock of this side.
pub(crate) fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    if !asks.contains(&response.status()) {
        return None;
    }
    let headers = response.headers();
    let value = single(headers, header::RETRY_AFTER).ok().flatten()?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is as long as it gets.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let sent = single(headers, header::DATE).ok().flatten().and_then(date)?;
    Some(date(value)?.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_of_429_and_503_count() {
        let date = Some("Fri, 31 Dec 1999 23:59:00 GMT");
        let cases = [
            (503, Some("120"), None, Some(120)),
            (429, Some("0"), None, Some(0)),
            (503, Some("99999999999999999999999"), None, Some(u64::MAX)),
            (503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), date, Some(59)),
            (503, Some("Friday, 31-Dec-99 23:59:59 GMT"), date, Some(59)),
            (503, Some("Fri Dec 31 23:59:59 1999"), date, Some(59)),
            (503, Some("Fri, 31 Dec 1999 23:00:00 GMT"), date, Some(0)),
            (503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), None, None),
            (503, Some("soon"), date, None),
            (503, Some(""), date, None),
            (503, Some("-1"), date, None),
            (503, Some("1.5"), date, None),
            (503, None, date, None),
            (500, Some("120"), None, None),
            (403, Some("120"), None, None),
        ];
        for (status, value, sent, expected) in cases {
            let mut response = Response::builder().status(status);
            for (name, value) in [("retry-after", value), ("date", sent)] {
                if let Some(value) = value {
                    response = response.header(name, value);
                }
            }
            let found = retry_after(&response.body(()).unwrap());
            assert_eq!(found.map(|it| it.as_secs()), expected, "{status} {value:?}");
        }
    }
}
