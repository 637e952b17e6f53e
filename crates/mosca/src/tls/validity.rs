//! For how long the server's certificates are valid (RFC 5280, section 4.1.2.5): clients refuse one that is
//! not, which an operator had better hear of before they do.

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use broker_core::Escaped;

use super::parts::{Items, tag, to_be_signed};

const DAY_SECS: i64 = 86_400;

/// Days before the end at which it is time to say so.
const NOTICE_DAYS: i64 = 14;

/// What clients will make of a certificate, if that is not what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concern {
    NotYetValid,
    Expired,
    /// In so many whole days.
    ExpiresIn(i64),
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYetValid => f.write_str("is not valid yet: clients refuse it"),
            Self::Expired => f.write_str("has expired: clients refuse it"),
            Self::ExpiresIn(0) => f.write_str("expires within a day"),
            Self::ExpiresIn(1) => f.write_str("expires in a day"),
            Self::ExpiresIn(days) => write!(f, "expires in {days} days"),
        }
    }
}

/// Warns if something is to be done about a certificate of this file.
pub(super) fn warn(file: &Path, certificate: &[u8]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs().cast_signed());
    if let Some(concern) = concern(certificate, now) {
        tracing::warn!(
            "the certificate in {} {}",
            Escaped(file.display()),
            Escaped(concern)
        );
    }
}

/// What there is to say about a certificate at a time, in seconds since 1970. Nothing about one whose form
/// is not understood.
fn concern(certificate: &[u8], now: i64) -> Option<Concern> {
    let mut times = Items(to_be_signed(certificate)?.validity);
    let (begin, end) = (seconds(times.next()?)?, seconds(times.next()?)?);
    // The second at the end belongs to it.
    let left = end - now;
    match left {
        _ if now < begin => Some(Concern::NotYetValid),
        ..0 => Some(Concern::Expired),
        _ if left < NOTICE_DAYS * DAY_SECS => Some(Concern::ExpiresIn(left / DAY_SECS)),
        _ => None,
    }
}

/// Seconds since 1970 of a time, which is in UTC and has no fractions in a certificate.
fn seconds((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (
                if year < 50 {
                    2_000 + year
                } else {
                    1_900 + year
                },
                rest,
            )
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let two = |at| number(rest.get(at..at + 2)?);
    let days = days(year, two(0)?, two(2)?);
    Some(days * DAY_SECS + two(4)? * 3_600 + two(6)? * 60 + two(8)?)
}

fn number(digits: &str) -> Option<i64> {
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| digits.parse().ok())?
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March here, so that the day that
/// some have more is their last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days_before_month = (153 * month + 2) / 5;
    365 * year + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use test_servers::certificates::{Authority, Subject};
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        let utc = |text: &str| seconds((tag::UTC_TIME, text.as_bytes()));
        let general = |text: &str| seconds((tag::GENERALIZED_TIME, text.as_bytes()));
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("000229235959Z"), Some(951_868_799));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("500101000000Z"), Some(-631_152_000));
        assert_eq!(general("20500101000000Z"), Some(2_524_608_000));
        assert_eq!(general("99991231235959Z"), Some(253_402_300_799));
        for broken in [
            "",
            "Z",
            "7001010000Z",
            "700101000000",
            "70010100000xZ",
            "+00101000000Z",
        ] {
            assert_eq!(utc(broken), None, "{broken}");
        }
        assert_eq!(seconds((tag::SEQUENCE, b"700101000000Z")), None);
    }

    #[test]
    fn who_looks_at_a_certificate_in_time_hears_when_it_ends() {
        let authority = Authority::new("Test CA");
        let issued = authority.issue("server", &Subject::server("localhost"));
        let certificate = CertificateDer::from_pem_file(&issued.certificate).unwrap();
        let mut times = Items(to_be_signed(&certificate).unwrap().validity);
        let mut next = || seconds(times.next().unwrap()).unwrap();
        let (begin, end) = (next(), next());
        assert_eq!(end - begin, 30 * DAY_SECS);
        for (now, expected) in [
            (begin - 1, Some(Concern::NotYetValid)),
            (begin, None),
            (end - NOTICE_DAYS * DAY_SECS, None),
            (
                end - NOTICE_DAYS * DAY_SECS + 1,
                Some(Concern::ExpiresIn(13)),
            ),
            (end - DAY_SECS, Some(Concern::ExpiresIn(1))),
            (end, Some(Concern::ExpiresIn(0))),
            (end + 1, Some(Concern::Expired)),
        ] {
            assert_eq!(concern(&certificate, now), expected, "{now}");
        }
        assert_eq!(concern(b"no certificate", 0), None);
    }
}
