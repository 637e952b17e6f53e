//! A moment as people and programs write it.

use broker_core::Timestamp;

/// ISO 8601 in UTC, with milliseconds: `2024-02-29T12:00:00.000Z`.
pub(super) fn iso_8601(moment: Timestamp) -> String {
    let millis = moment.as_millis();
    let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = date_of(days);
    let (hour, rest) = (in_day / 3_600_000, in_day % 3_600_000);
    let (minute, rest) = (rest / 60_000, rest % 60_000);
    let (second, milli) = (rest / 1_000, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day, so many days after the first of January 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Counted from the first of March of the year 0, so that a leap day is the last of its year; 400 years have
    // 146,097 days, 100 years 36,524, and four years 1,461.
    let days = days + 719_468;
    let (era, in_era) = (days / 146_097, days % 146_097);
    let year_in_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    // Months from March on have 153 days in five.
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = 400 * era + year_in_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_calendars_have_them() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_208_000_000, "2024-02-29T12:00:00.000Z"),
            (1_709_251_200_001, "2024-03-01T00:00:00.001Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso_8601(Timestamp::from_millis(millis)), text);
        }
    }

    #[test]
    fn every_day_is_one_later_than_the_day_before() {
        let mut before = date_of(0);
        for days in 1..150_000 {
            let (year, month, day) = date_of(days);
            let (last_year, last_month, last_day) = before;
            let follows = (year, month, day) == (last_year, last_month, last_day + 1)
                || day == 1 && (year, month) == (last_year, last_month + 1) && last_day >= 28
                || (month, day, year) == (1, 1, last_year + 1)
                    && (last_month, last_day) == (12, 31);
            assert!(follows, "{before:?} and {:?}", (year, month, day));
            before = (year, month, day);
        }
    }
}
